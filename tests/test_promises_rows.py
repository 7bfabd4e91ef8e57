"""Every estimator: one truth about labels, and a row's answer is its own."""

from functools import cache

import numpy as np
import pytest
import torch
from estimators import (
    ANSWERS,
    N_SAMPLES,
    NETWORKS,
    WIDE,
    X,
    answers,
    centers,
    each_deep,
    each_estimator,
    each_method,
    each_transformer,
    each_unsupervised,
    fitted,
    fresh,
    known,
)
from sklearn.datasets import make_blobs

# --- one truth about labels -------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_unsupervised
def test_labels_are_predictions(estimator, dtype):
    data = X.astype(dtype)
    model = fresh(estimator)
    labels = model.fit_predict(data)
    assert labels is model.labels_
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, model.predict(data))
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_method("predict_proba")
def test_probabilities(estimator, method, dtype):
    data = X.astype(dtype)
    model = fitted(estimator)
    proba = getattr(model, method)(data)
    assert proba.dtype == dtype
    assert proba.shape == (N_SAMPLES, len(centers(model)))
    assert proba.min() >= 0
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.predict(data))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_transformer
def test_outputs_have_the_dtype_of_the_data(estimator, dtype):
    model = fresh(estimator).fit(X.astype(dtype))
    out = model.transform(X.astype(dtype))
    assert type(out) is np.ndarray
    assert out.dtype == dtype
    assert getattr(model, "cluster_centers_", out).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_deep
def test_networks_compute_in_float32(estimator, dtype):
    model = fresh(estimator).fit(X.astype(dtype))
    embedding = model.transform(X.astype(dtype))
    assert model.inverse_transform(embedding).dtype == dtype
    assert {p.dtype for p in model.module_.parameters()} == {torch.float32}


# --- a row's answer is its own ----------------------------------------------


@cache
def fitted_on_many(estimator, dtype, wide):
    data, _ = make_blobs(300, n_features=6, centers=3, random_state=1)
    data = data.astype(dtype)
    params = known(estimator, WIDE if wide else {})
    return fresh(estimator, **params).fit(data), data


def assert_rows_are_alone(model, data, method):
    answer = getattr(model, method)
    together = answer(data)
    order = np.random.RandomState(0).permutation(len(data))
    np.testing.assert_array_equal(answer(data[order]), together[order])
    for part in (slice(0, 1), slice(255, 257), slice(299, 300), slice(40, 177)):
        np.testing.assert_array_equal(answer(data[part]), together[part])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_method(*ANSWERS)
def test_a_row_has_the_same_bits_in_any_company(estimator, dtype, method):
    assert_rows_are_alone(*fitted_on_many(estimator, dtype, False), method)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_method(*ANSWERS, estimators=NETWORKS)
def test_a_row_has_the_same_bits_in_wide_networks(estimator, dtype, method):
    assert_rows_are_alone(*fitted_on_many(estimator, dtype, True), method)


# One feature has two directions only.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 7, 9, 13, 30])
@each_estimator
def test_row_bits_for_any_number_of_features(estimator, n_features, precision):
    """Matrix products of some narrow shapes round by the place of a row."""
    data, _ = make_blobs(260, n_features=n_features, centers=3, random_state=1)
    params = known(estimator, {"n_init": 1})
    model = fresh(estimator, precision=precision, **params).fit(data)
    order = np.random.RandomState(0).permutation(len(data))
    shuffled = answers(model, data[order])
    for method, answer in answers(model, data).items():
        np.testing.assert_array_equal(shuffled[method], answer[order])
