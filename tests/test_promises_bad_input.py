"""Every estimator: data that cannot be used are refused in clear words."""

import numpy as np
import pandas as pd
import pytest
from estimators import (
    N_SAMPLES,
    X,
    answers,
    each_clusterer,
    each_deep,
    each_estimator,
    each_method,
    each_network,
    fitted,
    fresh,
)
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning, NotFittedError


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
