"""Eigenvectors of the walk on the graph of neighbours."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from skdeepcluster.graphs import NeighborGraph, SpectralEmbedding, _spectral
from skdeepcluster.neighbors import NeighborSearch, nearest_neighbors


def graph_of(X, n_neighbors=6):
    return NeighborGraph.of(*nearest_neighbors(X, n_neighbors), len(X))


def embedding_of(X, k, mass=None, n_neighbors=6):
    space = NeighborSearch(X).space
    return SpectralEmbedding.of(
        graph_of(X, n_neighbors),
        k,
        np.ones(len(X)) if mass is None else mass,
        lambda i, j: space.squared(i, space, j),
    )


def walk_matrix(X, mass=None, n_neighbors=6):
    links = graph_of(X, n_neighbors).walk().toarray() > 0
    steps = (links | links.T) * (np.ones(len(X)) if mass is None else mass)
    return steps / steps.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("small", [1, 1000])
@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_eigenvectors(small, weighted, monkeypatch):
    monkeypatch.setattr(_spectral, "_SMALL", small)
    X, _ = make_blobs(150, centers=3, cluster_std=2.5, random_state=0)
    mass = np.random.RandomState(0).randint(1, 5, 150).astype(float)
    mass = mass if weighted else None
    found, P = embedding_of(X, 4, mass), walk_matrix(X, mass)
    np.testing.assert_allclose(
        P @ found.vectors, found.vectors * found.values, atol=1e-5
    )
    largest = np.sort(np.linalg.eigvals(P).real)[::-1][:4]
    np.testing.assert_allclose(found.values, largest, atol=1e-6)


def test_a_path_by_hand():
    """A walk on three rows: eigenvalues 1, 0 and -1."""
    X = np.array([[0.0], [1.0], [2.1]])
    found = embedding_of(X, 2, n_neighbors=1)
    np.testing.assert_allclose(found.values, [1, 0], atol=1e-12)
    np.testing.assert_allclose(
        np.abs(found.vectors[:, 1]), [2**-0.5, 0, 2**-0.5], atol=1e-12
    )


def test_each_part_has_its_constant_vector():
    X = np.vstack(
        [np.random.RandomState(i).normal(100 * i, 1, (30, 2)) for i in range(3)]
    )
    found = embedding_of(X, 3)
    np.testing.assert_allclose(found.values, 1)
    rows = found.vectors / np.linalg.norm(found.vectors, axis=1, keepdims=True)
    assert len(np.unique(rows.round(9), axis=0)) == 3


def test_the_nearest_parts_are_linked():
    X = np.vstack(
        [
            np.random.RandomState(i).normal(c, 1, (30, 2))
            for i, c in enumerate((0, 100, 108))
        ]
    )
    found = embedding_of(X, 2)
    rows = found.vectors / np.linalg.norm(found.vectors, axis=1, keepdims=True)
    assert found.values[1] > 0.99
    assert (rows[:30] @ rows[60:].T).max() < (rows[30:60] @ rows[60:].T).min()


def test_others_have_the_place_of_their_neighbours():
    X, _ = make_blobs(200, centers=3, cluster_std=2.5, random_state=0)
    found = embedding_of(X[50:], 3)
    search = NeighborSearch(X[50:])
    same = found.rows_of(NeighborGraph.of(*search.neighbors(6, X[60:70]), 150))
    np.testing.assert_array_equal(same, found.vectors[10:20])
    other = NeighborGraph.of(*search.neighbors(6, X[:50]), 150)
    mean = found.vectors[other.index.reshape(50, 6)].mean(axis=1) / found.values
    np.testing.assert_allclose(found.rows_of(other), mean, rtol=1e-12)
