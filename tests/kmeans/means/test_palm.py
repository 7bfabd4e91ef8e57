"""Relaxed memberships: proximal step, projection, and the end at a partition."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.optimize import minimize
from sklearn.datasets import make_blobs

from skdeepcluster.kmeans import binary_prox, simplex_projection
from skdeepcluster.kmeans.means._euclidean import EuclideanPoints
from skdeepcluster.kmeans.means._euclidean_rows import as_rows
from skdeepcluster.kmeans.means._palm import Relaxation, palm

BLOBS = [[0, 0], [6, 0], [3, 5]]
X, _ = make_blobs(90, 2, centers=BLOBS, cluster_std=0.7, random_state=0)
RANDOM = np.random.RandomState(0)


def points_of(x=X, weight=None):
    weight = np.ones(x.shape[0]) if weight is None else weight
    return EuclideanPoints(as_rows(x), torch.from_numpy(weight))


def run(x=X, weight=None, start=X[:3], **params):
    settings = {"penalty": 0.5, "penalty_growth": 1.03, "max_iter": 300, "tol": 0.0}
    center = torch.from_numpy(start)
    return palm(points_of(x, weight), center, **{**settings, **params})


def penalty(y):
    return (1 - np.abs(1 - 2 * y)).sum(-1)


def cost(y, v, threshold):
    return ((y - v) ** 2).sum(-1) / 2 + threshold * penalty(y)


def grid(k, steps):
    """All rows of the simplex whose entries are multiples of 1 / steps."""
    if k == 1:
        return np.array([[steps]])
    parts = [
        np.hstack([np.full((len(rest), 1), first), rest])
        for first in range(steps + 1)
        for rest in [grid(k - 1, steps - first)]
    ]
    return np.vstack(parts)


def test_projection_known_answer():
    v = torch.tensor([[0.9, 0.5], [3.0, 1.0], [0.2, 0.2], [-1.0, -1.0]])
    y = simplex_projection(v)
    expected = [[0.7, 0.3], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]
    torch.testing.assert_close(y, torch.tensor(expected))
    assert y[1].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_projection_is_the_nearest_row(k):
    v = torch.from_numpy(RANDOM.normal(size=(50, k)) * 3)
    y = simplex_projection(v)
    assert (y >= 0).all()
    torch.testing.assert_close(y.sum(1), torch.ones(50, dtype=torch.float64))
    # A row is nearest exactly where no corner lies ahead: (v - y) . (e_j - y) <= 0.
    ahead = (v - y) - ((v - y) * y).sum(1, keepdim=True)
    assert ahead.max() <= 1e-12


@pytest.mark.parametrize("threshold", [0.0, 0.02, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_prox_is_the_minimum(k, threshold):
    """Of the penalty and the simplex together, against all rows of a grid."""
    candidates = grid(k, 60 if k < 4 else 24) / (60 if k < 4 else 24)
    v = RANDOM.normal(size=(40, k)) * 0.5 + 1 / k
    y = binary_prox(torch.from_numpy(v), threshold).numpy()
    reached = cost(y, v, threshold)
    for row, value in zip(v, reached, strict=True):
        assert value <= cost(candidates, row, threshold).min() + 1e-12


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.24])
def test_prox_of_two_clusters_is_that_of_the_entries(threshold):
    """v > 1/2 goes to min(1, v + 2t), the others to max(0, v - 2t)."""
    v = np.linspace(0.02, 0.98, 33)[np.arange(33) != 16]
    y = binary_prox(torch.from_numpy(np.column_stack([v, 1 - v])), threshold)[:, 0]
    up, down = np.minimum(1, v + 2 * threshold), np.maximum(0, v - 2 * threshold)
    np.testing.assert_allclose(y, np.where(v > 0.5, up, down), atol=1e-15)


def test_penalty_values():
    assert penalty(np.array([0.5, 0.5])) == 2
    assert penalty(np.array([1.0, 0.0])) == 0
    assert penalty(np.array([1 / 3, 1 / 3, 1 / 3])) == pytest.approx(2)


@pytest.mark.parametrize("k", [2, 5, 20])
def test_from_a_quarter_on_every_row_is_binary(k):
    v = torch.from_numpy(RANDOM.normal(size=(500, k)) * RANDOM.choice([0.01, 1, 50]))
    y = binary_prox(v, 0.2500001)
    assert set(y.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(y.argmax(1), v.argmax(1))
    assert (y.sum(1) == 1).all()


def test_entries_first_and_the_simplex_then_get_stuck():
    """Why the step is not the simpler one: all entries below 1/2 are lost."""
    v = torch.tensor([[0.45, 0.35, 0.2]])
    shrunk = (v - 2 * 0.3).clamp(min=0)  # the prox of every entry
    torch.testing.assert_close(simplex_projection(shrunk), torch.full((1, 3), 1 / 3))
    assert binary_prox(v, 0.3).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_descend_while_the_penalty_stays(form, weighted):
    weight = RANDOM.rand(90) if weighted else np.ones(90)
    points = points_of(form(X), weight)
    state = Relaxation(points, torch.from_numpy(X[:3]), torch.float64)

    def total():
        unit = state.frame.unit
        centers = state.centers * unit + points.mean
        residual = X - state.y.numpy() @ centers.numpy()
        fitted = weight @ (residual**2).sum(1)
        lipschitz = np.linalg.norm(state.centers @ state.centers.T, 2)
        return fitted, lipschitz * unit**2

    for _ in range(30):
        state._move_centers()
        before, lipschitz = total()
        before = before / 2 + 0.05 * lipschitz * weight @ penalty(state.y.numpy())
        gram = state.centers @ state.centers.T
        scale = float(torch.linalg.matrix_norm(gram, 2))
        for part, products in points.rows.products(state.centers, state.frame):
            gradient = state.y[part] @ gram - products
            state.y[part] = binary_prox(state.y[part] - gradient / scale, 0.05)
        after = total()[0] / 2 + 0.05 * lipschitz * weight @ penalty(state.y.numpy())
        assert after <= before * (1 + 1e-12)
        np.testing.assert_allclose(state.y.sum(1), 1)


def test_the_centres_have_their_closed_form():
    points = points_of()
    state = Relaxation(points, torch.from_numpy(X[:3]), torch.float64)
    state.y = simplex_projection(torch.from_numpy(RANDOM.rand(90, 3)))
    for _ in range(200):  # the damping dies out
        state._move_centers()
    y = state.y.numpy()
    expected = np.linalg.lstsq(y, X - X.mean(0), rcond=None)[0]
    np.testing.assert_allclose(state.centers * state.frame.unit, expected, rtol=1e-8)
    residual = X - X.mean(0) - y @ expected
    assert state.objective == pytest.approx((residual**2).sum(), rel=1e-8)
    found = minimize(
        lambda c: ((X - X.mean(0) - y @ c.reshape(3, 2)) ** 2).sum(), np.zeros(6)
    )
    assert state.objective == pytest.approx(found.fun, rel=1e-6)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(5))
def test_it_ends_binary_at_the_optimum_of_blobs(form, dtype, seed):
    start = X[np.random.RandomState(seed).choice(90, 3, replace=False)]
    found = run(form(X), start=start, dtype=dtype)
    assert found.binary_gap == 0
    assert found.n_iter <= 188 + 10
    best = run(start=X[[np.flatnonzero(found.labels == j)[0] for j in range(3)]])
    assert found.criterion == pytest.approx(best.criterion, rel=1e-9)
    labels = found.labels.numpy()
    assert torch.equal(found.nearest(), found.labels)
    means = np.array([X[labels == j].mean(0) for j in range(3)])
    np.testing.assert_allclose(found.centers, means)


def test_a_budget_that_ends_early_is_told():
    found = run(max_iter=3, penalty=1e-6)
    assert found.n_iter == 3
    assert 0 < found.binary_gap <= 0.5
    assert sorted(found.labels.unique().tolist()) == [0, 1, 2]


def test_weights_are_copies():
    weight = RANDOM.randint(1, 4, size=90)
    copies = np.repeat(np.arange(90), weight)
    weighted = run(weight=weight * 1.0)
    repeated = run(X[copies])
    assert weighted.criterion == pytest.approx(repeated.criterion, rel=1e-10)
    np.testing.assert_array_equal(repeated.labels, weighted.labels[copies])


@pytest.mark.parametrize("x", [np.ones((6, 2)), np.tile(X[:2], (4, 1))])
def test_fewer_distinct_rows_than_clusters(x):
    found = run(x, start=x[:3])
    assert found.criterion == pytest.approx(0, abs=1e-20)
    assert torch.isfinite(found.centers).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [2e7, 1e16, 1e30])
def test_projection_of_large_numbers(size, dtype):
    v = torch.tensor([[size, 0.0, 0.0], [-size, size, size]], dtype=dtype)
    expected = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], dtype=dtype)
    assert torch.equal(simplex_projection(v), expected)
