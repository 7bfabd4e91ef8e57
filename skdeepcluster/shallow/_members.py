"""Clusterers that are fitted to the same rows, for a consensus of them."""

from __future__ import annotations

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import has_fit_parameter

from skdeepcluster.neighbors import NeighborSearch


def fitted_members(estimators, X, weight, streams, n_jobs):
    """Fit clones of named clusterers, each with a seed of its own.

    Parameters
    ----------
    estimators : list of (str, clusterer)
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    weight : ndarray of shape (n_samples,) or None
    streams : RandomStreams
    n_jobs : int or None

    Returns
    -------
    members : list of (str, clusterer)
    labels : ndarray of shape (n_samples, n_members), int
    """
    tasks = [
        delayed(_fitted)(name, estimator, X, weight, seed_of(name, streams))
        for name, estimator in estimators
    ]
    found = Parallel(n_jobs=n_jobs)(tasks)
    names = [name for name, _ in estimators]
    members = [member for member, _ in found]
    return list(zip(names, members, strict=True)), np.stack([y for _, y in found], 1)


def seed_of(name, streams):
    """Seed of a member, of the range that scikit-learn takes."""
    return streams.seed(f"member {name}") % 2**32


def _fitted(name, estimator, X, weight, seed):
    if isinstance(estimator, FrozenEstimator):
        labels = getattr(estimator, "labels_", None)
        if labels is None or len(labels) != X.shape[0]:
            labels = estimator.predict(X)
        return estimator, checked_labels(name, labels, X.shape[0])
    member = clone(estimator)
    seeds = {
        key: seed
        for key, value in member.get_params().items()
        if key.rpartition("__")[2] == "random_state" and value is None
    }
    member.set_params(**seeds)
    if weight is None:
        member.fit(X)
    elif has_fit_parameter(member, "sample_weight"):
        member.fit(X, sample_weight=weight)
    else:
        raise ValueError(
            "With sample_weight every one of 'estimators' must take it in fit. Got "
            f"{name!r}, a {type(member).__name__}, which does not."
        )
    labels = getattr(member, "labels_", None)
    labels = member.predict(X) if labels is None else labels
    return member, checked_labels(name, labels, X.shape[0])


def checked_labels(name, labels, n_samples):
    """Labels of a member as int, one for each row.

    Parameters
    ----------
    name : str
        Of the member.
    labels : array-like of shape (n_samples,)
        -1 for rows that it leaves out.
    n_samples : int
    """
    labels = np.asarray(labels)
    if labels.shape != (n_samples,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "Each of 'estimators' must give every row one integer label. Got "
            f"{labels.dtype} labels of shape {labels.shape} for {n_samples} rows from "
            f"{name!r}."
        )
    return np.maximum(labels, -1).astype(np.intp)


class NearestLabels:
    """Labels of new rows where a clusterer has none: those of the nearest rows.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)
    metric : {"euclidean", "cosine"}
    """

    def __init__(self, X, labels, metric):
        self.X = X
        self.labels = labels
        self.metric = metric

    def predict(self, X):
        """Labels of rows."""
        index, _ = NeighborSearch(self.X, self.metric).neighbors(1, X)
        return self.labels[index[:, 0]]
