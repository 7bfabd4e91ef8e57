"""A phase while it runs: its targets, its labels, its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from skdeepcluster.architectures import GeneratorDropout
from skdeepcluster.engine._batches import shuffled_batches
from skdeepcluster.engine._callbacks import EpochReporter
from skdeepcluster.engine._curvature import DataCurvature
from skdeepcluster.engine._losses import BatchLosses, factors_at
from skdeepcluster.engine._net import PhaseNet, TrainingDivergedError
from skdeepcluster.engine._phases import (
    OptimizerSpec,
    Phase,
    label_change_share,
    overrides,
)
from skdeepcluster.engine._recording import Lane, Recorder, Step, can_record
from skdeepcluster.engine._states import State

if TYPE_CHECKING:
    from skdeepcluster.engine._trainer import Trainer


class PhaseProgress:
    """State of a running phase: targets, labels and history; the hooks of its net.

    Parameters
    ----------
    trainer : Trainer
    phase : Phase
    """

    def __init__(self, trainer: Trainer, phase: Phase) -> None:
        self.trainer = trainer
        self.phase = phase
        self.losses = BatchLosses(trainer, phase)
        modules = trainer.network, *phase.objectives
        alone, device = trainer.shard.alone, trainer.compute.device
        self.records = alone and can_record(device, *modules)
        self.labels: Tensor | None = None
        self.net: PhaseNet | None = None
        self.window = phase.stop.window() if phase.stop is not None else None
        self.stopped = False
        self.history: dict[str, Any] = {"loss": []}
        self.generators: dict[str, torch.Generator] = {}
        self.earlier: State | None = None

    def begin(self) -> None:
        """Initialise the objectives and, where the phase refreshes, their targets."""
        clustering = self.phase.clustering
        refreshes = self.phase.refresh_every is not None
        stateful = [
            objective
            for objective in self.phase.objectives
            if overrides(objective, "initialise") or overrides(objective, "prepare")
        ]
        if not (refreshes or stateful):
            return
        z = self.trainer.embed()
        for objective in stateful:
            self.trainer.initialise(objective, z)
        if clustering is not None and self.trainer.initial_labels is None:
            self.trainer.initial_labels = clustering.assign(z)
        if refreshes:
            self.history.update(update_step=[], label_change=[])
            self.refresh(z)

    def state(self) -> State:
        """What the next epoch goes on from, beside network and objectives."""
        return {
            "net": None if self.net is None else self.net.state(),
            "generators": self.trainer.shard.group.each(
                {k: g.get_state() for k, g in self.generators.items()}
            ),
            "targets": [self.losses.targets.get(o) for o in self.phase.objectives],
            "labels": self.labels,
            "window": self.window and (self.window.step, self.window.labels),
            "history": self.history,
        }

    def restore(self, earlier: State) -> None:
        """Begin from the `state` after an earlier epoch."""
        self.earlier, device = earlier, self.trainer.compute.device
        targets = zip(self.phase.objectives, earlier["targets"], strict=True)
        self.losses.targets = {o: t.to(device) for o, t in targets if t is not None}
        self.labels, self.history = on(device, earlier["labels"]), earlier["history"]
        if self.window is not None:
            self.window.step, labels = earlier["window"]
            self.window.labels = on(device, labels)

    def train(self) -> None:
        """Run the epochs of the phase."""
        trainer, phase = self.trainer, self.phase
        self.generators = self._make_generators()
        group = trainer.shard.group
        reporter = EpochReporter(trainer.observer, phase.name, self._snapshot(), group)
        self.net = PhaseNet(
            trainer.network,
            nn.ModuleList(phase.objectives),
            hooks=self,
            group=group,
            device=trainer.compute.device,
            callbacks=[reporter],
        )
        set_dropout_generator(trainer.network, self.generators["dropout"])
        try:
            self.net.train(
                shuffled_batches(
                    trainer.x,
                    trainer.batch_size,
                    self.generators["batches"],
                    trainer.shard,
                ),
                phase.epochs,
                self.earlier and self.earlier["net"],
            )
        finally:
            set_dropout_generator(trainer.network, None)
            self.losses.forget()
        self.history["loss"] = list(self.net.history[:, "train_loss"])

    def _make_generators(self) -> dict[str, torch.Generator]:
        name, streams = self.phase.name, self.trainer.streams
        device, rank = self.trainer.compute.device.type, self.trainer.shard.group.rank
        own = f"{name}/{rank}" if rank else name  # of other rows other noise
        generators = {
            "dropout": streams.generator(f"dropout/{own}", device),
            "batches": streams.generator(f"batches/{name}"),
            "noise": streams.generator(f"noise/{own}", device),
        }
        if self.earlier is not None:
            for purpose, generator in generators.items():
                generator.set_state(self.earlier["generators"][rank][purpose])
        return generators

    def record(self, step: Step, optimizer: Optimizer) -> Recorder | None:
        """What replays steps, where they can be recorded."""
        if not self.records:
            return None
        drawn = [self.generators[purpose] for purpose in ("dropout", "noise")]
        lane = Lane.of(self.trainer.compute.device)
        return Recorder(step, self.losses.constants, optimizer, drawn, lane)

    def before_epoch(self, epoch: int) -> None:
        """Let weights and objectives anneal."""
        self.losses.weigh(epoch)
        for objective in self.phase.objectives:
            objective.on_epoch(epoch)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Weighted sum of the phase's losses on a batch of rows."""
        return self.losses.of(batch, self.generators["noise"])

    def move(self) -> None:
        """Bring parameters into their bounds, and let centres follow the step."""
        for objective in self.phase.objectives:
            objective.project()
        self.losses.move()

    def after_step(self, step: int, epoch: int) -> bool:
        """Refresh targets when it is time; True ends the phase."""
        every = self.phase.refresh_every
        if every is None or step % every:
            return False
        self.refresh(self.trainer.embed(), step, epoch)
        self.trainer.network.train()
        return self.stopped

    def after_epoch(self) -> None:
        """Keep the state, where it is kept."""
        self.trainer.checkpoints.epoch_ends(self.phase.name, self.state)

    def refresh(self, z: Tensor, step: int = 0, epoch: int = 0) -> None:
        """New targets, and the labels' change, from one embedding of all data."""
        clustering = self.phase.clustering
        if clustering is not None and clustering.alternates:
            clustering.update_centers(z, self.trainer.weight)
        for objective in self.phase.objectives:
            target = objective.refresh(z, self.trainer.weight)
            if target is not None:
                self.losses.aim(objective, target, in_place=self.records)
        if clustering is not None:
            self._compare(clustering.assign(z), step, epoch)

    def _compare(self, labels: Tensor, step: int, epoch: int) -> None:
        weight = self.trainer.weight
        if self.labels is not None:
            self.history["update_step"].append(step)
            share = label_change_share(self.labels, labels, weight)
            self.history["label_change"].append(share)
        self.labels = labels
        if self.window is not None:
            stops = self.window.stops(labels, step, epoch, weight)
            self.stopped = self.trainer.shard.group.first(stops)

    def diverged(self) -> TrainingDivergedError:
        """Error that says where the loss was lost and what to try."""
        return diverged(self.phase, len(self.net.history) if self.net else 0)

    def summary(self) -> str:
        """One line for the log."""
        losses = self.history["loss"]
        if not losses:
            return "nothing to train"
        line = f"{len(losses)} epochs, loss {losses[0]:.4g} -> {losses[-1]:.4g}"
        changes = self.history.get("label_change")
        return f"{line}, {changes[-1]:.2%} of labels changing" if changes else line

    def make_optimizer(self, parameters: list[nn.Parameter]) -> Optimizer:
        """Optimizer of the phase, its rate as the phase wants it."""
        spec = self._optimizer()
        if not spec.weight_decay:
            return spec.build(parameters)
        exempt = [p for o in self.phase.objectives for p in o.parameters()]
        return spec.build(parameters, exempt)

    def _optimizer(self) -> OptimizerSpec:
        trainer, phase = self.trainer, self.phase
        curvature = DataCurvature(
            trainer.x,
            trainer.batch_size,
            trainer.own_weight,
            trainer.shard,
            trainer.network,
        )
        if phase.rate == "relative":
            return curvature.relative(phase.optimizer)
        if phase.rate != "limited":
            return phase.optimizer
        n_features, factors = trainer.x.shape[1], factors_at(phase, phase.epochs)
        steepness = sum(w * o.steepness(n_features) for o, w in factors.items())
        return curvature.limited(phase.optimizer, steepness)

    def _snapshot(self) -> Callable[[], dict[str, Any]] | None:
        objective, snapshot = self.phase.model, self.trainer.snapshot
        if objective is None or snapshot is None:
            return None
        return lambda: snapshot(self.trainer, objective)


def on(device: torch.device, labels: Tensor | None) -> Tensor | None:
    """Labels on a device, where there are any."""
    return None if labels is None else labels.to(device)


def set_dropout_generator(network: nn.Module, generator: Any) -> None:
    """Give every `GeneratorDropout` of a network its stream, or take it away."""
    for layer in network.modules():
        if isinstance(layer, GeneratorDropout):
            layer.generator = generator


def diverged(phase: Phase, epoch: int) -> TrainingDivergedError:
    """Error for a `phase` whose numbers are not finite in or after an epoch."""
    spec = phase.optimizer
    return TrainingDivergedError(
        f"The loss of phase {phase.name!r} is not finite in epoch {epoch} "
        f"(optimizer {spec.name!r}, learning rate {spec.learning_rate:g}). Try a "
        "learning rate ten times smaller, or scale X first (e.g. with "
        "StandardScaler)."
    )
