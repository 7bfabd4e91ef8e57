"""The interface of every loss, and what all clustering losses share."""

from dataclasses import FrozenInstanceError

import pytest
import torch

from skdeepcluster.objectives import (
    Batch,
    ClusteringObjective,
    Hardening,
    HardKMeans,
    Objective,
    SoftKMeans,
    _base,
)
from skdeepcluster.objectives._base import identity, in_double

Z = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 1.5, 4.0]])


class SoftmaxOfEmbedding(ClusteringObjective):
    """Soft assignments given as the embedding itself."""

    def __init__(self):
        super().__init__(3)
        self._put_centers(torch.arange(6.0).reshape(3, 2))

    def log_q(self, z):
        return z.log_softmax(dim=1)


class FixedCenters(ClusteringObjective):
    """Centres that the optimizer leaves alone, without soft assignments."""

    learns_centers = False


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_rows(n=50, d=3):
    return torch.randn(n, d, generator=seeded(), dtype=torch.float64)


def test_batch_holds_only_what_it_is_given():
    x = torch.zeros(2, 3)
    batch = Batch(x=x, z=x)
    assert batch.x_hat is batch.index is batch.target is batch.weight is None
    assert batch.z_view is None
    assert batch.layers == ()
    with pytest.raises(FrozenInstanceError):
        batch.z = x


def test_hooks_do_nothing_unless_overridden():
    objective = Objective()
    z = torch.randn(4, 2, generator=seeded())
    generator = seeded()
    before = generator.get_state()
    assert objective.prepare(z) is None
    assert objective.initialise(z, None, generator) is None
    assert objective.refresh(z) is None
    assert objective.after_step(Batch(x=z, z=z)) is None
    assert objective.on_epoch(0) is None
    assert objective.finish(z, None, generator) is None
    assert torch.equal(generator.get_state(), before)
    assert not objective.needs_reconstruction
    assert objective.state_dict() == {}


def test_loss_view_and_soft_assignments_must_be_given():
    z = torch.zeros(1, 2)
    with pytest.raises(NotImplementedError):
        Objective().loss(Batch(x=z, z=z))
    with pytest.raises(NotImplementedError):
        Objective().view(z, seeded())
    with pytest.raises(NotImplementedError):
        ClusteringObjective(2).log_q(z)


def test_soft_where_there_are_soft_assignments():
    assert SoftmaxOfEmbedding().is_soft
    assert Hardening(2).is_soft
    assert not ClusteringObjective(2).is_soft
    assert not HardKMeans(2).is_soft


def test_soft_assignments_are_in_double_and_without_gradient():
    q = SoftmaxOfEmbedding().soft_assign(Z.requires_grad_())
    assert q.dtype == torch.float64
    assert not q.requires_grad
    torch.testing.assert_close(q, Z.detach().double().softmax(dim=1))


def test_soft_labels_are_the_most_probable_clusters():
    """Not the nearest centres: these rows do not even have the centres' columns."""
    assert SoftmaxOfEmbedding().assign(Z).tolist() == [1, 0, 2]


def test_hard_labels_are_the_nearest_centers():
    objective = FixedCenters(2)
    objective._put_centers(torch.tensor([[0.0], [4.0]]))
    assert objective.assign(torch.tensor([[1.9], [2.1], [-9.0]])).tolist() == [0, 1, 0]


def test_blocks_do_not_change_soft_assignments(monkeypatch):
    z = random_rows(101)
    objective = SoftmaxOfEmbedding()
    whole = objective.soft_assign(z)
    sizes = []

    def spy(block):
        sizes.append(len(block))
        return block.log_softmax(dim=1)

    monkeypatch.setattr(_base, "_BLOCK_ELEMENTS", 10 * objective.centers.numel())
    monkeypatch.setattr(objective, "log_q", spy)
    assert torch.equal(objective.soft_assign(z), whole)
    assert sizes == [10] * 10 + [1]


@pytest.mark.parametrize("kind", [ClusteringObjective, FixedCenters])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centers_start_from_kmeans(kind, dtype):
    z = torch.tensor([[0.0], [1.0], [9.0], [11.0]], dtype=dtype)
    objective = kind(2, n_init=4)
    assert objective.centers.numel() == 0
    objective.initialise(z, None, seeded())
    assert objective.centers.dtype == dtype
    assert sorted(objective.centers.flatten().tolist()) == [0.5, 10.0]
    objective.initialise(z, torch.tensor([1.0, 3.0, 1.0, 0.0], dtype=dtype), seeded())
    assert sorted(objective.centers.flatten().tolist()) == [0.75, 9.0]


def test_restarts_are_those_asked_for():
    """More starts from the same generator never give a higher inertia."""
    z = random_rows(200)

    def inertia(n_init, seed):
        objective = FixedCenters(12, n_init)
        objective.initialise(z, None, seeded(seed))
        return float(torch.cdist(z, objective.centers).amin(dim=1).square().sum())

    gains = [inertia(1, seed) - inertia(5, seed) for seed in range(4)]
    assert min(gains) >= 0 < max(gains)


def test_only_learnt_centers_are_parameters():
    z = random_rows()
    learnt, fixed = ClusteringObjective(3), FixedCenters(3)
    for objective in (learnt, fixed):
        objective.initialise(z, None, seeded())
        assert list(objective.state_dict()) == ["centers"]
    assert [len(list(o.parameters())) for o in (learnt, fixed)] == [1, 0]
    assert torch.equal(learnt.centers.detach(), fixed.centers)


@pytest.mark.parametrize("initialised", [False, True])
def test_alternating_takes_the_centers_from_the_optimizer(initialised):
    z = random_rows()
    objective = SoftKMeans(3, alpha=1.0)
    if initialised:
        objective.initialise(z, None, seeded())
    before = objective.centers.detach().clone()
    objective.alternate()
    assert objective.alternates
    assert not list(objective.parameters())
    assert torch.equal(objective.centers, before)
    objective.initialise(z, None, seeded())
    assert not list(objective.parameters())
    assert objective.loss(Batch(x=z, z=z)).shape == (len(z),)


def test_alternating_is_nothing_new_for_fixed_centers():
    objective = FixedCenters(2)
    objective.alternate()
    assert not objective.alternates


@pytest.mark.parametrize("kind", [ClusteringObjective, FixedCenters])
def test_updated_centers_are_the_means_of_their_rows(kind):
    objective = kind(2)
    objective._put_centers(torch.tensor([[0.0], [1.0]]))
    kept = objective.centers
    z = torch.tensor([[0.0], [1.0], [9.0], [11.0]], requires_grad=True)
    objective.update_centers(z)
    assert objective.centers is kept
    assert kept.flatten().tolist() == [0.5, 10.0]
    objective.update_centers(z, torch.tensor([1.0, 1.0, 3.0, 1.0]))
    assert kept.flatten().tolist() == [0.5, 9.5]


@pytest.mark.parametrize("kind", [ClusteringObjective, FixedCenters])
def test_reorder_moves_the_centers_in_place(kind):
    objective = kind(3)
    objective._put_centers(torch.arange(6.0).reshape(3, 2))
    centers = objective.centers
    objective.reorder(torch.tensor([2, 0, 1]))
    assert objective.centers is centers
    assert centers.tolist() == [[4.0, 5.0], [0.0, 1.0], [2.0, 3.0]]


def test_statistics_in_double():
    z = torch.tensor([1.5], dtype=torch.float32)
    assert in_double(z).dtype == torch.float64
    assert identity(z) is z
