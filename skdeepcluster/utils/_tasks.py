"""Tasks of a fit without a network, as scikit-learn's callbacks are told of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from skdeepcluster.utils._sklearn import init_callback_context


class Tasks:
    """Tells callbacks of starts and of their iterations, and whether one wants to stop.

    Without callbacks nothing is called, and nothing asks to stop.

    Parameters
    ----------
    estimator : BaseEstimator, optional
        The estimator that is fitted, inside ``_fit_context``.
    X, y : array-like, optional
        Handed to the callbacks as they came to ``fit``.
    snapshot : callable, optional
        ``snapshot(state)`` gives the attributes of an estimator that stops now, from
        what an iteration has led to. Called only where a callback asks for it.
    """

    def __init__(
        self,
        estimator: Any = None,
        X: Any = None,
        y: Any = None,
        snapshot: Callable[[Any], dict[str, Any]] | None = None,
    ) -> None:
        self.context = None if estimator is None else init_callback_context(estimator)
        # Set by scikit-learn where there are any, propagated ones too.
        self.watched = self.context is not None and hasattr(estimator, "_skl_callbacks")
        self.hook_args = {"estimator": estimator, "X": X, "y": y}
        self.snapshot = snapshot
        self.stopped = False
        self._start: Any = None
        self._iteration: Any = None

    def fit_begins(self) -> None:
        """Open the root task."""
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.hook_args)

    def fit_ends(self) -> None:
        """Close the root task."""
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.hook_args)

    def start_begins(self) -> None:
        """Open the task of a start."""
        if self.watched:
            self._start = self.context.subcontext("start", max_subtasks=None)
            self._start.call_on_fit_task_begin(**self.hook_args)

    def start_ends(self) -> bool:
        """Close it; True where no other start is wanted."""
        if self.watched:
            self.stopped |= bool(self._start.call_on_fit_task_end(**self.hook_args))
        return self.stopped

    def iteration_begins(self) -> None:
        """Open the task of an iteration of this start."""
        if self.watched:
            self._iteration = self._start.subcontext("iteration")
            self._iteration.call_on_fit_task_begin(**self.hook_args)

    def iteration_ends(self, state: Any) -> bool:
        """Close it; True where no other iteration is wanted, of any start."""
        if self.watched:
            found = self.snapshot and partial(self.snapshot, state)
            stops = self._iteration.call_on_fit_task_end(
                **self.hook_args, reconstruction_attributes=found
            )
            self.stopped |= bool(stops)
        return self.stopped


#: Of a run that no callback watches.
UNWATCHED = Tasks()
