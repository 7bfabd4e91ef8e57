import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from skdeepcluster import DEC, IDEC
from skdeepcluster.architectures import (
    ConvAutoencoder,
    IdentityArchitecture,
    MLPAutoencoder,
    UnpoolingAutoencoder,
)
from skdeepcluster.engine import (
    Compute,
    OptimizerSpec,
    Pretraining,
    RandomStreams,
    Scaling,
    SparseRows,
    Trainer,
)
from skdeepcluster.engine._cache import load_numpy_state, numpy_state
from skdeepcluster.engine._curvature import (
    DataCurvature,
    least_share_of,
)
from skdeepcluster.engine._pretraining import (
    LayerPair,
)

ADAM = OptimizerSpec("adam", 0.01)
SGD = OptimizerSpec("sgd", 0.02)
# Puts four features into a plane.
PLANE = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]])


def deep_network():
    generator = RandomStreams(0).generator("weights")
    return MLPAutoencoder((6, 5)).build(4, 2, generator)


def states_equal(first, second):
    return all(np.array_equal(first[k], second[k]) for k in first)


def reconstruction_error(trainer):
    trainer.network.eval()
    with torch.no_grad():
        x_hat = trainer.network.decode(trainer.network.encode(trainer.x))
    return (x_hat - trainer.x).square().mean().item()


@pytest.mark.parametrize("kind", ["end_to_end", "layerwise"])
@pytest.mark.parametrize("spec", [SGD, ADAM], ids=["sgd", "adam"])
def test_the_reconstruction_improves(make_trainer, kind, spec):
    trainer = make_trainer(network=deep_network(), x=make_trainer().x @ PLANE)
    before = reconstruction_error(trainer)
    history = Pretraining(kind, 20, spec).run(trainer)
    assert reconstruction_error(trainer) < 0.9 * before
    assert len(history["loss"]) == 20
    assert ("layer_loss" in history) == (kind == "layerwise")


@pytest.fixture
def phases_run(monkeypatch):
    """Name, epochs, inputs and the main network's weights after each phase."""
    log = []
    original = Trainer.run

    def run(self, phase):
        history = original(self, phase)
        log.append((phase.name, phase.epochs, self.x, numpy_state(run.network)))
        return history

    monkeypatch.setattr(Trainer, "run", run)
    run.log = log
    return run


def test_layerwise_trains_each_pair_alone(make_trainer, phases_run):
    trainer = make_trainer(network=deep_network())
    phases_run.network = trainer.network
    states = [numpy_state(trainer.network)]
    Pretraining("layerwise", 5, ADAM).run(trainer)
    names = [name for name, *_ in phases_run.log]
    assert names == [*(f"pretraining/layer{i}" for i in range(3)), "pretraining"]
    assert [epochs for _, epochs, *_ in phases_run.log] == [3, 3, 3, 5]
    states += [state for *_, state in phases_run.log]
    for i in range(3):
        moved = {k for k in states[0] if (states[i][k] != states[i + 1][k]).any()}
        own = (f"encoder.{i}.", f"decoder.{2 - i}.")
        assert moved == {k for k in states[0] if k.startswith(own)}
    assert all((states[3][k] != states[4][k]).any() for k in states[0])


def test_a_pair_learns_from_the_clean_output_of_the_layers_below(
    make_trainer, phases_run
):
    trainer = make_trainer(network=deep_network())
    phases_run.network = trainer.network
    Pretraining("layerwise", 2, ADAM).run(trainer)
    inputs = [x for _, _, x, _ in phases_run.log]
    layers = deep_network()
    assert torch.equal(inputs[0], trainer.x)
    for i in range(2):
        load_numpy_state(layers, phases_run.log[i][3])
        with torch.no_grad():
            expected = layers.encoder[i](inputs[i])
        torch.testing.assert_close(inputs[i + 1], expected)
    assert torch.equal(inputs[3], trainer.x)


def test_pairs_have_dropout_but_not_on_the_embedding(make_trainer, monkeypatch):
    rates = []

    class Spy(LayerPair):
        def __init__(self, encoder, decoder, *dropouts):
            rates.append(dropouts)
            super().__init__(encoder, decoder, *dropouts)

    monkeypatch.setattr("skdeepcluster.engine._pretraining.LayerPair", Spy)
    Pretraining("layerwise", 1, ADAM).run(make_trainer(network=deep_network()))
    assert rates == [(0.2, 0.2), (0.2, 0.2), (0.2, 0.0)]


def test_layer_pair_corrupts_input_and_hidden_in_training_only():
    pair = LayerPair(nn.Identity(), nn.Identity(), 0.5, 0.5)
    x = torch.ones(50, 50)
    pair.eval()
    assert torch.equal(pair.decode(pair.encode(x)), x)
    pair.train()
    z = pair.encode(x)
    assert 0.4 < (z == 0).float().mean() < 0.6
    assert 0.7 < (pair.decode(z) == 0).float().mean() < 0.8


def test_layerwise_gives_the_same_bits_twice(make_trainer, global_rng_untouched):
    with global_rng_untouched():
        states = []
        for _ in range(2):
            trainer = make_trainer(network=deep_network())
            Pretraining("layerwise", 2, ADAM).run(trainer)
            states.append(numpy_state(trainer.network))
    assert states_equal(*states)


def test_layerwise_needs_layer_pairs(make_trainer):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.encode = self.decode = self.layer.forward

    with pytest.raises(ValueError, match="'layer_pairs'.*Got Plain"):
        Pretraining("layerwise", 1, ADAM).run(make_trainer(network=Plain()))


@pytest.mark.parametrize("kind", ["end_to_end", "layerwise"])
def test_nothing_to_pretrain(make_trainer, kind):
    trainer = make_trainer(network=IdentityArchitecture().build(4, 4))
    assert Pretraining(kind, 5, ADAM).run(trainer) == {"loss": []}


def test_no_epochs_leave_the_network(make_trainer):
    trainer = make_trainer()
    before = numpy_state(trainer.network)
    Pretraining("end_to_end", 0, SGD).run(trainer)
    assert states_equal(before, numpy_state(trainer.network))


def test_largest_eigenvalue():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator) * torch.tensor([5.0, 1, 1, 1, 1])
    moments = x.double().T @ x.double() / len(x)
    expected = torch.linalg.eigvalsh(moments)[-1].item()
    assert DataCurvature(x).largest_eigenvalue() == pytest.approx(expected, rel=1e-6)


def rate_of(x, **options):
    return DataCurvature(x, **options).relative(SGD).learning_rate


def test_rate_beside_a_reconstruction_is_limited():
    x = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    fast, slow = OptimizerSpec("sgd", 10.0), OptimizerSpec("sgd", 1e-6)
    curvature, stable = DataCurvature(x), rate_of(x)
    assert curvature.limited(fast, 1.0).learning_rate == stable
    assert curvature.limited(fast, 5.0).learning_rate == pytest.approx(stable / 5)
    assert curvature.limited(slow, 1.0) == slow
    assert curvature.limited(fast, 0.0) == fast
    assert curvature.limited(ADAM, 1.0) == ADAM


def test_rate_of_sgd_is_relative_to_the_curvature():
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    rate, largest = rate_of(x), DataCurvature(x).largest_eigenvalue()
    assert rate == pytest.approx(0.02 * 5 / largest, rel=1e-2)
    assert rate_of(2 * x) == pytest.approx(rate / 4, rel=1e-2)
    wide = x.repeat(1, 8)  # eight times the eigenvalue, eight times the features
    assert rate_of(wide) == pytest.approx(rate, rel=1e-2)


def test_eigenvalue_of_weighted_rows_whatever_rows_are_looked_at():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4096, 3, generator=generator)
    weight = torch.tensor([1e-6, 1.0]).repeat(2048)  # every second row is looked at
    found = DataCurvature(x, weight=weight / weight.mean()).largest_eigenvalue()
    assert found == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_heavy_row_of_a_batch_counts(kind):
    x = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    if kind == "sparse":
        scaling = Scaling(np.zeros(5), 1.0), Compute.resolve("cpu", "float32")
        rows = SparseRows(sp.csr_array(x.numpy()), *scaling)
    else:
        rows = x
    weight = torch.ones(400)
    weight[7] = 1e4
    weight /= weight.mean()
    expected = (weight[7] * x[7].square().mean()).item() / 10
    share = DataCurvature(rows, 10, weight).heaviest_share()
    assert share == pytest.approx(expected, rel=1e-5)
    share = DataCurvature(rows, 1000, weight).heaviest_share()
    assert share == pytest.approx(expected / 40, rel=1e-5)
    assert DataCurvature(rows, 10).heaviest_share() == 0.0


def test_the_first_component_counts_at_least_a_share():
    x = torch.randn(400, 50, generator=torch.Generator().manual_seed(0))
    rate = rate_of(x)
    share = DataCurvature(x).largest_eigenvalue() / 50
    assert share < 0.05
    steep, flat = torch.nn.Identity(), torch.nn.Identity()
    steep.least_share, flat.least_share = 0.1, share / 2
    assert rate_of(x, network=flat) == rate
    assert rate_of(x, network=steep) == pytest.approx(0.2)
    fast = OptimizerSpec("sgd", 10.0)
    limited = DataCurvature(x, network=steep).limited(fast, 2.0)
    assert limited.learning_rate == pytest.approx(0.1)


def test_a_batch_has_a_first_component_whatever_all_rows_have():
    x = torch.randn(2000, 600, generator=torch.Generator().manual_seed(0))
    share = DataCurvature(x).largest_eigenvalue() / 600
    assert share < 1 / 200
    assert rate_of(x) == pytest.approx(0.02 / share, rel=1e-2)
    for batch_size in (1, 10, 64, 128):
        assert rate_of(x, batch_size=batch_size) == pytest.approx(0.02 * batch_size)
    whole = x[:100]  # a batch of all rows has what they have
    assert rate_of(whole, batch_size=256) == rate_of(whole)


def test_wide_data_without_a_leading_direction_have_a_limit():
    """The layers within a network are as steep however flat the data are."""
    data = sp.random_array((1000, 20_000), density=1e-3, format="csr", rng=0)
    rows = SparseRows(data, Scaling.fit(data), Compute.resolve("cpu", "float32"))
    network = MLPAutoencoder((400,)).build(20_000, 2)
    assert rate_of(rows, batch_size=256) > 5.0
    assert rate_of(rows, batch_size=256, network=network) == 2.0
    assert rate_of(rows, batch_size=64, network=network) == 1.28
    narrow = MLPAutoencoder((4,)).build(20_000, 2)  # at 1 / 5000 of the curvature
    assert rate_of(rows, batch_size=256, network=narrow) == pytest.approx(0.02)


@pytest.mark.parametrize("sizes", [(), (16,)])
def test_narrow_layers_do_not_diverge_on_wide_data(sizes):
    """Rows of counts that share no column, as hashed texts are."""
    rng = np.random.RandomState(0)
    column, row = rng.randint(0, 20_000, 7200), np.repeat(np.arange(120), 60)
    X = sp.csr_array((np.ones(7200), (row, column)), shape=(120, 20_000))
    model = DEC(3, hidden_layer_sizes=sizes, pretrain_epochs=40, max_iter=1, n_init=1)
    losses = model.set_params(random_state=0).fit(X).history_["pretraining"]["loss"]
    assert losses[-1] < losses[0] < 1.2


def test_networks_that_share_weights_have_a_share():
    linear = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU())
    assert least_share_of(linear) == 0.01
    assert least_share_of(torch.nn.Sequential(linear, torch.nn.Conv2d(1, 1, 3))) == 0.08
    generator = RandomStreams(0).generator("weights")
    unpooling = UnpoolingAutoencoder((16, 16)).build(256, 10, generator)
    assert least_share_of(torch.nn.Sequential(unpooling)) == 0.2


@pytest.mark.parametrize("architecture", [ConvAutoencoder, UnpoolingAutoencoder])
@pytest.mark.parametrize("noise", ["rand", "randn"])
def test_images_of_noise_do_not_diverge(architecture, noise):
    X = getattr(np.random.RandomState(0), noise)(300, 64)
    network = architecture((8, 8))
    model = IDEC(3, architecture=network, pretrain_epochs=60, max_iter=10, n_init=1)
    losses = model.set_params(batch_size=50, random_state=0).fit(X).history_
    assert max(losses["pretraining"]["loss"]) < 1.5
    assert max(losses["clustering"]["loss"]) < 3


def test_rate_of_adam_and_of_constant_data_is_kept():
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    assert DataCurvature(x).relative(ADAM) == ADAM
    assert DataCurvature(torch.zeros(20, 5)).relative(SGD) == SGD


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_sgd_is_stable_at_any_scale(make_trainer, scale):
    x = make_trainer().x * scale
    history = Pretraining("end_to_end", 20, SGD).run(make_trainer(x=x))
    assert history["loss"][-1] < 0.95 * history["loss"][0]


def test_one_dominant_direction_does_not_diverge(make_trainer):
    direction = torch.randn(50, 1, generator=torch.Generator().manual_seed(0))
    x = direction * torch.tensor([[4.0, -4.0, 4.0, 3.0]])
    history = Pretraining("end_to_end", 30, SGD).run(make_trainer(x=x))
    assert history["loss"][-1] < history["loss"][0]


def test_numpy_state_is_a_copy_with_buffers():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = numpy_state(network)
    with torch.no_grad():
        network[0].weight.add_(1)
        network[1].running_mean.add_(1)
    assert (state["0.weight"] != network[0].weight.detach().numpy()).all()
    other = copy.deepcopy(network)
    load_numpy_state(other, state)
    assert states_equal(numpy_state(other), state)
    assert "1.num_batches_tracked" in state
