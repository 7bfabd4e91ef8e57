"""The random walk on the graph of nearest neighbours."""

import numpy as np
import pytest

from skdeepcluster.graphs._walks import neighbor_walk


def test_steps_by_hand():
    # Neighbours of 0, 1, 3, 7: squared distances (1, 9), (1, 4), (4, 9), (16, 36).
    X = np.array([[0.0], [1.0], [3.0], [7.0]])
    walk, nearest = neighbor_walk(X, 2)
    assert nearest.tolist() == [1, 0, 1, 2]
    squared = np.array([[1, 9], [1, 4], [4, 9], [16, 36]])
    weights = np.exp(-squared / squared.mean())
    expected = np.zeros((4, 4))
    ends = [[1, 2], [0, 2], [1, 0], [2, 1]]
    for i, (to, w) in enumerate(zip(ends, weights, strict=True)):
        expected[i, to] = w / w.sum()
    np.testing.assert_allclose(walk.toarray(), expected, rtol=1e-12)


def test_the_unit_is_that_of_the_three_nearest():
    X = np.random.default_rng(0).normal(size=(40, 3))
    walk, _ = neighbor_walk(X, 8)
    squared = np.sort(((X[:, None] - X) ** 2).sum(-1), axis=1)[:, 1:]
    unit = squared[:, :3].mean()
    weights = np.exp(-squared[:, :8] / unit)
    shares = np.sort(weights / weights.sum(axis=1, keepdims=True), axis=1)
    np.testing.assert_allclose(np.sort(walk.data.reshape(40, 8), axis=1), shares)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e100])
def test_scale_changes_nothing(scale):
    X = np.random.default_rng(1).normal(size=(30, 2))
    walk, _ = neighbor_walk(X, 5)
    other, _ = neighbor_walk(X * scale, 5)
    np.testing.assert_allclose(other.toarray(), walk.toarray(), rtol=1e-9)


def test_far_and_equal_rows_still_step_somewhere():
    far = np.vstack([np.random.default_rng(2).normal(size=(20, 2)), [[1e6, 0]]])
    for X in (far, np.ones((9, 2))):
        walk, _ = neighbor_walk(X, 4)
        np.testing.assert_allclose(walk.sum(axis=1), 1, rtol=1e-12)
