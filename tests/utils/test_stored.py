"""Rows that stay where they are stored."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from stores import Store, mapped

from skdeepcluster.utils import _stored
from skdeepcluster.utils._stored import StoredRows, at_once, is_stored

X = np.random.default_rng(0).normal(size=(300, 5))


@pytest.fixture(params=["mapped", "fortran", "store", "subset"])
def stored(request, tmp_path, monkeypatch):
    monkeypatch.setattr(_stored, "_BLOCK_BYTES", 32 * X[0].nbytes)
    if request.param == "store":
        return StoredRows(Store(X))
    if request.param == "subset":
        twice = np.repeat(X, 2, axis=0)
        return StoredRows(Store(twice)).subset(np.arange(1, 600, 2))
    order = "F" if request.param == "fortran" else "C"
    return StoredRows(mapped(X, tmp_path, order))


@pytest.mark.parametrize(
    "rows", [slice(3, 40), slice(None), slice(290, 400), slice(5, 5), slice(0, 300, 7)]
)
def test_slices(stored, rows):
    np.testing.assert_array_equal(stored[rows], X[rows])


def test_rows_by_number_in_any_order(stored):
    index = np.random.default_rng(0).integers(0, 300, size=100)
    np.testing.assert_array_equal(stored[index], X[index])
    assert stored[np.zeros(0, dtype=int)].shape == (0, 5)


def test_shape_and_blocks(stored):
    assert (len(stored), stored.shape, stored.dtype) == (300, (300, 5), np.float64)
    blocks = list(stored.blocks())
    assert len(blocks) == -(-300 // stored.block_rows) > 5
    np.testing.assert_array_equal(np.concatenate(blocks), X)


def test_a_subset_of_a_subset(stored):
    part = stored.subset(np.arange(10, 90)).subset(np.array([0, 3, 79]))
    np.testing.assert_array_equal(part[:], X[[10, 13, 89]])


def test_what_is_given_is_a_copy(tmp_path):
    x = StoredRows(np.memmap(tmp_path / "x", dtype=np.float64, shape=(4, 2), mode="w+"))
    x[:][:] = 7.0
    assert not x[:].any()


@pytest.mark.parametrize(
    "dtype, given",
    [
        (np.float16, np.float64),
        (np.uint8, np.float64),
        (bool, np.float64),
        (np.float32, np.float32),
        (">f4", np.float32),
        (">f8", np.float64),
    ],
)
def test_dtypes(dtype, given):
    data = np.arange(12).reshape(4, 3).astype(dtype)
    rows = StoredRows(Store(data))
    assert rows.dtype == rows[:].dtype == given
    assert rows.dtype.isnative
    assert rows.as_stored(slice(2)).dtype == data.dtype
    np.testing.assert_array_equal(rows[:], data.astype(given))


def test_half_precision_may_stay():
    rows = StoredRows(Store(X.astype(np.float16)), keep=(np.float16,))
    assert rows.dtype == rows[:2].dtype == np.float16


def test_neighbours_are_read_at_once_and_the_rest_is_not():
    store = Store(X)
    StoredRows(store)[np.array([0, 2, 3, 299])]
    assert store.reads == [(0, 4), (299, 300)]


def test_what_is_stored(tmp_path, monkeypatch):
    small = mapped(X, tmp_path)
    assert not is_stored(small)
    assert not is_stored(Store(X))
    monkeypatch.setattr(_stored, "_READ_AT_ONCE", 0)
    assert is_stored(small)
    assert is_stored(small[10:])
    assert is_stored(Store(X))
    for other in [
        X,
        X.tolist(),
        torch.from_numpy(X),
        sp.csr_array(X),
        mapped(X[0], tmp_path),
        Store(X.astype(object)),
        Store(X.astype(complex)),
        "text",
    ]:
        assert not is_stored(other)


def test_small_stores_are_read_at_once():
    np.testing.assert_array_equal(at_once(Store(X)), X)
    assert at_once(X) is X
    assert at_once([[1.0]]) == [[1.0]]


def test_copies_of_mapped_arrays_are_in_memory(tmp_path):
    rows = mapped(X, tmp_path)
    assert _stored.is_mapped(rows[3:])
    for copy in (rows.copy(), rows.astype(np.float32), np.asarray(rows.copy())):
        assert not _stored.is_mapped(copy)
