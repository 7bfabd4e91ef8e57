"""Distinct rows, counted as far as that is worth knowing."""

import numpy as np
import pytest
import scipy.sparse as sp
from stores import Store

from skdeepcluster.utils import _distinct
from skdeepcluster.utils._distinct import count_distinct, too_few_distinct
from skdeepcluster.utils._stored import StoredRows

ROWS = np.array([[0.0, 1.0], [2.0, 0.0], [-0.0, 1.0], [0.0, 3.0], [0.0, 0.0]])
FORMS = [np.asarray, sp.csr_array, lambda x: StoredRows(Store(x))]


@pytest.mark.parametrize("form", FORMS)
def test_distinct_rows_and_directions(form):
    many = np.repeat(ROWS, 50, axis=0)
    for at_most, n_distinct, n_directions in [(9, 4, 2), (3, 3, 2), (1, 1, 1)]:
        assert count_distinct(form(many), at_most)[0] == n_distinct
        assert count_distinct(form(many), at_most, directions=True)[0] == n_directions


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_multiples_of_rows_have_one_direction(dtype):
    random = np.random.RandomState(0)
    rows = random.normal(size=(3, 40))
    rows = np.repeat(rows, 30, axis=0) * random.uniform(0.1, 10, size=(90, 1))
    assert count_distinct(rows.astype(dtype), 9, directions=True) == (3, 90)


def test_nearly_equal_directions_differ():
    angles = np.arange(5) * 1e-13
    rows = np.column_stack([np.cos(angles), np.sin(angles)]) * 1e200
    assert count_distinct(rows, 9, directions=True)[0] == 5


def test_the_first_rows_are_enough(monkeypatch):
    monkeypatch.setattr(_distinct, "_MOST_ENTRIES", 5000)
    rows = np.random.RandomState(0).normal(size=(20_000, 2))
    assert count_distinct(rows, 8) == (8, 4096)
    rows[:] = 1.0
    assert count_distinct(rows, 8) == (1, 4096)
    assert "only 1 differ among the first 4096." in too_few_distinct(rows, 8)
