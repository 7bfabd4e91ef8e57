"""Work that is done in a thread while the last result is used."""

import threading
from functools import partial

import pytest

from skdeepcluster.utils._ahead import done_ahead


def test_results_in_order():
    assert list(done_ahead(partial(pow, i, 2) for i in range(7))) == [
        0, 1, 4, 9, 16, 25, 36
    ]  # fmt: skip
    assert list(done_ahead([])) == []


def test_the_next_is_begun_and_no_more():
    begun = []
    results = done_ahead(partial(begun.append, i) for i in range(5))
    next(results)
    next(results)
    results.close()  # waits for what has begun
    assert begun[:2] == [0, 1]
    assert len(begun) <= 3


def test_work_is_done_in_another_thread():
    (name,) = done_ahead([threading.get_ident])
    assert name != threading.get_ident()


def test_errors_come_where_their_result_would():
    results = done_ahead([lambda: 1, lambda: 1 / 0, lambda: 3])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() < 50
