"""An embedding between -1 and 1."""

import pytest
import torch

from skdeepcluster.architectures import (
    BoundedEmbedding,
    IdentityArchitecture,
    MLPAutoencoder,
)


def network():
    generator = torch.Generator().manual_seed(0)
    return MLPAutoencoder((6,)).build(4, 2, generator).double()


def rows(scale=1.0):
    generator = torch.Generator().manual_seed(1)
    return scale * torch.randn(20, 4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_encode_and_decode_by_hand(scale):
    inner = network()
    bounded = BoundedEmbedding(inner, scale)
    z = bounded.encode(rows())
    torch.testing.assert_close(z, torch.tanh(inner.encode(rows()) / scale))
    torch.testing.assert_close(bounded.decode(z), inner.decode(scale * z))


def test_the_embedding_is_bounded():
    z = BoundedEmbedding(network()).encode(rows(1e6)).detach()
    assert float(z.abs().max()) <= 1


def test_a_wide_scale_changes_little():
    inner = network()
    wide = BoundedEmbedding(inner, 1000.0)
    torch.testing.assert_close(
        wide.decode(wide.encode(rows())),
        inner.decode(inner.encode(rows())),
        atol=1e-5,
        rtol=0,
    )


def test_pairs_make_up_the_network():
    bounded = BoundedEmbedding(network(), 2.0)
    encoders, decoders = zip(*bounded.layer_pairs(), strict=True)
    z = rows()
    for encoder in encoders:
        z = encoder(z)
    torch.testing.assert_close(z, bounded.encode(rows()))
    x_hat = z
    for decoder in reversed(decoders):
        x_hat = decoder(x_hat)
    torch.testing.assert_close(x_hat, bounded.decode(z))


def test_pairs_only_where_the_network_has_them():
    assert not hasattr(
        BoundedEmbedding(IdentityArchitecture().build(4, 4)), "layer_pairs"
    )
