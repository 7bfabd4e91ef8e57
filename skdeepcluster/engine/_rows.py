"""The rows that a network sees: scaled, dense, on the device."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from skdeepcluster.engine._devices import Compute
from skdeepcluster.engine._scaling import Scaling, check_scaled


class Rows(Protocol):
    """What training asks of all rows: the part of a tensor's interface that it uses.

    A tensor that stays on the device has it, and so do rows that are made when they
    are asked for.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and features."""

    @property
    def device(self) -> torch.device:
        """Where the rows are given."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the rows."""

    def __len__(self) -> int:
        """Number of rows."""

    def __getitem__(self, rows: slice) -> Tensor:
        """A slice of the rows."""

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The rows of an index, in its order; `dim` is 0."""


class SparseRows:
    """Rows of a CSR matrix, made dense when they are asked for.

    To the bit what scaling the dense matrix gives.

    Parameters
    ----------
    X : CSR matrix of shape (n_samples, n_features)
        Without duplicate entries.
    scaling : Scaling
    compute : Compute
    """

    def __init__(self, X: sp.csr_array, scaling: Scaling, compute: Compute) -> None:
        self.X = X
        self.scaling = scaling
        self.device = compute.device
        self.dtype = compute.dtype
        self._numpy_dtype = compute.numpy_dtype
        zeros = scaling.apply(np.zeros((1, X.shape[1])), self._numpy_dtype)
        self._zeros = torch.from_numpy(zeros).to(self.device)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        n_samples, n_features = self.X.shape
        return n_samples, n_features

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, rows: slice) -> Tensor:
        return self._dense(self.X[rows])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The rows of an index, in its order."""
        return self._dense(self.X[index.cpu().numpy()])

    def uncentred(self) -> sp.csr_array:
        """All rows, scaled but not shifted, so that zeros stay zeros."""
        return self.X / self.scaling.factor

    def _dense(self, part: sp.csr_array) -> Tensor:
        values = self._scaled(part)
        row = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
        places = torch.from_numpy(row * part.shape[1] + part.indices)
        dense = self._zeros.repeat(part.shape[0], 1)
        dense.view(-1)[places.to(self.device)] = torch.from_numpy(values).to(dense)
        return dense

    def _scaled(self, part: sp.csr_array) -> NDArray:
        values = self.scaling.apply_to(part.data, part.indices, self._numpy_dtype)
        check_scaled(values)
        return values
