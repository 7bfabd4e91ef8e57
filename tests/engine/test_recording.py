import logging
import weakref

import numpy as np
import pytest
import torch
from estimators import NETWORKS, X, bits, each, fresh, known, name_of
from torch import nn

from skdeepcluster.architectures import MLPAutoencoder, UnpoolingAutoencoder
from skdeepcluster.engine import OptimizerSpec, Phase, _progress, _recording
from skdeepcluster.engine._recording import OwnStream, Recorder, can_record, places
from skdeepcluster.objectives import Hardening, Reconstruction, SelfAugmentation

SGD = OptimizerSpec("sgd", 0.1)
GPU = torch.device("cuda")


class TakenAgain:
    """In place of a CUDA graph: takes the step again, on the memory of the first."""

    made = 0

    def __init__(self, step, batch, generators):
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
        self.recorder = Recorder(self.step, self.constants, self.optimizer, [])

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
    released = []
    monkeypatch.setattr(_recording, "release", released.append)

    class Refused:
        def __init__(self, step, batch, generators):
            raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(_recording, "Recording", Refused)
    descent = Descent()
    with caplog.at_level(logging.INFO, "skdeepcluster"):
        for i in range(6):
            assert descent.take(1.0) == i + 1
    assert caplog.text.count("not recorded: operation not permitted") == 1
    assert len(released) == 1


def test_only_a_recorded_optimizer_is_capturable(monkeypatch):
    descent = Descent()
    seen = []

    class Looked(TakenAgain):
        def __init__(self, step, batch, generators):
            super().__init__(step, batch, generators)
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


def test_without_a_gpu_there_is_no_stream():
    own = OwnStream(torch.device("cpu"))
    with own.entered():
        assert own.stream is None


def test_recordings_do_not_outlive_their_phase(make_trainer, recordings, monkeypatch):
    monkeypatch.setattr(_progress, "can_record", lambda device, *modules: True)
    kept = []
    make = TakenAgain.__init__

    def weakly_kept(self, *args):
        make(self, *args)
        kept.append(weakref.ref(self))

    monkeypatch.setattr(TakenAgain, "__init__", weakly_kept)
    progress = _progress.PhaseProgress(
        make_trainer(), Phase("p", {Reconstruction(): 1.0}, 2, SGD)
    )
    progress.train()
    assert kept and kept[0]() is None
    assert not hasattr(progress.losses, "batch")


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
