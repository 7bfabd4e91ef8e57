"""Directories that a user names, and one holder of them at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def named_directory(directory: str | os.PathLike[str], parameter: str) -> Path:
    """The directory that a parameter names, which need not be there.

    Parameters
    ----------
    directory : str or os.PathLike
        ``~`` is the home directory.
    parameter : str
        Its name, for errors.

    Raises
    ------
    ValueError
        Where no directory can have this name.
    """
    if not os.fspath(directory):
        raise ValueError(
            f"The {parameter!r} parameter must be a directory or None. Got '': pass "
            "'.' for the current one."
        )
    try:
        path = Path(directory).expanduser()
        os.stat(path)
    except OSError:  # whether it can be made is seen where it is
        pass
    except (RuntimeError, ValueError) as error:  # no such user, a null character
        raise ValueError(
            f"The {parameter!r} parameter must be a directory, or a path where one can "
            f"be made. Got {os.fspath(directory)!r}: {error}."
        ) from error
    return path


def make_directory(directory: str | os.PathLike[str], parameter: str) -> Path:
    """The directory that a parameter names, made where there is none.

    Parameters and errors are those of `named_directory`.
    """
    path = named_directory(directory, parameter)
    try:
        with named_errors(f"{parameter}={os.fspath(path)!r} cannot be used"):
            path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(
            f"The {parameter!r} parameter must be a directory, or a path where one can "
            f"be made. Got the file {os.fspath(path)!r}."
        ) from None
    return path


@contextmanager
def named_errors(what: str, path: Path | None = None) -> Iterator[None]:
    """Context in which an OSError says `what` it means, and about which `path`."""
    try:
        yield
    except OSError as error:
        named = error.filename if path is None else os.fspath(path)
        if error.errno is None:
            raise OSError(f"{what}: {error}: {named!r}") from error
        raise OSError(error.errno, f"{what}: {error.strerror}", named) from error


class DirectoryLock:
    """Lock of a directory among threads and processes of a machine.

    The system drops it when the process dies. Where it has no such locks, nothing is
    locked.

    Parameters
    ----------
    directory : Path
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False where another holder has it."""
        if fcntl is None:
            return True
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError:  # a file system without locks
            pass
        self._handle = handle
        return True

    def release(self) -> None:
        """Give the lock up, where it is held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
