"""Every estimator: data that cannot be used are refused in clear words."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from estimators import (
    N_SAMPLES,
    X,
    Y,
    answers,
    each_clusterer,
    each_deep,
    each_estimator,
    each_kind,
    each_method,
    each_network,
    fitted,
    fresh,
)
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from torch.utils.data import DataLoader, Dataset

from skdeepcluster import DEC, SphericalKMeans


def spoiled(value):
    data = X.copy()
    data[3, 1] = value
    return data


BAD_DATA = {
    "nan": (spoiled(np.nan), "Input X contains NaN"),
    "na": (pd.DataFrame(X).astype("Float64").mask(X > 9), "contains NaN"),
    "inf": (spoiled(np.inf), "contains infinity"),
    "1d": (X[0], "Expected 2D array, got 1D"),
    "3d": (X[None], "dim 3"),
    "no rows": (X[:0], r"Found array with 0 sample\(s\)"),
    "no columns": (X[:, :0], r"0 feature\(s\)"),
    "complex": (X + 1j, "Complex data not supported"),
    "strings": (X.astype(str).tolist() + [["a"] * 4], "could not convert string"),
    "category": (
        pd.DataFrame({"a": X[:, 0], "b": ["x"] * N_SAMPLES}),
        "could not convert string to float: 'x'.*ColumnTransformer",
    ),
}


@pytest.mark.parametrize("data, match", BAD_DATA.values(), ids=BAD_DATA)
@each_estimator
def test_bad_data(estimator, data, match):
    with pytest.raises(ValueError, match=match):
        fresh(estimator).fit(data)


class Rows(Dataset):
    """What a data loader takes."""

    def __len__(self):
        return N_SAMPLES

    def __getitem__(self, row):
        return torch.tensor(X[row]), 0


TEXTS = ["two words", "one", "and three words"] * 9
IMAGES = np.zeros((20, 8, 6))
NO_ROWS = [
    (TEXTS, ValueError, "to float: 'two words'.*TfidfVectorizer"),
    (np.array(TEXTS), ValueError, "TfidfVectorizer"),
    (np.array(TEXTS, dtype=object)[:, None], ValueError, "TfidfVectorizer"),
    (pd.DataFrame({"text": TEXTS}), ValueError, "TfidfVectorizer"),
    (pd.Series(TEXTS), ValueError, "TfidfVectorizer"),
    (pd.DataFrame({"a": TEXTS}, dtype="category"), ValueError, "ColumnTransf.*'a'"),
    (pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), ValueError, "they are 'b'"),
    (np.array([["1", "a", "2"]] * 9), ValueError, "ColumnTransformer.* they are 1"),
    (IMAGES, ValueError, r"dim 3.*X.reshape\(len\(X\), -1\)"),
    (list(IMAGES), ValueError, "dim 3.*reshape"),
    (list(torch.tensor(IMAGES)), ValueError, "dim 3.*reshape"),
    (np.zeros((20, 8, 6, 3)), ValueError, r"transpose\(0, 3, 1, 2\).reshape"),
    (torch.zeros(20, 3, 8, 6), ValueError, r"dim 4.*X.reshape\(len\(X\), -1\)"),
    (sp.coo_array(np.ones((4, 2, 2))), ValueError, "reshape"),
    (Rows(), TypeError, "not a Rows of torch.*torch.stack"),
    (DataLoader(Rows(), batch_size=4), TypeError, "DataLoader of torch.*torch.stack"),
    (None, TypeError, "array-like .*got None"),
    ("rows.csv", TypeError, "got 'rows.csv': read the file"),
    (Path("rows.npy"), TypeError, "rows.npy.*read the file"),
    ({"a": [1, 2]}, TypeError, "got a dict: pass its columns as a pandas.DataFrame"),
    (load_iris(), TypeError, "got a Bunch: pass its entry 'data'"),
    ({1, 2}, TypeError, "got a set: pass its rows as a list"),
    (iter(X), TypeError, "got a .*iterator: pass its rows as a list"),
    (DEC(), TypeError, "got a DEC"),
    (DEC, TypeError, "got the class DEC"),
    (torch.nn.Linear(2, 2), TypeError, "got a Linear"),
    (torch.empty(9, 2, device="meta"), TypeError, "device 'meta', without values"),
    ([[1, 2], [3]], ValueError, "All rows of X should have the same number"),
    ([torch.ones(2), torch.ones(3)], ValueError, "All rows of X should have the same"),
    ([[10**400, 1]] * 9, ValueError, "entries of X should fit into float64"),
    ([{"a": 1}] * 9, TypeError, "All entries of X should be numbers"),
    (np.zeros(9, dtype="f8, f8"), TypeError, "structured_to_unstructured"),
    (
        pd.DataFrame({"when": pd.date_range("2020", periods=9), "a": np.ones(9)}),
        TypeError,
        r"columns of dates.*astype\('int64'\)",
    ),
]


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@each_kind
def test_what_is_no_rows_is_named_with_the_way_out(estimator):
    for data, error, match in NO_ROWS:
        with pytest.raises(error, match=match):
            fresh(estimator).fit(data, Y)
        with pytest.raises(error, match=match):
            fitted(estimator).predict(data)


def test_images_for_a_network():
    for shape, sides in [((9, 8, 6), "(8, 6)"), ((9, 8, 6, 3), "(3, 8, 6)")]:
        match = re.escape(f"architecture=ConvAutoencoder(image_shape={sides})")
        with pytest.raises(ValueError, match=match):
            DEC().fit(np.zeros(shape))
    with pytest.raises(ValueError, match=r"-1\)\.$"):  # and none for a k-means
        SphericalKMeans().fit(IMAGES)


@each_network
def test_missing_values_that_nobody_looked_for(estimator):
    with config_context(assume_finite=True), pytest.raises(ValueError, match="NaN"):
        fresh(estimator).fit(spoiled(np.nan))


@each_network
def test_data_that_overflow(estimator):
    match = r"values up to 1e\+300, which overflow float32; scale"
    with pytest.raises(ValueError, match=match):
        fresh(estimator).fit(spoiled(1e300))


@pytest.mark.parametrize("case", ["nan", "inf", "1d", "no rows", "complex"])
@each_method("predict", "predict_proba", "transform", "score")
def test_bad_new_data(estimator, method, case):
    data, match = BAD_DATA[case]
    with pytest.raises(ValueError, match=match):
        getattr(fitted(estimator), method)(data)


@pytest.mark.parametrize("value", [1e300, -1e300])
@pytest.mark.parametrize("method", ["predict", "transform"])
@each_network
def test_new_data_that_overflow(estimator, method, value):
    with pytest.raises(ValueError, match="overflow float32"):
        getattr(fitted(estimator), method)(spoiled(value))


@each_deep
def test_embeddings_that_cannot_be_decoded(estimator):
    with pytest.raises(ValueError, match="X has 3 columns, but the embedding .* 2"):
        fitted(estimator).inverse_transform(X[:, :3])
    with pytest.raises(ValueError, match="contains NaN"):
        fitted(estimator).inverse_transform(np.full((2, 2), np.nan))


@each_clusterer
def test_fewer_rows_than_clusters(estimator):
    k = estimator.n_clusters
    with pytest.raises(ValueError, match=f"n_samples={k - 1} should be >= n_cl.*={k}"):
        fresh(estimator).fit(X[: k - 1])
    model = fresh(estimator).fit(X[: 20 * k : 20])
    assert model.labels_.shape == (len(X[: 20 * k : 20]),)


@pytest.mark.parametrize("data", [np.ones((20, 3)), np.tile(X[:2], (10, 1))])
@each_clusterer
def test_fewer_distinct_rows_than_clusters(estimator, data):
    distinct = len(np.unique(data, axis=0))
    k = estimator.n_clusters
    match = rf"distinct clusters \({distinct}\) found smaller than n_clusters \({k}\)"
    with pytest.warns(ConvergenceWarning, match=match):
        model = fresh(estimator).fit(data)
    assert sorted(set(model.labels_)) == list(range(distinct))
    assert all(np.isfinite(answer).all() for answer in answers(model, data).values())
    assert np.isfinite(model.score(data))


@each_method("predict", "predict_proba", "transform", "score")
def test_use_before_fit_and_with_other_features(estimator, method):
    with pytest.raises(NotFittedError):
        getattr(fresh(estimator), method)(X)
    with pytest.raises(ValueError, match="X has 3 features, but .* 4 features"):
        getattr(fitted(estimator), method)(X[:, :3])
