"""Known answers for cluster classification."""

import math

import pytest
import torch

from skdeepcluster.objectives import (
    Batch,
    ClusterClassification,
    MutualInformation,
)

TOLERANCE = {"rtol": 0, "atol": 1e-9}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def initialised(z, n_clusters, weight=None, seed=0):
    objective = ClusterClassification(n_clusters, n_init=5)
    objective.initialise(z, weight, torch.Generator().manual_seed(seed))
    return objective


def random_rows(n=40, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def loss_of(objective, z, target):
    return objective.loss(Batch(x=z, z=z, target=target))


def test_layer_of_a_hand_made_case():
    """Centres 1 and 10, mean squared distance (1 + 1 + 4 + 4) / 4 = 2.5."""
    objective = initialised(double([[0.0], [2.0], [8.0], [12.0]]), 2)
    order = objective.centers.flatten().argsort()
    assert objective.centers[order].flatten().tolist() == [1.0, 10.0]
    torch.testing.assert_close(objective.weight[order], double([[0.8], [8.0]]))
    torch.testing.assert_close(objective.bias[order], double([-0.4, -40.0]))


def test_layer_decides_as_the_centers_do():
    z = random_rows()
    objective = initialised(z, 4)
    squared = torch.cdist(z, objective.centers).square()
    expected = (-squared / squared.amin(dim=1).mean()).log_softmax(dim=1)
    torch.testing.assert_close(objective.log_q(z), expected)
    assert torch.equal(objective.assign(z), squared.argmin(dim=1))


def test_weights_of_the_start():
    z = random_rows(n=30)
    weight = torch.arange(30).double() % 3
    repeated = z.repeat_interleave(weight.long(), dim=0)
    one, other = initialised(z, 1, weight), initialised(repeated, 1)
    torch.testing.assert_close(one.weight, other.weight)
    torch.testing.assert_close(one.bias, other.bias)
    assert not torch.allclose(one.weight, initialised(z, 1).weight)


def test_statistics_of_all_processes_set_the_layer():
    """Kept apart from k-means by one cluster: its sums double, its mean stays."""
    z = random_rows()
    objective = ClusterClassification(1, n_init=1)
    generator = torch.Generator().manual_seed(0)
    objective.initialise(z, None, generator, reduce=lambda statistic: 2 * statistic)
    torch.testing.assert_close(objective.weight, initialised(z, 1).weight)


def test_pseudo_labels_are_those_of_kmeans():
    objective = initialised(double([[0.0], [2.0], [8.0], [12.0]]), 2)
    objective.centers.copy_(double([[0.0], [1.0]]))
    assert objective.refresh(double([[0.0], [1.0], [9.0], [11.0]])).tolist() == [
        0,
        0,
        1,
        1,
    ]
    assert objective.centers.flatten().tolist() == [0.5, 10.0]
    weight = double([1.0, 1.0, 3.0, 1.0])
    objective.refresh(double([[0.0], [1.0], [9.0], [11.0]]), weight)
    assert objective.centers.flatten().tolist() == [0.5, 9.5]


def test_a_refresh_makes_the_layer_agree_with_kmeans():
    """Whatever the layer has learnt, and at the scale of the first clusters."""
    z = random_rows(n=60)
    objective = initialised(z, 4)
    spread = torch.cdist(z, objective.centers).amin(dim=1).square().mean()
    layer = objective.weight
    with torch.no_grad():
        objective.weight.copy_(random_rows(n=4, seed=1))
        objective.bias.copy_(double([1.0, -1.0, 0.5, 0.0]))
    moved = 2 * z + double([3.0, 0.0, -1.0])
    labels = objective.refresh(moved)
    assert torch.equal(objective.assign(moved), labels)
    squared = torch.cdist(moved, objective.centers).square()
    expected = (-squared / spread).log_softmax(dim=1)
    torch.testing.assert_close(objective.log_q(moved), expected)
    assert objective.weight is layer  # the one that the optimizer has


@pytest.mark.parametrize("kind", [ClusterClassification, MutualInformation])
def test_steepness_is_ten_and_more_far_from_the_usual_scale(kind):
    assert kind(3).steepness(64) == 10.0
    z = random_rows(n=60)
    found = []
    for scale in (1.0, 1e2, 1e-2):
        objective = kind(3)
        generator = torch.Generator().manual_seed(0)
        objective.initialise(scale * z, None, generator)
        found.append(objective.steepness(64))
    assert found[0] == 10.0
    # E|z|^2 is 3, of which k-means keeps all; W is 2 M / d.
    assert found[1] == pytest.approx(1e4 * 3 / 10, rel=0.3)
    assert found[2] > 1e3


def test_loss():
    objective = initialised(double([[0.0], [1.0]]), 2)
    with torch.no_grad():
        objective.weight.copy_(double([[0.0], [math.log(3.0)]]))
        objective.bias.zero_()
    z = double([[1.0], [1.0], [0.0]])
    loss = loss_of(objective, z, torch.tensor([0, 1, 1]))
    expected = double([math.log(4), math.log(4 / 3), math.log(2)])
    torch.testing.assert_close(loss, expected, **TOLERANCE)


def test_gradients():
    z = random_rows(n=6).requires_grad_()
    objective = initialised(z.detach(), 3)
    target = torch.tensor([0, 1, 2, 1, 0, 0])  # not what the layer would say
    inputs = (z, objective.weight, objective.bias)
    assert torch.autograd.gradcheck(lambda *_: loss_of(objective, z, target), inputs)
    loss_of(objective, z, target).sum().backward()
    q = objective.soft_assign(z)
    difference = q - torch.nn.functional.one_hot(target, 3)
    torch.testing.assert_close(objective.bias.grad, difference.sum(dim=0))
    torch.testing.assert_close(z.grad, difference @ objective.weight.detach())
    assert objective.centers.grad is None


def test_the_optimizer_has_the_layer_and_not_the_centers():
    objective = initialised(random_rows(), 3)
    names = [name for name, _ in objective.named_parameters()]
    assert names == ["weight", "bias"]


def test_labels_are_those_of_the_layer():
    z = random_rows()
    objective = initialised(z, 4)
    with torch.no_grad():
        objective.bias.copy_(double([0.0, 1e6, 0.0, 0.0]))
    assert objective.assign(z).tolist() == [1] * len(z)


def test_rows_are_assigned_alone_as_together():
    z = random_rows(n=200, d=10)
    objective = initialised(z, 7)
    q = objective.soft_assign(z)
    assert torch.equal(torch.cat([objective.soft_assign(r) for r in z.split(1)]), q)


def test_reorder_renumbers_the_clusters():
    z = random_rows()
    objective = initialised(z, 4)
    q, centers = objective.soft_assign(z), objective.centers.clone()
    order = torch.tensor([2, 0, 3, 1])
    objective.reorder(order)
    torch.testing.assert_close(objective.soft_assign(z), q[:, order], **TOLERANCE)
    assert torch.equal(objective.centers, centers[order])
    assert objective.weight.requires_grad


def test_state_dict():
    z = random_rows()
    objective, other = initialised(z, 4), initialised(z + 1, 4, seed=1)
    assert not torch.equal(other.soft_assign(z), objective.soft_assign(z))
    other.load_state_dict(objective.state_dict())
    assert torch.equal(other.soft_assign(z), objective.soft_assign(z))
    assert torch.equal(other.refresh(z), objective.refresh(z))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 1.0, -30.0])
def test_equal_rows(dtype, offset):
    z = torch.full((5, 2), offset, dtype=dtype).requires_grad_()
    objective = initialised(z.detach(), 3)
    loss = loss_of(objective, z, objective.refresh(z.detach()))
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), torch.full_like(loss, math.log(3)))
    for value in (z.grad, objective.weight.grad, objective.soft_assign(z)):
        assert torch.isfinite(value).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_row_a_cluster(dtype):
    z = random_rows(n=6).to(dtype)
    objective = initialised(z, 6)
    target = objective.refresh(z)
    assert len(target.unique()) == 6
    assert torch.equal(objective.assign(z), target)
    assert loss_of(objective, z, target).max() < 1e-3


def test_one_cluster():
    z = random_rows(d=1)
    objective = initialised(z, 1)
    assert not loss_of(objective, z, objective.refresh(z)).any()
    assert not objective.assign(z).any()


def test_loss_without_target_is_an_error():
    with pytest.raises(ValueError, match=r"batch\.target"):
        loss_of(initialised(random_rows(), 2), random_rows(), None)
