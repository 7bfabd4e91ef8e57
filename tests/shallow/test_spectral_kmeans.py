"""Spherical k-means of the eigenvectors of a graph."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits, make_blobs, make_circles
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    pairwise_distances,
)
from sklearn.neighbors import KNeighborsTransformer

from skdeepcluster import SpectralKMeans

X, Y = make_blobs(240, centers=4, random_state=0, cluster_std=1.5)


def test_digits():
    digits, y = load_digits(return_X_y=True)
    model = SpectralKMeans(10, random_state=0).fit(digits)
    assert normalized_mutual_info_score(y, model.labels_) > 0.86  # k-means 0.74
    np.testing.assert_array_equal(model.graph_labels_, model.labels_)
    held_out = (
        SpectralKMeans(10, random_state=0).fit(digits[:1200]).predict(digits[1200:])
    )
    assert normalized_mutual_info_score(y[1200:], held_out) > 0.8


def test_circles():
    rings, y = make_circles(400, factor=0.4, noise=0.05, random_state=0)
    model = SpectralKMeans(2, random_state=0).fit(rings[:300])
    assert adjusted_rand_score(y[:300], model.labels_) == 1
    assert adjusted_rand_score(y[300:], model.predict(rings[300:])) == 1


def test_containers_and_metrics_agree():
    expected = SpectralKMeans(4, random_state=0).fit(X).labels_
    for params, rows in (
        ({}, sp.csr_array(X)),
        ({"metric": "precomputed"}, pairwise_distances(X)),
        ({"neighbors": KNeighborsTransformer(n_neighbors=10)}, X),
    ):
        model = SpectralKMeans(4, random_state=0, **params).fit(rows)
        assert adjusted_rand_score(model.labels_, expected) == 1
        np.testing.assert_array_equal(model.predict(rows), model.labels_)


def test_a_weight_is_so_many_rows():
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    weighted = SpectralKMeans(4, random_state=0).fit(X, sample_weight=weight)
    repeated = SpectralKMeans(4, random_state=0).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))
    np.testing.assert_array_equal(weighted.labels_, weighted.predict(X))


@pytest.mark.parametrize("n_parts", [2, 3, 7])
def test_parts_of_the_graph(n_parts):
    """Fewer parts than clusters, as many, and more."""
    far = np.vstack([X[:60] + [200 * i, 0] for i in range(n_parts)])
    model = SpectralKMeans(3, random_state=0).fit(far)
    part = np.repeat(np.arange(n_parts), 60)
    assert set(model.labels_) == {0, 1, 2}
    for p in range(n_parts if n_parts >= 3 else 0):
        assert len(set(model.labels_[part == p])) == 1


def test_another_fit_of_fewer_rows_forgets_the_first():
    model = SpectralKMeans(3, random_state=0).fit(X)
    assert model.fit(X[:3]).labels_.tolist() == model.predict(X[:3]).tolist()
    assert set(model.labels_) == {0, 1, 2}
