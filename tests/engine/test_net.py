import math
import weakref

import pytest
import torch
from torch import nn

from skdeepcluster.engine import OptimizerSpec, Phase, _net
from skdeepcluster.engine._net import flush_denormals
from skdeepcluster.objectives import Objective, Reconstruction

TINY = torch.finfo(torch.float32).tiny


class Counted(OptimizerSpec):
    """Optimizer that notes after each step whether any state is a denormal number."""

    found: bool = False
    steps: int = 0

    def build(self, parameters):
        optimizer = super().build(parameters)
        optimizer.register_step_post_hook(self.look)
        return optimizer

    def look(self, optimizer, args, kwargs):
        object.__setattr__(self, "steps", self.steps + 1)
        if self.steps % 20 != 5:
            return
        moments = [
            value.abs()
            for state in optimizer.state.values()
            for value in state.values()
            if value.ndim
        ]
        if any(((v > 0) & (v < TINY)).any() for v in moments):
            object.__setattr__(self, "found", True)


def denormals_found(make_trainer, name, n=950):
    """Train with a feature that only the first row drawn has: its moments decay."""
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    x[:, 3] = 0.0
    trainer = make_trainer(x=x, batch_size=1)
    order = torch.randperm(n, generator=trainer.streams.generator("batches/p"))
    x[order[0], 3] = 1.0
    spec = Counted(name, 1e-3)
    trainer.run(Phase("p", {Reconstruction(): 1.0}, 1, spec))
    return spec.found


def test_optimizer_state_never_decays_into_denormals(make_trainer):
    assert not denormals_found(make_trainer, "sgd")


def test_without_the_flush_it_would(make_trainer, monkeypatch):
    monkeypatch.setattr(_net, "flush_denormals", lambda optimizer: None)
    assert denormals_found(make_trainer, "sgd")


def test_flush_leaves_everything_else():
    parameter = nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    parameter.grad = torch.tensor([1e-40, -1e-35, 1e-20, -3.0])
    optimizer.step()
    flush_denormals(optimizer)
    buffer = optimizer.state[parameter]["momentum_buffer"]
    assert torch.equal(buffer, torch.tensor([0.0, 0.0, 1e-20, -3.0]))


def test_flush_keeps_the_step_count_of_adam():
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam([parameter], lr=0.1, fused=True)
    parameter.grad = torch.ones(2)
    optimizer.step()
    flush_denormals(optimizer)
    assert optimizer.state[parameter]["step"].item() == 1.0


class Interrupted(Objective):
    def __init__(self, error, at):
        super().__init__()
        self.error, self.at, self.steps = error, at, 0

    def loss(self, batch):
        self.steps += 1
        if self.steps == self.at:
            raise self.error
        return batch.z.square().mean(dim=1)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), MemoryError()])
def test_errors_and_interrupts_pass_through(make_trainer, error):
    objective = Interrupted(error, at=7)
    phase = Phase("p", {objective: 1.0}, 5, OptimizerSpec("sgd", 0.1))
    with pytest.raises(type(error)) as caught:
        make_trainer().run(phase)
    assert caught.value is error
    assert objective.steps == 7


def test_no_tensor_of_a_step_stays_until_the_epoch_ends(make_trainer, monkeypatch):
    """Small ones would keep the memory of large ones beside them from further use."""
    losses, alive = [], []
    train_step = _net.PhaseNet.train_step

    def noted(self, batch, **params):
        step = train_step(self, batch, **params)
        losses.append(weakref.ref(step["loss"]))
        alive.append(sum(loss() is not None for loss in losses))
        return step

    monkeypatch.setattr(_net.PhaseNet, "train_step", noted)
    spec = OptimizerSpec("sgd", 1e-3)
    make_trainer(batch_size=2).run(Phase("p", {Reconstruction(): 1.0}, 1, spec))
    assert len(losses) > 5
    assert max(alive) <= 2


def test_loss_of_an_epoch_is_the_mean_over_its_batches(make_trainer):
    seen = []

    class Spy(Reconstruction):
        def loss(self, batch):
            loss = super().loss(batch)
            seen.append(loss.detach().mean().item())
            return loss

    phase = Phase("p", {Spy(): 1.0}, 2, OptimizerSpec("sgd", 0.1))
    history = make_trainer().run(phase)
    expected = [sum(seen[:5]) / 5, sum(seen[5:]) / 5]
    assert history["loss"] == pytest.approx(expected)
    assert all(type(value) is float and math.isfinite(value) for value in expected)


def test_training_prints_nothing_and_draws_no_global_number(
    make_trainer, global_rng_untouched, capfd
):
    with global_rng_untouched():
        make_trainer().run(
            Phase("p", {Reconstruction(): 1.0}, 2, OptimizerSpec("adam", 0.1))
        )
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
