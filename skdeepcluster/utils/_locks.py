"""One holder of a directory at a time."""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


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
