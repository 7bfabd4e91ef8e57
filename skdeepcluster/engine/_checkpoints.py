"""The state of a fit in a file, so that a fit that was killed can go on."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from skdeepcluster.engine._array_file import (
    ArrayFile,
    ArrayFileError,
    check_plain,
    write_array_file,
)
from skdeepcluster.engine._fingerprints import Fingerprint, differences
from skdeepcluster.engine._net import TrainingDivergedError
from skdeepcluster.engine._random import RandomStreams
from skdeepcluster.engine._state_checks import StateCheck
from skdeepcluster.engine._states import (
    State,
    objectives_of,
    restore_trainer,
    trainer_state,
)
from skdeepcluster.utils._group import ALONE, Group
from skdeepcluster.utils._locks import (
    DirectoryLock,
    make_directory,
    named_directory,
    named_errors,
)

if TYPE_CHECKING:
    from skdeepcluster.engine._trainer import Trainer
    from skdeepcluster.objectives import Objective

#: Epochs are kept this often, and no oftener; the end of a phase always is.
SECONDS_BETWEEN = 30.0

FILE_NAME = "checkpoint.fit"
_PARTIAL = f"{FILE_NAME}.partial-"
# Raised when a state is kept in another form.
_FORMAT = "3"
_NAMES = {"fingerprint", "entropy", "finished", "running", "trainer"}

_LOGGER = logging.getLogger("skdeepcluster")


class Checkpoints:
    """One fit's state, in one file that is whole at any moment.

    Runs (phases, layers of pretraining, reclusterings) are known by their names. Those
    that had ended are not run again but give the history they had; the one that was
    interrupted goes on after its last epoch that was kept.

    As a context manager: the file is removed where the block ends, or ends in a loss
    that diverged, as the same arguments would lead there again. Any other exception
    leaves it. The directory is locked until then.

    Parameters
    ----------
    streams : RandomStreams
        Of the fit; `streams` is then that of the fit that goes on.
    path : Path, optional
        The file; None keeps nothing.
    fingerprint : dict, optional
        What decides the result of the fit.
    group : Group, optional
        Processes that fit together: the first one reads and writes.
    """

    def __init__(
        self,
        streams: RandomStreams,
        path: Path | None = None,
        fingerprint: Fingerprint | None = None,
        group: Group = ALONE,
    ) -> None:
        self.streams = streams
        self.group = group
        self.path = path
        self.fingerprint = {**(fingerprint or {}), "format": _FORMAT}
        self._finished: dict[str, Any] = {}
        self._file: ArrayFile | None = None
        self._running: tuple[str, State] | None = None
        self._trainer: Trainer
        self._objectives: list[Objective]
        self._written_at = time.monotonic()
        self._lock = None if path is None else DirectoryLock(path.parent)

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        fingerprint: Fingerprint,
        streams: RandomStreams,
        group: Group = ALONE,
    ) -> Checkpoints:
        """Go on with the fit that was interrupted in `directory`, or begin one there.

        Raises
        ------
        ValueError
            Where the checkpoint belongs to another fit, or cannot be read, or another
            fit is using the directory.
        """
        entropy = None
        with group.together():
            path = named_directory(directory, "checkpoint_dir") / FILE_NAME
            checkpoints = cls(streams, path, fingerprint, group)
            if group.rank == 0:
                make_directory(directory, "checkpoint_dir")
                entropy = checkpoints._locked_and_begun()
        entropy = group.first(entropy)
        if entropy is not None:
            checkpoints.streams = RandomStreams(entropy)
        return checkpoints

    def bind(self, trainer: Trainer, phases: Iterable[Any]) -> None:
        """Say whose state is kept, and give it the one that was found.

        Raises
        ------
        ValueError
            Where that is damaged, or none of these phases; nothing is taken over then.
        """
        phases = list(phases)
        self._trainer = trainer
        self._objectives = objectives_of(phases)
        if self.path is None:
            return
        found = None
        with self.group.together():
            if self._file is not None:
                found = self._read(self._file, StateCheck(trainer, phases))
        found = self.group.first(found)
        if found is not None:
            restore_trainer(trainer, self._objectives, found["trainer"])
            self._finished, self._running = found["finished"], found["running"]
            trainer.observer.note("going on from the checkpoint %s", self.path)

    def once(self, name: str, run: Callable[[], Any]) -> Any:
        """Result of `run`, a plain value; what had ended before is not run again."""
        if name not in self._finished:
            self._finished[name] = run()
            self._write()
        return self._finished[name]

    def interrupted(self, name: str) -> State | None:
        """State after the last epoch that was kept, if run `name` was interrupted."""
        if self._running is None or self._running[0] != name:
            return None
        state, self._running = self._running[1], None
        return state

    def epoch_ends(self, name: str, state: Callable[[], State]) -> None:
        """Keep the state after an epoch of run `name`, where it is time."""
        if self.path is None:
            return
        due = time.monotonic() - self._written_at >= SECONDS_BETWEEN
        if self.group.first(due):  # the clocks of all may differ
            self._write((name, state()))

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A cycle, in which all rows would wait for the next garbage collection.
        vars(self).pop("_trainer", None)
        if self.path is None or self._lock is None:
            return
        ended = kind is None or issubclass(kind, TrainingDivergedError)
        if ended and self.group.rank == 0:
            self._remove()
        self._release()

    def _remove(self) -> None:
        """Remove the file; a fit that has ended is not lost where that fails."""
        try:
            if self.path is not None:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            _LOGGER.warning(
                "checkpoint_dir: %s cannot be removed: %s", self.path, error
            )

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            self._lock.release()

    def _locked_and_begun(self) -> int | None:
        """Seed of the fit that was found, once nobody else reads or writes here."""
        if self.path is None or self._lock is None:
            return None
        with self._named("used"):
            if not self._lock.acquire():
                raise ValueError(
                    f"checkpoint_dir={str(self.path.parent)!r} is in use by another "
                    "fit that is running. Pass each fit a directory of its own."
                )
        try:
            entropy = self._open(self.path)
            self._remove_partial()
        except BaseException:
            self._release()
            raise
        return entropy

    def _open(self, path: Path) -> int | None:
        """Open the file; what to read from it is known when there is a trainer."""
        with self._named("read"), self._told_as_damaged():
            try:
                self._file = ArrayFile(path)
            except FileNotFoundError:
                return None
            fingerprint, entropy = _beginning(self._file.value)
        apart = differences(fingerprint, self.fingerprint)
        if apart:
            raise ValueError(
                f"The checkpoint in checkpoint_dir={str(path.parent)!r} belongs to a "
                f"different fit: {'; '.join(apart)}. {self._advice()}"
            )
        return entropy

    def _read(self, file: ArrayFile, check: StateCheck) -> State:
        """The state in a file, which is closed after that."""
        with self._named("read"), self._told_as_damaged(), file:
            check.check(file.value)
            found: State = file.load()
            check.check(found)
        self._file = None
        return found

    @contextmanager
    def _told_as_damaged(self) -> Iterator[None]:
        """Context that says what to do with a file that is none of this fit."""
        try:
            yield
        except ArrayFileError as error:
            raise ValueError(
                f"{str(self.path)!r} is damaged, or not a checkpoint of a fit. "
                f"{self._advice()}"
            ) from error

    @contextmanager
    def _named(self, verb: str) -> Iterator[None]:
        """Context in which an error of the system names the parameter and the file."""
        directory = "" if self.path is None else os.fspath(self.path.parent)
        what = f"The state in checkpoint_dir={directory!r} cannot be {verb}"
        with named_errors(what, self.path):
            yield

    def _advice(self) -> str:
        return (
            f"Remove the file {str(self.path)!r} to begin anew, or pass another "
            "'checkpoint_dir'."
        )

    def _write(self, running: tuple[str, State] | None = None) -> None:
        """Keep everything: the one place that writes."""
        if self.path is None or self.group.rank:
            return
        state = {
            "fingerprint": self.fingerprint,
            "entropy": self.streams.entropy,
            "finished": self._finished,
            "running": running,
            "trainer": trainer_state(self._trainer, self._objectives),
        }
        check_plain(state, "checkpoint_dir")
        with self._named("saved"):
            _replace(self.path, state)
        self._written_at = time.monotonic()

    def _remove_partial(self) -> None:
        """Remove what writes that were killed have left."""
        if self.path is not None:
            for partial in self.path.parent.glob(f"{_PARTIAL}*"):
                partial.unlink(missing_ok=True)


def _beginning(value: Any) -> tuple[Fingerprint, int]:
    """What a state that was read belongs to, and its seed."""
    if type(value) is not dict or value.keys() != _NAMES:
        raise ArrayFileError("It has other names than a checkpoint.")
    fingerprint, entropy = value["fingerprint"], value["entropy"]
    words = [*fingerprint, *fingerprint.values()] if type(fingerprint) is dict else [0]
    seed = type(entropy) is int and 0 <= entropy < 2**32
    if not seed or any(type(word) is not str for word in words):
        raise ArrayFileError("It does not say what it belongs to.")
    return fingerprint, entropy


def _replace(path: Path, state: State) -> None:
    write_array_file(path, state, _PARTIAL)
