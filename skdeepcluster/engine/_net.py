"""The one skorch net: its epoch loop with our batches, losses and stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.optim import Optimizer

from skdeepcluster.engine._recording import Lane, Recorder, Step
from skdeepcluster.engine._shards import average_gradients
from skdeepcluster.utils._group import Group

# Moments of weights whose gradient stays zero decay into denormal numbers, on which
# CPUs are ten times slower; this often they are set to zero instead.
_FLUSH_EVERY = 100
_DENORMAL = 1e-30


class TrainingDivergedError(ArithmeticError, RuntimeError):
    """The loss became infinite or NaN; the estimator is as it was before ``fit``."""


class EndOfPhase(Exception):  # noqa: N818 - control flow, never seen outside
    """Leaves skorch's epoch loop."""


class PhaseHooks(Protocol):
    """What a phase has to say while a `PhaseNet` trains on it."""

    def loss(self, batch: Any) -> Tensor:
        """Loss of a batch, a scalar."""

    def make_optimizer(self, parameters: list[nn.Parameter]) -> Optimizer:
        """Optimizer over all parameters that learn."""

    def before_epoch(self, epoch: int) -> None:
        """Called before each epoch, from 0."""

    def move(self) -> None:
        """Called after each step of the optimizer, as a part of the step."""

    def after_step(self, step: int, epoch: int) -> bool:
        """Called after each step; True ends the phase."""

    def after_epoch(self) -> None:
        """Called after each epoch but one with which the phase ends early."""

    def record(self, step: Step, optimizer: Optimizer) -> Recorder | None:
        """What replays the steps that `step` takes; None takes every one anew."""


class PhaseNet(NeuralNet):
    """Train one module on one phase.

    Differences from skorch's own loop: batches come ready from `fit_loop`'s argument,
    nothing is split off for validation, losses stay on the device until the epoch
    ends, KeyboardInterrupt propagates, and no global random number is drawn.

    Parameters
    ----------
    module : nn.Module
        The network.
    criterion : nn.Module
        Holds the objectives, whose parameters learn with the network's.
    hooks : PhaseHooks
        The phase.
    group : Group
        Processes that train together: the loss of `hooks` is then the sum over the own
        rows of a batch, and what is minimised is the mean over all rows of it.
    """

    def __init__(
        self,
        module: nn.Module,
        criterion: nn.Module,
        *,
        hooks: PhaseHooks,
        group: Group,
        device: torch.device,
        callbacks: list[Any],
    ) -> None:
        super().__init__(
            module,
            criterion,
            train_split=None,
            verbose=0,
            device=device,
            callbacks=callbacks,
        )
        self.hooks = hooks
        self.group = group
        self.steps = 0
        self.stopping = False
        self.recorder: Recorder | None = None

    def train(
        self, batches: Any, epochs: int, earlier: dict[str, Any] | None = None
    ) -> PhaseNet:
        """Run at most `epochs` passes over `batches`, those before `earlier` included.

        `earlier` is the ``state`` after one of them, from which the others go on.
        """
        self.initialize()
        if earlier is not None:
            self._restore(earlier)
        with self.recording():
            try:
                self.fit_loop(batches, epochs=epochs - len(self.history))
            except EndOfPhase:
                pass
        return self

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Context in which steps are recorded, if they can be."""
        self.recorder = self.hooks.record(self._take, self.optimizer_)
        try:
            yield
        finally:
            if self.recorder is not None:
                self.recorder.forget()
                self.recorder = None

    def state(self) -> dict[str, Any]:
        """What the next epoch goes on from, beside weights and random generators."""
        return {
            "losses": self.history[:, "train_loss"],
            "steps": self.steps,
            # Of all groups; it may be due to weights as they were at the beginning.
            "rate": self.optimizer_.param_groups[0]["lr"],
            "moments": moments_of(self.optimizer_),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        for epoch, loss in enumerate(state["losses"], start=1):
            self.history.new_epoch()
            self.history.record("epoch", epoch)
            self.history.record("train_loss", loss)
        self.steps = state["steps"]
        restore_moments(self.optimizer_, state["moments"])
        for group in self.optimizer_.param_groups:
            group["lr"] = state["rate"]

    def get_default_callbacks(self) -> list[Any]:
        """None of skorch's own: they print and keep every batch."""
        return []

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> PhaseNet:
        """Build the optimizer over every parameter of network and objectives."""
        parameters = [p for _, p in self.get_all_learnable_params() if p.requires_grad]
        self.optimizer_ = self.hooks.make_optimizer(parameters)
        return self

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """All data train; nothing is held out."""
        return X, None

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches come ready."""
        return dataset

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take one step, or replay it."""
        take = self.recorder or self._take
        return {"loss": take(batch), "y_pred": None}

    def _take(self, batch: Any) -> Tensor:
        loss: Tensor = super().train_step(batch)["loss"]
        self.hooks.move()
        return loss

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Loss and gradient of one batch."""
        loss = self.hooks.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        loss = loss.detach()
        if self.group.size > 1:
            loss = average_gradients(
                self._parameters(), loss, len(batch[1]), self.group
            )
        return {"loss": loss, "y_pred": None}

    def _parameters(self) -> Iterator[nn.Parameter]:
        for group in self.optimizer_.param_groups:
            yield from group["params"]

    def run_single_epoch(
        self,
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> None:
        """One pass; the device is waited for once, at its end."""
        if iterator is None:
            return
        with Lane.of(torch.device(self.device)).entered():
            losses = self._run_batches(iterator, training, step_fn)
            self.history.record(prefix + "_loss", losses.mean().item())

    def _run_batches(
        self, iterator: Any, training: bool, step_fn: Callable[..., dict[str, Any]]
    ) -> Tensor:
        """Losses of the steps that were taken, on the device."""
        # In one piece: a small tensor of each step would lie between the large ones
        # that come and go, and keep the C library from using their memory again.
        losses, taken = torch.empty(0), 0
        epoch = len(self.history) - 1
        self.stopping = False
        self.hooks.before_epoch(epoch)
        self._set_training(True)
        for taken, batch in enumerate(iterator, start=1):
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            if taken == 1:
                losses = step["loss"].new_empty(len(iterator))
            losses[taken - 1] = step["loss"]
            self.notify("on_batch_end", batch=batch, training=training, **step)
            self.steps += 1
            if self.steps % _FLUSH_EVERY == 0 and losses.device.type == "cpu":
                flush_denormals(self.optimizer_)
            whole_epochs = epoch + (taken == len(iterator))
            if self.hooks.after_step(self.steps, whole_epochs):
                self.stopping = True
                break
        return losses[:taken]

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Refuse a loss that is not finite."""
        super().on_epoch_end(net, **kwargs)
        loss = self.history[-1, "train_loss"]
        if not math.isfinite(loss):
            raise TrainingDivergedError(loss)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """As skorch, and leave the loop once all have seen the last epoch end."""
        super().notify(method_name, **cb_kwargs)
        if method_name == "on_epoch_end":
            if self.stopping:
                raise EndOfPhase
            self.hooks.after_epoch()


def moments_of(optimizer: Optimizer) -> list[dict[str, Any]]:
    """What an optimizer has learnt about each parameter, in their order."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return [dict(optimizer.state.get(p, {})) for p in parameters]


def restore_moments(optimizer: Optimizer, moments: list[dict[str, Any]]) -> None:
    """Undo `moments_of`, for an optimizer with the same settings."""
    found = {number: own for number, own in enumerate(moments) if own}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": found})
    for group in optimizer.param_groups:
        for p in group["params"] if "momentum" in group else ():
            # Where torch finds some momenta, it wants them all; 0 is as none.
            optimizer.state[p].setdefault("momentum_buffer", torch.zeros_like(p))


@torch.no_grad()
def flush_denormals(optimizer: Optimizer) -> None:
    """Set the optimizer's vanishing moments to zero: the same result, at full speed."""
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, Tensor) and value.ndim > 0:
                value.mul_(value.abs() > _DENORMAL)
