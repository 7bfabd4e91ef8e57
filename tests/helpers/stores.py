"""Rows on disk, and in stores that give slices and nothing else."""

import numpy as np
import pandas as pd
import scipy.sparse as sp


class Store:
    """What zarr, h5py and dask have in common, and no more."""

    def __init__(self, X):
        self._X = X
        self.shape = X.shape
        self.dtype = X.dtype
        self.reads = []

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.reads.append((rows.start, rows.stop))
        return self._X[rows]


def mapped(X, folder, order="C"):
    """Read-only mapped copy of an array."""
    path = folder / f"rows{len(list(folder.iterdir()))}.npy"
    np.save(path, np.asarray(X, order=order))
    return np.load(path, mmap_mode="r")


def forms_of(X, sparse=False):
    """The same rows in another order of memory, another container, other indices."""
    if not sparse:
        frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        wide = np.repeat(X, 2, axis=1)[:, ::2]
        return [X, np.asfortranarray(X), wide, frame, X.tolist(), X.astype(">f8")]
    rows = sp.csr_array(X)
    halves = np.repeat(rows.data / 2, 2), np.repeat(rows.indices, 2), 2 * rows.indptr
    order = np.lexsort([-rows.indices, rows.nonzero()[0]])
    back = rows.data[order], rows.indices[order], rows.indptr
    long = rows.data, *(part.astype(np.int64) for part in (rows.indices, rows.indptr))
    others = [sp.csr_array(parts, shape=X.shape) for parts in (halves, back, long)]
    return [rows, *others, sp.csr_matrix(rows), rows.tocsc(), rows.tocoo()]
