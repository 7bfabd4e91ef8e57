"""What the architectures share: activations, initial weights, checks of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from skdeepcluster.architectures._base import Architecture
from skdeepcluster.utils._numbers import is_real

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}
INITIALISATIONS = ("uniform", "normal", "glorot", "he")

_Layer = TypeVar("_Layer", bound=nn.Module)
_Weighted = nn.Linear | nn.Conv2d | nn.ConvTranspose2d


def check_options(architecture: Architecture, **options: Sequence[str]) -> None:
    """Refuse parameters that are none of their options."""
    for name, allowed in options.items():
        value = getattr(architecture, name)
        if value not in allowed:
            raise ValueError(
                f"The {name!r} parameter of {type(architecture).__name__} must be one "
                f"of {tuple(allowed)}. Got {value!r} instead."
            )


def check_sizes(name: str, sizes: Any) -> None:
    """Refuse anything but a sequence of positive integers."""
    is_sequence = isinstance(sizes, Sequence) and not isinstance(sizes, str)
    if not is_sequence or not all(is_size(size) for size in sizes):
        raise ValueError(
            f"The {name!r} parameter must be a tuple of ints in the range "
            f"[1, inf). Got {sizes!r} instead."
        )


def check_dropout(rates: Any, n_layers: int) -> None:
    """Refuse anything but rates in [0, 1), at most one for each layer."""
    is_sequence = isinstance(rates, Sequence) and not isinstance(rates, str)
    if not is_sequence or len(rates) > n_layers or not all(map(is_rate, rates)):
        raise ValueError(
            f"The 'dropout' parameter must be a tuple of at most {n_layers} floats in "
            f"the range [0, 1). Got {rates!r} instead."
        )


def is_rate(value: Any) -> bool:
    """Whether a value is a number in [0, 1)."""
    return is_real(value) and 0 <= float(value) < 1


def is_size(value: Any) -> bool:
    """Whether a value is a positive integer."""
    is_integer = hasattr(value, "__index__") and not isinstance(value, bool)
    return is_integer and value >= 1


def unset(layer: type[_Layer], *args: Any, **kwargs: Any) -> _Layer:
    """Layer without initial weights: no draw from the global generator."""
    made = layer(*args, **kwargs, device="meta", dtype=torch.float32)
    return made.to_empty(device="cpu")


@torch.no_grad()
def initialise(
    module: nn.Module, scheme: str, generator: torch.Generator | None
) -> None:
    """Set the weights of every linear and convolutional layer of a module.

    Parameters
    ----------
    module : nn.Module
    scheme : {"uniform", "normal", "glorot", "he"}
    generator : torch.Generator or None
        None takes a fresh, unseeded one.
    """
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    for layer in module.modules():
        if isinstance(layer, _Weighted):
            _initialise(layer, scheme, generator)


def _initialise(layer: _Weighted, scheme: str, generator: torch.Generator) -> None:
    bias = layer.bias if layer.bias is not None else torch.empty(0)
    if scheme == "normal":
        layer.weight.normal_(0.0, 0.01, generator=generator)
        bias.zero_()
        return
    fan_in, fan_out = _fans(layer)
    limit = {
        "uniform": 1 / math.sqrt(fan_in),
        "glorot": math.sqrt(6 / (fan_in + fan_out)),
        "he": math.sqrt(6 / fan_in),
    }[scheme]
    layer.weight.uniform_(-limit, limit, generator=generator)
    if scheme == "uniform":
        bias.uniform_(-limit, limit, generator=generator)
    else:
        bias.zero_()


def _fans(layer: _Weighted) -> tuple[float, float]:
    """Products that an output sums, and products that an input is part of."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    taps, steps = math.prod(layer.kernel_size), math.prod(layer.stride)
    fan_in, fan_out = layer.in_channels * taps, layer.out_channels * taps
    if isinstance(layer, nn.ConvTranspose2d):
        return fan_in / steps, fan_out
    return fan_in, fan_out / steps
