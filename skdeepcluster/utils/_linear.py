"""The fastest matrix product of the processor."""

from __future__ import annotations

import torch
from torch import Tensor
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
    y: Tensor = linear(x.to_mkldnn(), weight, bias).to_dense()
    return y


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
