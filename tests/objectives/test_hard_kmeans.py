"""Known answers for hard k-means whose centres are the means of all rows."""

import pytest
import torch
from sklearn.cluster import KMeans

from skdeepcluster.objectives import Batch, HardKMeans, KMeansReadout

Z = [[0.0], [1.0], [9.0], [11.0]]


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def at(centers, kind=HardKMeans):
    objective = kind(len(centers))
    objective._put_centers(torch.as_tensor(centers).clone())
    return objective


def random_case(n=60, k=4, d=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, d, generator=generator, dtype=dtype)
    return z, z[:k].clone()


def test_refresh_moves_the_centers_to_the_means():
    objective = at(double([[0.0], [1.0]]))
    labels = objective.refresh(double(Z))
    assert labels.tolist() == [0, 0, 1, 1]
    assert objective.centers.flatten().tolist() == [0.5, 10.0]


def test_loss_is_the_squared_distance_to_the_center():
    objective = at(double([[0.5], [10.0]]))
    z = double(Z).requires_grad_()
    loss = objective.loss(Batch(x=z, z=z, target=torch.tensor([0, 0, 1, 1])))
    assert loss.tolist() == [0.25, 0.25, 1.0, 1.0]
    loss.sum().backward()
    assert z.grad.flatten().tolist() == [-1.0, 1.0, -2.0, 2.0]


def test_assignments_are_those_of_the_target():
    """Wrong on purpose: the loss must not look for the nearest centre itself."""
    objective = at(double([[0.5], [10.0]]))
    z = double(Z)
    loss = objective.loss(Batch(x=z, z=z, target=torch.tensor([1, 0, 0, 1])))
    assert loss.tolist() == [100.0, 0.25, 72.25, 1.0]


def test_the_optimizer_does_not_have_the_centers():
    """With weight 0.1 / 2 as in DCN: one row at distance 1 costs 0.05."""
    objective = at(double([[0.0, 0.0]]))
    assert not list(objective.parameters())
    z = double([[1.0, 0.0]]).requires_grad_()
    loss = objective.loss(Batch(x=z, z=z, target=torch.tensor([0])))
    assert (0.1 / 2 * loss).item() == pytest.approx(0.05, abs=1e-15)
    loss.sum().backward()
    assert objective.centers.grad is None


def test_sum_of_the_losses_is_the_inertia_of_scikit_learn():
    z, centers = random_case()
    objective = at(centers)
    labels = objective.refresh(z)
    reference = KMeans(4, init=centers.numpy(), n_init=1).fit(z.numpy())
    assert labels.tolist() == reference.labels_.tolist()
    loss = objective.loss(Batch(x=z, z=z, target=labels))
    assert loss.sum().item() == pytest.approx(reference.inertia_, rel=1e-12)


def test_integer_weights_are_repeated_rows():
    z, centers = random_case(n=12)
    weight = double([1, 3, 1, 2, 1, 5, 1, 1, 0, 0, 2, 1])
    repeats = weight.long()
    weighted, repeated, plain = at(centers), at(centers), at(centers)
    labels = weighted.refresh(z, weight).repeat_interleave(repeats)
    assert torch.equal(labels, repeated.refresh(z.repeat_interleave(repeats, dim=0)))
    torch.testing.assert_close(weighted.centers, repeated.centers)
    plain.refresh(z)
    assert not torch.allclose(weighted.centers, plain.centers)


def test_finish_moves_the_centers_to_the_means():
    objective = at(double([[0.0], [1.0]]))
    objective.finish(double(Z), None, torch.Generator())
    assert objective.centers.flatten().tolist() == [0.5, 10.0]


def test_assign_gives_the_nearest_center():
    z, centers = random_case()
    objective = at(centers)
    assert torch.equal(objective.assign(z), torch.cdist(z, centers).argmin(dim=1))
    assert not objective.is_soft


def test_reorder_renumbers_the_clusters():
    z, centers = random_case()
    objective = at(centers)
    before = objective.assign(z)
    order = torch.tensor([2, 0, 3, 1])
    objective.reorder(order)
    assert torch.equal(order[objective.assign(z)], before)


@pytest.mark.parametrize("n, k, d", [(1, 1, 1), (5, 1, 2), (4, 4, 1), (4, 4, 3)])
def test_edge_sizes(n, k, d):
    z, centers = random_case(n, k, d)
    objective = at(centers)
    labels = objective.refresh(z)
    loss = objective.loss(Batch(x=z, z=z, target=labels))
    expected = z.var(dim=0, correction=0).sum() if k == 1 else torch.zeros(())
    torch.testing.assert_close(loss.mean(), expected.double())


def test_equal_rows():
    z = torch.ones(5, 2)
    objective = HardKMeans(3, n_init=2)
    objective.initialise(z, None, torch.Generator().manual_seed(0))
    labels = objective.refresh(z)
    loss = objective.loss(Batch(x=z, z=z, target=labels))
    assert torch.isfinite(objective.centers).all()
    assert loss.tolist() == [0.0] * 5


def test_state_dict():
    z, centers = random_case()
    objective, other = at(centers), at(centers + 1)
    other.load_state_dict(objective.state_dict())
    assert torch.equal(other.refresh(z), objective.refresh(z))
    assert torch.equal(other.centers, objective.centers)


def test_loss_without_target_is_an_error():
    z = torch.zeros(1, 1)
    with pytest.raises(ValueError, match=r"HardKMeans needs batch\.target"):
        at(z).loss(Batch(x=z, z=z))


def test_readout_clusters_and_costs_nothing():
    z = double(Z).requires_grad_()
    objective = at(double([[0.0], [1.0]]), KMeansReadout)
    labels = objective.refresh(z)
    assert labels.tolist() == [0, 0, 1, 1]
    assert objective.centers.flatten().tolist() == [0.5, 10.0]
    assert objective.loss(Batch(x=z, z=z, target=labels)).tolist() == [0.0] * 4
