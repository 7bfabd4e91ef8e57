import logging
import threading
import weakref

import numpy as np
import pytest
import torch
from estimators import NETWORKS, X, bits, each, fresh, known, name_of
from torch import nn
from weakly import kept_of

from skdeepcluster.architectures import MLPAutoencoder, UnpoolingAutoencoder
from skdeepcluster.engine import OptimizerSpec, Phase, Ramp, _progress, _recording
from skdeepcluster.engine._lanes import Lane
from skdeepcluster.engine._recording import Recorder, can_record, places
from skdeepcluster.objectives import (
    ClusterClassification,
    Hardening,
    HardKMeans,
    MutualInformation,
    Reconstruction,
    RunningKMeans,
    ScatterReduction,
    SelfAugmentation,
    SoftKMeans,
    SoftRegularizedKMeans,
)

SGD = OptimizerSpec("sgd", 0.1)
GPU = torch.device("cuda")


class TakenAgain:
    """In place of a CUDA graph: takes the step again, on the memory of the first."""

    made = 0

    def __init__(self, step, batch, generators, lane):
        type(self).made += 1
        self.step, self.batch = step, [t.clone() for t in batch]

    def replay(self, batch):
        for place, values in zip(self.batch, batch, strict=True):
            place.copy_(values)
        return self.step(self.batch)


@pytest.fixture
def recordings(monkeypatch):
    """Recordings that need no GPU; counts them."""
    monkeypatch.setattr(_recording, "Recording", TakenAgain)
    monkeypatch.setattr(TakenAgain, "made", 0)
    return TakenAgain


class Descent:
    """One parameter, which every step moves by `rate` times the sum of the rows."""

    def __init__(self, **params):
        self.at = nn.Parameter(torch.zeros(()))
        self.rate = 1.0
        self.optimizer = torch.optim.Adam([self.at], capturable=False)
        self.lane = Lane(torch.device("cpu"))
        self.recorder = Recorder(
            self.step, self.constants, self.optimizer, [], self.lane
        )

    def step(self, batch):
        self.during = self.optimizer.param_groups[0]["capturable"]
        with torch.no_grad():
            self.at += self.rate * batch[0].sum()
        return self.at.detach()

    def constants(self):
        return (self.rate,)

    def take(self, *rows):
        batch = torch.tensor(rows), torch.arange(len(rows))
        return self.recorder(batch).item()


def test_the_fourth_step_is_recorded_and_later_ones_replayed(recordings):
    descent = Descent()
    made = []
    for i in range(6):
        assert descent.take(float(i), 1.0) == sum(range(i + 1)) + i + 1
        made.append(recordings.made)
    assert made == [0, 0, 0, 1, 1, 1]


def test_each_size_has_its_own(recordings):
    descent = Descent()
    for _ in range(5):
        descent.take(1.0, 1.0)
        descent.take(1.0)
    assert recordings.made == 2
    assert descent.at.item() == 15.0


def test_other_constants_are_recorded_anew(recordings):
    descent = Descent()
    for _ in range(5):
        descent.take(1.0)
    descent.rate = 10.0
    for _ in range(3):
        descent.take(1.0)
    assert recordings.made == 1
    descent.take(1.0)
    assert recordings.made == 2
    assert descent.at.item() == 45.0


def test_what_cannot_be_recorded_is_taken(monkeypatch, caplog):
    class Refused:
        def __init__(self, step, batch, generators, lane):
            lane.records = False
            raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(_recording, "Recording", Refused)
    descent = Descent()
    with caplog.at_level(logging.INFO, "skdeepcluster"):
        for i in range(6):
            assert descent.take(1.0) == i + 1
    assert caplog.text.count("not recorded: operation not permitted") == 1


def test_nothing_is_kept_of_a_failed_recording(monkeypatch):
    kept = []

    class Refused:
        def __init__(self, step, batch, generators, lane):
            held = nn.Linear(1, 1)
            kept.append(weakref.ref(held))
            raise RuntimeError

    monkeypatch.setattr(_recording, "Recording", Refused)
    descent = Descent()

    def step(batch):
        assert not kept or kept[-1]() is None
        return torch.ones(())

    descent.recorder.step = step
    for _ in range(6):
        descent.take(1.0)
    assert kept


def test_only_a_recorded_optimizer_is_capturable(monkeypatch):
    descent = Descent()
    seen = []

    class Looked(TakenAgain):
        def __init__(self, *args):
            super().__init__(*args)
            seen.append(descent.optimizer.param_groups[0]["capturable"])

    monkeypatch.setattr(_recording, "Recording", Looked)
    for _ in range(5):
        descent.take(1.0)
        assert descent.during is False
    assert seen == [True]
    assert descent.optimizer.param_groups[0]["capturable"] is False


def test_optimizers_without_the_option_do_not_get_it(recordings):
    descent = Descent()
    descent.recorder.optimizer = torch.optim.SGD([descent.at], lr=0.1)
    descent.during = None
    descent.step = lambda batch: descent.at.detach()
    descent.recorder.step = descent.step
    for _ in range(4):
        descent.take(1.0)
    assert "capturable" not in descent.recorder.optimizer.param_groups[0]


class Foreign(nn.Module):
    """Somebody else's."""


def test_only_own_code_is_recorded():
    network = MLPAutoencoder((6,)).build(4, 2)
    assert can_record(GPU, network, Hardening(3), Reconstruction())
    assert not can_record(torch.device("cpu"), network)
    assert not can_record(GPU, network, Foreign())
    assert not can_record(GPU, nn.Sequential(network, Foreign()))


def test_what_asks_the_host_is_not_recorded():
    network = UnpoolingAutoencoder((16, 16)).build(256, 2)
    assert not can_record(GPU, network)
    assert not can_record(GPU, SelfAugmentation(lambda x, rng: x))


def test_places_tell_tensors_of_the_same_values_apart():
    t = torch.zeros(3)
    assert places([t, 1.5]) == places([t, 1.5])
    assert places([t]) != places([t.clone()])
    assert places([t, 1.5]) != places([t, 2.5])


def test_hooks_and_methods_of_others_are_not_recorded():
    network = MLPAutoencoder((6,)).build(4, 2)
    hook = network.encoder[0].register_forward_hook(lambda *args: None)
    assert not can_record(GPU, network)
    hook.remove()
    assert can_record(GPU, network)
    network.encode = lambda x: x
    assert not can_record(GPU, network)


def test_a_thread_has_one_lane_on_a_device():
    device, found = torch.device("cpu"), []
    thread = threading.Thread(target=lambda: found.append(Lane.of(device)))
    thread.start()
    thread.join()
    assert Lane.of(device) is Lane.of(device)
    assert found[0] is not Lane.of(device)
    with Lane.of(device).entered():
        pass


def test_recordings_do_not_outlive_their_phase(make_trainer, recordings, monkeypatch):
    monkeypatch.setattr(_progress, "can_record", lambda device, *modules: True)
    kept = kept_of(monkeypatch, TakenAgain)
    progress = _progress.PhaseProgress(
        make_trainer(), Phase("p", {Reconstruction(): 1.0}, 2, SGD)
    )
    progress.train()
    assert kept and kept[0]() is None
    assert progress.losses.batch is None


@each(NETWORKS)
def test_fits_with_recorded_steps_end_with_the_same_bits(
    estimator, recordings, monkeypatch
):
    small = {"batch_size": 8, "max_iter": 3}
    expected = bits(fresh(estimator, **known(estimator, small)).fit(X))
    monkeypatch.setattr(_progress, "can_record", lambda device, *modules: True)
    model = fresh(estimator, **known(estimator, small)).fit(X)
    assert recordings.made > 0, name_of(estimator)
    assert bits(model) == expected


def test_targets_stay_in_their_place(make_trainer, recordings, monkeypatch):
    monkeypatch.setattr(_progress, "can_record", lambda device, *modules: True)
    places_seen = set()

    class Watched(Hardening):
        def loss(self, batch):
            held = progress.losses.targets[self]
            places_seen.add(held.data_ptr())
            np.testing.assert_array_equal(batch.target, held[batch.index])
            return super().loss(batch)

    trainer = make_trainer()
    phase = Phase("p", {Watched(3): 1.0}, 4, SGD, refresh_every=2)
    progress = _progress.PhaseProgress(trainer, phase)
    progress.begin()
    progress.train()
    assert len(places_seen) == 1
    assert recordings.made == 1


def losses_of(make_trainer, objectives):
    trainer = make_trainer()
    phase = Phase("p", objectives, 4, SGD, refresh_every=2)
    progress = _progress.PhaseProgress(trainer, phase)
    progress.records = True
    progress.begin()
    return progress


CLUSTERING = [
    ClusterClassification,
    Hardening,
    HardKMeans,
    MutualInformation,
    RunningKMeans,
    ScatterReduction,
    SoftKMeans,
    SoftRegularizedKMeans,
]


@pytest.mark.parametrize("kind", CLUSTERING)
def test_a_refresh_changes_no_constants(make_trainer, kind):
    objective = kind(3)
    progress = losses_of(make_trainer, {objective: 1.0})
    progress.refresh(progress.trainer.embed())
    before = progress.losses.constants()
    with torch.no_grad():
        objective.centers += 1
    progress.refresh(progress.trainer.embed())
    assert progress.losses.constants() == before


@pytest.mark.parametrize("change", ["factor", "number", "buffer", "target"])
def test_constants_tell_what_a_recording_would_miss(make_trainer, change):
    soft = SoftKMeans(3, annealing_epochs=2)
    hardening = Hardening(3)
    weights = {soft: 1.0, hardening: Ramp(1.0, 4)}
    progress = losses_of(make_trainer, weights)
    losses, before = progress.losses, progress.losses.constants()
    if change == "factor":
        losses.weigh(1)
    elif change == "number":
        soft.on_epoch(1)
    elif change == "buffer":
        hardening.centers = nn.Parameter(hardening.centers.detach().clone())
    else:
        losses.aim(hardening, losses.targets[hardening].clone())
    assert losses.constants() != before


def test_targets_in_place_leave_those_of_the_objective(make_trainer):
    objective = Hardening(3)
    losses = losses_of(make_trainer, {objective: 1.0}).losses
    handed_out, later = torch.zeros(5, 3), torch.ones(5, 3)
    losses.aim(objective, handed_out, in_place=True)
    held = losses.targets[objective]
    losses.aim(objective, later, in_place=True)
    assert losses.targets[objective] is held
    assert torch.equal(held, later) and not handed_out.any()


class Repeating:
    """In place of a lane: its graphs repeat the sums of what lies where it lay."""

    def record(self, function, generators):
        self.answer, self.function = function(), function
        return self, self.answer

    def replay(self):
        self.answer.copy_(self.function())


def test_a_replay_is_of_its_batch_and_its_loss_stays():
    index = torch.arange(2)
    first = torch.tensor([1.0, 2.0]), index
    recording = _recording.Recording(
        lambda batch: batch[0].sum() + batch[1].sum(), first, [], Repeating()
    )
    losses = [
        recording.replay((torch.tensor([value, 0.0]), index + shift))
        for value, shift in ((5.0, 0), (7.0, 10))
    ]
    assert [loss.item() for loss in losses] == [6.0, 28.0]
    assert first[0].tolist() == [1.0, 2.0]
