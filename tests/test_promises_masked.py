"""Every estimator: masked values are missing values, and a mask of none is no mask."""

import copy

import numpy as np
import pandas as pd
import pytest
from estimators import (
    DEEP,
    N_SAMPLES,
    X,
    Y,
    bits,
    each,
    each_kind,
    fitted,
    fresh,
    known,
)
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from stores import Store, mapped

from skdeepcluster import CentroidClassifier
from skdeepcluster.graphs import path_integral_partition
from skdeepcluster.metrics import (
    clustering_accuracy,
    input_silhouette_scorer,
    knn_modularity_score,
    neighborhood_score,
    neighborhood_scorer,
)
from skdeepcluster.robustness import attack_report, fgsm
from skdeepcluster.theory import centroid_margin, centroid_view, softmax_margin
from skdeepcluster.utils import _stored

FIFTH = np.arange(N_SAMPLES) == 5
MASK = FIFTH[:, None] & (np.arange(X.shape[1]) == 2)
# What lies under the mask must not matter: a value that would be seen in any answer.
MASKED = np.ma.masked_array(np.where(MASK, 1e6, X), MASK, fill_value=-1e6)
FORMS = [
    MASKED,
    MASKED.astype(np.float32),
    MASKED.astype(int),
    MASKED.astype(object),
    np.ma.masked_array(X > 0, MASK),
    list(MASKED),
    MASKED.tolist(),  # None where masked
    pd.DataFrame(MASKED),
    np.ma.masked_all((20, 4)),
]
METHODS = (
    "predict predict_proba transform score fit_predict fit_transform partial_fit "
    "score_samples bic aic decision_function confidence margin certified_radius "
    "predict_with_reject reconstruction_error"
).split()
Y_MASKED = np.ma.masked_array(Y, FIFTH)
WEIGHT = np.ma.masked_array(np.ones(N_SAMPLES), FIFTH)


def refused():
    return pytest.raises(ValueError, match="NaN|missing value")


@each_kind
def test_masked_rows(estimator):
    for data in FORMS:
        with refused():
            fresh(estimator).fit(data)
    for name in METHODS:
        if hasattr(estimator, name):
            with refused():
                getattr(copy.deepcopy(fitted(estimator)), name)(MASKED)
    with config_context(assume_finite=True), refused():
        fresh(estimator).fit(MASKED)


@each_kind
def test_masked_weights(estimator):
    for weight in (WEIGHT, [np.ma.masked] + [1.0] * (N_SAMPLES - 1)):
        with refused():
            fresh(estimator).fit(X, sample_weight=weight)
    if hasattr(estimator, "bic"):
        with refused():
            fitted(estimator).bic(X, WEIGHT)


@each_kind
def test_a_mask_of_none_is_no_mask(estimator, monkeypatch, tmp_path):
    plain, weight = fitted(estimator), 1.0 + Y
    expected = fresh(estimator).fit(X, sample_weight=weight)
    data = np.ma.masked_array(X, np.zeros(X.shape, bool))
    model = fresh(estimator).fit(data, sample_weight=np.ma.masked_array(weight))
    assert bits(model, data) == bits(expected)
    assert bits(plain, np.ma.masked_array(X)) == bits(plain)
    monkeypatch.setattr(_stored, "_READ_AT_ONCE", 0)
    if "locality" not in getattr(estimator, "clustering_loss", ()):
        rows = np.ma.masked_array(mapped(X, tmp_path))
        assert bits(fresh(estimator).fit(rows), rows) == bits(plain)


@each_kind
def test_masked_rows_of_a_store(estimator, monkeypatch, tmp_path):
    """Variables of netCDF4 are such stores."""
    for at_once in (0, 1 << 26):
        monkeypatch.setattr(_stored, "_READ_AT_ONCE", at_once)
        for rows in (Store(MASKED), np.ma.masked_array(mapped(X, tmp_path), MASK)):
            with refused():
                fresh(estimator).fit(rows)
            with refused():
                fitted(estimator).predict(rows)


@each_kind
def test_masked_starts(estimator):
    if "array-like" not in estimator._parameter_constraints.get("init", ()):
        pytest.skip("takes no array as init")
    k = known(estimator, {"n_clusters": 0, "n_components": 0})
    (k,) = (getattr(estimator, name) for name in k)
    start = Y % k if hasattr(estimator, "kernel") else X[:k]
    mask = np.arange(start.size).reshape(start.shape) == 1
    with refused():
        fresh(estimator, init=np.ma.masked_array(start, mask)).fit(X)
    found = fresh(estimator, init=np.ma.masked_array(start)).fit(X)
    assert bits(found) == bits(fresh(estimator, init=start).fit(X))
    if callable(getattr(estimator, "inverse_transform", None)):
        with refused():
            found.inverse_transform(Y_MASKED)


@each(DEEP)
def test_masked_embeddings(estimator):
    model = fitted(estimator)
    with refused():
        model.inverse_transform(np.ma.masked_less(model.transform(X), np.inf))


@pytest.mark.parametrize("y", [Y_MASKED, np.ma.masked_array(Y.astype(str), FIFTH)])
def test_masked_classes(y):
    model = CentroidClassifier(warmup_epochs=1, max_iter=1)
    with refused():
        model.fit(X, y)
    model.fit(X, y.data)
    with refused():
        model.score(X, y)
    with refused():
        model.score(X, y.data, sample_weight=WEIGHT)
    with refused():
        fgsm(model, X, y, 0.1)
    with refused():
        attack_report(model, X, y, X)
    with refused():
        attack_report(model, X, y.data, MASKED)
    with refused():
        clustering_accuracy(y, Y)
    for score in (neighborhood_score, knn_modularity_score):
        with refused():
            score(X, y)


def test_masked_arguments_of_functions():
    model = LogisticRegression().fit(X, Y)
    view = centroid_view(model, X, Y)
    coef = np.ma.masked_equal(model.coef_, model.coef_[0, 0])
    clusterer = view  # anything that predicts
    for call in (
        lambda: neighborhood_score(MASKED, Y),
        lambda: neighborhood_scorer(clusterer, MASKED),
        lambda: input_silhouette_scorer(clusterer, MASKED),
        lambda: clustering_accuracy(Y, Y_MASKED),
        lambda: clustering_accuracy(Y, Y, sample_weight=WEIGHT),
        lambda: path_integral_partition(MASKED, 3),
        lambda: centroid_view(model, MASKED, Y),
        lambda: centroid_view(model, X, Y_MASKED),
        lambda: view.certified_radius(MASKED),
        lambda: softmax_margin(X, coef),
        lambda: centroid_margin(MASKED, X[:3]),
    ):
        with refused():
            call()
    assert neighborhood_score(np.ma.masked_array(X), Y) == neighborhood_score(X, Y)
