"""Distances to the nearest decision boundary."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdeepcluster.theory import (
    centroid_margin,
    softmax_margin,
    softmax_to_centroids,
)


def case(k, m, seed=0):
    rng = np.random.default_rng([seed, k, m])
    coef, intercept = rng.normal(size=(k, m)), rng.normal(size=k)
    return coef, intercept, rng.normal(scale=2, size=(300, m))


def test_by_hand():
    assert centroid_margin([[1.0, 0.0]], [[0.0, 0.0], [4.0, 0.0]]) == pytest.approx(1.0)
    # Between 3x and -x, with a bias: the boundary is x = -1/2.
    margin = softmax_margin([[1.0], [-2.0]], [[3.0], [-1.0]], [2.0, 0.0])
    assert_allclose(margin, [1.5, 1.5])
    assert_allclose(softmax_margin([[1.0], [-2.0]], [[4.0]], [2.0]), [1.5, 1.5])


@pytest.mark.parametrize("k, m", [(2, 1), (3, 2), (4, 9), (8, 7)])
def test_both_formulas_agree_without_lifting(k, m):
    coef, intercept, Z = case(k, m)
    found = softmax_to_centroids(coef, intercept)
    assert not found.lifted
    by_centroids = centroid_margin(Z, found.centroids)
    assert_allclose(softmax_margin(Z, coef, intercept), by_centroids, atol=1e-9)
    assert_allclose(found.margin(Z), by_centroids, atol=1e-9)


@pytest.mark.parametrize("k, m", [(3, 2), (8, 2), (5, 3)])
def test_the_margin_of_lifted_centroids_is_a_lower_bound(k, m):
    coef, intercept, Z = case(k, m)
    found = softmax_to_centroids(coef, intercept, lift=True)
    below = centroid_margin(found.lift(Z), found.centroids)
    assert (below <= found.margin(Z) + 1e-10).all()
    assert (below < 0.9 * found.margin(Z)).any()


@pytest.mark.parametrize("k, m", [(3, 2), (8, 2), (5, 6)])
def test_the_decision_changes_just_beyond_the_margin_and_not_before(k, m):
    coef, intercept, Z = case(k, m)
    found = softmax_to_centroids(coef, intercept)
    labels, margin = found.assign(Z), found.margin(Z)
    steps = np.random.default_rng(1).normal(size=(40, *Z.shape))
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    for step in steps:
        moved = Z + 0.999 * margin[:, None] * step
        assert (found.assign(moved) == labels).all()
    logits = Z @ coef.T + intercept
    away = coef[labels][:, None] - coef  # (n, k, m), towards each class's boundary
    length = np.linalg.norm(away, axis=2)
    gaps = logits.max(axis=1, keepdims=True) - logits
    ratio = np.divide(gaps, length, out=np.full_like(gaps, np.inf), where=length > 0)
    rows, nearest = np.arange(len(Z)), ratio.argmin(axis=1)
    direction = -away[rows, nearest] / length[rows, nearest][:, None]
    moved = Z + (1.001 * margin + 1e-9)[:, None] * direction
    assert (found.assign(moved) != labels).all()


def test_no_other_class_no_boundary():
    assert centroid_margin([[3.0]], [[1.0]]) == [np.inf]
    same = softmax_margin([[3.0]], [[1.0], [1.0]], [0.0, 5.0])
    assert same == [np.inf]


def test_on_the_boundary():
    assert softmax_margin([[0.0, 5.0]], [[1.0, 0.0], [-1.0, 0.0]]) == [0.0]


def test_bad_input():
    with pytest.raises(ValueError, match="Z has 1 features, but 2 are expected"):
        centroid_margin([[1.0]], np.eye(2))
    with pytest.raises(ValueError, match="centroids contains NaN"):
        centroid_margin([[1.0]], [[np.nan]])
    with pytest.raises(ValueError, match="intercept must have shape"):
        softmax_margin([[1.0]], [[1.0], [2.0]], 3.0)
