"""Learn the autoencoder before clustering: end to end, or layer by layer; cached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from skdeepcluster.architectures import GeneratorDropout
from skdeepcluster.engine._inference import map_all
from skdeepcluster.engine._phases import OptimizerSpec, Phase, Ramp
from skdeepcluster.engine._rows import Rows, StreamedRows
from skdeepcluster.engine._trainer import Trainer, has_parameters
from skdeepcluster.objectives import Objective, Reconstruction

PRETRAININGS = ("end_to_end", "layerwise")


@dataclass(frozen=True)
class Pretraining:
    """Train the whole autoencoder on reconstruction.

    "end_to_end" trains all layers at once. "layerwise" is the stacked denoising
    autoencoder of the DEC paper (its equations 4 to 7): each pair of layers first
    learns alone to undo the dropout of its input, for half as many epochs, then all
    layers learn together without noise.

    Parameters
    ----------
    kind : {"end_to_end", "layerwise"}
    epochs : int
        Epochs of the training of all layers at once.
    optimizer : OptimizerSpec
        The learning rate of "sgd" is relative to the data.
    dropout : float, default=0.2
        Rate of the noise in "layerwise".
    loss : Reconstruction, optional
        What all layers together minimise; plain by default.
    """

    kind: str
    epochs: int
    optimizer: OptimizerSpec
    dropout: float = 0.2
    name: str = "pretraining"
    loss: Reconstruction | None = field(default=None, repr=False)

    def run(self, trainer: Trainer) -> dict[str, Any]:
        """Train, or take the result of the same training from the cache."""
        if not has_parameters(trainer.network):
            return {"loss": []}
        whole = f"{self.name}/whole"  # with its layers, or from the cache
        return trainer.checkpoints.once(whole, lambda: self._run(trainer))

    def _run(self, trainer: Trainer) -> dict[str, Any]:
        cache = trainer.cache
        if cache is None:
            return self._train(trainer)
        history, was_kept = cache.fetch(
            self._key(),
            trainer.network,
            self._history(trainer.network),
            lambda: self._train(trainer),
        )
        if was_kept:
            trainer.observer.note("%s: taken from the cache", self.name)
        return history

    def _key(self) -> dict[str, Any]:
        key: dict[str, Any] = {"pretraining": repr(self)}
        if self.loss is not None:
            key["loss"] = repr(self.loss)
        return key

    def _train(self, trainer: Trainer) -> dict[str, Any]:
        history: dict[str, Any] = {}
        if self.kind == "layerwise":
            history["layer_loss"] = self._train_layers(trainer)
        return {**trainer.run(self._end_to_end()), **history}

    def _train_layers(self, trainer: Trainer) -> list[list[float]]:
        losses = []
        x: Rows = trainer.x
        for i, (encoder, _) in enumerate(layer_pairs(trainer.network)):
            phase, pair = self._layer(trainer.network, i)
            losses.append(trainer.on(pair, x).run(phase)["loss"])
            x = encoded_rows(encoder.eval(), x)
        return losses

    def _end_to_end(self) -> Phase:
        objectives: dict[Objective, float | Ramp] = {self.loss or Reconstruction(): 1.0}
        return Phase(
            self.name, objectives, self.epochs, self.optimizer, rate="relative"
        )

    def _layer(self, network: nn.Module, i: int) -> tuple[Phase, LayerPair]:
        """Phase in which a pair of layers learns alone, and the pair."""
        pairs = layer_pairs(network)
        inner = self.dropout if i + 1 < len(pairs) else 0.0
        phase = Phase(
            f"{self.name}/layer{i}",
            {Reconstruction(): 1.0},
            -(-self.epochs // 2),
            self.optimizer,
            rate="relative",
        )
        return phase, LayerPair(*pairs[i], self.dropout, inner)

    def parts(self, network: nn.Module) -> dict[str, tuple[Phase, nn.Module]]:
        """What is trained under which name, and on which network."""
        whole = self._end_to_end()
        parts: dict[str, tuple[Phase, nn.Module]] = {whole.name: (whole, network)}
        if self.kind == "layerwise" and has_parameters(network):
            for i in range(len(layer_pairs(network))):
                phase, pair = self._layer(network, i)
                parts[phase.name] = phase, pair
        return parts

    def histories(self, network: nn.Module) -> dict[str, Any]:
        """Histories by name: for each list how many numbers it may have."""
        parts = {
            name: {"loss": p.epochs} for name, (p, _) in self.parts(network).items()
        }
        return {**parts, f"{self.name}/whole": self._history(network)}

    def _history(self, network: nn.Module) -> dict[str, Any]:
        history: dict[str, Any] = {"loss": self.epochs}
        if self.kind == "layerwise":
            layers = [p for p, _ in self.parts(network).values() if p.name != self.name]
            history["layer_loss"] = [phase.epochs for phase in layers]
        return history


class LayerPair(nn.Module):
    """One encoder layer and the decoder layer that undoes it, with dropout on both.

    Parameters
    ----------
    encoder, decoder : nn.Module
        Trained in place.
    input_dropout, hidden_dropout : float
        Rates before the encoder and between the two.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        input_dropout: float,
        hidden_dropout: float,
    ) -> None:
        super().__init__()
        self.encoder = nn.Sequential(GeneratorDropout(input_dropout), encoder)
        self.decoder = nn.Sequential(GeneratorDropout(hidden_dropout), decoder)

    def encode(self, x: Tensor) -> Tensor:
        """Output of the encoder layer for a corrupted input."""
        return self.encoder(x)  # type: ignore[no-any-return]

    def decode(self, z: Tensor) -> Tensor:
        """Reconstruction of the clean input."""
        return self.decoder(z)  # type: ignore[no-any-return]


def encoded_rows(encoder: nn.Module, x: Rows) -> Rows:
    """What an encoder layer makes of all rows, or will where they are on disk."""
    if isinstance(x, StreamedRows):
        return x.then(torch.no_grad()(encoder))
    return map_all(encoder, x)


def layer_pairs(network: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Pairs of layers of a network, for layer-wise training."""
    if not hasattr(network, "layer_pairs"):
        raise ValueError(
            "pretraining='layerwise' needs an architecture whose module has "
            f"'layer_pairs', as MLPAutoencoder's. Got {type(network).__name__}."
        )
    return network.layer_pairs()  # type: ignore[no-any-return, operator]
