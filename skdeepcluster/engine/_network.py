"""From the ``architecture`` parameter to a network that can be trained."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import joblib
import torch
from torch import nn

from skdeepcluster.architectures import (
    DEFAULT_EMBEDDING_SIZE,
    AutoencoderModule,
    MLPAutoencoder,
)
from skdeepcluster.engine._devices import Compute
from skdeepcluster.engine._pretraining import numpy_state
from skdeepcluster.engine._random import RandomStreams, borrowed_global_generator

# Part of the key of cached pretraining; raised when training gives other weights.
_CACHE_FORMAT = 1


def build_network(
    architecture: Any,
    hidden_layer_sizes: tuple[int, ...],
    n_features: int,
    embedding_size: int | None,
    streams: RandomStreams,
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
        None takes a module's own size, or 10 for an architecture that is built.
    streams : RandomStreams

    Returns
    -------
    network : nn.Module
    """
    if isinstance(architecture, nn.Module):
        network = copy.deepcopy(architecture)
    else:
        if architecture is None:
            architecture = MLPAutoencoder(hidden_layer_sizes)
        size = embedding_size or _default_size(architecture, n_features)
        network = _build(architecture, n_features, size, streams)
    _check_network(network, n_features, embedding_size)
    return network


def _default_size(architecture: Any, n_features: int) -> int:
    if hasattr(architecture, "default_embedding_size"):
        return int(architecture.default_embedding_size(n_features))
    return DEFAULT_EMBEDDING_SIZE


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
    except RuntimeError as error:
        raise ValueError(
            f"The architecture's 'encode' cannot take rows of {n_features} features, "
            f"as X has: {error}"
        ) from error
    finally:
        network.train(mode)
    return int(z.shape[1])


def cache_key(
    X: Any,
    architecture: Any,
    hidden_layer_sizes: tuple[int, ...],
    embedding_size: int | None,
    batch_size: int,
    streams: RandomStreams,
    compute: Compute,
) -> dict[str, Any]:
    """Everything that decides the result of pretraining, but its own parameters."""
    if isinstance(architecture, nn.Module):
        # joblib does not give a cloned module an equal hash.
        described: Any = (repr(architecture), numpy_state(architecture))
    else:
        architecture = architecture or MLPAutoencoder(hidden_layer_sizes)
        described = (f"{type(architecture).__module__}.{type(architecture).__name__}",)
        described += (vars(architecture),)
    return {
        "format": _CACHE_FORMAT,
        "data": joblib.hash(X),
        "architecture": joblib.hash(described),
        "embedding_size": embedding_size,
        "batch_size": batch_size,
        "seed": streams.seed("weights"),
        "precision": compute.precision,
        "device": compute.device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
