"""Known answers for the locality-preserving loss."""

import math

import pytest
import torch

from skdeepcluster.objectives import Batch, LocalityPreserving, _locality


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def random_case(n=30, d_in=4, d=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d_in, generator=generator, dtype=dtype)
    z = torch.randn(n, d, generator=generator, dtype=dtype)
    return x, z


def prepared(x, n_neighbors):
    objective = LocalityPreserving(n_neighbors)
    objective.prepare(x)
    return objective


def similarities(x, n_neighbors):
    """The full matrix of s_ij, zero where j is no neighbour."""
    squared = torch.cdist(x, x).square()
    squared.fill_diagonal_(torch.inf)
    nearest = squared.topk(n_neighbors, largest=False)
    heat = torch.exp(-nearest.values / nearest.values.mean()) / n_neighbors
    return torch.zeros_like(squared).scatter_(1, nearest.indices, heat)


def test_known_answer():
    """Squared distances to the nearest are 1, 1 and 4: a width of 2."""
    z = double([[0.0], [2.0], [5.0]])
    objective = prepared(double([[0.0], [1.0], [3.0]]), 1)
    assert objective.neighbors.tolist() == [[1], [0], [1]]
    loss = objective.loss(Batch(x=z, z=z, target=objective.refresh(z)))
    expected = double([4 * math.exp(-0.5), 4 * math.exp(-0.5), 9 * math.exp(-2)])
    torch.testing.assert_close(loss, expected)


def test_agrees_with_the_formula():
    x, z = random_case()
    objective = prepared(x, 5)
    loss = objective.loss(Batch(x=x, z=z, target=objective.refresh(z)))
    expected = (similarities(x, 5) * torch.cdist(z, z).square()).sum(dim=1)
    torch.testing.assert_close(loss, expected)


def test_rows_move_while_their_neighbors_stay():
    x, z = random_case()
    objective = prepared(x, 5)
    target = objective.refresh(z)
    rows = torch.tensor([3, 0, 17])
    moved = (z[rows] + 1.5).requires_grad_()
    loss = objective.loss(Batch(x=x[rows], z=moved, index=rows, target=target[rows]))
    s = similarities(x, 5)[rows]
    with torch.no_grad():
        expected = (s * torch.cdist(moved, z).square()).sum(dim=1)
        apart = moved.unsqueeze(1) - z
        gradient = 2 * (s.unsqueeze(2) * apart).sum(dim=1)
    torch.testing.assert_close(loss.detach(), expected)
    loss.sum().backward()
    torch.testing.assert_close(moved.grad, gradient)


def test_blocks_do_not_change_the_target(monkeypatch):
    x, z = random_case()
    objective = prepared(x, 5)
    whole = objective.refresh(z)
    monkeypatch.setattr(_locality, "_BLOCK_ELEMENTS", 7 * 5 * z.shape[1])
    torch.testing.assert_close(objective.refresh(z), whole)


@pytest.mark.parametrize("n_neighbors", [3, 10])
def test_few_rows_have_all_others_as_neighbors(n_neighbors):
    x, _ = random_case(n=4)
    neighbors = prepared(x, n_neighbors).neighbors
    assert [sorted(row) for row in neighbors.tolist()] == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
    ]


def test_one_row_has_no_neighbor():
    with pytest.raises(ValueError, match="at least 2 rows. Got n_samples=1"):
        LocalityPreserving().prepare(torch.zeros(1, 3))


def test_equal_inputs_are_wholly_similar():
    z = double([[0.0], [3.0], [6.0]])
    objective = prepared(torch.ones(3, 2, dtype=torch.float64), 2)
    loss = objective.loss(Batch(x=z, z=z, target=objective.refresh(z)))
    torch.testing.assert_close(loss, double([22.5, 9.0, 22.5]))


def test_similarities_of_a_far_outlier_underflow():
    """Its width is that of all rows, so exp(-1000) it is; and no NaN."""
    x = torch.cat([torch.linspace(0, 1, 1000), torch.tensor([1e6])])[:, None]
    objective = prepared(x, 1)
    assert objective.similarity[-1] == 0
    z = x.clone().requires_grad_()
    loss = objective.loss(Batch(x=x, z=z, target=objective.refresh(z.detach())))
    loss.sum().backward()
    assert loss[-1] == z.grad[-1] == 0
    assert torch.isfinite(loss).all() and torch.isfinite(z.grad).all()
    assert loss[:-1].min() > 0


def test_neighbors_are_those_of_the_input():
    """Not of the embedding, here in reverse."""
    x, _ = random_case()
    objective = prepared(x, 5)
    neighbors = objective.neighbors.clone()
    objective.refresh(-x)
    assert torch.equal(objective.neighbors, neighbors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtypes_and_state(dtype):
    x, z = random_case(dtype=dtype)
    objective = prepared(x, 5)
    target = objective.refresh(z)
    assert target.dtype == dtype
    assert target.shape == (len(z), z.shape[1] + 2)
    other = prepared(x.flip(dims=(0,)), 5)
    assert not torch.equal(other.refresh(z), target)
    other.load_state_dict(objective.state_dict())
    assert torch.equal(other.refresh(z), target)


def test_loss_without_target_is_an_error():
    z = torch.zeros(2, 1)
    with pytest.raises(ValueError, match="batch.target"):
        LocalityPreserving().loss(Batch(x=z, z=z))
