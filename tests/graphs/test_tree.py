"""Where a tree of merges is cut."""

import numpy as np
import pytest

from skdeepcluster.graphs._tree import cut_tree

# Groups 0 to 4; 5 = 0 + 1, 6 = 5 + 2, 7 = 3 + 4, 8 = 6 + 7.
MERGES = np.array([[0, 1], [5, 2], [3, 4], [6, 7]])
SIZES = np.array([10, 10, 1, 10, 10])


@pytest.mark.parametrize(
    ("n_clusters", "min_size", "labels"),
    [
        (1, 5, [0, 0, 0, 0, 0]),
        (2, 5, [0, 0, 0, 1, 1]),
        (3, 5, [2, 2, 2, 0, 1]),
        (4, 5, [0, 1, -1, 2, 3]),
        (5, 1, [0, 1, 2, 3, 4]),
        (3, 1, [2, 2, 2, 0, 1]),
        # Never so many groups of 15, but four of 7.
        (4, 15, [0, 1, -1, 2, 3]),
        (5, 15, [0, 1, 2, 3, 4]),
    ],
)
def test_cuts(n_clusters, min_size, labels):
    assert cut_tree(MERGES, SIZES, n_clusters, min_size).tolist() == labels


def test_islands_stay_apart():
    merges = np.array([[0, 1]])
    labels = cut_tree(merges, np.array([3, 3, 3, 1]), 1, 2)
    assert labels.tolist() == [1, 1, 0, -1]


def test_without_merges():
    merges = np.zeros((0, 2), dtype=int)
    assert cut_tree(merges, np.array([2, 2]), 2, 1).tolist() == [0, 1]
