"""Clusters of the graph of nearest neighbours."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skdeepcluster.graphs import path_integral_partition


@pytest.mark.parametrize("make", [make_moons, make_circles])
def test_clusters_that_are_not_convex(make):
    options = {"factor": 0.4} if make is make_circles else {}
    X, y = make(400, noise=0.05, random_state=0, **options)
    assert adjusted_rand_score(y, path_integral_partition(X, 2)) == 1


def test_digits_better_than_kmeans():
    X, y = load_digits(return_X_y=True)
    labels = path_integral_partition(X, 10)
    assert normalized_mutual_info_score(y, labels) > 0.88  # k-means 0.74


def test_sizes_may_differ_much():
    X, y = make_blobs([400, 40, 30], random_state=4, cluster_std=0.5)
    assert adjusted_rand_score(y, path_integral_partition(X, 3)) == 1


def test_outliers_are_no_clusters():
    X, y = make_blobs([100, 100], random_state=4, cluster_std=0.5)
    pairs = np.array([[50.0, 50.0], [50.1, 50.0], [-70.0, 0.0], [-70.0, 0.1]])
    labels = path_integral_partition(np.vstack([X, pairs]), 2)
    assert adjusted_rand_score(y, labels[:200]) == 1
    assert np.bincount(labels).min() >= 100


def test_more_islands_than_clusters():
    X, y = make_blobs([60] * 5, centers=np.eye(5) * 40, random_state=0)
    X[y == 4] += X[y == 3].mean(0) - X[y == 4].mean(0) + 8
    labels = path_integral_partition(X, 4, n_neighbors=5)
    assert sorted(np.bincount(labels)) == [60, 60, 60, 120]


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 8, 29, 30])
@pytest.mark.parametrize("kind", ["random", "equal", "few"])
def test_every_cluster_has_rows(n_clusters, kind):
    rng = np.random.default_rng(0)
    X = {
        "random": rng.normal(size=(30, 3)),
        "equal": np.ones((30, 3)),
        "few": np.repeat(rng.normal(size=(3, 3)), 10, axis=0),
    }[kind]
    labels = path_integral_partition(X, n_clusters)
    assert labels.shape == (30,) and np.issubdtype(labels.dtype, np.integer)
    assert np.unique(labels).tolist() == list(range(n_clusters))


@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_hardly_any_rows(n_samples):
    X = np.arange(n_samples, dtype=np.float32)[:, None]
    labels = path_integral_partition(X, n_samples)
    assert sorted(labels) == list(range(n_samples))


def test_same_labels_again_and_nothing_written():
    X = np.random.default_rng(1).normal(size=(80, 2))
    before = X.copy()
    first = path_integral_partition(X, 5)
    assert path_integral_partition(X, 5).tolist() == first.tolist()
    assert (before == X).all()


@pytest.mark.parametrize(
    ("rows", "n_clusters", "match"),
    [
        (5, 0, "n_clusters == 0, must be >= 1"),
        (3, 5, "n_samples=3 should be >= n_clusters=5"),
        (5, 2.0, "n_clusters must be an instance of"),
    ],
)
def test_refused(rows, n_clusters, match):
    with pytest.raises((ValueError, TypeError), match=match):
        path_integral_partition(np.eye(rows), n_clusters)


def test_rows_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        path_integral_partition(np.full((5, 2), np.nan), 2)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e154, 1e300])
def test_the_scale_changes_nothing(scale):
    X, _ = make_blobs([100, 60, 40], random_state=4, cluster_std=2.0)
    expected = path_integral_partition(X, 3)
    np.testing.assert_array_equal(path_integral_partition(X * scale, 3), expected)
