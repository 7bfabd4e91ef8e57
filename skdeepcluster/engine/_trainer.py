"""The one training loop: runs any phase of any method on any network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skdeepcluster.architectures import GeneratorDropout
from skdeepcluster.engine._batches import ResidentBatches
from skdeepcluster.engine._callbacks import EpochReporter, Observer
from skdeepcluster.engine._devices import Compute
from skdeepcluster.engine._inference import map_all
from skdeepcluster.engine._net import PhaseNet, TrainingDivergedError
from skdeepcluster.engine._phases import Phase, label_change_share, weighted_mean
from skdeepcluster.engine._random import RandomStreams
from skdeepcluster.objectives import Batch, ClusteringObjective, Objective

if TYPE_CHECKING:
    from skdeepcluster.engine._pretraining import PretrainingCache


class Trainer:
    """A network, the data it learns from, and what both need to run.

    Parameters
    ----------
    network : nn.Module
        Module with ``encode`` and ``decode``; trained in place.
    x : Tensor of shape (n_samples, n_features)
        Scaled data, on the device.
    compute : Compute
    streams : RandomStreams
    batch_size : int
    observer : Observer, optional
    snapshot : callable, optional
        ``snapshot(trainer, objective)`` gives the fitted attributes as of now, for
        callbacks that look at a model in training.
    cache : PretrainingCache, optional
        Where results of pretraining are kept.
    """

    def __init__(
        self,
        network: nn.Module,
        x: Tensor,
        *,
        compute: Compute,
        streams: RandomStreams,
        batch_size: int,
        observer: Observer | None = None,
        snapshot: Callable[[Trainer, ClusteringObjective], dict[str, Any]]
        | None = None,
        cache: PretrainingCache | None = None,
    ) -> None:
        self.network = network.to(compute.device, compute.dtype)
        self.x = x
        self.weight: Tensor | None = None
        self.compute = compute
        self.streams = streams
        self.batch_size = batch_size
        self.observer = observer or Observer()
        self.snapshot = snapshot
        self.cache = cache
        self.initial_labels: Tensor | None = None
        self._initialised: set[Objective] = set()

    def on(self, network: nn.Module, x: Tensor) -> Trainer:
        """Trainer of another network on other inputs, all else the same."""
        return Trainer(
            network,
            x,
            compute=self.compute,
            streams=self.streams,
            batch_size=self.batch_size,
            observer=self.observer,
        )

    def run(self, phase: Phase) -> dict[str, Any]:
        """Train for one phase and return its history, plain lists."""
        progress = PhaseProgress(self, phase)
        try:
            progress.begin()
            if phase.epochs > 0 and has_parameters(self.network, *phase.objectives):
                progress.train()
        except TrainingDivergedError as error:
            raise progress.diverged() from error
        except torch.cuda.OutOfMemoryError as error:
            raise MemoryError(
                f"The device ran out of memory in phase {phase.name!r}: reduce "
                f"batch_size={self.batch_size}, or use device='cpu'."
            ) from error
        self.network.eval()
        self.observer.note("%s: %s", phase.name, progress.summary())
        return progress.history

    def initialise(self, objective: Objective) -> None:
        """Give an objective its first state, once."""
        if objective in self._initialised:
            return
        self._initialised.add(objective)
        objective.initialise(
            self.embed(), self.weight, self.streams.generator("kmeans")
        )
        objective.to(self.compute.device)

    @torch.no_grad()
    def embed(self) -> Tensor:
        """Embedding of all rows, (n, embedding_size), on the device."""
        self.network.eval()
        z = map_all(self.encode, self.x)
        if not torch.isfinite(z).all():
            raise TrainingDivergedError("The embedding is not finite.")
        return z

    def encode(self, x: Tensor) -> Tensor:
        """Embedding of a batch, in the computing dtype."""
        with self.compute.autocast():
            z: Tensor = self.network.encode(x)  # type: ignore[operator]
        return z.to(self.compute.dtype)

    def decode(self, z: Tensor) -> Tensor:
        """Reconstruction of a batch of embeddings, in the computing dtype."""
        with self.compute.autocast():
            x_hat: Tensor = self.network.decode(z)  # type: ignore[operator]
        return x_hat.to(self.compute.dtype)


class PhaseProgress:
    """State of a running phase: targets, labels and history.

    Parameters
    ----------
    trainer : Trainer
    phase : Phase
    """

    def __init__(self, trainer: Trainer, phase: Phase) -> None:
        self.trainer = trainer
        self.phase = phase
        self.batch: Batch
        self.targets: dict[Objective, Tensor] = {}
        self.labels: Tensor | None = None
        self.net: PhaseNet | None = None
        self.window = phase.stop.window() if phase.stop is not None else None
        self.stopped = False
        self.history: dict[str, Any] = {"loss": []}
        self.moving = [o for o in phase.objectives if _overrides(o, "after_step")]

    def begin(self) -> None:
        """Initialise the objectives and, where the phase refreshes, their targets."""
        for objective in self.phase.objectives:
            if _overrides(objective, "initialise"):
                self.trainer.initialise(objective)
        if self.phase.refresh_every is not None:
            self.history.update(update_step=[], label_change=[])
            self.refresh()

    def train(self) -> None:
        """Run the epochs of the phase."""
        trainer, phase = self.trainer, self.phase
        dropout_stream = trainer.streams.generator(
            f"dropout/{phase.name}", trainer.compute.device.type
        )
        shuffle_stream = trainer.streams.generator(f"batches/{phase.name}")
        reporter = EpochReporter(trainer.observer, phase.name, self._snapshot())
        self.net = PhaseNet(
            trainer.network,
            nn.ModuleList(phase.objectives),
            loss_function=self.loss,
            make_optimizer=phase.optimizer.build,
            after_step=self.after_step,
            device=trainer.compute.device,
            callbacks=[reporter],
        )
        set_dropout_generator(trainer.network, dropout_stream)
        try:
            self.net.train(
                ResidentBatches(trainer.x, trainer.batch_size, shuffle_stream),
                phase.epochs,
            )
        finally:
            set_dropout_generator(trainer.network, None)
        self.history["loss"] = list(self.net.history[:, "train_loss"])

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Weighted sum of the phase's losses on a batch of rows."""
        x, index = batch
        trainer = self.trainer
        z = trainer.encode(x)
        x_hat = trainer.decode(z) if self.phase.needs_reconstruction else None
        weight = None if trainer.weight is None else trainer.weight[index]
        self.batch = Batch(x=x, z=z, x_hat=x_hat, index=index, weight=weight)
        terms = [
            factor * weighted_mean(objective.loss(self._for(objective)), weight)
            for objective, factor in self.phase.objectives.items()
        ]
        return torch.stack(terms).sum()

    def after_step(self, step: int, epoch: int) -> bool:
        """Move centres, refresh targets when it is time; True ends the phase."""
        for objective in self.moving:
            self._move(objective)
        every = self.phase.refresh_every
        if every is None or step % every:
            return False
        self.refresh(step, epoch)
        self.trainer.network.train()
        return self.stopped

    def refresh(self, step: int = 0, epoch: int = 0) -> None:
        """New targets, and the labels' change, from one pass over all data."""
        z = self.trainer.embed()
        for objective in self.phase.objectives:
            target = objective.refresh(z, self.trainer.weight)
            if target is not None:
                self.targets[objective] = target
        if self.phase.clustering is not None:
            self._compare(self.phase.clustering.assign(z), step, epoch)

    def _compare(self, labels: Tensor, step: int, epoch: int) -> None:
        if self.labels is None:
            self.trainer.initial_labels = labels
        else:
            self.history["update_step"].append(step)
            self.history["label_change"].append(label_change_share(self.labels, labels))
        self.labels = labels
        if self.window is not None:
            self.stopped = self.window.stops(labels, step, epoch)

    def diverged(self) -> TrainingDivergedError:
        """Error that says where the loss was lost and what to try."""
        spec = self.phase.optimizer
        epoch = len(self.net.history) if self.net is not None else 0
        return TrainingDivergedError(
            f"The loss of phase {self.phase.name!r} is not finite in epoch {epoch} "
            f"(optimizer {spec.name!r}, learning rate {spec.learning_rate:g}). Try a "
            "learning rate ten times smaller, or scale X first (e.g. with "
            "StandardScaler)."
        )

    def summary(self) -> str:
        """One line for the log."""
        losses = self.history["loss"]
        if not losses:
            return "nothing to train"
        line = f"{len(losses)} epochs, loss {losses[0]:.4g} -> {losses[-1]:.4g}"
        changes = self.history.get("label_change")
        return f"{line}, {changes[-1]:.2%} of labels changing" if changes else line

    def _for(self, objective: Objective) -> Batch:
        target = self.targets.get(objective)
        if target is None:
            return self.batch
        return replace(self.batch, target=target[self.batch.index])

    @torch.no_grad()
    def _move(self, objective: Objective) -> None:
        z = self.trainer.encode(self.batch.x)
        target = objective.after_step(replace(self._for(objective), z=z))
        if target is not None:
            self.targets[objective][self.batch.index] = target

    def _snapshot(self) -> Callable[[], dict[str, Any]] | None:
        objective, snapshot = self.phase.clustering, self.trainer.snapshot
        if objective is None or snapshot is None:
            return None
        return lambda: snapshot(self.trainer, objective)


def has_parameters(*modules: nn.Module) -> bool:
    """Whether there is anything to train."""
    return any(p.requires_grad for m in modules for p in m.parameters())


def set_dropout_generator(network: nn.Module, generator: Any) -> None:
    """Give every `GeneratorDropout` of a network its stream, or take it away."""
    for layer in network.modules():
        if isinstance(layer, GeneratorDropout):
            layer.generator = generator


def _overrides(objective: Objective, hook: str) -> bool:
    return getattr(type(objective), hook) is not getattr(Objective, hook)
