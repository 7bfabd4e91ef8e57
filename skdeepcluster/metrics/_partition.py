"""Score of a fitted model's partition of rows, which several processes may have."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from skdeepcluster.metrics._internal import neighborhood_score, sample_rows
from skdeepcluster.utils._group import ALONE, Shard


def score_partition(X, label, group=ALONE, metric="euclidean"):
    """Neighbourhood score of the partition that a model gives.

    The sample is drawn first, and only its rows are labelled. Of several processes all
    get the score of all rows, as one process with all of them would.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n_own, n_features)
        Valid rows of this process.
    label : callable
        ``label(X)``: labels of some of them.
    group : Group, optional
        Processes that have other rows.
    metric : {"euclidean", "cosine"}, default="euclidean"

    Returns
    -------
    score : float
    """
    shard = Shard(X.shape[0], group)
    rows = sample_rows(shard.total)
    with group.together():
        own = X[rows[(rows >= shard.start) & (rows < shard.stop)] - shard.start]
        labels = label(own) if own.shape[0] else np.empty(0, np.int32)
    samples, labels = zip(*group.each((own, labels)), strict=True)
    return neighborhood_score(_stacked(samples), np.concatenate(labels), metric=metric)


def _stacked(samples):
    if len(samples) == 1:
        return samples[0]
    if any(map(sp.issparse, samples)):
        return sp.vstack(samples, format="csr")
    return np.concatenate(samples)
