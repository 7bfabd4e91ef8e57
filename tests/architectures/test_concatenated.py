"""Embeddings of several layers."""

import copy

import pytest
import torch
from torch import nn

from skdeepcluster.architectures import (
    ConcatenatedLayers,
    ConvAutoencoder,
    MLPAutoencoder,
)


def network():
    generator = torch.Generator().manual_seed(0)
    return MLPAutoencoder(hidden_layer_sizes=(8, 5)).build(4, 2, generator).eval()


X = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))


def layers_of(module, x=X):
    outputs = []
    for layer, _ in module.layer_pairs():
        x = layer(x)
        outputs.append(x)
    return outputs


@pytest.mark.parametrize("layers", [(-1,), (0,), (1, 2), (-1, 0), (0, 1, 2), (2, -1)])
def test_layers_stand_side_by_side_from_the_input_on(layers):
    module = network()
    outputs = layers_of(module)
    expected = [outputs[i] for i in sorted({i % 3 for i in layers})]
    z = ConcatenatedLayers(module, 4, layers).encode(X)
    torch.testing.assert_close(z, torch.cat(expected, dim=1), rtol=0, atol=0)


@pytest.mark.parametrize("layers", [(-1,), (0,), (0, 1), (0, 2)])
def test_decoding_goes_on_from_the_deepest(layers):
    module = network()
    both = ConcatenatedLayers(module, 4, layers)
    decoded = both.decode(both.encode(X))
    torch.testing.assert_close(decoded, module.decode(module.encode(X)))


def test_only_the_deepest_layer_is_decoded():
    both = ConcatenatedLayers(network(), 4, (0, -1))
    z = both.encode(X)
    z[:, :8] = torch.nan
    assert torch.isfinite(both.decode(z)).all()


def test_parameters_and_mode_are_the_networks():
    module = network().train()
    both = ConcatenatedLayers(module, 4, (0, -1))
    assert module.training
    assert list(both.parameters()) == list(module.parameters())
    assert len(both.layer_pairs()) == 3
    copied = copy.deepcopy(both)
    torch.testing.assert_close(copied.encode(X), both.encode(X), rtol=0, atol=0)


def test_layers_of_convolutions():
    architecture = ConvAutoencoder((8, 8), channels=(3, 4), kernel_sizes=(3, 3))
    module = architecture.build(64, 2, torch.Generator().manual_seed(0)).eval()
    both = ConcatenatedLayers(module, 64, (-2, -1))
    x = torch.randn(5, 64)
    z = both.encode(x)
    torch.testing.assert_close(z[:, -2:], module.encode(x))
    torch.testing.assert_close(both.decode(z), module.decode(module.encode(x)))


@pytest.mark.parametrize("layers", [(), (3,), (-4,), (0, 7), ("a",), (0.0,)])
def test_layers_that_are_not_there(layers):
    with pytest.raises(ValueError, match=r"at least one int in \[-3, 3\)"):
        ConcatenatedLayers(network(), 4, layers)


def test_a_network_without_layers():
    with pytest.raises(ValueError, match="'layer_pairs'.*Got Linear"):
        ConcatenatedLayers(nn.Linear(4, 2), 4, (0, 1))
