"""The next piece of work is done in a thread while the last one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


def done_ahead(jobs: Iterable[Callable[[], _Result]]) -> Iterator[_Result]:
    """Results of `jobs` in their order, each begun when the one before is given out.

    For reading: one thread, at most two results at a time.

    Parameters
    ----------
    jobs : iterable of callables without arguments

    Yields
    ------
    result : object
    """
    with ThreadPoolExecutor(1) as worker:
        pending: deque[Future[_Result]] = deque()
        try:
            for job in jobs:
                pending.append(worker.submit(job))
                if len(pending) > 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # the one who asks may have had enough
            for future in pending:
                future.cancel()
