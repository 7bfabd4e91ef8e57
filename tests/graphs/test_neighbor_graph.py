"""Graphs of nearest neighbours, and the votes of neighbours."""

import numpy as np
import pytest
import scipy.sparse as sp

from skdeepcluster.graphs import NeighborGraph, NeighborVotes

DISTANCES = np.array([[0.0, 1, 3, 7], [1, 0, 2, 6], [3, 2, 0, 4], [7, 6, 4, 0]])


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_graph_of_distances(kind):
    distances = kind(DISTANCES)
    if sp.issparse(distances):  # zeros on the diagonal are stored, too
        rows = np.indices(DISTANCES.shape).reshape(2, -1)
        distances = sp.csr_array((DISTANCES.ravel(), tuple(rows)))
    graph = NeighborGraph.of_distances(distances, 2, alone=True)
    assert graph.index.reshape(4, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert graph.distance.reshape(4, 2).tolist() == [[1, 3], [1, 2], [2, 3], [4, 6]]
    assert graph.nearest().tolist() == [1, 0, 1, 2]
    own = NeighborGraph.of_distances(distances, 2, alone=False)
    assert own.index.reshape(4, 2).tolist() == [[0, 1], [1, 0], [2, 1], [3, 2]]


def test_what_is_not_stored_is_unknown():
    known = sp.csr_array(([2.0, 1.0, 5.0], ([0, 0, 2], [2, 1, 0])), shape=(3, 3))
    graph = NeighborGraph.of_distances(known, 2, alone=True)
    assert graph.indptr.tolist() == [0, 2, 2, 3]
    assert graph.index.tolist() == [1, 2, 0]
    assert graph.nearest().tolist() == [1, 1, 0]


def test_steps_are_alike():
    graph = NeighborGraph.of_distances(DISTANCES, 2, alone=True)
    walk = graph.walk().toarray()
    np.testing.assert_allclose(walk[0], [0, 0.5, 0.5, 0])
    np.testing.assert_allclose(walk.sum(axis=1), 1)


def test_votes_by_hand():
    graph = NeighborGraph.of(np.array([[0, 1, 2], [3, 2, 1]]), np.zeros((2, 3)), 4)
    votes = NeighborVotes(np.array([0, 0, 1, 1]), np.ones(2))
    # 1 + 1/2 against 1/3, and 1/3 against 1 + 1/2.
    expected = np.array([[9, 2], [2, 9]]) / 11
    np.testing.assert_allclose(votes.proba(graph), expected)


def test_every_cluster_keeps_a_row():
    """A row alone in its cluster, with two neighbours of another."""
    graph = NeighborGraph.of(
        np.array([[1, 0, 2], [1, 2, 0], [2, 1, 0]]), np.zeros((3, 3)), 3
    )
    labels = np.array([1, 0, 0])
    plain = NeighborVotes(labels, np.ones(2)).proba(graph).argmax(axis=1)
    assert plain.tolist() == [0, 0, 0]
    votes = NeighborVotes.that_keep_all(labels, graph, 2)
    assert set(votes.proba(graph).argmax(axis=1)) == {0, 1}
