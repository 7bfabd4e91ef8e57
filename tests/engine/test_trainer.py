"""The training loop: what it computes, when it refreshes, when it stops."""

import copy

import pytest
import torch
from torch import nn

from skdeepcluster.architectures import IdentityArchitecture, MLPAutoencoder
from skdeepcluster.engine import (
    LabelChange,
    OptimizerSpec,
    Phase,
    RandomStreams,
    TrainingDivergedError,
)
from skdeepcluster.engine._batches import ShuffledBatches
from skdeepcluster.objectives import (
    ClusteringObjective,
    Hardening,
    Reconstruction,
    kl_divergence,
    student_t_log_q,
)

SGD = OptimizerSpec("sgd", 0.05)


class Watched(Hardening):
    """Keeps every target it hands out and every batch it is given."""

    def __init__(self, *args):
        super().__init__(*args)
        self.targets, self.batches = [], []

    def refresh(self, z, weight=None, reduce=None):
        self.targets.append(super().refresh(z, weight))
        return self.targets[-1]

    def loss(self, batch):
        self.batches.append((len(self.targets) - 1, batch.index, batch.target))
        return super().loss(batch)


class Still(ClusteringObjective):
    """A loss that is pulled nowhere; every row stays in cluster 0."""

    def __init__(self):
        super().__init__(1)
        self.centers = nn.Parameter(torch.zeros(1, 2))

    def initialise(self, z, weight, rng, reduce=None):
        pass

    def loss(self, batch):
        return 0.0 * batch.z.sum(dim=1)

    def assign(self, z):
        return torch.zeros(len(z), dtype=torch.long)


def clustering(objective, epochs=3, every=4, stop=None, optimizer=SGD):
    return Phase("clustering", {objective: 1.0}, epochs, optimizer, every, stop)


def states_equal(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def bare_steps(network, x, name, batch_size, epochs):
    generator = RandomStreams(0).generator(f"batches/{name}")
    batches = ShuffledBatches(x, batch_size, generator)
    for _ in range(epochs):
        yield from batches


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_reconstruction_equals_a_bare_torch_loop(make_trainer, name):
    trainer = make_trainer(n=53)
    network = copy.deepcopy(trainer.network)
    spec = OptimizerSpec(name, 0.05)
    optimizer = spec.build(network.parameters())
    for x, _ in bare_steps(network, trainer.x, "pretraining", 10, epochs=4):
        optimizer.zero_grad()
        x_hat = network.decode(network.encode(x))
        (x_hat - x).square().mean(dim=1).mean().backward()
        optimizer.step()
    history = trainer.run(Phase("pretraining", {Reconstruction(): 1.0}, 4, spec))
    assert states_equal(trainer.network, network)
    assert len(history["loss"]) == 4
    assert history["loss"][-1] < history["loss"][0]


def test_clustering_equals_a_bare_torch_loop(make_trainer):
    trainer = make_trainer(n=53)
    network = copy.deepcopy(trainer.network)
    objective = Hardening(3, n_init=2)
    trainer.initialise(objective, trainer.embed())
    centers = nn.Parameter(objective.centers.detach().clone())
    optimizer = SGD.build([*network.parameters(), centers])
    target = objective.refresh(trainer.embed())
    bare = Hardening(3)
    bare.centers = centers
    steps = bare_steps(network, trainer.x, "clustering", 10, epochs=3)
    for step, (x, index) in enumerate(steps, start=1):
        optimizer.zero_grad()
        log_q = student_t_log_q(network.encode(x), centers)
        kl_divergence(target[index], log_q).mean().backward()
        optimizer.step()
        if step % 4 == 0:
            target = bare.refresh(make_trainer(n=53, network=network).embed())
    trainer.run(clustering(objective))
    assert states_equal(trainer.network, network)
    assert torch.equal(objective.centers, centers)


@pytest.mark.parametrize("n, every", [(53, 4), (50, 5), (51, 7), (50, 1)])
def test_target_is_refreshed_every_few_steps_exactly(make_trainer, n, every):
    objective = Watched(3, 1.0, 2)
    history = make_trainer(n=n).run(clustering(objective, epochs=4, every=every))
    steps = len(objective.batches)
    assert steps == 4 * (6 if n == 53 else 5)
    assert history["update_step"] == list(range(every, steps + 1, every))
    assert len(objective.targets) == 1 + steps // every
    assert len(history["label_change"]) == len(history["update_step"])
    used = [version for version, _, _ in objective.batches]
    assert used == [step // every for step in range(steps)]


def test_target_is_of_all_rows_constant_and_gathered_by_index(make_trainer):
    objective = Watched(3, 1.0, 2)
    make_trainer(n=53).run(clustering(objective))
    kept = [target.clone() for target in objective.targets]
    for version, index, target in objective.batches:
        assert torch.equal(target, kept[version][index])
        assert not target.requires_grad
    assert all(len(target) == 53 for target in kept)
    assert not torch.equal(kept[0], kept[-1])


def test_the_last_target_belongs_to_the_current_embedding(make_trainer):
    trainer = make_trainer(n=50)
    objective = Watched(3, 1.0, 2)
    trainer.run(clustering(objective, epochs=4, every=5))
    assert torch.equal(objective.targets[-1], objective.refresh(trainer.embed()))


def test_an_epoch_of_training_covers_every_row(make_trainer):
    objective = Watched(3, 1.0, 2)
    make_trainer(n=51).run(clustering(objective, epochs=2))
    indices = [index for _, index, _ in objective.batches]
    assert [len(index) for index in indices] == [10, 10, 10, 10, 11] * 2
    for epoch in (indices[:5], indices[5:]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(51))


def test_stop_rule_not_before_the_end_of_the_first_epoch(make_trainer):
    stop = LabelChange(0.5, over_steps=1)
    phase = clustering(Still(), epochs=9, every=2, stop=stop)
    history = make_trainer(n=50).run(phase)
    assert history["update_step"] == [2, 4, 6]
    assert history["label_change"] == [0.0, 0.0, 0.0]
    assert len(history["loss"]) == 2


def test_without_a_stop_rule_all_epochs_are_run(make_trainer):
    history = make_trainer().run(clustering(Still(), epochs=5))
    assert len(history["loss"]) == 5


def test_decoder_is_not_run_or_moved_where_no_loss_asks(make_trainer):
    trainer = make_trainer()
    decoder = copy.deepcopy(trainer.network.decoder)
    encoder = copy.deepcopy(trainer.network.encoder)

    def refuse(z):
        raise AssertionError("the decoder was run")

    trainer.network.decode = refuse
    trainer.run(clustering(Hardening(3, n_init=2)))
    assert states_equal(trainer.network.decoder, decoder)
    assert not states_equal(trainer.network.encoder, encoder)


def test_an_objective_is_initialised_once(make_trainer):
    calls = []

    class Once(Hardening):
        def initialise(self, *args):
            calls.append(len(args[0]))
            super().initialise(*args)

    trainer, objective = make_trainer(), Once(3, 1.0, 2)
    trainer.run(clustering(objective, epochs=1))
    trainer.run(clustering(objective, epochs=1))
    assert calls == [50]


def test_no_epochs_still_give_labels(make_trainer):
    trainer = make_trainer()
    before = copy.deepcopy(trainer.network)
    objective = Hardening(3, n_init=2)
    history = trainer.run(clustering(objective, epochs=0))
    assert history["loss"] == []
    assert states_equal(trainer.network, before)
    assert objective.centers.shape == (3, 2)


def test_nothing_to_train(make_trainer):
    network = IdentityArchitecture().build(4, 4)
    trainer = make_trainer(network=network)
    assert trainer.run(Phase("p", {Reconstruction(): 1.0}, 3, SGD))["loss"] == []


def test_network_is_in_training_mode_for_steps_only(make_trainer):
    modes = []
    network = MLPAutoencoder((6,)).build(4, 2, torch.Generator().manual_seed(0))
    trainer = make_trainer(network=network)

    class Spy(Hardening):
        def loss(self, batch):
            modes.append(network.training)
            return super().loss(batch)

    trainer.run(clustering(Spy(3, 1.0, 2), epochs=2, every=2))
    assert modes == [True] * 10
    assert not network.training


def test_dropout_has_its_own_stream_and_leaves_no_generator(
    make_trainer, global_rng_untouched
):
    def trained(seed):
        torch.manual_seed(seed)
        generator = RandomStreams(0).generator("weights")
        network = MLPAutoencoder((6,), dropout=0.5).build(4, 2, generator)
        make_trainer(network=network).run(
            Phase("pretraining", {Reconstruction(): 1.0}, 2, SGD)
        )
        return network

    with global_rng_untouched():
        with torch.random.fork_rng():
            first, second = trained(1), trained(2)
    assert states_equal(first, second)
    assert all(getattr(layer, "generator", None) is None for layer in first.modules())


@pytest.mark.parametrize("rate, optimizer", [(1e8, "sgd"), (1e30, "adam")])
def test_divergence_is_an_error_that_says_where(make_trainer, rate, optimizer):
    phase = Phase("ae", {Reconstruction(): 1.0}, 9, OptimizerSpec(optimizer, rate))
    with pytest.raises(TrainingDivergedError, match="phase 'ae'") as error:
        make_trainer().run(phase)
    assert isinstance(error.value, RuntimeError)
    message = str(error.value)
    assert "epoch 1" in message or "epoch 2" in message
    assert f"{rate:g}" in message
    assert "learning rate ten times smaller" in message


def test_divergence_of_the_embedding_is_found_at_the_refresh(make_trainer):
    phase = clustering(Hardening(3, n_init=2), optimizer=OptimizerSpec("sgd", 1e38))
    with pytest.raises(TrainingDivergedError, match="phase 'clustering'.*1e\\+38"):
        make_trainer().run(phase)
