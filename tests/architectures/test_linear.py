import pytest
import torch
from torch import nn

from skdeepcluster.architectures import Linear
from skdeepcluster.utils import _linear
from skdeepcluster.utils._linear import fast_linear

needs_onednn = pytest.mark.skipif(
    not _linear._HAS_ONEDNN, reason="needs an x86 processor and a torch with oneDNN"
)


def operands(b=300, n_inputs=257, n_outputs=130, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(b, n_inputs, generator=generator, dtype=dtype)
    layer = Linear(n_inputs, n_outputs, dtype=dtype)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.bias.normal_(generator=generator)
    return x.requires_grad_(), layer


def gradients(forward, x, layer):
    y = forward(x)
    loss = (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum()
    return y, *torch.autograd.grad(loss, (x, layer.weight, layer.bias))


def by_onednn(monkeypatch):
    """Number of calls that went to oneDNN, in a list that grows."""
    calls = []
    suits = _linear._suits_onednn
    monkeypatch.setattr(
        _linear, "_suits_onednn", lambda *a: calls.append(suits(*a)) or calls[-1]
    )
    return calls


@needs_onednn
@pytest.mark.parametrize("dense", [True, False])
def test_large_products_equal_those_of_torch(monkeypatch, dense):
    monkeypatch.setattr(
        _linear, "_HAS_DENSE_KERNEL", dense and _linear._HAS_DENSE_KERNEL
    )
    calls = by_onednn(monkeypatch)
    x, layer = operands()
    own = gradients(layer, x, layer)
    plain = gradients(
        lambda x: nn.functional.linear(x, layer.weight, layer.bias), x, layer
    )
    assert calls == [True]
    for a, b in zip(own, plain, strict=True):
        assert a.layout == torch.strided
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((4, 3, 2), torch.float32),
        ((300, 257, 130), torch.float64),
        ((0, 9, 2), torch.float32),
    ],
    ids=["small", "float64", "no rows"],
)
def test_else_bits_are_those_of_torch(monkeypatch, shape, dtype):
    calls = by_onednn(monkeypatch)
    x, layer = operands(*shape, dtype=dtype)
    expected = nn.functional.linear(x, layer.weight, layer.bias)
    assert torch.equal(layer(x), expected)
    assert calls == [False]


def test_other_ranks_and_no_bias_work():
    x, layer = operands()
    batches = torch.stack([x, x])
    torch.testing.assert_close(
        fast_linear(batches, layer.weight),
        batches @ layer.weight.T,
        rtol=1e-4,
        atol=1e-3,
    )
    torch.testing.assert_close(
        fast_linear(x, layer.weight), x @ layer.weight.T, rtol=1e-4, atol=1e-3
    )


@needs_onednn
def test_gradients_of_what_needs_them():
    x, layer = operands()
    (only,) = torch.autograd.grad(
        fast_linear(x.detach(), layer.weight).sum(), layer.weight
    )
    torch.testing.assert_close(
        only, x.detach().sum(0).expand(130, -1), rtol=1e-4, atol=1e-3
    )
    frozen = fast_linear(x, layer.weight.detach(), layer.bias.detach())
    (of_x,) = torch.autograd.grad(frozen.sum(), x)
    torch.testing.assert_close(
        of_x, layer.weight.detach().sum(0).expand(300, -1), rtol=1e-4, atol=1e-3
    )


def test_autocast_decides_the_precision():
    x, layer = operands()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
