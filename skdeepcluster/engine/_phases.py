"""What is minimised, for how long, with which optimizer: phases as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from skdeepcluster.engine._batches import batch_sizes
from skdeepcluster.objectives import ClusteringObjective, Objective
from skdeepcluster.objectives._base import in_double

if TYPE_CHECKING:
    from skdeepcluster.engine._trainer import Trainer

OPTIMIZERS = ("sgd", "adam")
_MOMENTUM = 0.9


@dataclass(frozen=True)
class OptimizerSpec:
    """Name and learning rate of an optimizer; "sgd" has momentum 0.9."""

    name: str
    learning_rate: float
    weight_decay: float = 0.0

    def build(
        self,
        parameters: Iterable[nn.Parameter],
        exempt: Iterable[nn.Parameter] = (),
    ) -> Optimizer:
        """Optimizer over `parameters`, fused where every torch has it.

        Those of `exempt` among them have no weight decay.
        """
        parameters = list(parameters)
        fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
        groups = _groups(parameters, exempt, self.weight_decay)
        rate = float(self.learning_rate)  # as a checkpoint keeps it
        if self.name == "adam":
            return torch.optim.Adam(groups, lr=rate, fused=fused)
        return torch.optim.SGD(groups, lr=rate, momentum=_MOMENTUM, fused=fused)


def _groups(
    parameters: list[nn.Parameter], exempt: Iterable[nn.Parameter], weight_decay: float
) -> list[dict[str, Any]]:
    """Parameters with weight decay, and those without; of these, what there is."""
    free = {id(p) for p in exempt} if weight_decay else {id(p) for p in parameters}
    decayed = [p for p in parameters if id(p) not in free]
    others = [p for p in parameters if id(p) in free]
    groups = [(decayed, weight_decay), (others, 0.0)]
    return [{"params": p, "weight_decay": decay} for p, decay in groups if p]


@dataclass(frozen=True)
class LabelChange:
    """Stop when a smaller share of labels than `tol` changes over a window of steps.

    The window is the update interval of the DEC paper, whatever the interval of the
    fit: small data are refreshed every few steps, in which hardly a label can change,
    and the same `tol` must mean the same. The first epoch never stops.

    Parameters
    ----------
    tol : float
    over_steps : int, default=140
    min_epochs : int, default=1
        Whole epochs before the rule is looked at, if more than one.
    """

    tol: float
    over_steps: int = 140
    min_epochs: int = 1

    def window(self) -> LabelWindow:
        """State of the rule for one run of a phase."""
        return LabelWindow(self)


class LabelWindow:
    """Labels at the start of the current window of a `LabelChange`."""

    def __init__(self, rule: LabelChange) -> None:
        self.rule = rule
        self.step = 0
        self.labels: Tensor | None = None

    def stops(
        self, labels: Tensor, step: int, epoch: int, weight: Tensor | None = None
    ) -> bool:
        """Whether `labels`, after `step` steps and `epoch` whole epochs, are final."""
        if self.labels is not None and step - self.step < self.rule.over_steps:
            return False
        before, self.labels, self.step = self.labels, labels, step
        if before is None or epoch < max(1, self.rule.min_epochs):
            return False
        return label_change_share(before, labels, weight) < self.rule.tol


def label_change_share(
    before: Tensor, after: Tensor, weight: Tensor | None = None
) -> float:
    """Share of rows, or of their weights of mean 1, whose label differs."""
    differs = in_double(before != after)
    if weight is not None:
        differs *= in_double(weight)
    return float(differs.mean())


def label_change(tol: float, min_epochs: int = 1) -> LabelChange:
    """Stop rule of the DEC family, as methods write it: see `LabelChange`."""
    return LabelChange(tol, min_epochs=min_epochs)


@dataclass(frozen=True)
class Ramp:
    """Weight of a loss that grows linearly from 0, epoch by epoch.

    Parameters
    ----------
    weight : float
        At the end of the ramp and after it.
    epochs : int
        Epochs before it is reached.
    """

    weight: float
    epochs: int

    def at(self, epoch: int) -> float:
        """Weight in epoch `epoch`, from 0."""
        return (
            self.weight * min(1.0, epoch / self.epochs) if self.epochs else self.weight
        )


@dataclass(frozen=True, eq=False)
class Phase:
    """One phase of training.

    Parameters
    ----------
    name : str
        Names the phase in the history, its random streams and error messages.
    objectives : mapping of Objective to float or Ramp
        What is minimised: the weighted sum of these losses. Parameters that none of
        them reaches (a decoder without reconstruction) stay as they are.
    epochs : int
        Passes over the data, at most.
    optimizer : OptimizerSpec
    refresh_every : int, optional
        Steps between two calls of ``refresh``; None never refreshes.
    stop : LabelChange, optional
        Ends the phase before `epochs`; checked at every refresh.
    rate : {"given", "relative", "limited"}, default="given"
        What becomes of the learning rate of "sgd": it is "relative" to the data, as in
        pretraining, or "limited", beside a reconstruction, to what is stable.
    """

    name: str
    objectives: Mapping[Objective, float | Ramp]
    epochs: int
    optimizer: OptimizerSpec
    refresh_every: int | None = None
    stop: LabelChange | None = None
    rate: str = "given"

    @property
    def clustering(self) -> ClusteringObjective | None:
        """The objective whose assignments are the labels, if there is one."""
        for objective in self.objectives:
            if isinstance(objective, ClusteringObjective):
                return objective
        return None

    @property
    def model(self) -> Objective | None:
        """The objective that assigns rows, to clusters or to classes, if any does."""
        for objective in self.objectives:
            if hasattr(objective, "assign"):
                return objective
        return None

    @property
    def needs_reconstruction(self) -> bool:
        """Whether any loss reads the decoder's output for the input itself."""
        return any(
            objective.needs_reconstruction and not overrides(objective, "view")
            for objective in self.objectives
        )

    @property
    def needs_layers(self) -> bool:
        """Whether any loss reads the hidden layers."""
        return any(objective.needs_layers for objective in self.objectives)

    def run(self, trainer: Trainer) -> dict[str, Any]:
        """Train for this phase; returns its history."""
        return trainer.run(self)

    def parts(self, network: nn.Module) -> dict[str, tuple[Phase, nn.Module]]:
        """What is trained under which name, and on which network: this phase alone."""
        return {self.name: (self, network)}

    def histories(self, network: nn.Module) -> dict[str, Any]:
        """Histories by name: for each list how many numbers it may have, if limited."""
        updates: dict[str, int | None] = {}
        if self.refresh_every is not None:
            updates = {"update_step": None, "label_change": None}
        return {self.name: {"loss": self.epochs, **updates}}


@dataclass(frozen=True, eq=False)
class Reclustering:
    """Run the k-means of a clustering objective anew, on the embedding as it is.

    Parameters
    ----------
    clustering : ClusteringObjective
        Of an earlier phase.
    """

    clustering: ClusteringObjective
    name: str = "reclustering"

    @property
    def model(self) -> ClusteringObjective:
        """The objective that assigns rows."""
        return self.clustering

    def run(self, trainer: Trainer) -> dict[str, Any]:
        """Replace the centres; returns the history, which is the labels' change."""
        return trainer.checkpoints.once(
            self.name, lambda: {"label_change": [trainer.recluster(self.clustering)]}
        )

    def parts(self, network: nn.Module) -> dict[str, tuple[Phase, nn.Module]]:
        """What is trained: nothing."""
        return {}

    def histories(self, network: nn.Module) -> dict[str, Any]:
        """Histories by name, as those of a phase."""
        return {self.name: {"label_change": 1}}


def overrides(objective: Objective, hook: str) -> bool:
    """Whether an objective has a `hook` of its own."""
    return getattr(type(objective), hook) is not getattr(Objective, hook)


@dataclass(frozen=True)
class Budget:
    """Lengths of the phases for a data set: what "auto" means.

    Lengths are set in optimizer steps, which is what learning takes, and turned into
    epochs of the data set at hand.

    Parameters
    ----------
    n_samples : int
    batch_size : int
    """

    n_samples: int
    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the data."""
        return len(batch_sizes(self.n_samples, self.batch_size))

    def pretrain_epochs(self, asked: int | str) -> int:
        """100 epochs, but between 1,000 and 20,000 steps."""
        return self._epochs(asked, 100, 1_000, 20_000)

    def max_iter(self, asked: int | str) -> int:
        """150 epochs, but between 3,000 and 20,000 steps; the stop rule ends sooner."""
        return self._epochs(asked, 150, 3_000, 20_000)

    def warmup_epochs(self, asked: int | str) -> int:
        """10 epochs, but between 500 and 5,000 steps."""
        return self._epochs(asked, 10, 500, 5_000)

    def update_interval(self, asked: int | str) -> int:
        """140 steps, or one epoch where that is shorter."""
        return min(140, self.steps_per_epoch) if asked == "auto" else int(asked)

    def _epochs(self, asked: int | str, epochs: int, least: int, most: int) -> int:
        if asked != "auto":
            return int(asked)
        steps = min(max(epochs * self.steps_per_epoch, least), most)
        return ceil(steps / self.steps_per_epoch)
