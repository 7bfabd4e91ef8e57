"""The state of a fit in a file, so that a fit that was killed can go on."""

from __future__ import annotations

import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch

from skdeepcluster.engine._fingerprints import Fingerprint, differences
from skdeepcluster.engine._net import TrainingDivergedError
from skdeepcluster.engine._random import RandomStreams
from skdeepcluster.engine._states import (
    State,
    check_plain,
    objectives_of,
    restore_trainer,
    trainer_state,
)
from skdeepcluster.utils._group import ALONE, Group
from skdeepcluster.utils._locks import DirectoryLock

if TYPE_CHECKING:
    from skdeepcluster.engine._trainer import Trainer
    from skdeepcluster.objectives import Objective

#: Epochs are kept this often, and no oftener; the end of a phase always is.
SECONDS_BETWEEN = 30.0

FILE_NAME = "checkpoint.pt"
_PARTIAL = f"{FILE_NAME}.partial-"
# Raised when a state is kept in another form.
_FORMAT = "1"


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
        self._found: State | None = None
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
        path = Path(directory) / FILE_NAME
        checkpoints = cls(streams, path, fingerprint, group)
        found = None
        with group.together():
            if group.rank == 0:
                _make_directory(path.parent)
                found = checkpoints._locked_and_read()
        checkpoints._take(group.first(found))
        return checkpoints

    def bind(self, trainer: Trainer, phases: Iterable[Any]) -> None:
        """Say whose state is kept, and give it the one that was found."""
        self._trainer = trainer
        self._objectives = objectives_of(phases)
        if self._found is not None:
            restore_trainer(trainer, self._objectives, self._found)
            self._found = None
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
            self.path.unlink(missing_ok=True)
        self._lock.release()

    def _locked_and_read(self) -> State | None:
        """What was found, once nobody else reads or writes here."""
        if self.path is None or self._lock is None:
            return None
        if not self._lock.acquire():
            raise ValueError(
                f"checkpoint_dir={str(self.path.parent)!r} is in use by another fit "
                "that is running. Pass each fit a directory of its own."
            )
        try:
            found = self._read()
            self._remove_partial()
        except BaseException:
            self._lock.release()
            raise
        return found

    def _read(self) -> State | None:
        if self.path is None or not self.path.exists():
            return None
        found = _load(self.path, self._advice())
        apart = differences(found["fingerprint"], self.fingerprint)
        if apart:
            raise ValueError(
                f"The checkpoint in checkpoint_dir={str(self.path.parent)!r} belongs "
                f"to a different fit: {'; '.join(apart)}. {self._advice()}"
            )
        return found

    def _take(self, found: State | None) -> None:
        if found is None:
            return
        self._found, self._running = found["trainer"], found["running"]
        self._finished = found["finished"]
        self.streams = RandomStreams(found["entropy"])

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
        check_plain(state, "")
        _replace(self.path, state)
        self._written_at = time.monotonic()

    def _remove_partial(self) -> None:
        """Remove what writes that were killed have left."""
        if self.path is not None:
            for partial in self.path.parent.glob(f"{_PARTIAL}*"):
                partial.unlink(missing_ok=True)


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(
            "The 'checkpoint_dir' parameter must be a directory, or a path where "
            f"one can be made. Got the file {os.fspath(directory)!r}."
        ) from None


def _load(path: Path, advice: str) -> State:
    """Read a checkpoint; nothing in it is executed."""
    with path.open("rb") as file:
        try:
            # torch does not look at the checksums that it writes.
            damaged = zipfile.ZipFile(file).testzip()
            file.seek(0)
            # To the host: the state of a device that is not there is to be told.
            found: State = {}
            if not damaged:
                found = torch.load(file, map_location="cpu", weights_only=True)
            found["fingerprint"]["format"]
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(
                f"{str(path)!r} is damaged, or not a checkpoint of a fit. {advice}"
            ) from error
    return found


def _replace(path: Path, state: State) -> None:
    """Write a file in the place of another, so that at any moment one is whole."""
    handle, partial = tempfile.mkstemp(prefix=_PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make the new name last, too, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
