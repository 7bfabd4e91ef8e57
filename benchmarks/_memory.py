"""Private memory of this process: what it takes, and a limit on it."""

import contextlib
import resource
import threading
import time
from pathlib import Path


def limit_private_memory(gigabytes):
    """Let this process have so much more than now; the limit, in bytes."""
    limit = status("VmData") + int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return limit


def status(name):
    """A line of the process's status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise KeyError(name)


class Peak(contextlib.AbstractContextManager):
    """Samples the anonymous resident memory meanwhile."""

    def __enter__(self):
        self.peak, self.start = status("RssAnon"), time.perf_counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self):
        while not self._ended.wait(0.005):
            self.peak = max(self.peak, status("RssAnon"))

    def __exit__(self, *error):
        self.seconds = time.perf_counter() - self.start
        self._ended.set()
        self._thread.join()
