"""The losses of a phase on one batch: what the optimizer goes by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from skdeepcluster.engine._layers import HiddenLayers, hidden_layers
from skdeepcluster.engine._phases import Phase, Ramp, overrides
from skdeepcluster.engine._recording import places
from skdeepcluster.objectives import Batch, Objective
from skdeepcluster.utils._group import SharedError

if TYPE_CHECKING:
    from skdeepcluster.engine._trainer import Trainer


class BatchLosses:
    """What a phase minimises, batch by batch.

    Parameters
    ----------
    trainer : Trainer
    phase : Phase

    Attributes
    ----------
    targets : dict of Objective to Tensor of shape (n_samples, ...)
        What ``refresh`` gave, for all rows.
    batch : Batch or None
        That of the last step.
    """

    def __init__(self, trainer: Trainer, phase: Phase) -> None:
        self.trainer = trainer
        self.phase = phase
        self.batch: Batch | None = None
        self.targets: dict[Objective, Tensor] = {}
        self.moving = [o for o in phase.objectives if overrides(o, "after_step")]
        self.viewing = {o for o in phase.objectives if overrides(o, "view")}
        self.weigh(0)

    def weigh(self, epoch: int) -> None:
        """Take the losses' weights of an epoch."""
        self.factors = factors_at(self.phase, epoch)

    def of(self, rows: tuple[Tensor, Tensor], noise: torch.Generator) -> Tensor:
        """Weighted sum of the phase's losses on a batch of rows.

        `noise` is for the losses' own views.
        """
        x, index = rows
        trainer = self.trainer
        z = trainer.encode(x)
        x_hat = trainer.decode(z) if self.phase.needs_reconstruction else None
        layers, layers_hat = self._hidden_layers(x, z)
        weight = None if trainer.weight is None else trainer.weight[index]
        self.batch = Batch(x, z, x_hat, layers, layers_hat, index, weight=weight)
        terms = [
            factor * self._over_rows(objective, self._for(objective, self.batch, noise))
            for objective, factor in self.factors.items()
        ]
        return torch.stack(terms).sum()

    def aim(self, objective: Objective, target: Tensor, in_place: bool = False) -> None:
        """Take what ``refresh`` gave; `in_place` for steps that are recorded."""
        kept = self.targets.get(objective)
        if not in_place:
            self.targets[objective] = target
        elif kept is None or (kept.shape, kept.dtype) != (target.shape, target.dtype):
            self.targets[objective] = target.clone()
        else:
            kept.copy_(target)

    def constants(self) -> tuple[Any, ...]:
        """What a step depends on but for the batch, see `Recorder`."""
        states = (o.state_dict(keep_vars=True) for o in self.phase.objectives)
        held = [value for state in states for value in state.values()]
        return places([*self.factors.values(), *self.targets.values(), *held])

    def forget(self) -> None:
        """Drop the last batch, and with it what its gradient was computed from."""
        self.batch = None

    @torch.no_grad()
    def move(self) -> None:
        """Let the objectives that have centres of their own move them."""
        last = self.batch
        if last is None:
            return
        for objective in self.moving:
            self.trainer.network.eval()
            z = self.trainer.encode(last.x)
            self.trainer.network.train()
            batch = self._of_all(replace(last, z=z))
            target = objective.after_step(self._with_target(objective, batch))
            if target is not None:
                self.targets[objective][batch.index] = target

    def _over_rows(self, objective: Objective, batch: Batch) -> Tensor:
        """Mean of per-sample losses; where other processes have rows, too, the sum."""
        loss = objective.loss(batch)
        if self.trainer.shard.alone:
            return weighted_mean(loss, batch.weight)
        if loss.ndim == 0:
            raise SharedError(
                f"{type(objective).__name__} needs the whole batch, which no process "
                "has when several train together: use shard=None."
            )
        return weighted_sum(loss, batch.weight)

    def _hidden_layers(self, x: Tensor, z: Tensor) -> HiddenLayers:
        if not self.phase.needs_layers:
            return (), ()
        with self.trainer.compute.autocast():
            return hidden_layers(self.trainer.network, x, z)

    def _for(self, objective: Objective, batch: Batch, noise: torch.Generator) -> Batch:
        """The batch as an objective is to see it."""
        if objective in self.viewing:
            batch = self._with_view(objective, batch, noise)
        return self._with_target(objective, batch)

    def _with_target(self, objective: Objective, batch: Batch) -> Batch:
        target = self.targets.get(objective)
        if target is None:
            return batch
        return replace(batch, target=target[batch.index])

    def _with_view(
        self, objective: Objective, batch: Batch, noise: torch.Generator
    ) -> Batch:
        """The batch with the embedding, and reconstruction, of the loss's own view."""
        z = self.trainer.encode(objective.view(batch.x, noise))
        x_hat = self.trainer.decode(z) if objective.needs_reconstruction else None
        return replace(batch, z_view=z, x_hat=x_hat)

    def _of_all(self, batch: Batch) -> Batch:
        """The embedding of a batch with the rows of all processes."""
        shard, weight = self.trainer.shard, self.trainer.weight
        if shard.alone or batch.index is None:
            return batch
        index = shard.group.concat(batch.index)
        weight = None if weight is None else weight[index]
        return Batch(batch.x, shard.group.concat(batch.z), index=index, weight=weight)


def factors_at(phase: Phase, epoch: int) -> dict[Objective, float]:
    """Weights of the losses of a phase in epoch `epoch`."""
    return {
        objective: factor.at(epoch) if isinstance(factor, Ramp) else factor
        for objective, factor in phase.objectives.items()
    }


def weighted_mean(loss: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of per-sample losses; a loss of the whole batch stays as it is.

    Weights have the mean 1 over all data, not in every batch: a heavy row counts for
    more than the rows of other batches as well.
    """
    if loss.ndim == 0:
        return loss
    return loss.mean() if weight is None else (weight * loss).mean()


def weighted_sum(loss: Tensor, weight: Tensor | None) -> Tensor:
    """Sum of per-sample losses, of which there may be none."""
    return loss.sum() if weight is None else (weight * loss).sum()
