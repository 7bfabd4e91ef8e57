"""What internal scores do not depend on: names, order, scale, form of the data."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import make_blobs

from skdeepcluster.metrics import knn_modularity_score, neighborhood_score

SCORES = [knn_modularity_score, neighborhood_score]
METRICS = ["euclidean", "cosine", "manhattan"]


@pytest.mark.parametrize("score", SCORES)
def test_label_names_do_not_matter(data, score):
    X, labels = data
    expected = score(X, labels)
    for names in (np.array([3, 0, 2, 1]), np.array(["c", "a", "d", "b"])):
        assert score(X, names[labels]) == expected
    assert score(X, labels - 1) == expected  # -1 is a cluster like the others


@settings(max_examples=30, deadline=None)
@given(
    X=arrays(float, (12, 2), elements=st.integers(-3, 3)),
    labels=arrays(int, 12, elements=st.integers(0, 3)),
    order=st.permutations(range(12)),
    metric=st.sampled_from(METRICS),
    scale=st.sampled_from([1.0, 0.1, 1e-3]),
    n_neighbors=st.integers(1, 20),
)
def test_row_order_does_not_matter(X, labels, order, metric, scale, n_neighbors):
    # Points on a grid: many are equal, and many more are equally far.
    X = scale * X
    settings = {"metric": metric, "n_neighbors": n_neighbors}
    for score in SCORES:
        expected = score(X, labels, **settings)
        assert -0.75 <= expected <= 1
        reordered = score(X[order], labels[order], **settings)
        assert reordered == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    X=arrays(float, (11, 2), elements=st.integers(-3, 3)),
    labels=arrays(int, 11, elements=st.integers(0, 3)),
    weight=arrays(int, 11, elements=st.integers(0, 4)).filter(lambda w: w.sum() > 1),
    metric=st.sampled_from(METRICS),
    scale=st.sampled_from([1.0, 0.1]),
    n_neighbors=st.integers(1, 20),
    sample_size=st.sampled_from([None, 6]),
)
def test_a_weight_is_repetition(
    X, labels, weight, metric, scale, n_neighbors, sample_size
):
    X = scale * X
    options = {"metric": metric, "n_neighbors": n_neighbors, "sample_size": sample_size}
    for score in SCORES:
        for form in (np.asarray, sp.csr_array):
            weighted = score(form(X), labels, sample_weight=weight, **options)
            repeated = form(X.repeat(weight, axis=0)), labels.repeat(weight)
            assert weighted == pytest.approx(score(*repeated, **options), abs=1e-12)
    keep = weight > 0
    if keep.sum() > 1:
        few = neighborhood_score(X[keep], labels[keep], metric=metric)
        for factor in (1.0, 0.3, 1e-300, 1e300):
            weighted = {"metric": metric, "sample_weight": keep * factor}
            assert neighborhood_score(X, labels, **weighted) == few


@pytest.mark.parametrize("score", SCORES)
def test_weights_count_by_their_ratios(data, score):
    X, labels = data
    weight = np.random.default_rng(0).uniform(0.1, 3, size=len(X))
    expected = score(X, labels, sample_weight=weight)
    assert expected != score(X, labels)
    for factor in (1e-200, 0.5, 1e200):
        found = score(X, labels, sample_weight=weight * factor)
        assert found == pytest.approx(expected, rel=1e-9)
    order = np.random.default_rng(1).permutation(len(X))
    found = score(X[order], labels[order], sample_weight=weight[order])
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-310, 1e-30, 1e30, 1e300])
def test_scale_does_not_matter(data, metric, scale):
    X, labels = data
    expected = neighborhood_score(X, labels, metric=metric)
    score = neighborhood_score(X * scale, labels, metric=metric)
    assert score == pytest.approx(expected, rel=1e-2 if scale < 1e-300 else 1e-9)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_offset_does_not_matter(data, metric):
    X, labels = data
    expected = neighborhood_score(X, labels, metric=metric)
    score = neighborhood_score(X + 1e7, labels, metric=metric)
    assert score == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_sparse_equals_dense(metric, container):
    X = sp.random(120, 40, density=0.2, random_state=0).toarray()
    labels = np.arange(120) % 3
    expected = neighborhood_score(X, labels, metric=metric)
    score = neighborhood_score(container(X), labels, metric=metric)
    assert score == pytest.approx(expected, abs=1e-9)


def test_sparse_is_not_made_dense():
    columns = np.random.default_rng(0).integers(0, 10**7, size=2000)
    rows = np.repeat(np.arange(200), 10)
    X = sp.csr_array((np.ones(2000), (rows, columns)), shape=(200, 10**7))
    assert np.isfinite(neighborhood_score(X, np.arange(200) % 2))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, np.int64, object])
def test_dtypes(dtype):
    X = np.random.default_rng(0).integers(0, 255, size=(80, 5))
    labels = np.arange(80) % 4
    expected = neighborhood_score(X.astype(float), labels)
    assert neighborhood_score(X.astype(dtype), labels) == expected


def test_large_float16():
    X, labels = make_blobs(100, centers=2, random_state=0)
    X = (X / abs(X).max() * 60000).astype(np.float16)
    assert neighborhood_score(X, labels) > 0.4


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_input_is_left_alone(data, metric, container):
    X, labels = container(data[0]), data[1].copy()
    before = X.copy()
    neighborhood_score(X, labels, metric=metric)
    assert abs(X - before).max() == 0
    np.testing.assert_array_equal(labels, data[1])


def test_containers(data):
    X, labels = data
    expected = neighborhood_score(X, labels)
    assert neighborhood_score(pd.DataFrame(X), pd.Series(labels)) == expected
    assert neighborhood_score(X.tolist(), labels.tolist()) == expected
