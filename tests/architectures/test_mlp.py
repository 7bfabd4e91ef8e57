import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skdeepcluster.architectures import (
    Architecture,
    AutoencoderModule,
    ConvAutoencoder,
    GeneratorDropout,
    MLPAutoencoder,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def layers_of(module, kind):
    return [layer for layer in module.modules() if isinstance(layer, kind)]


def linears(module):
    return layers_of(module, nn.Linear)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("hidden", [(), (8,), (16, 4, 32), [5, 5], (np.int64(3),)])
def test_shapes(hidden):
    module = MLPAutoencoder(hidden).build(6, 3, seeded())
    x = torch.ones(5, 6)
    z = module.encode(x)
    assert z.shape == (5, 3)
    assert module.decode(z).shape == (5, 6)
    sizes = [6, *hidden, 3]
    mirrored = [*zip(sizes, sizes[1:], strict=False)]
    mirrored += [(b, a) for a, b in reversed(mirrored)]
    shapes = [(layer.in_features, layer.out_features) for layer in linears(module)]
    assert shapes == mirrored


def test_is_an_architecture():
    architecture = MLPAutoencoder((4,))
    assert isinstance(architecture, Architecture)
    assert isinstance(architecture.build(3, 2, seeded()), AutoencoderModule)
    assert architecture.default_embedding_size(100) == 10


def test_embedding_may_be_wider_than_the_input():
    module = MLPAutoencoder((4,)).build(2, 7, seeded())
    assert module.encode(torch.ones(1, 2)).shape == (1, 7)


def test_no_hidden_layer_is_a_linear_autoencoder():
    module = MLPAutoencoder(()).build(4, 2, seeded())
    a, b = torch.randn(2, 3, 4, generator=seeded())
    both = module.encode(a + b)
    zero = module.encode(torch.zeros(1, 4))
    torch.testing.assert_close(both, module.encode(a) + module.encode(b) - zero)


@pytest.mark.parametrize(
    "name, function",
    [
        ("relu", torch.relu),
        ("leaky_relu", nn.functional.leaky_relu),
        ("gelu", nn.functional.gelu),
        ("elu", nn.functional.elu),
        ("tanh", torch.tanh),
        ("sigmoid", torch.sigmoid),
        ("identity", lambda x: x),
    ],
)
def test_activation_of_hidden_layers_only(name, function):
    module = MLPAutoencoder((5,), activation=name).build(4, 3, seeded())
    first, second, third, fourth = linears(module)
    x = torch.randn(7, 4, generator=seeded())
    z = second(function(first(x)))
    torch.testing.assert_close(module.encode(x), z)
    torch.testing.assert_close(module.decode(z), fourth(function(third(z))))


@pytest.mark.parametrize(
    "scheme, limit, bias_limit",
    [
        ("uniform", 1 / math.sqrt(400), 1 / math.sqrt(400)),
        ("glorot", math.sqrt(6 / (400 + 300)), 0.0),
        ("he", math.sqrt(6 / 400), 0.0),
    ],
)
def test_uniform_initialisations(scheme, limit, bias_limit):
    module = MLPAutoencoder((300,), initialisation=scheme).build(400, 2, seeded())
    first = linears(module)[0]
    weight = first.weight.detach()
    assert weight.abs().max() <= limit
    assert weight.abs().max() > 0.999 * limit
    assert abs(weight.mean()) < 0.01 * limit
    assert weight.std() == pytest.approx(limit / math.sqrt(3), rel=0.01)
    assert first.bias.abs().max() <= bias_limit
    assert first.bias.abs().max() >= 0.9 * bias_limit


def test_normal_initialisation():
    module = MLPAutoencoder((300,), initialisation="normal").build(400, 2, seeded())
    first = linears(module)[0]
    assert first.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert abs(first.weight.mean().item()) < 1e-4
    assert first.weight.abs().max() > 0.03
    assert not any(layer.bias.any() for layer in linears(module))


@pytest.mark.parametrize("scheme", ["uniform", "normal", "glorot", "he"])
def test_every_weight_is_set_by_the_generator_alone(scheme):
    architecture = MLPAutoencoder((20, 30), initialisation=scheme)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(architecture.build(9, 4, seeded()))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(first, weights(architecture.build(9, 4, seeded())))
    assert not torch.equal(first, weights(architecture.build(9, 4, seeded(1))))


def test_without_generator_weights_are_fresh_and_the_global_one_is_left():
    architecture = MLPAutoencoder((20,))
    before = torch.get_rng_state()
    first, second = architecture.build(9, 4), architecture.build(9, 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.isfinite(weights(first)).all()
    assert not torch.equal(weights(first), weights(second))


def test_layers_do_not_share_their_draws():
    first, second = linears(MLPAutoencoder(()).build(4, 4, seeded()))
    assert not torch.equal(first.weight, second.weight)


@pytest.mark.parametrize(
    "params, match",
    [
        ({"activation": "swish"}, "'activation'.*swish"),
        ({"initialisation": "zeros"}, "'initialisation'.*zeros"),
        ({"dropout": 1.0}, "'dropout'.*1.0"),
        ({"dropout": -0.1}, "'dropout'.*-0.1"),
        ({"hidden_layer_sizes": (8, 0)}, "'hidden_layer_sizes'.*8, 0"),
        ({"hidden_layer_sizes": (2.5,)}, "'hidden_layer_sizes'.*2.5"),
        ({"hidden_layer_sizes": (True,)}, "'hidden_layer_sizes'.*True"),
        ({"hidden_layer_sizes": "500"}, "'hidden_layer_sizes'.*500"),
        ({"hidden_layer_sizes": 500}, "'hidden_layer_sizes'.*500"),
    ],
)
def test_wrong_parameters_are_named(params, match):
    with pytest.raises(ValueError, match=match):
        MLPAutoencoder(**params).build(4, 2, seeded())


def test_parameters_are_those_of_a_scikit_learn_object():
    architecture = MLPAutoencoder((7,), activation="tanh", dropout=0.1)
    params = architecture.get_params()
    assert params == {
        "hidden_layer_sizes": (7,),
        "activation": "tanh",
        "initialisation": "uniform",
        "dropout": 0.1,
    }
    copied = clone(architecture).set_params(dropout=0.5)
    assert copied.get_params() == {**params, "dropout": 0.5}
    assert architecture.dropout == 0.1


def test_layer_pairs_undo_each_other():
    module = MLPAutoencoder((6, 5)).build(4, 3, seeded())
    x = torch.ones(2, 4)
    widths = [(4, 6), (6, 5), (5, 3)]
    pairs = module.layer_pairs()
    assert len(pairs) == len(widths)
    for (encoder, decoder), (wide, narrow) in zip(pairs, widths, strict=True):
        assert x.shape[1] == wide
        h = encoder(x)
        assert h.shape[1] == narrow
        assert decoder(h).shape == x.shape
        x = h
    layers = {id(p) for pair in pairs for part in pair for p in part.parameters()}
    assert layers == {id(p) for p in module.parameters()}


def test_dropout_after_each_hidden_activation():
    module = MLPAutoencoder((6, 5), dropout=0.25).build(4, 3, seeded())
    layers = layers_of(module, GeneratorDropout)
    assert [layer.p for layer in layers] == [0.25] * 4
    x = torch.ones(2, 4)
    module.eval()
    assert torch.equal(module.encode(x), module.encode(x))
    module.train()
    for layer in layers:
        layer.generator = seeded(3)
    assert not torch.equal(module.encode(x), module.encode(x))


def test_no_dropout_layer_without_a_rate():
    module = MLPAutoencoder((6,)).build(4, 3, seeded())
    assert layers_of(module, GeneratorDropout) == []


def test_numbers_of_numpy_are_numbers():
    build = MLPAutoencoder((4,), dropout=np.float32(0.1)).build(3, 2)
    assert build.encode(torch.zeros(2, 3)).shape == (2, 2)
    image = ConvAutoencoder((4, 4), (2,), (3,), channels_last=np.bool_(True))
    assert image.build(16, 3).encode(torch.zeros(2, 16)).shape == (2, 3)
