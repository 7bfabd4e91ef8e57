"""How many rows differ, as far as that is worth knowing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdeepcluster.utils._stored import row_blocks, rows_of_bytes

# Rows of more entries are not looked at: of a table with so many equal rows in a row,
# a fit has other problems.
_MOST_ENTRIES = 2**28
# Units in the last place by which multiples of a row, once divided by their lengths,
# differ at most: of float64, in which this is done, more is rounded.
_ULPS, _ULPS_OF_FLOAT64 = 4, 16


def count_distinct(X: Any, at_most: int, directions: bool = False) -> tuple[int, int]:
    """Number of distinct rows, counted up to a limit.

    It costs no more than a step of k-means with `at_most` clusters, and where rows
    differ no more than to look at the first.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
    at_most : int
    directions : bool, default=False
        Whether rows of one direction are the same, and rows of zeros do not count.

    Returns
    -------
    n_distinct : int
        At most `at_most`.
    n_looked_at : int
        Rows among which these were found; all, unless they are too many.
    """
    known: list[NDArray] = []
    n_seen = 0
    for block in _blocks(X):
        if n_seen * X.shape[1] > _MOST_ENTRIES:
            break
        n_seen += len(block)
        rows, differs = _comparable(block, directions)
        for row in known:
            rows = rows[differs(rows, row)]
        while len(rows) and len(known) < at_most:
            known.append(rows[0])
            rows = rows[differs(rows, rows[0])]
        if len(known) == at_most:
            break
    return len(known), n_seen


def _blocks(X: Any) -> Iterator[NDArray]:
    if not sp.issparse(X):
        yield from row_blocks(X)
        return
    step = rows_of_bytes(8 * X.shape[1])
    for start in range(0, X.shape[0], step):
        yield X[start : start + step].toarray()


def _comparable(
    block: NDArray, directions: bool
) -> tuple[NDArray, Callable[[NDArray, NDArray], NDArray]]:
    """Rows, and which of them differ from one."""
    if not directions:
        return block, lambda rows, row: (rows != row).any(axis=1)
    ulps = _ULPS_OF_FLOAT64 if block.dtype == np.float64 else _ULPS
    same = (ulps * float(np.finfo(block.dtype).eps)) ** 2
    rows = block.astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows[largest[:, 0] > 0] / largest[largest[:, 0] > 0]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows, lambda rows, row: np.square(rows - row).sum(axis=1) > same


def too_few_distinct(X: Any, n_clusters: int, directions: bool = False) -> str | None:
    """What to say of rows that differ less often than there are clusters.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
    n_clusters : int
    directions : bool, default=False

    Returns
    -------
    cause : str or None
        None where as many rows differ, or where it is not known.
    """
    n_distinct, n_seen = count_distinct(X, n_clusters, directions)
    if n_distinct == n_clusters:
        return None
    what = "rows of X with the same direction" if directions else "duplicate rows of X"
    among = "" if n_seen == X.shape[0] else f" among the first {n_seen}"
    return f"Due to {what}: only {n_distinct} differ{among}."
