"""Rows that are equal, found without comparing pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

_DIGEST_BYTES = 16  # two different rows of one digest are not to be feared


def first_twins(x: np.ndarray | sp.csr_matrix) -> Tensor:
    """Index of the first row that is equal to each.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (n, d)
        CSR with sorted indices, and without stored zeros.

    Returns
    -------
    first : Tensor of shape (n,), int64
    """
    contents = _sparse_contents(x) if sp.issparse(x) else _dense_contents(x)
    seen: dict[bytes, int] = {}
    first = [seen.setdefault(_digest(parts), i) for i, parts in enumerate(contents)]
    return torch.tensor(first)


def _digest(parts: tuple[np.ndarray, ...]) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part.data)
    return digest.digest()


def _dense_contents(x: np.ndarray) -> Iterable[tuple[np.ndarray, ...]]:
    for row in x:
        yield (np.ascontiguousarray(row) + 0,)  # minus zero is zero


def _sparse_contents(x: sp.csr_matrix) -> Iterable[tuple[np.ndarray, ...]]:
    starts = x.indptr.tolist()
    for start, stop in zip(starts[:-1], starts[1:], strict=True):
        yield x.indices[start:stop], x.data[start:stop]
