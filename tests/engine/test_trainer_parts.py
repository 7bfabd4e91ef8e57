"""What a phase may have beside losses of a batch: views, ramps, turns, new centres."""

import pytest
import torch
from torch import nn

from skdeepcluster.engine import LabelChange, OptimizerSpec, Phase, Ramp, Reclustering
from skdeepcluster.engine._curvature import DataCurvature
from skdeepcluster.engine._phases import LabelWindow
from skdeepcluster.kmeans import lloyd, nearest_center
from skdeepcluster.objectives import (
    Denoising,
    Hardening,
    Objective,
    Reconstruction,
    RunningKMeans,
    SelfAugmentation,
)

SGD = OptimizerSpec("sgd", 0.05)


def phase(objectives, epochs=2, every=5, **options):
    return Phase("clustering", objectives, epochs, SGD, every, **options)


class Spy(Objective):
    """Keeps its batches; pulls nowhere."""

    def __init__(self, shift=None):
        super().__init__()
        self.shift, self.batches, self.noise, self.seen = shift, [], [], []

    def loss(self, batch):
        self.batches.append(batch)
        return 0.0 * batch.z.sum(dim=1)


class Viewing(Spy):
    needs_reconstruction = True

    def view(self, x, rng):
        self.noise.append(torch.rand(3, generator=rng).tolist())
        return x + self.shift


class Preparing(Spy):
    def prepare(self, x):
        self.seen.append(("prepare", x.clone()))

    def initialise(self, z, weight, rng, reduce=None):
        self.seen.append(("initialise", z.clone()))


def test_a_view_has_its_own_embedding_and_reconstruction(make_trainer):
    spy = Viewing(shift=3.0)
    frozen = OptimizerSpec("sgd", 1e-30)
    trainer = make_trainer()
    trainer.run(Phase("clustering", {spy: 1.0, Hardening(2): 0.0}, 1, frozen, 5))
    trainer.network.eval()
    for batch in spy.batches:
        z = trainer.encode(batch.x)
        z_view = trainer.encode(batch.x + 3.0)
        torch.testing.assert_close(batch.z, z)
        torch.testing.assert_close(batch.z_view, z_view)
        torch.testing.assert_close(batch.x_hat, trainer.decode(z_view))


def test_noise_is_a_stream_of_its_own(make_trainer):
    def drawn(n_clusters):
        spy = Viewing(shift=0.0)
        make_trainer().run(phase({spy: 1.0, Hardening(n_clusters): 1.0}))
        return spy.noise

    noise = drawn(2)
    assert len({tuple(values) for values in noise}) == len(noise) == 10
    assert drawn(3) == noise
    before = torch.get_rng_state()
    drawn(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_of_a_view_does_not_decode_the_input(make_trainer):
    assert not phase({Denoising(): 1.0, Hardening(2): 1.0}).needs_reconstruction
    assert phase({Denoising(): 1.0, Reconstruction(): 1.0}).needs_reconstruction
    spy = Spy()
    trainer = make_trainer()
    trainer.run(phase({spy: 1.0, Denoising(): 1.0, Hardening(2): 1.0}))
    assert all(batch.x_hat is None and batch.z_view is None for batch in spy.batches)


def test_both_views_learn(make_trainer):
    trainer = make_trainer()
    augmentation = SelfAugmentation(lambda x, rng: -x)
    history = trainer.run(phase({augmentation: 1.0}, epochs=30, every=None))
    assert history["loss"][-1] < 0.2 * history["loss"][0]


def test_objectives_see_the_input_once_before_they_are_initialised(make_trainer):
    spy, trainer = Preparing(), make_trainer()
    trainer.run(phase({spy: 1.0}))
    trainer.run(phase({spy: 1.0}))
    (first, x), (second, z) = spy.seen
    assert (first, second) == ("prepare", "initialise")
    assert torch.equal(x, trainer.x)
    assert z.shape == (50, 2)


def test_weights_ramp_by_epoch(make_trainer):
    """An unlearnable loss of 1 per row: the history shows its weight."""

    class One(Spy):
        def loss(self, batch):
            return 1.0 + 0.0 * batch.z.sum(dim=1)

    ramp = phase({One(): Ramp(0.8, 4)}, epochs=6)
    losses = make_trainer().run(ramp)["loss"]
    assert losses == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 0.8])


def test_a_ramp_of_no_epochs_is_a_weight():
    assert [Ramp(0.5, 0).at(e) for e in (0, 1, 2)] == [0.5, 0.5, 0.5]


def test_stop_rule_waits_for_its_epochs():
    window = LabelWindow(LabelChange(0.5, min_epochs=3))
    labels = torch.zeros(4)
    stops = [window.stops(labels, 200 * e, e) for e in (0, 1, 2, 3)]
    assert stops == [False, False, False, True]


def test_alternating_centres_are_those_of_kmeans_at_every_update(make_trainer):
    seen = []

    class Watched(Hardening):
        def refresh(self, z, weight=None, reduce=None):
            seen.append((z.clone(), self.centers.clone()))
            return super().refresh(z, weight)

    objective = Watched(3)
    objective.alternate()
    make_trainer().run(phase({objective: 1.0}))
    assert not list(objective.parameters())
    for z, centers in seen:
        fixed = lloyd(z, centers).centers
        torch.testing.assert_close(centers.double(), fixed, atol=1e-6, rtol=1e-5)
    assert not torch.equal(seen[0][1], seen[-1][1])


def test_reclustering_is_kmeans_anew_with_the_old_numbers(make_trainer):
    generator = torch.Generator().manual_seed(0)
    blobs = torch.randn(60, 4, generator=generator) * 0.1
    blobs += torch.arange(60)[:, None] % 3 * torch.tensor([3.0, -2.0, 1.0, 0.0])
    trainer = make_trainer(x=blobs)
    objective = Hardening(3)
    trainer.run(phase({objective: 1.0}, epochs=1))
    before = objective.assign(trainer.embed())
    with torch.no_grad():
        objective.centers += 0.01
    history = Reclustering(objective).run(trainer)
    z = trainer.embed()
    assert history == {"label_change": [0.0]}
    assert torch.equal(objective.assign(z), before)
    means = [z[before == k].mean(dim=0) for k in range(3)]
    torch.testing.assert_close(objective.centers.detach(), torch.stack(means))


def test_centres_that_follow_every_batch(make_trainer):
    class Watched(RunningKMeans):
        def after_step(self, batch):
            expected = nearest_center(batch.z, self.centers)[0]
            moved = super().after_step(batch)
            assert torch.equal(moved, expected)
            self.stored[batch.index] = moved
            return moved

        def loss(self, batch):
            self.used.append((batch.index, batch.target, self.stored[batch.index]))
            return super().loss(batch)

    objective = Watched(3)
    objective.stored, objective.used = torch.full((50,), -1), []
    trainer = make_trainer()
    trainer.run(phase({objective: 1.0, Reconstruction(): 1.0}, every=100))
    assert float(objective.counts.sum()) == 3 * 100 + 2 * 50
    second = objective.used[5:]  # the steps of the second epoch
    assert len(second) == 5
    for _, target, stored in second:
        assert torch.equal(target, stored)


def test_rates_relative_to_the_data_and_limited_by_them(make_trainer):
    trainer = make_trainer(n=50, batch_size=50)
    spec = OptimizerSpec("sgd", 0.02)
    stable = DataCurvature(trainer.x).relative(spec).learning_rate

    def moved(learning_rate, **options):
        fresh = make_trainer(n=50, batch_size=50)
        before = [p.detach().clone() for p in fresh.network.parameters()]
        spec = OptimizerSpec("sgd", learning_rate)
        fresh.run(Phase("p", {Reconstruction(): 1.0}, 1, spec, **options))
        return torch.cat(
            [
                (p.detach() - b).flatten()
                for p, b in zip(fresh.network.parameters(), before, strict=True)
            ]
        )

    asked = moved(stable)
    torch.testing.assert_close(moved(0.02, rate="relative"), asked)
    torch.testing.assert_close(moved(1e3, rate="limited"), asked)
    small = moved(stable / 8, rate="limited")
    torch.testing.assert_close(small, asked / 8, rtol=1e-3, atol=1e-7)


def test_a_network_without_layers_can_be_trained_on_views(make_trainer):
    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Linear(4, 2), nn.Linear(2, 4)

        def encode(self, x):
            return self.down(x)

        def decode(self, z):
            return self.up(z)

    history = make_trainer(network=Halves()).run(phase({Denoising(0.5): 1.0}))
    assert all(loss > 0 for loss in history["loss"])
