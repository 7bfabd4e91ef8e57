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
    leaves it.

    Parameters
    ----------
    streams : RandomStreams
        Of the fit; `streams` is then that of the fit that goes on.
    path : Path, optional
        The file; None keeps nothing.
    fingerprint : dict, optional
        What decides the result of the fit.
    """

    def __init__(
        self,
        streams: RandomStreams,
        path: Path | None = None,
        fingerprint: Fingerprint | None = None,
    ) -> None:
        self.streams = streams
        self.path = path
        self.fingerprint = {**(fingerprint or {}), "format": _FORMAT}
        self._finished: dict[str, Any] = {}
        self._found: State | None = None
        self._running: tuple[str, State] | None = None
        self._trainer: Trainer
        self._objectives: list[Objective]
        self._written_at = time.monotonic()

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        fingerprint: Fingerprint,
        streams: RandomStreams,
    ) -> Checkpoints:
        """Go on with the fit that was interrupted in `directory`, or begin one there.

        Raises
        ------
        ValueError
            Where the checkpoint belongs to another fit, or cannot be read.
        """
        path = Path(directory) / FILE_NAME
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise ValueError(
                "The 'checkpoint_dir' parameter must be a directory, or a path where "
                f"one can be made. Got the file {os.fspath(directory)!r}."
            ) from None
        checkpoints = cls(streams, path, fingerprint)
        checkpoints._read()
        checkpoints._remove_partial()
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
        if time.monotonic() - self._written_at >= SECONDS_BETWEEN:
            self._write((name, state()))

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.path is None:
            return
        if kind is None or issubclass(kind, TrainingDivergedError):
            self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        if self.path is None or not self.path.exists():
            return
        found = _load(self.path, self._advice())
        apart = differences(found["fingerprint"], self.fingerprint)
        if apart:
            raise ValueError(
                f"The checkpoint in checkpoint_dir={str(self.path.parent)!r} is "
                f"another fit's: {'; '.join(apart)}. {self._advice()}"
            )
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
        if self.path is None:
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


def _load(path: Path, advice: str) -> State:
    """Read a checkpoint; nothing in it is executed."""
    with path.open("rb") as file:
        try:
            # torch does not look at the checksums that it writes.
            damaged = zipfile.ZipFile(file).testzip()
            file.seek(0)
            found: State = {} if damaged else torch.load(file, weights_only=True)
            found["fingerprint"]["format"]
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(
                f"{str(path)!r} is damaged, or no checkpoint of a fit. {advice}"
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
