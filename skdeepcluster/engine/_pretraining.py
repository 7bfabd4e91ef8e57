"""Learn the autoencoder before clustering: end to end, or layer by layer; cached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray
from torch import Tensor, nn

from skdeepcluster.architectures import GeneratorDropout
from skdeepcluster.engine._inference import map_all
from skdeepcluster.engine._phases import OptimizerSpec, Phase
from skdeepcluster.engine._rows import Rows, StreamedRows
from skdeepcluster.engine._trainer import Trainer, has_parameters
from skdeepcluster.objectives import Reconstruction

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
        trained: list[dict[str, Any]] = []

        def train() -> tuple[dict[str, NDArray], dict[str, Any]]:
            trained.append(self._train(trainer))
            return numpy_state(trainer.network), trained[0]

        state, history = cache.fetch(self._key(), train)
        if not trained:
            load_numpy_state(trainer.network, state)
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
        end_to_end = Phase(
            self.name,
            {self.loss or Reconstruction(): 1.0},
            self.epochs,
            self.optimizer,
            rate="relative",
        )
        return {**trainer.run(end_to_end), **history}

    def _train_layers(self, trainer: Trainer) -> list[list[float]]:
        pairs = layer_pairs(trainer.network)
        losses = []
        x: Rows = trainer.x
        for i, (encoder, decoder) in enumerate(pairs):
            inner = self.dropout if i + 1 < len(pairs) else 0.0
            pair = LayerPair(encoder, decoder, self.dropout, inner)
            phase = Phase(
                f"{self.name}/layer{i}",
                {Reconstruction(): 1.0},
                -(-self.epochs // 2),
                self.optimizer,
                rate="relative",
            )
            losses.append(trainer.on(pair, x).run(phase)["loss"])
            x = encoded_rows(encoder.eval(), x)
        return losses


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


class PretrainingCache:
    """Results of pretraining in a `joblib.Memory`, keyed by all that decides them.

    Parameters
    ----------
    memory : joblib.Memory
    key : dict
        Data, architecture, seed, precision, device, threads, versions.
    """

    def __init__(self, memory: Memory, key: dict[str, Any]) -> None:
        self.memory = memory
        self.key = key

    def fetch(self, key: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """Return the stored value for `key`, or the computed one, now stored."""
        cached = self.memory.cache(_computed, ignore=["compute"])
        return cached({**self.key, **key}, compute)


def _computed(key: dict[str, Any], compute: Callable[[], Any]) -> Any:
    return compute()


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


def numpy_state(network: nn.Module) -> dict[str, NDArray]:
    """Weights and buffers as numpy arrays on the host."""
    return {k: v.detach().cpu().numpy().copy() for k, v in network.state_dict().items()}


def load_numpy_state(network: nn.Module, state: dict[str, NDArray]) -> None:
    """Undo `numpy_state`."""
    network.load_state_dict({k: torch.as_tensor(np.array(v)) for k, v in state.items()})
