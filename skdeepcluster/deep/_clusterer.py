"""Deep estimators that assign rows to clusters."""

from __future__ import annotations

import warnings
from numbers import Integral

import numpy as np
import torch
from sklearn.base import ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.deep._base import BaseDeepEstimator
from skdeepcluster.deep._inference import check_answers
from skdeepcluster.engine import diverged
from skdeepcluster.metrics import neighborhood_score, sample_rows
from skdeepcluster.utils._sklearn import Interval


class BaseDeepClusterer(ClusterMixin, BaseDeepEstimator):
    """Deep estimators that assign rows to clusters."""

    _parameter_constraints: dict = {
        **BaseDeepEstimator._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
    }

    def _check_n_samples(self, X):
        if len(X) < self.n_clusters:
            raise ValueError(
                f"n_samples={len(X)} should be >= n_clusters={self.n_clusters}."
            )

    def _finish(self, trainer, phase, X):
        self.initial_labels_ = trainer.initial_labels.cpu().numpy().astype(np.int32)
        self.n_iter_ = max(1, len(self.history_[phase.name]["loss"]))
        super()._finish(trainer, phase, X)
        labels = self._final_labels(X, phase)
        counts = np.bincount(labels, minlength=self.n_clusters)
        order = np.argsort(counts == 0, kind="stable")
        self.objective_.reorder(torch.as_tensor(order))
        self.cluster_centers_ = self.cluster_centers_[order].astype(X.dtype)
        self.labels_ = np.argsort(order)[labels].astype(np.int32)
        _warn_of_collapse(counts[order])

    def _final_labels(self, X, phase):
        q = self._soft_assign(X)
        if not np.isfinite(q).all():  # the very last step overflowed
            raise diverged(phase, self.n_iter_)
        return q.argmax(axis=1)

    def predict_proba(self, X):
        """Soft assignments of rows to clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            Rows sum to 1; in X's dtype.
        """
        check_is_fitted(self)
        return check_answers(self._soft_assign(self._validate_new_data(X)))

    def _soft_assign(self, X):
        return self._infer(self.objective_.soft_assign, X)

    def predict(self, X):
        """Cluster of each row: the argmax of ``predict_proba(X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Numbers of the clusters, from 0 on.
        """
        return self.predict_proba(X).argmax(axis=1).astype(np.int32)

    def score(self, X, y=None):
        """Say how well the predicted partition respects the neighbourhoods of X.

        See :func:`~skdeepcluster.metrics.neighborhood_score`. It is not the training
        objective and does not depend on the embedding, so it can be compared over
        numbers of clusters, embedding sizes, seeds and methods.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of more than 2,000 rows a fixed sample is scored.
        y : ignored
            Present by convention.

        Returns
        -------
        score : float
            Greater is better; exactly 0 for a single cluster.
        """
        check_is_fitted(self)
        X = self._validate_new_data(X)
        X = X[sample_rows(len(X))]
        q = check_answers(self._soft_assign(X))
        return neighborhood_score(X, q.argmax(axis=1))


def _warn_of_collapse(counts):
    alive = int(np.count_nonzero(counts))
    if alive < len(counts):
        warnings.warn(
            f"Number of distinct clusters ({alive}) found smaller than n_clusters "
            f"({len(counts)}). Possibly due to duplicate points in X, or clusters died "
            f"in training. Rows per cluster: {counts.tolist()}.",
            ConvergenceWarning,
            stacklevel=7,
        )
