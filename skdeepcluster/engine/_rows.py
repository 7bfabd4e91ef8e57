"""The rows that a network sees: scaled, dense, on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from skdeepcluster.engine._devices import Compute
from skdeepcluster.engine._scaling import Scaling, check_scaled
from skdeepcluster.utils._stored import StoredRows, is_on_disk, rows_of_bytes


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
        #: What a zero becomes in each column, (n_features,).
        self.shift = torch.from_numpy(zeros[0]).to(self.device)

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

    def uncentred(self, rows: slice | None = None) -> sp.csr_array:
        """All or some rows, scaled but not shifted, so that zeros stay zeros.

        Constant columns are zeros, too: all rows have the same there, and however large
        it is, `shift_of_uncentred` takes it away.
        """
        X = self.X if rows is None else self.X[rows]
        X = X / self.scaling.factor
        constant = self.scaling.constant
        if constant.any():
            X.data[constant[X.indices]] = 0.0
        return X

    @property
    def shift_of_uncentred(self) -> Tensor:
        """What is to be added to `uncentred` rows, (n_features,)."""
        constant = torch.from_numpy(self.scaling.constant).to(self.device)
        return self.shift.masked_fill(constant, 0.0)

    def _dense(self, part: sp.csr_array) -> Tensor:
        values = self._scaled(part)
        row = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
        places = torch.from_numpy(row * part.shape[1] + part.indices)
        dense = self.shift.repeat(part.shape[0], 1)
        dense.view(-1)[places.to(self.device)] = torch.from_numpy(values).to(dense)
        return dense

    def _scaled(self, part: sp.csr_array) -> NDArray:
        values = self.scaling.apply_to(part.data, part.indices, self._numpy_dtype)
        check_scaled(values)
        return values


class StreamedRows:
    """Rows of an array in memory or on disk, scaled when they are asked for.

    Parameters
    ----------
    X : {ndarray, StoredRows} of shape (n_samples, n_features)
    scaling : Scaling
    compute : Compute
    after : callable, optional
        Row-wise function of the scaled rows, (b, n_features), that gives what is asked
        for, (b, d).
    """

    def __init__(
        self,
        X: NDArray | StoredRows,
        scaling: Scaling,
        compute: Compute,
        after: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.X = X
        self.scaling = scaling
        self.compute = compute
        self.after = after
        self.device = compute.device
        self.dtype = compute.dtype
        self.on_disk = is_on_disk(X)
        self._width = self[:1].shape[1] if after is not None else X.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features, of what is given."""
        return len(self.X), self._width

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of X where it is stored."""
        X = self.X
        return X.row_bytes if isinstance(X, StoredRows) else X[:1].nbytes

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: slice) -> Tensor:
        return self.prepared(self.X[rows])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The rows of an index, in its order."""
        return self.prepared(self.X[index.cpu().numpy()])

    def as_stored(self, start: int, stop: int) -> NDArray:
        """Rows of X before all else, for `prepared`."""
        rows = slice(start, stop)
        return (
            self.X.as_stored(rows) if isinstance(self.X, StoredRows) else self.X[rows]
        )

    def prepared(self, block: NDArray) -> Tensor:
        """Rows of X as they are given: scaled, on the device."""
        return self.placed(self.scaled(block))

    def scaled(self, block: NDArray) -> NDArray:
        """Rows of X, scaled, on the host: what a thread may do."""
        out = np.empty(block.shape, self.compute.numpy_dtype)
        size = rows_of_bytes(block[:1].nbytes)
        for start in range(0, len(block), size):
            part = slice(start, start + size)
            out[part] = self.scaling.apply(block[part], self.compute.numpy_dtype)
        check_scaled(out)
        return out

    def placed(self, block: NDArray) -> Tensor:
        """Scaled rows as they are given."""
        x = torch.from_numpy(block).to(self.device)
        return x if self.after is None else self.after(x)

    def then(self, function: Callable[[Tensor], Tensor]) -> StreamedRows:
        """Rows that `function` makes of these, when they are asked for."""
        before = self.after
        after = function if before is None else lambda x: function(before(x))
        return StreamedRows(self.X, self.scaling, self.compute, after)

    def uncentred(self) -> Any:
        """Never: all rows at once would have to fit in memory."""
        raise ValueError(
            "A loss of neighbours in the input needs X in memory. Got rows that are "
            "read from disk block by block: pass numpy.array(X) where it fits."
        )
