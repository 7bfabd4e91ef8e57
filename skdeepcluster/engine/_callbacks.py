"""Who is told of the progress: scikit-learn's callbacks and the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skorch.callbacks import Callback

from skdeepcluster.utils._group import ALONE, Group

logger = logging.getLogger("skdeepcluster")


class Observer:
    """Tells scikit-learn's callbacks and the log what a fit is doing.

    Parameters
    ----------
    estimator : BaseEstimator
        The estimator being fitted.
    X, y : array-like
        Handed to the callbacks as they came to ``fit``.
    context : sklearn.callback.CallbackContext or None
        Root of the fit's tasks; None where scikit-learn has no callbacks.
    """

    def __init__(
        self, estimator: Any = None, X: Any = None, y: Any = None, context: Any = None
    ) -> None:
        self.estimator = estimator
        self.context = context
        self.hook_args = {"estimator": estimator, "X": X, "y": y}

    def fit_begins(self) -> None:
        """Open the root task."""
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.hook_args)

    def fit_ends(self) -> None:
        """Close the root task."""
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.hook_args)

    def epoch_begins(self, phase: str) -> Any:
        """Open a task for an epoch of `phase`; its handle goes to `epoch_ends`."""
        if self.context is None:
            return None
        task = self.context.subcontext(task_name=phase)
        return task.call_on_fit_task_begin(**self.hook_args)

    def epoch_ends(
        self,
        task: Any,
        phase: str,
        epoch: int,
        loss: float,
        snapshot: Callable[[], dict[str, Any]] | None = None,
    ) -> bool:
        """Close an epoch's task; True where a callback asks to stop the phase."""
        logger.debug("%s: epoch %d, loss %.6g", phase, epoch, loss)
        if task is None:
            return False
        return bool(
            task.call_on_fit_task_end(
                **self.hook_args, reconstruction_attributes=snapshot
            )
        )

    def note(self, message: str, *args: Any) -> None:
        """Log what is neither an epoch nor an error."""
        logger.info(message, *args)


class EpochReporter(Callback):
    """skorch callback that passes epochs on to an `Observer`."""

    def __init__(
        self,
        observer: Observer,
        phase: str,
        snapshot: Callable[[], dict[str, Any]] | None = None,
        group: Group = ALONE,
    ) -> None:
        self.observer = observer
        self.phase = phase
        self.snapshot = snapshot
        self.group = group
        self.task: Any = None

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Open the epoch's task."""
        self.task = self.observer.epoch_begins(self.phase)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Close the epoch's task."""
        epoch, loss = len(net.history), net.history[-1, "train_loss"]
        stops = self.observer.epoch_ends(
            self.task, self.phase, epoch, loss, self.snapshot
        )
        # Where several train together, all stop when one is asked to.
        if any(self.group.each(stops)):
            net.stopping = True


@contextmanager
def verbosity(verbose: int) -> Iterator[None]:
    """Show the log for the time of a fit: 1 shows phases, 2 also epochs.

    Where the application has set up logging, its handlers get the records; where it has
    not, they go to the standard error stream.
    """
    if not verbose:
        yield
        return
    level = logging.DEBUG if verbose > 1 else logging.INFO
    _shown.enter(level)
    try:
        yield
    finally:
        _shown.leave(level)


class _ShownLog:
    """The log as the fits that run at the moment, in several threads, want it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.levels: list[int] = []
        self.handler: logging.Handler | None = None
        self.level_before = logging.NOTSET

    def enter(self, level: int) -> None:
        """Show records from `level` on."""
        with self.lock:
            if not self.levels:
                self.level_before = logger.level
                self._add_handler()
            self.levels.append(level)
            logger.setLevel(min(self.levels))

    def leave(self, level: int) -> None:
        """Undo one `enter`; the last one leaves the log as the first one found it."""
        with self.lock:
            self.levels.remove(level)
            if self.levels:
                logger.setLevel(min(self.levels))
                return
            logger.setLevel(self.level_before)
            if self.handler is not None:
                logger.removeHandler(self.handler)
                self.handler = None

    def _add_handler(self) -> None:
        if not logger.hasHandlers():
            self.handler = logging.StreamHandler()
            self.handler.setFormatter(logging.Formatter("[%(name)s] %(message)s"))
            logger.addHandler(self.handler)


_shown = _ShownLog()
