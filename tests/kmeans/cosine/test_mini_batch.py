import numpy as np
import pytest
import torch
from cosine_cases import (
    FORMS,
    blobs,
    criterion,
    setting,
    unit,
    weights_of,
)

from skdeepcluster.kmeans import MiniBatch, as_matrix, mini_batch_kmeans
from skdeepcluster.kmeans.cosine._kmeans import summarise
from skdeepcluster.kmeans.cosine._mini_batch import random_batches

FORM = pytest.mark.parametrize("form", FORMS)


def state_of(directions):
    return MiniBatch(torch.from_numpy(unit(directions)))


def take(state, x, form="dense", weight=None):
    """Update with all rows of x."""
    matrix = as_matrix(FORMS[form](x))
    return float(state.update(matrix, torch.arange(len(x)), weights_of(x, weight)))


@FORM
def test_known_answer(form):
    state = state_of(np.eye(2))
    value = take(state, np.array([[2.0, 0.0], [3.0, 4.0], [0.0, 5.0]]), form)
    # (0.6, 0.8) goes to the second centre, which is (0, 1).
    assert value == pytest.approx(0.2, abs=1e-6)
    np.testing.assert_allclose(state.sums, [[1, 0], [0.6, 1.8]])
    assert state.weights.tolist() == [1, 2]
    np.testing.assert_allclose(state.directions, unit([[1, 0], [0.6, 1.8]]))
    np.testing.assert_allclose(state.resultants(), [1, np.hypot(0.6, 1.8)])
    take(state, np.array([[7.0, 0.0]]), form, [3.0])
    np.testing.assert_allclose(state.sums, [[4, 0], [0.6, 1.8]])
    assert state.weights.tolist() == [4, 2]


@FORM
def test_a_start_can_be_gone_on_from(form):
    x = blobs()
    whole = state_of(x[:4])
    take(whole, x[:100], form)
    resumed = MiniBatch(whole.directions, whole.resultants(), whole.weights)
    for state in (whole, resumed):
        take(state, x[100:], form)
    torch.testing.assert_close(resumed.directions, whole.directions)
    torch.testing.assert_close(resumed.weights, whole.weights)


@FORM
def test_weights_equal_repetition(form):
    x, counts = blobs(), np.arange(300) % 4
    weighted, repeated = state_of(x[:4]), state_of(x[:4])
    value = take(weighted, x, form, counts)
    assert take(repeated, np.repeat(x, counts, axis=0), form) == pytest.approx(
        value, rel=1e-6
    )
    torch.testing.assert_close(weighted.directions, repeated.directions)
    torch.testing.assert_close(weighted.weights, repeated.weights)


@FORM
def test_rows_of_zeros_and_without_weight_move_nothing(form):
    state = state_of(np.eye(5))
    before = state.directions.clone()
    x = np.vstack([np.zeros((3, 5)), blobs(7)])
    assert take(state, x, form, [1] * 3 + [0] * 7) == 0
    assert torch.equal(state.directions, before)
    assert not state.weights.any()


@FORM
def test_rows_that_cancel_leave_the_direction(form):
    state = state_of([[0.0, 1.0]])
    take(state, np.array([[1.0, 0.0], [-1.0, 0.0]]), form)
    np.testing.assert_array_equal(state.directions, [[0, 1]])
    assert state.weights.tolist() == [2]


def test_the_start_is_left_as_it_was():
    directions = torch.eye(3, dtype=torch.float64)
    resultants, weights = torch.ones(3).double(), torch.ones(3).double()
    state = MiniBatch(directions, resultants, weights)
    take(state, blobs(50, 3))
    state.revive(as_matrix(blobs(50, 3)), torch.arange(50), torch.ones(50))
    assert torch.equal(directions, torch.eye(3, dtype=torch.float64))
    assert torch.equal(resultants, torch.ones(3).double())
    assert torch.equal(weights, torch.ones(3).double())


@FORM
def test_unused_centres_are_revived(form):
    state = state_of([[1.0, 0.0], [-1.0, 0.0], [-1.0, -0.1]])
    x = np.array([[1, 0], [1, 0.1], [0.5, 1], [0, 0], [0.1, 1]])
    matrix, weight = as_matrix(FORMS[form](x)), torch.tensor([1.0, 1, 1, 1, 0])
    index = torch.arange(5)
    state.update(matrix, index, weight.double())
    state.revive(matrix, index, weight.double())
    np.testing.assert_allclose(state.directions[1], unit([[0.5, 1]])[0])
    assert state.directions.isfinite().all()
    assert state.weights[1:].tolist() == [0, 0]
    state.revive(matrix, torch.tensor([3]), torch.ones(1).double())  # nothing to take


@pytest.mark.parametrize("n, size, run", [(100, 7, 1), (1000, 64, 64), (5, 10, 64)])
def test_random_batches_are_one_pass(n, size, run):
    def batches(seed):
        generator = torch.Generator().manual_seed(seed)
        return list(random_batches(n, size, generator, run))

    found = batches(0)
    assert sorted(torch.cat(found).tolist()) == list(range(n))
    assert all(len(batch) == size for batch in found[:-1])
    if n > run:
        assert torch.cat(batches(1)).tolist() != torch.cat(found).tolist()
    assert all(map(torch.equal, batches(0), found))


@FORM
def test_runs_are_neighbours(form):
    order = torch.cat(list(random_batches(640, 100, torch.Generator(), 64)))
    runs = order.view(10, 64)
    assert (runs.diff(dim=1) == 1).all()


@FORM
def test_a_pass_in_batches_counts_every_row(form):
    x = blobs(500)
    matrix, _ = setting(x, x[:4], form)
    generator = torch.Generator().manual_seed(0)
    state, n_iter = mini_batch_kmeans(
        matrix,
        weights_of(x),
        state_of(x[:4]),
        batch_size=64,
        max_iter=1,
        tol=0.0,
        generator=generator,
    )
    assert n_iter == 1
    assert float(state.weights.sum()) == 500


def test_passes_end_with_the_tolerance():
    x = blobs(2000)
    matrix, _ = setting(x, x[:4])

    def passes(tol):
        generator = torch.Generator().manual_seed(0)
        settings = {"batch_size": 100, "max_iter": 30, "generator": generator}
        return mini_batch_kmeans(
            matrix, weights_of(x), state_of(x[:4]), tol=tol, **settings
        )[1]

    assert 1 < passes(0.05) < passes(1e-6) <= 30


@FORM
def test_summary(form):
    x, weight = blobs(), np.arange(300) % 3
    matrix, centers = setting(x, x[:4], form)
    labels = np.random.RandomState(0).randint(3, size=300)  # the last one is empty
    value, resultants, weights = summarise(
        matrix, weights_of(x, weight), centers, labels
    )
    expected = criterion(x, labels, x[:4], weight)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(weights, np.bincount(labels, weight, 4))
    sums = np.eye(4)[labels].T @ (unit(x) * weight[:, None])
    np.testing.assert_allclose(resultants, np.linalg.norm(sums, axis=1))
