"""Rows that are equal, found without comparing pairs."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from skdeepcluster.neighbors import equal_rows


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
    first, kind = equal_rows(x)
    return torch.from_numpy(first[kind])
