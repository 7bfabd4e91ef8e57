"""From the ``architecture`` parameter to a network that can be trained."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from skdeepcluster.architectures import (
    DEFAULT_EMBEDDING_SIZE,
    Architecture,
    AutoencoderModule,
    MLPAutoencoder,
)
from skdeepcluster.engine._random import RandomStreams, borrowed_global_generator


def build_network(
    architecture: Any,
    hidden_layer_sizes: tuple[int, ...],
    n_features: int,
    embedding_size: int | None,
    streams: RandomStreams,
    default_size: int = DEFAULT_EMBEDDING_SIZE,
    check: Callable[[int], None] | None = None,
) -> nn.Module:
    """Untrained network for `n_features` inputs.

    Parameters
    ----------
    architecture : None, Architecture or nn.Module
        None gives an `MLPAutoencoder` of `hidden_layer_sizes`. A module is deep-copied
        with its weights, never trained in place.
    hidden_layer_sizes : tuple of int
    n_features : int
    embedding_size : int or None
        None takes a module's own size, or the default of the architecture's class.
    streams : RandomStreams
    default_size : int, default=10
        For architectures without a default of their own.
    check : callable, optional
        Called with the number of parameters: before there are any where the
        architecture knows it from the shapes.

    Returns
    -------
    network : nn.Module
    """
    if isinstance(architecture, type):
        raise TypeError(
            "The 'architecture' parameter must be an instance, such as "
            f"{architecture.__name__}(), not the class {architecture.__name__}."
        )
    if isinstance(architecture, nn.Module):
        _check_size(architecture, check)
        network = copy.deepcopy(architecture)
    else:
        if architecture is None:
            architecture = MLPAutoencoder(hidden_layer_sizes)
        size = embedding_size or _own_size(architecture, n_features) or default_size
        known = isinstance(architecture, MLPAutoencoder)
        if check is not None and known:
            check(architecture.n_parameters(n_features, size))
        network = _build(architecture, n_features, size, streams)
        _check_size(network, None if known else check)
    _check_network(network, n_features, embedding_size)
    return network


def _check_size(network: Any, check: Callable[[int], None] | None) -> None:
    if check is not None and isinstance(network, nn.Module):
        check(sum(p.numel() for p in network.parameters() if p.requires_grad))


def _own_size(architecture: Any, n_features: int) -> int | None:
    own = getattr(type(architecture), "default_embedding_size", None)
    if own is None or own is Architecture.default_embedding_size:
        return None
    return int(architecture.default_embedding_size(n_features))


def _build(
    architecture: Any, n_features: int, embedding_size: int, streams: RandomStreams
) -> nn.Module:
    if "generator" in inspect.signature(architecture.build).parameters:
        generator = streams.generator("weights")
        return architecture.build(n_features, embedding_size, generator=generator)
    with borrowed_global_generator(streams.seed("weights")):
        return architecture.build(n_features, embedding_size)


def _check_network(
    network: nn.Module, n_features: int, embedding_size: int | None
) -> None:
    if not isinstance(network, AutoencoderModule):
        raise TypeError(
            "The 'architecture' parameter must be None, an object with 'build', or a "
            "torch.nn.Module, and give a module with 'encode' and 'decode'. Got "
            f"{type(network).__name__}."
        )
    size = embedding_size_of(network, n_features)
    if embedding_size is not None and size != embedding_size:
        raise ValueError(
            f"embedding_size={embedding_size} conflicts with the architecture, whose "
            f"'encode' gives {size} columns: pass embedding_size={size} or None."
        )


@torch.no_grad()
def embedding_size_of(network: nn.Module, n_features: int) -> int:
    """Columns that ``encode`` gives for a row of `n_features` inputs."""
    parameter = next(network.parameters(), torch.empty(0))
    mode = network.training
    network.eval()
    try:
        row = torch.zeros(1, n_features, dtype=parameter.dtype, device=parameter.device)
        z = network.encode(row)  # type: ignore[operator]
        _check_shape("encode", z, (1, None))
        if hasattr(network, "decode"):
            _check_shape("decode", network.decode(z), (1, n_features))  # type: ignore[operator]
    except RuntimeError as error:
        raise ValueError(
            f"The architecture cannot take rows of {n_features} features, as X has: "
            f"{error}"
        ) from error
    finally:
        network.train(mode)
    return int(z.shape[1])


def _check_shape(method: str, out: Any, expected: tuple[int, int | None]) -> None:
    shape = tuple(getattr(out, "shape", ()))
    fits = isinstance(out, torch.Tensor) and len(shape) == 2
    if not fits or any(
        b not in (None, a) for a, b in zip(shape, expected, strict=True)
    ):
        columns = "embedding_size" if expected[1] is None else expected[1]
        got = shape if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(
            f"The architecture's {method!r} must give a tensor of shape "
            f"(n_samples, {columns}). For one row it gave {got}."
        )
