"""Score of a fitted model's partition of rows, which several processes may have."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from skdeepcluster.metrics._internal import neighborhood_score
from skdeepcluster.metrics._sampling import sample_rows, sampled, scaled
from skdeepcluster.utils._group import ALONE, Shard
from skdeepcluster.utils._input import checked_weight

_SAMPLE_SIZE = 2000  # as of `sample_rows`


def score_partition(X, label, group=ALONE, metric="euclidean", sample_weight=None):
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
    sample_weight : array-like of shape (n_own,), default=None
        Weights of these rows, as `neighborhood_score` takes them.

    Returns
    -------
    score : float
    """
    shard = Shard(X.shape[0], group)
    copies = _copies_of_all(sample_weight, X, group)
    if copies is None:
        rows = sample_rows(shard.total)
    else:
        rows, copies = sampled(copies, shard.total, _SAMPLE_SIZE, 0)
    with group.together():
        own = X[rows[(rows >= shard.start) & (rows < shard.stop)] - shard.start]
        labels = label(own) if own.shape[0] else np.empty(0, np.int32)
    samples, labels = zip(*group.each((own, labels)), strict=True)
    rows, labels = _stacked(samples), np.concatenate(labels)
    return neighborhood_score(rows, labels, metric=metric, sample_weight=copies)


def _copies_of_all(sample_weight, X, group):
    """How often the rows of all processes are there; None where each is once."""
    weighted = any(group.each(sample_weight is not None))
    with group.together():
        weight = checked_weight(sample_weight, X) if weighted else None
    if weight is None:
        return None
    return scaled(group.concat(torch.from_numpy(np.array(weight))).numpy())


def _stacked(samples):
    if len(samples) == 1:
        return samples[0]
    if any(map(sp.issparse, samples)):
        return sp.vstack(samples, format="csr")
    return np.concatenate(samples)
