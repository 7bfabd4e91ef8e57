"""Agglomeration along paths, as an estimator."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    pairwise_distances,
)
from sklearn.neighbors import KNeighborsTransformer, kneighbors_graph

from skdeepcluster import PathIntegralClustering
from skdeepcluster.graphs import path_integral_partition

X, Y = make_blobs(240, centers=4, random_state=0, cluster_std=1.5)


def test_digits():
    digits, y = load_digits(return_X_y=True)
    model = PathIntegralClustering(10).fit(digits)
    assert normalized_mutual_info_score(y, model.labels_) > 0.87  # k-means 0.74
    # What neighbours say differs from what was merged at borders alone.
    assert (model.labels_ != model.graph_labels_).mean() < 0.01
    np.testing.assert_array_equal(
        model.graph_labels_, path_integral_partition(digits, 10)
    )


def test_new_rows():
    moons, y = make_moons(400, noise=0.05, random_state=0)
    model = PathIntegralClustering(2).fit(moons[:300])
    assert adjusted_rand_score(y[300:], model.predict(moons[300:])) == 1


@pytest.mark.parametrize("n_clusters", [3, 4])
def test_containers_and_metrics_agree(n_clusters):
    expected = PathIntegralClustering(n_clusters).fit(X)
    distances = pairwise_distances(X)
    for model, rows in (
        (PathIntegralClustering(n_clusters), sp.csr_array(X)),
        (PathIntegralClustering(n_clusters), np.asfortranarray(X)),
        (PathIntegralClustering(n_clusters, metric="precomputed"), distances),
        (
            PathIntegralClustering(
                n_clusters, neighbors=KNeighborsTransformer(n_neighbors=20)
            ),
            X,
        ),
    ):
        labels = model.fit_predict(rows)
        assert adjusted_rand_score(labels, expected.labels_) == 1
        np.testing.assert_array_equal(model.predict(rows), labels)
    assert adjusted_rand_score(model.predict(X[:9]), expected.labels_[:9]) == 1


def test_a_graph_of_known_distances():
    graph = kneighbors_graph(X, 20, mode="distance")
    model = PathIntegralClustering(4, metric="precomputed").fit(graph)
    expected = PathIntegralClustering(4).fit(X)
    assert adjusted_rand_score(model.graph_labels_, expected.graph_labels_) == 1
    np.testing.assert_array_equal(model.predict(graph), model.labels_)


def test_a_weight_is_so_many_rows():
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    weighted = PathIntegralClustering(4).fit(X, sample_weight=weight)
    repeated = PathIntegralClustering(4).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))
    np.testing.assert_array_equal(weighted.labels_, weighted.predict(X))
    assert (weighted.graph_labels_[weight == 0] == -1).all()


def test_order_of_the_rows_does_not_matter():
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(12)), -1).reshape(-1, 2) * 0.1
    order = np.random.RandomState(0).permutation(len(grid))
    labels = PathIntegralClustering(5).fit(grid).labels_
    shuffled = PathIntegralClustering(5).fit(grid[order]).labels_
    np.testing.assert_array_equal(shuffled, labels[order])


def test_a_model_holds_the_rows_once():
    model = PathIntegralClustering(4).fit(X)
    stored = pickle.dumps(model)
    assert len(stored) < 2 * X.nbytes + 8 * len(X) + 4000
    loaded = pickle.loads(stored)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    given = PathIntegralClustering(4, metric="precomputed").fit(pairwise_distances(X))
    assert len(pickle.dumps(given)) < 50 * len(X)


def test_islands_are_joined_by_their_distance():
    far = np.vstack([X, X + [1000, 0], X + [1000, 50]])
    labels = PathIntegralClustering(2).fit(far).labels_
    assert len(set(labels[: len(X)])) == len(set(labels[len(X) :])) == 1
    assert labels[0] != labels[-1]


@pytest.mark.parametrize(
    "model, rows, match",
    [
        (PathIntegralClustering(2, metric="precomputed"), X, "n_samples, n_samples"),
        (PathIntegralClustering(2, metric="precomputed"), -np.eye(3), "negative"),
        (PathIntegralClustering(9), X[:5], "n_samples=5 should be >= n_clusters=9"),
    ],
)
def test_refused(model, rows, match):
    with pytest.raises(ValueError, match=match):
        model.fit(rows)
