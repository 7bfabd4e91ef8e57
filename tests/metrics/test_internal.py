import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.metrics import silhouette_score
from sklearn.neighbors import kneighbors_graph

from skdeepcluster.metrics import (
    knn_modularity_score,
    neighborhood_score,
    sample_rows,
)
from skdeepcluster.metrics._internal import input_silhouette

SCORES = [knn_modularity_score, neighborhood_score]
METRICS = ["euclidean", "cosine", "manhattan"]


def modularity_by_formula(A, labels, resolution=1.0):
    """Double sum over the adjacency matrix."""
    degree, total = A.sum(axis=1), A.sum()
    same = labels[:, None] == labels
    return ((A - resolution * np.outer(degree, degree) / total) * same).sum() / total


# Hand-computed graphs


def test_two_triangles():
    X = [[0, 0], [0, 1], [1, 0], [8, 8], [8, 9], [9, 8]]
    # 6 edges, all within; half of the degrees on either side: 1 - 2 (1/2)^2.
    assert knn_modularity_score(X, [0, 0, 0, 1, 1, 1], n_neighbors=2) == 0.5
    # One row moved: 4 of 6 edges within; degrees 4 and 8 of 12: 4/6 - 1/9 - 4/9.
    score = knn_modularity_score(X, [0, 0, 1, 1, 1, 1], n_neighbors=2)
    assert score == pytest.approx(1 / 9, rel=1e-14)


def test_symmetrised_chain():
    # Nearest neighbours 0-1, 1-0, 2-1, 3-2: three edges, whoever chose them.
    X = np.array([[0.0], [1.0], [2.5], [4.5]])
    # 2 of 3 edges within; degrees 1 + 2 and 2 + 1 of 6: 2/3 - 2 (1/2)^2.
    score = knn_modularity_score(X, [0, 0, 1, 1], n_neighbors=1)
    assert score == pytest.approx(1 / 6, rel=1e-14)
    # The least possible value: one edge, its ends in two clusters.
    assert knn_modularity_score(X[:2], [0, 1]) == -0.5


def test_resolution():
    X = np.array([[0.0], [1.0], [2.5], [4.5]])
    score = knn_modularity_score(X, [0, 0, 1, 1], n_neighbors=1, resolution=0.5)
    assert score == pytest.approx(2 / 3 - 0.25, rel=1e-14)


def test_ties_share_the_last_place():
    # Row 1 is as near to 0 as to 2: half an edge to either. Row 0 and 2 choose row 1
    # outright, which settles both edges. Row 3 chooses 2.
    X = np.array([[0.0], [1.0], [2.0], [3.5]])
    score = knn_modularity_score(X, [0, 1, 1, 1], n_neighbors=1)
    # 2 of 3 edges within; degrees 1 and 5 of 6.
    assert score == pytest.approx(2 / 3 - 1 / 36 - 25 / 36, rel=1e-12)
    # Corners of a simplex, all equally far: a complete graph with edges 1/3.
    score = knn_modularity_score(np.eye(4), [0, 0, 1, 1], n_neighbors=1)
    assert score == pytest.approx(2 / 6 - 2 / 4, rel=1e-14)


def test_silhouette_by_hand():
    X = np.array([[0.0], [1.0], [4.5], [6.5]])
    # a = 1, 1, 2, 2 and b = 5.5, 4.5, 4, 6.
    expected = (4.5 / 5.5 + 3.5 / 4.5 + 2 / 4 + 4 / 6) / 4
    assert input_silhouette(X, [0, 0, 1, 1]) == pytest.approx(expected, rel=1e-14)


# Agreement with direct formulas


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_neighbors", [1, 10, 60])
def test_modularity_agrees_with_formula(data, metric, n_neighbors):
    X, labels = data
    A = kneighbors_graph(X, n_neighbors, metric=metric).toarray()
    expected = modularity_by_formula(np.maximum(A, A.T), labels, 0.7)
    score = knn_modularity_score(
        X, labels, n_neighbors=n_neighbors, metric=metric, resolution=0.7
    )
    assert score == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("metric", METRICS)
def test_silhouette_agrees_with_sklearn(data, metric):
    X, labels = data
    labels = np.append(labels[:-1], 99)  # alone in its cluster
    expected = silhouette_score(X, labels, metric=metric)
    assert input_silhouette(X, labels, metric=metric) == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_neighborhood_score_is_the_mean(data, metric):
    X, labels = data
    Q = knn_modularity_score(X, labels, metric=metric)
    S = silhouette_score(X, labels, metric=metric)
    score = neighborhood_score(X, labels, metric=metric)
    assert score == pytest.approx((Q + S) / 2)
    assert type(score) is float


def test_blocks_of_rows_change_nothing(data, monkeypatch):
    X, labels = data
    expected = neighborhood_score(X, labels)
    monkeypatch.setattr("skdeepcluster.metrics._neighbors._BLOCK_ENTRIES", 7 * 250)
    assert neighborhood_score(X, labels) == pytest.approx(expected, rel=1e-12)


# Special partitions


@pytest.mark.parametrize("score", [*SCORES, input_silhouette])
def test_one_cluster_is_exactly_zero(data, score):
    assert score(data[0], np.full(250, 7)) == 0.0


def test_one_cluster_and_resolution(data):
    assert knn_modularity_score(data[0], np.zeros(250), resolution=1.5) == -0.5


def test_singletons(data):
    X = data[0]
    assert input_silhouette(X, np.arange(250)) == 0.0
    Q = knn_modularity_score(X, np.arange(250))
    assert -0.01 < Q < 0
    assert neighborhood_score(X, np.arange(250)) == Q / 2


@pytest.mark.parametrize("score", SCORES)
def test_random_labels_are_near_zero_and_truth_is_not(score):
    X, y = load_digits(return_X_y=True)
    random_labels = np.random.default_rng(0).integers(0, 10, len(y))
    assert abs(score(X, random_labels)) < 0.03
    assert score(X, y) > 0.45


def test_all_rows_equal():
    X, labels = np.full((30, 3), 0.1), np.arange(30) % 3
    assert input_silhouette(X, labels) == 0.0
    # A complete graph with equal weights.
    A = 1 - np.eye(30)
    expected = modularity_by_formula(A, labels)
    assert knn_modularity_score(X, labels) == pytest.approx(expected)


# Choice of rows


def test_sample_rows():
    rows = sample_rows(5000)
    assert rows.shape == (2000,)
    assert (np.diff(rows) > 0).all()
    assert rows[0] >= 0 and rows[-1] < 5000
    np.testing.assert_array_equal(rows, sample_rows(5000))
    assert (rows != sample_rows(5000, random_state=1)).any()
    np.testing.assert_array_equal(sample_rows(2000), np.arange(2000))
    np.testing.assert_array_equal(sample_rows(5000, None), np.arange(5000))
    assert sample_rows(0).size == 0
    # The choice is part of the meaning of every score: it must not drift.
    np.testing.assert_array_equal(sample_rows(10, 4), [2, 4, 8, 9])


@pytest.mark.parametrize("score", SCORES)
def test_subsample(data, score):
    X, labels = data
    rows = sample_rows(250, 100, random_state=3)
    expected = score(X[rows], labels[rows])
    assert score(X, labels, sample_size=100, random_state=3) == expected
    assert score(X, labels, sample_size=100, random_state=4) != expected
    assert score(X, labels, sample_size=None) == score(X, labels)


def test_subsample_with_one_cluster_left(data):
    labels = np.zeros(250)
    labels[0] = 1
    assert 0 not in sample_rows(250, 5)
    assert neighborhood_score(data[0], labels, sample_size=5) == 0.0


def test_global_seed_has_no_influence(data, global_rng_untouched):
    with global_rng_untouched():
        neighborhood_score(*data, sample_size=50)


# Errors


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "X, labels, message",
    [
        (np.ones((1, 2)), [0], "1 sample.* minimum of 2 is required"),
        (np.ones((3, 2)), [0, 1], r"inconsistent numbers of samples: \[3, 2\]"),
        (np.full((3, 2), np.nan), [0, 1, 0], "Input X contains NaN"),
        (np.full((3, 2), np.inf), [0, 1, 0], "Input X contains infinity"),
        (sp.csr_array(np.full((3, 2), np.nan)), [0, 1, 0], "Input X contains NaN"),
        (np.ones((3, 2)), [[0], [1], [0]], r"labels must be a 1d array.*\(3, 1\)"),
        (np.ones((3, 2)), [0, np.nan, 1], "labels must not contain missing values"),
        (np.ones(3), [0, 1, 0], "Expected 2D array, got 1D array"),
        (np.array([["a"], ["b"]]), [0, 1], "could not convert string|numeric"),
    ],
)
def test_bad_input(score, X, labels, message):
    with pytest.raises(ValueError, match=message):
        score(X, labels)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "parameters, error, message",
    [
        ({"n_neighbors": 0}, ValueError, "n_neighbors == 0, must be >= 1"),
        ({"n_neighbors": 2.5}, TypeError, "n_neighbors must be an instance of"),
        ({"resolution": -1}, ValueError, "resolution == -1, must be >= 0"),
        ({"resolution": np.nan}, ValueError, "resolution must be finite. Got nan"),
        ({"metric": "precomputed"}, ValueError, "one of.*'cosine'.*'precomputed'"),
        ({"sample_size": 1}, ValueError, "sample_size == 1, must be >= 2"),
        ({"random_state": "x"}, ValueError, "'x' cannot be used to seed"),
    ],
)
def test_bad_parameters(data, score, parameters, error, message):
    with pytest.raises(error, match=message):
        score(*data, **{"sample_size": 100, **parameters})
