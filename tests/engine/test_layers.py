"""The hidden layers that a layer-wise reconstruction compares."""

import pytest
import torch

from skdeepcluster.architectures import (
    BoundedEmbedding,
    ConcatenatedLayers,
    ConvAutoencoder,
    IdentityArchitecture,
    MLPAutoencoder,
)
from skdeepcluster.engine import OptimizerSpec, Phase
from skdeepcluster.engine._layers import hidden_layers
from skdeepcluster.objectives import LayerwiseReconstruction, Reconstruction

SGD = OptimizerSpec("sgd", 0.05)


def network(dropout=0.0, generator=None):
    generator = generator or torch.Generator().manual_seed(0)
    return MLPAutoencoder((6, 5), dropout=dropout).build(4, 2, generator)


def test_layers_of_encoder_and_decoder_by_hand():
    net = network().train()
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    z = net.encode(x)
    layers, layers_hat = hidden_layers(net, x, z)
    first = net.encoder[0](x)
    assert [h.shape[1] for h in layers] == [h.shape[1] for h in layers_hat] == [6, 5]
    torch.testing.assert_close(layers[0], first)
    torch.testing.assert_close(layers[1], net.encoder[1](first))
    inner = net.decoder[0](z)
    torch.testing.assert_close(layers_hat[1], inner)
    torch.testing.assert_close(layers_hat[0], net.decoder[1](inner))


def test_targets_are_clean_and_constant_and_the_network_goes_on_training():
    net = network(dropout=0.5).train()
    x = torch.ones(200, 4)
    layers, layers_hat = hidden_layers(net, x, net.encode(x))
    assert net.training
    for clean, noisy in zip(layers, layers_hat, strict=True):
        assert not clean.requires_grad and noisy.requires_grad
        assert bool((clean == clean[0]).all())
        assert not bool((noisy == noisy[0]).all())


@pytest.mark.parametrize("chosen", [(-2, -1), (-2,)])
def test_an_embedding_of_several_layers_is_decoded_from_the_innermost(chosen):
    net = ConcatenatedLayers(network(), 4, chosen)
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    found = hidden_layers(net, x, net.encode(x))
    expected = hidden_layers(network(), x, network().encode(x))
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    "net",
    [
        IdentityArchitecture().build(4, 4),
        BoundedEmbedding(IdentityArchitecture().build(4, 4)),
    ],
)
def test_networks_without_pairs_have_none(net):
    x = torch.ones(2, 4)
    assert hidden_layers(net, x, x) == ((), ())


@pytest.mark.parametrize("bounded", [False, True])
def test_images(bounded):
    net = ConvAutoencoder((8, 8), (3, 2), (4, 5), dropout=(0.1, 0.1)).build(64, 5)
    net = BoundedEmbedding(net) if bounded else net
    x = torch.ones(2, 64)
    layers, layers_hat = hidden_layers(net, x, net.encode(x))
    assert [h.shape for h in layers] == [h.shape for h in layers_hat]
    assert [h.shape[1] for h in layers] == [3 * 16, 2 * 4]


def test_the_loss_of_a_phase_has_the_layers(make_trainer):
    trainer = make_trainer(n=10, batch_size=10)
    net, x = trainer.network, trainer.x
    z = net.encode(x)
    hidden, hidden_hat = net.encoder[0](x), net.decoder[0](z)
    expected = (net.decode(z) - x).square().mean(1)
    expected = expected + 0.3 * (hidden - hidden_hat).square().mean(1)
    loss = trainer.run(Phase("p", {LayerwiseReconstruction(0.3): 1.0}, 1, SGD))["loss"]
    assert loss[0] == pytest.approx(float(expected.mean().detach()))


def test_no_weight_of_the_layers_is_a_plain_reconstruction(make_trainer):
    one, other = make_trainer(), make_trainer()
    one.run(Phase("p", {LayerwiseReconstruction(0.0): 1.0}, 2, SGD))
    other.run(Phase("p", {Reconstruction(): 1.0}, 2, SGD))
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_weight_of_the_layers_is_not_negative():
    with pytest.raises(ValueError, match=r"'layer_weight' .* Got -0.1 instead"):
        LayerwiseReconstruction(-0.1)
