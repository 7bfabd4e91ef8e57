"""Rows that stay where they are stored, and are read block by block."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from skdeepcluster.utils._ahead import done_ahead
from skdeepcluster.utils._forms import plain

# What takes less is read at once, as if it had been passed as an array (64 MiB).
_READ_AT_ONCE = 1 << 26
_BLOCK_ROWS = 4096
_BLOCK_BYTES = 1 << 25
# Rows that are rather read and left aside than looked for by another read.
_GAP_ROWS = 64
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class StoredRows:
    """Rows of a file or another store: looked at in slices, never copied whole.

    Parameters
    ----------
    x : array-like of shape (n, d)
        Anything with ``shape``, ``dtype`` and slices of rows: a mapped array, or one of
        zarr, h5py, dask and their like.
    keep : tuple of dtype, default=(float32, float64)
        Dtypes in which rows are given as they are; others become float64.
    rows : ndarray of shape (m,), optional
        Numbers of the rows to look at, in ascending order; all by default.
    """

    ndim = 2

    def __init__(
        self, x: Any, keep: tuple = _FLOATS, rows: NDArray[np.intp] | None = None
    ) -> None:
        self.x = x
        self.keep = tuple(map(np.dtype, keep))
        self.rows = rows
        own = np.dtype(x.dtype).newbyteorder("=")
        self.dtype = own if own in self.keep else np.dtype(np.float64)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        n_rows = self.x.shape[0] if self.rows is None else len(self.rows)
        return int(n_rows), int(self.x.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> NDArray:
        """Rows of a slice, or of row numbers, in memory."""
        return self.as_stored(rows).astype(self.dtype, copy=False)

    def as_stored(self, rows: slice | NDArray[np.intp]) -> NDArray:
        """The same, in the dtype of the store."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1 and self.rows is None:
                return np.array(plain(self.x[start:stop]))
            rows = np.arange(start, stop, step)
        return self._gather(rows if self.rows is None else self.rows[rows])

    def _gather(self, index: NDArray[np.intp]) -> NDArray:
        """Rows by their numbers: not every store takes these, but all take slices."""
        if isinstance(self.x, np.ndarray):
            return np.array(self.x[index])
        order = np.argsort(index, kind="stable")
        out = np.empty((len(index), self.shape[1]), self.x.dtype)
        for part in self._runs(order, index[order]):
            first, last = int(index[part[0]]), int(index[part[-1]])
            run = np.asarray(plain(self.x[first : last + 1]))
            out[part] = run[index[part] - first]
        return out

    def _runs(
        self, order: NDArray[np.intp], index: NDArray[np.intp]
    ) -> list[NDArray[np.intp]]:
        """Parts of `order` whose rows, `index`, are near enough to be read at once."""
        apart = np.diff(index) > _GAP_ROWS
        apart |= np.diff(index // self.block_rows) > 0
        return [
            part for part in np.split(order, np.flatnonzero(apart) + 1) if len(part)
        ]

    def subset(self, rows: NDArray[np.intp]) -> StoredRows:
        """Some of the rows, by their numbers in ascending order; nothing is read."""
        rows = rows if self.rows is None else self.rows[rows]
        return StoredRows(self.x, self.keep, rows)

    @property
    def block_rows(self) -> int:
        """Rows that are read together in a pass over all of them."""
        return rows_of_bytes(self.row_bytes)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in the store."""
        return max(1, self.shape[1] * np.dtype(self.x.dtype).itemsize)

    def blocks(self) -> Iterator[NDArray]:
        """All rows, a block at a time, read ahead."""
        starts = range(0, len(self), self.block_rows)
        slices = (slice(start, start + self.block_rows) for start in starts)
        return done_ahead(partial(self.__getitem__, rows) for rows in slices)


def rows_of_bytes(row_bytes: int) -> int:
    """Rows of so many bytes each that are worked on together."""
    return max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // max(1, row_bytes)))


def row_blocks(x: NDArray | StoredRows) -> Iterator[NDArray]:
    """All rows, or entries of a vector, a block at a time; those on disk read ahead."""
    if isinstance(x, StoredRows):
        return x.blocks()
    size = rows_of_bytes(x[:1].nbytes)
    return (x[start : start + size] for start in range(0, len(x), size))


def is_stored(x: object) -> bool:
    """Whether rows are to be read block by block: mapped, or of another array type.

    Small ones are not: they are read at once.

    Parameters
    ----------
    x : object
        What a user passed as X.

    Returns
    -------
    stored : bool
    """
    if not ((is_mapped(x) and _has_numeric_rows(x)) or _is_sliceable(x)):
        return False
    n_rows, n_features = x.shape  # type: ignore[attr-defined]
    itemsize = np.dtype(x.dtype).itemsize  # type: ignore[attr-defined]
    return bool(n_rows * n_features * itemsize > _READ_AT_ONCE)


def at_once(x: Any) -> Any:
    """Rows of another array type as an array, and everything else as it is."""
    return np.asarray(plain(x[:])) if _is_sliceable(x) else x


def _is_sliceable(x: Any) -> bool:
    """Whether an object that is no array has rows that can be had by a slice."""
    if isinstance(x, (np.ndarray, torch.Tensor)) or sp.issparse(x):
        return False
    return hasattr(x, "__getitem__") and _has_numeric_rows(x)


def _has_numeric_rows(x: Any) -> bool:
    shape = getattr(x, "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2:
        return False
    dtype = getattr(x, "dtype", None)
    if not isinstance(dtype, np.dtype | type | str):  # a data frame's column "dtype"
        return False
    try:
        return np.dtype(dtype).kind in "biuf"
    except TypeError:  # a dtype that is not numpy's
        return False


def neighbours(X: Any, part: slice) -> Any:
    """Some rows of an array, a CSR matrix or a store, of which none is read.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n, d)
    part : slice
        With a start, a stop and no step.
    """
    if isinstance(X, StoredRows):
        return X.subset(np.arange(part.start, part.stop))
    return X[part]


def rows_with(X: Any, keep: NDArray[np.bool_]) -> Any:
    """Rows where `keep` holds: X itself where it is all, and of a store none is read.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n, d)
    keep : ndarray of shape (n,), bool
    """
    if keep.all():
        return X
    return X.subset(np.flatnonzero(keep)) if isinstance(X, StoredRows) else X[keep]


def is_on_disk(x: object) -> bool:
    """Whether reading rows takes time in which another thread can compute.

    Parameters
    ----------
    x : {ndarray, StoredRows}

    Returns
    -------
    on_disk : bool
    """
    return isinstance(x, StoredRows) or is_mapped(x)


def is_mapped(x: object) -> bool:
    """Whether an array is a view on a mapped file.

    Parameters
    ----------
    x : ndarray

    Returns
    -------
    mapped : bool
        For views of views too.
    """
    while isinstance(x, np.ndarray):
        # A copy of a mapped array is of its class, too, but in memory.
        if isinstance(x, np.memmap) and x._mmap is not None:
            return True
        x = x.base
    return isinstance(x, mmap.mmap)
