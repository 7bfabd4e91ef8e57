"""The warning of columns in different units, and where there is none."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimators import each_network, fresh
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import StandardScaler, normalize

from skdeepcluster.engine import DataScaleWarning, Scaling


def warning_of(X, names=None):
    """Text of the warning, "" where there is none."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Scaling.fit(X, names=names)
    assert all(w.category is DataScaleWarning for w in seen)
    return str(seen[0].message) if seen else ""


def counts(rng):
    """Of words: some frequent, most of them rare, in texts of all lengths."""
    rate = np.exp(rng.normal(-1, 2.5, size=400))
    return rng.poisson(rate * rng.lognormal(size=(300, 1))).astype(float)


def one_hot(rng):
    """Of categories, most of them rare."""
    return (rng.rand(400, 1) < np.cumsum(rng.dirichlet(np.full(40, 0.3)))).astype(float)


def images(rng):
    """Faces on a ground that is constant, but for rare specks at the edge."""
    X = rng.randint(30, 220, size=(100, 8, 8)).astype(float)
    X[:, 0] = X[:, -1] = 12.0
    X[rng.rand(100) < 0.02, 1] = 200
    return X.reshape(100, -1)


def embeddings(rng):
    """Of a transformer, with two dimensions as large as all others together."""
    X = rng.normal(size=(200, 384))
    X[:, [7, 200]] *= 15
    return X + rng.normal(size=384)


def mixed(rng):
    """Age, income, rooms and a share."""
    columns = [rng.uniform(18, 90, 300), rng.lognormal(10, 0.5, 300)]
    return np.column_stack([*columns, rng.randint(1, 9, 300), rng.rand(300)])


ONE_UNIT = {
    "iris": lambda rng: load_iris().data,
    "digits": lambda rng: load_digits().data,
    "few images": lambda rng: load_digits().data[:40],
    "principal components": lambda rng: PCA(30).fit_transform(load_digits().data),
    "images": images,
    "normal": lambda rng: rng.normal(size=(50, 20)),
    "uniform": lambda rng: rng.rand(20, 3),
    "heavy tails": lambda rng: rng.standard_t(2, size=(1000, 30)),
    "counts": counts,
    "sparse counts": lambda rng: sp.csr_array(counts(rng)),
    "few counts": lambda rng: rng.poisson([300, 0.1, 0.3, 0.5, 900], (200, 5)) * 1.0,
    "frequencies": lambda rng: normalize(counts(rng) + np.eye(300, 400), "l1"),
    "tf-idf": lambda rng: TfidfTransformer().fit_transform(counts(rng)),
    "one-hot": one_hot,
    "one-hot, scaled": lambda rng: np.hstack([one_hot(rng), rng.normal(size=(400, 3))]),
    "embeddings": embeddings,
    "standardised": lambda rng: StandardScaler().fit_transform(mixed(rng)),
    "few rows": lambda rng: mixed(rng)[:8],
    "constant": lambda rng: np.full((50, 3), (0.1, 1e9, 2.0)),
}
MIXED = {
    "wine": (lambda rng: load_wine().data, "column 12 has 99.7%"),
    "breast_cancer": (lambda rng: load_breast_cancer().data, "columns 23 and 3 have"),
    "diabetes": (
        lambda rng: load_diabetes(scaled=False).data,
        "columns 4, 5, 3 and 3 more have 99.2%",
    ),
    "table": (mixed, "column 1 has 99.9% of the variance"),
    "whole numbers": (lambda rng: np.floor(mixed(rng)[:, :3]), "column 1 has 99.9%"),
    "two columns": (lambda rng: mixed(rng)[:, :2], "so that column 0 hardly counts"),
    "with categories": (
        lambda rng: np.hstack([one_hot(rng)[:300], mixed(rng)]),
        "column 41 has 99.9%",
    ),
    "sparse": (lambda rng: sp.csr_array(mixed(rng)), "column 1 has 99.9%"),
}


def test_columns_of_one_unit_are_silent():
    for name, make in ONE_UNIT.items():
        assert warning_of(make(np.random.RandomState(0))) == "", name


def test_mixed_units_are_warned_of():
    for name, (make, expected) in MIXED.items():
        assert expected in warning_of(make(np.random.RandomState(0))), name


def test_the_unit_of_all_columns_and_the_order_do_not_matter():
    X = load_breast_cancer().data
    for scale in (1e-3, 1.0, 1e6):
        assert "columns 23 and 3 have 99.1%" in warning_of(X * scale)
        assert "columns 6 and 26 have 99.1%" in warning_of(X[::-1, ::-1] * scale)
    weight = np.random.RandomState(0).randint(1, 4, len(X))
    with pytest.warns(DataScaleWarning) as seen:
        Scaling.fit(X, weight.astype(float))
    assert str(seen[0].message) == warning_of(np.repeat(X, weight, axis=0))


def test_columns_are_named():
    data = load_wine()
    assert warning_of(data.data, data.feature_names) == (
        "column 'proline' has 99.7% of the variance of X, so that columns "
        "'magnesium', 'alcalinity_of_ash', 'color_intensity' and 9 more hardly count: "
        "the units of the columns seem to differ. Scale X first (e.g. with "
        "StandardScaler) where all columns should count."
    )


@each_network
def test_every_network_warns_once_and_names_the_columns(estimator):
    frame = pd.DataFrame(mixed(np.random.RandomState(0))[:61], columns=[*"abcd"])
    for X, name in ((frame, "'b'"), (frame.to_numpy(np.float32), "1")):
        with pytest.warns(DataScaleWarning, match=f"^column {name} has 99.9%") as seen:
            fresh(estimator, max_iter=1).fit(X)
        assert [w.category for w in seen] == [DataScaleWarning]
