from dataclasses import FrozenInstanceError

import pytest
import torch

from skdeepcluster.objectives import Batch, ClusteringObjective, Objective
from skdeepcluster.objectives._base import identity, in_double


class NearestOrigin(ClusteringObjective):
    """Soft assignments given as the embedding itself."""

    def __init__(self):
        super().__init__()
        self.centers = torch.nn.Parameter(torch.arange(6.0).reshape(3, 2))

    def soft_assign(self, z):
        return z.softmax(dim=1)


def test_batch_holds_only_what_it_is_given():
    x = torch.zeros(2, 3)
    batch = Batch(x=x, z=x)
    assert batch.x_hat is batch.index is batch.target is batch.weight is None
    assert batch.layers == ()
    with pytest.raises(FrozenInstanceError):
        batch.z = x


def test_hooks_do_nothing_unless_overridden():
    objective = Objective()
    z = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert objective.initialise(z, None, generator) is None
    assert objective.refresh(z) is None
    assert objective.after_step(Batch(x=z, z=z)) is None
    assert objective.on_epoch(0) is None
    assert objective.finish(z, None, generator) is None
    assert torch.equal(generator.get_state(), before)
    assert not objective.needs_reconstruction
    assert objective.state_dict() == {}


def test_loss_and_assignments_must_be_given():
    z = torch.zeros(1, 2)
    with pytest.raises(NotImplementedError):
        Objective().loss(Batch(x=z, z=z))
    with pytest.raises(NotImplementedError):
        ClusteringObjective().assign(z)


def test_labels_are_the_most_probable_clusters():
    z = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert NearestOrigin().assign(z).tolist() == [1, 0]


def test_reorder_moves_the_centers_in_place():
    objective = NearestOrigin()
    centers = objective.centers
    objective.reorder(torch.tensor([2, 0, 1]))
    assert objective.centers is centers
    assert centers.tolist() == [[4.0, 5.0], [0.0, 1.0], [2.0, 3.0]]


def test_statistics_in_double():
    z = torch.tensor([1.5], dtype=torch.float32)
    assert in_double(z).dtype == torch.float64
    assert identity(z) is z
