"""Networks and layers that say what they do to distances."""

from __future__ import annotations

from torch import nn


class SteepLayer(nn.Module):
    """A layer that stretches no distance more than `steepness` times, in evaluation."""

    @property
    def steepness(self) -> float:
        """Bound on what a distance is multiplied by."""
        return 1.0


class LayeredEncoder(nn.Module):
    """A network whose ``encode`` applies layers one after the other, and no more.

    A class of it that gives `encode` gives `encoder_layers`, too: those of another
    class say nothing about it.
    """

    @property
    def encoder_layers(self) -> nn.Sequential | None:
        """The layers of ``encode`` in their order; None where they are not known."""
        raise NotImplementedError


def encoder_layers_of(network: nn.Module) -> list[nn.Module] | None:
    """Layers of a network's ``encode``; None where it may do anything else as well."""
    if not isinstance(network, LayeredEncoder) or "encode" in vars(network):
        return None
    ways, layers = (
        next((kind for kind in type(network).__mro__ if name in vars(kind)), None)
        for name in ("encode", "encoder_layers")
    )
    known = network.encoder_layers if ways is layers else None
    return None if known is None else list(known)
