from math import ceil

import pytest
import torch

from skdeepcluster.engine import (
    Budget,
    LabelChange,
    OptimizerSpec,
    Phase,
    Reclustering,
)
from skdeepcluster.engine._losses import weighted_mean
from skdeepcluster.objectives import Hardening, Reconstruction, SoftmaxHead

SGD = OptimizerSpec("sgd", 0.1)


@pytest.mark.parametrize(
    "n, batch_size, steps",
    [(1000, 256, 4), (1024, 256, 4), (10, 256, 1), (257, 256, 1)],
)
def test_steps_per_epoch_are_the_batches(n, batch_size, steps):
    assert Budget(n, batch_size).steps_per_epoch == steps


@pytest.mark.parametrize(
    "n, interval",
    [(150, 1), (1000, 4), (256 * 139, 139), (256 * 141, 140), (70_000, 140)],
)
def test_auto_update_interval(n, interval):
    assert Budget(n, 256).update_interval("auto") == interval
    assert Budget(n, 256).update_interval(7) == 7


@pytest.mark.parametrize("length", ["pretrain_epochs", "max_iter"])
def test_auto_lengths_suit_small_and_large_data(length):
    def steps(n):
        budget = Budget(n, 256)
        return getattr(budget, length)("auto") * budget.steps_per_epoch

    assert steps(150) >= 1000
    assert steps(7_000_000) <= 100_000
    assert steps(150) <= steps(70_000)
    epochs = [getattr(Budget(n, 256), length)("auto") for n in (150, 10**4, 10**8)]
    assert epochs == sorted(epochs, reverse=True)
    assert all(isinstance(value, int) and value >= 1 for value in epochs)


@pytest.mark.parametrize("length", ["pretrain_epochs", "max_iter"])
def test_asked_lengths_are_kept(length):
    assert getattr(Budget(1000, 256), length)(3) == 3


def test_budget_rounds_to_whole_epochs():
    budget = Budget(1000, 256)
    small = Budget(256, 256)
    assert small.max_iter("auto") <= ceil(
        budget.max_iter("auto") * budget.steps_per_epoch
    )


def quadratic_parameter():
    return torch.nn.Parameter(torch.tensor([1.0, -2.0]))


def walk(optimizer, parameter, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        parameter.square().sum().backward()
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize(
    "name, reference",
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1)),
    ],
)
def test_optimizers_are_those_they_are_called(name, reference):
    ours, theirs = quadratic_parameter(), quadratic_parameter()
    built = OptimizerSpec(name, 0.1).build([ours])
    torch.testing.assert_close(walk(built, ours), walk(reference([theirs]), theirs))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_weight_decay_and_who_is_exempt(name):
    """With a gradient of zero, a decayed parameter moves alone."""
    decayed, exempt = quadratic_parameter(), quadratic_parameter()
    spec = OptimizerSpec(name, 0.1, weight_decay=0.5)
    optimizer = spec.build([decayed, exempt], exempt=[exempt])
    for parameter in (decayed, exempt):
        parameter.grad = torch.zeros(2)
    optimizer.step()
    assert exempt.tolist() == [1.0, -2.0]
    expected = [0.95, -1.9] if name == "sgd" else [0.9, -1.9]
    torch.testing.assert_close(decayed.detach(), torch.tensor(expected))


def test_the_model_of_a_phase():
    hardening, reconstruction = Hardening(2), Reconstruction()
    phase = Phase("both", {reconstruction: 1.0, hardening: 0.1}, 1, SGD)
    assert phase.model is Reclustering(hardening).model is hardening
    assert Phase("pretraining", {reconstruction: 1.0}, 1, SGD).model is None
    head = SoftmaxHead(torch.arange(2), 2)
    assert Phase("classes", {head: 1.0}, 1, SGD).model is head
    assert Phase("classes", {head: 1.0}, 1, SGD).clustering is None


def test_the_clustering_objective_of_a_phase():
    hardening, reconstruction = Hardening(2), Reconstruction()
    phase = Phase("both", {reconstruction: 1.0, hardening: 0.1}, 1, SGD)
    assert phase.clustering is hardening
    assert phase.needs_reconstruction
    assert Phase("pretraining", {reconstruction: 1.0}, 1, SGD).clustering is None
    assert not Phase("clustering", {hardening: 1.0}, 1, SGD).needs_reconstruction


def labels(*values):
    return torch.tensor(values)


def test_stop_rule_wants_fewer_changes_than_tol():
    a, b = labels(0, 0, 1, 1), labels(0, 0, 0, 1)
    for tol, stops in ((0.25, False), (0.26, True)):
        window = LabelChange(tol).window()
        assert not window.stops(a, step=0, epoch=0)
        assert window.stops(b, step=1000, epoch=3) is stops


def test_stop_rule_ignores_the_first_epoch():
    window = LabelChange(0.5).window()
    same = labels(0, 1)
    assert not window.stops(same, step=0, epoch=0)
    assert not window.stops(same, step=1000, epoch=0)
    assert window.stops(same, step=2000, epoch=1)


def test_stop_rule_with_tol_zero_never_stops():
    window = LabelChange(0.0).window()
    same = labels(0, 1)
    stopped = [window.stops(same, step, epoch=9) for step in range(0, 2000, 500)]
    assert not any(stopped)


def test_stop_rule_compares_over_a_window_of_steps():
    """A slow drift, one row at a time, is a change."""
    window = LabelChange(0.2).window()
    current = torch.zeros(10)
    for step in range(0, 1000, 10):
        current = current.clone()
        current[(step // 10) % 10] += 1
        assert not window.stops(current, step, epoch=step // 10)


def test_a_rule_keeps_no_state_between_runs():
    rule = LabelChange(0.5)
    same = labels(0, 1)
    rule.window().stops(same, step=0, epoch=0)
    assert not rule.window().stops(same, step=1000, epoch=5)


def test_weighted_mean():
    loss = torch.tensor([1.0, 2.0, 6.0])
    assert weighted_mean(loss, None) == 3.0
    assert weighted_mean(loss, torch.tensor([0.75, 0.0, 2.25])) == 19 / 4
    # A light batch stays light.
    assert weighted_mean(loss, torch.tensor([0.5, 0.5, 0.5])) == 1.5
    whole = torch.tensor(5.0)
    assert weighted_mean(whole, torch.tensor([1.0])) is whole
