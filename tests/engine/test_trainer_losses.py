"""The training loop: weights of losses and rows, and targets changed by a step."""

import pytest
import torch
from torch import nn

from skdeepcluster.engine import OptimizerSpec, Phase
from skdeepcluster.objectives import Objective, Reconstruction

SGD = OptimizerSpec("sgd", 0.05)


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_losses_are_weighted(make_trainer, factor):
    """Plain gradient descent moves in proportion to a loss's weight."""

    class Plain(OptimizerSpec):
        def build(self, parameters):
            return torch.optim.SGD(parameters, lr=self.learning_rate)

    def move(weight):
        trainer = make_trainer(n=50, batch_size=50)
        before = nn.utils.parameters_to_vector(trainer.network.parameters()).detach()
        phase = Phase("p", {Reconstruction(): weight}, 1, Plain("sgd", 0.1))
        loss = trainer.run(phase)["loss"]
        after = nn.utils.parameters_to_vector(trainer.network.parameters()).detach()
        return after - before, loss[0]

    once, loss = move(1.0)
    scaled, scaled_loss = move(factor)
    torch.testing.assert_close(scaled, factor * once, rtol=1e-4, atol=1e-7)
    assert scaled_loss == pytest.approx(factor * loss)


def test_sample_weights_of_zero_are_rows_left_out(make_trainer):
    phase = Phase("p", {Reconstruction(): 1.0}, 1, SGD)
    weight = (torch.arange(50) < 20).float()
    weighted = make_trainer(n=50, batch_size=50, weight=weight)
    few = make_trainer(x=weighted.x[:20], batch_size=50)
    weighted.run(phase)
    few.run(phase)
    vectors = [
        nn.utils.parameters_to_vector(t.network.parameters()) for t in (weighted, few)
    ]
    torch.testing.assert_close(*vectors)


def test_only_the_ratios_of_sample_weights_count(make_trainer):
    weight = 1.0 + torch.arange(50) % 2

    def trained(weight):
        trainer = make_trainer(n=50, batch_size=10, weight=weight)
        loss = trainer.run(Phase("p", {Reconstruction(): 1.0}, 2, SGD))["loss"]
        return loss, nn.utils.parameters_to_vector(trainer.network.parameters())

    loss, network = trained(weight)
    scaled_loss, scaled_network = trained(4.0 * weight)
    assert scaled_loss == loss
    assert torch.equal(scaled_network, network)
    plain_loss, plain_network = trained(None)
    assert trained(torch.full((50,), 3.0))[0] == plain_loss
    assert not torch.equal(plain_network, network)


class Bounded(Objective):
    """Its parameter is drawn to minus infinity, and kept above 1."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(1.2))
        self.seen = []

    def loss(self, batch):
        self.seen.append(self.level.item())
        return self.level + 0 * batch.z.sum(dim=1)

    def project(self):
        with torch.no_grad():
            self.level.clamp_(min=1.0)


def test_parameters_are_projected_after_every_step(make_trainer):
    objective = Bounded()
    phase = Phase("p", {objective: 1.0}, 2, OptimizerSpec("sgd", 0.15))
    make_trainer().run(phase)
    assert objective.seen[:3] == [pytest.approx(1.2), pytest.approx(1.05), 1.0]
    assert set(objective.seen[2:]) == {1.0}
    assert objective.level == 1.0


def test_weight_decay_is_that_of_the_network(make_trainer):
    class Idle(Objective):
        def __init__(self):
            super().__init__()
            self.level = nn.Parameter(torch.tensor(1.0))

        def loss(self, batch):
            return 0 * (batch.z.sum(dim=1) + self.level)

    objective, trainer = Idle(), make_trainer(n=50, batch_size=50)
    encoder = [p.detach().clone() for p in trainer.network.encoder.parameters()]
    trainer.run(Phase("p", {objective: 1.0}, 1, OptimizerSpec("sgd", 0.5, 0.1)))
    assert objective.level == 1.0
    for before, after in zip(
        encoder, trainer.network.encoder.parameters(), strict=True
    ):
        torch.testing.assert_close(after, 0.95 * before)


class Counting(Objective):
    """Hands out targets that `after_step` increases by one for the rows seen."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def refresh(self, z, weight=None, reduce=None):
        return torch.zeros(len(z))

    def loss(self, batch):
        self.seen.append(batch)
        return batch.z.square().mean(dim=1)

    def after_step(self, batch):
        assert not batch.z.requires_grad
        assert not torch.equal(batch.z, self.seen[-1].z)
        return batch.target + 1


def test_after_step_sees_new_weights_and_may_change_targets(make_trainer):
    objective = Counting()
    make_trainer().run(Phase("p", {objective: 1.0}, 3, SGD, refresh_every=1000))
    targets = [set(batch.target.tolist()) for batch in objective.seen]
    assert targets == [{0.0}] * 5 + [{1.0}] * 5 + [{2.0}] * 5
