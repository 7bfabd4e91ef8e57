"""Every estimator: one truth about labels, and a row's answer is its own."""

from functools import cache

import numpy as np
import pytest
import torch
from estimators import (
    ANSWERS,
    MEANS,
    MIXTURES,
    N_SAMPLES,
    NETWORKS,
    SHALLOW,
    WIDE,
    X,
    answers,
    centers,
    each_deep,
    each_estimator,
    each_method,
    each_network,
    each_transformer,
    each_unsupervised,
    fitted,
    fresh,
    known,
)
from sklearn.datasets import make_blobs

from skdeepcluster import KernelKMeans, MatrixFactorizationKMeans

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


# Ends of blocks and of vectors are treated otherwise for some widths, which ones
# depends on the processor and the libraries.
WIDTHS = range(1, 131)
PRECISIONS = ("float32", "float64")
KERNELS = (
    "additive_chi2",
    "chi2",
    "cosine",
    "laplacian",
    "linear",
    "poly",
    "rbf",
    "sigmoid",
)
BRIEFLY = {
    "n_init": 1,
    "pretrain_epochs": 1,
    "warmup_epochs": 1,
    "max_iter": 1,
}


def rows_of_width(n_features):
    random = np.random.RandomState(n_features)
    return random.normal(size=(260, n_features)) + 3 * random.randint(3, size=(260, 1))


def assert_places_have_no_say(estimator, widths, both=True, n_fit=12, **settings):
    """Few rows to fit: what is tested is what the model answers afterwards."""
    order = np.random.RandomState(0).permutation(260)
    params = {**known(estimator, BRIEFLY), **settings}
    for width in widths:
        data = rows_of_width(width)
        if "chi2" in params.get("kernel", ""):
            data = np.abs(data)
        for precision in PRECISIONS if both else PRECISIONS[width // 4 % 2 :][:1]:
            model = fresh(estimator, precision=precision, **params).fit(data[:n_fit])
            shuffled = answers(model, data[order])
            alone = answers(model, data[7:8])
            for method, answer in answers(model, data).items():
                where = f"{method}, {width} features, {precision}, {settings}"
                assert (shuffled[method] == answer[order]).all(), where
                assert (alone[method] == answer[7:8]).all(), where


brief = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",  # one feature: two directions
)


@brief
@pytest.mark.parametrize("estimator", [*SHALLOW[:2], *MEANS[:1], *MIXTURES])
def test_row_bits_of_all_widths(estimator):
    assert_places_have_no_say(estimator, WIDTHS, both=False)


@brief
@each_network
def test_row_bits_of_networks(estimator):
    """All embed rows in the same way: one looks at all widths, the others at some."""
    first = estimator is NETWORKS[1]
    assert_places_have_no_say(estimator, WIDTHS if first else WIDTHS[6::62])


@brief
@pytest.mark.parametrize("kernel", KERNELS)
def test_row_bits_of_kernels(kernel):
    gamma = 1e-3 if kernel == "poly" else None
    model = KernelKMeans(3)
    settings = {"kernel": kernel, "gamma": gamma}
    # Products with all the training rows round otherwise than with a few.
    assert_places_have_no_say(model, WIDTHS, both=False, n_fit=260, **settings)


@brief
@pytest.mark.slow
@each_estimator
def test_row_bits_of_all_widths_and_estimators(estimator):
    assert_places_have_no_say(estimator, WIDTHS)


def test_a_row_beside_one_whose_answer_overflows():
    rows = np.random.RandomState(0).normal(size=(60, 3)).astype(np.float32)
    model = MatrixFactorizationKMeans(3, random_state=0).fit(rows)
    alone = model.transform(rows[:1])
    beside = model.transform(np.vstack([rows[:1], np.full((1, 3), 3e38, np.float32)]))
    assert np.isfinite(beside).all()
    np.testing.assert_array_equal(beside[:1], alone)
