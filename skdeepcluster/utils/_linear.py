"""The fastest matrix product of the processor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

# Below about this many multiplications, handing the tensors over costs more than the
# better kernel saves (measured: gain from 2^22 on with one thread, 2^23 with two).
_LEAST_PRODUCTS = 1 << 23

# Kernels treat the last rows of a block differently where the length of the sums is no
# multiple of this (measured, MKL: float32 and float64).
INNER_MULTIPLE = 4


def fast_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``, computed by oneDNN where that pays.

    PyTorch gives float32 products on a CPU to MKL, which keeps its AVX-512 kernels for
    processors of Intel: elsewhere oneDNN is about twice as fast (measured, forward and
    backward). Weights, gradients and results are ordinary tensors.

    Parameters
    ----------
    x : Tensor of shape (b, n_inputs)
    weight : Tensor of shape (n_outputs, n_inputs)
    bias : Tensor of shape (n_outputs,), optional

    Returns
    -------
    y : Tensor of shape (b, n_outputs)
    """
    if not _suits_onednn(x, weight):
        return linear(x, weight, bias)
    if _HAS_DENSE_KERNEL:
        out: Tensor = _OneDnnLinear.apply(x, weight, bias)
        return out
    y: Tensor = linear(x.to_mkldnn(), weight, bias).to_dense()
    return y


class _OneDnnLinear(torch.autograd.Function):
    """Linear layer whose three products oneDNN computes on ordinary memory.

    ``to_mkldnn`` and ``to_dense`` copy every operand (up to a twentieth of a training
    step, measured).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            _product(grad, weight.t()) if needs_x else None,
            _product(grad.t(), x.t()) if needs_weight else None,
            grad.sum(0) if ctx.has_bias and needs_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        _HAS_ONEDNN
        and x.ndim == 2
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and len(x) * weight.numel() >= _LEAST_PRODUCTS
        and not torch.is_autocast_enabled("cpu")
    )


def _has_onednn() -> bool:
    """Whether oneDNN is there and the processor one that it was measured on."""
    vectors = torch.backends.cpu.get_cpu_capability()
    return bool(torch.backends.mkldnn.is_available()) and vectors.startswith("AVX")


_HAS_ONEDNN = _has_onednn()
# Not public: where it is missing, tensors are handed over by ``to_mkldnn``.
_HAS_DENSE_KERNEL = _HAS_ONEDNN and hasattr(torch.ops.mkldnn, "_linear_pointwise")
