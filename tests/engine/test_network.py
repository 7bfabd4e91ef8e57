import copy

import numpy as np
import pytest
import torch
from torch import nn

from skdeepcluster.architectures import IdentityArchitecture, MLPAutoencoder
from skdeepcluster.engine import (
    Compute,
    RandomStreams,
    build_network,
    cache_key,
    embedding_size_of,
)


class Foreign(nn.Module):
    """A user's module: a name we do not know, a bottleneck of three."""

    def __init__(self, d=4, k=3):
        super().__init__()
        self.down, self.up = nn.Linear(d, k), nn.Linear(k, d)

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


class ForeignArchitecture:
    """A recipe without a `generator` argument: draws from the global generator."""

    def build(self, n_features, embedding_size):
        return Foreign(n_features, embedding_size)


def build(architecture=None, embedding_size=None, n_features=4, seed=0):
    return build_network(
        architecture, (6,), n_features, embedding_size, RandomStreams(seed)
    )


def vector(network):
    return nn.utils.parameters_to_vector(network.parameters()).detach()


@pytest.mark.parametrize(
    "architecture, asked, size",
    [
        (None, None, 10),
        (None, 2, 2),
        (MLPAutoencoder((3,)), None, 10),
        (IdentityArchitecture(), None, 4),
        (IdentityArchitecture(), 4, 4),
        (ForeignArchitecture(), None, 10),
        (ForeignArchitecture(), 2, 2),
        (Foreign(), None, 3),
        (Foreign(), 3, 3),
    ],
)
def test_embedding_size(architecture, asked, size):
    network = build(architecture, asked)
    assert embedding_size_of(network, 4) == size
    assert network.decode(network.encode(torch.ones(2, 4))).shape == (2, 4)


def test_none_is_a_perceptron_of_the_hidden_layer_sizes():
    network = build(None, 2)
    assert [p.shape[0] for n, p in network.named_parameters() if "bias" in n] == [
        6,
        2,
        6,
        4,
    ]


@pytest.mark.parametrize("architecture", [None, ForeignArchitecture()])
def test_weights_come_from_the_seed_alone(architecture, global_rng_untouched):
    with global_rng_untouched():
        first = vector(build(architecture, 2))
        assert torch.equal(first, vector(build(architecture, 2)))
        assert not torch.equal(first, vector(build(architecture, 2, seed=1)))
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert torch.equal(first, vector(build(architecture, 2)))


def test_a_module_is_copied_with_its_weights():
    module = Foreign()
    network = build(module)
    assert network is not module
    assert torch.equal(vector(network), vector(module))
    with torch.no_grad():
        network.down.weight.zero_()
    assert module.down.weight.any()


@pytest.mark.parametrize("training", [True, False])
def test_measuring_the_embedding_keeps_the_mode(training):
    module = Foreign().train(training)
    embedding_size_of(module, 4)
    assert module.training is training


def test_embedding_size_of_a_float64_module():
    assert embedding_size_of(Foreign().double(), 4) == 3


def test_conflicting_embedding_size():
    with pytest.raises(ValueError, match="embedding_size=2 conflicts.*3 columns"):
        build(Foreign(), 2)


def test_module_for_other_features():
    with pytest.raises(ValueError, match="cannot take rows of 5 features"):
        build(Foreign(), n_features=5)


@pytest.mark.parametrize("module", [nn.Linear(4, 2), nn.Identity()])
def test_module_without_encode_or_decode(module):
    with pytest.raises(TypeError, match="'encode' and 'decode'. Got"):
        build(module)


def key(X=None, architecture=None, hidden=(6,), size=2, batch=256, seed=0, **kwargs):
    X = np.zeros((3, 4)) if X is None else X
    compute = Compute.resolve("cpu", kwargs.get("precision", "float32"))
    return cache_key(X, architecture, hidden, size, batch, RandomStreams(seed), compute)


@pytest.mark.parametrize(
    "change",
    [
        {"X": np.ones((3, 4))},
        {"X": np.zeros((3, 4), np.float32)},
        {"architecture": MLPAutoencoder((6,), activation="tanh")},
        {"architecture": Foreign()},
        {"hidden": (7,)},
        {"size": 3},
        {"batch": 2},
        {"seed": 1},
        {"precision": "float64"},
        {"precision": "bfloat16"},
    ],
    ids=lambda change: "-".join(change),
)
def test_cache_key_changes_with_what_decides(change):
    assert key() == key()
    assert key(**change) != key()


def test_cache_key_names_threads_and_version(monkeypatch):
    before = key()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert key() != before
    monkeypatch.undo()
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert key() != before


def test_cache_key_of_a_module_is_its_weights():
    module = Foreign()
    assert key(architecture=module) == key(architecture=copy.deepcopy(module))
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.down.bias[0] += 1
    assert key(architecture=module) != key(architecture=other)
    assert key(architecture=module) != key(architecture=nn.Sequential(module))


def test_none_and_its_architecture_share_a_key():
    assert key(architecture=MLPAutoencoder((6,))) == key()


class Narrow(Foreign):
    def decode(self, z):
        return super().decode(z)[:, :1]


class Flat(Foreign):
    def encode(self, x):
        return super().encode(x)[:, 0]


class Pair(Foreign):
    def encode(self, x):
        return super().encode(x), x


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Narrow, r"'decode' must give.*\(n_samples, 4\).*\(1, 1\)"),
        (Flat, r"'encode' must give.*\(n_samples, embedding_size\).*\(1,\)"),
        (Pair, "'encode' must give.*tuple"),
    ],
)
def test_module_with_outputs_of_another_shape(module, message):
    with pytest.raises(ValueError, match=message):
        build(module())


def test_class_instead_of_an_instance():
    with pytest.raises(TypeError, match=r"such as MLPAutoencoder\(\), not the class"):
        build(MLPAutoencoder)
