"""What estimators with one cluster per row share: memberships, starts and score."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.metrics._partition import score_partition
from skdeepcluster.shallow._base import BaseShallowEstimator
from skdeepcluster.utils._sklearn import Interval, StrOptions
from skdeepcluster.utils._stored import rows_with


class HardClusterer(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    BaseShallowEstimator,
):
    """Clusterers that minimise a sum of squared distances to means, `labels_`."""

    _parameter_constraints: dict = {
        **BaseShallowEstimator._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "precision": [StrOptions({"float32", "float64"})],
    }

    def _heavy(self, X, sample_weight):
        """Rows with a positive weight, their weights, and which rows they are.

        Nothing is learnt from the others, which only get a label.
        """
        weight = self._validate_weight(sample_weight, X)
        keep = weight.numpy() > 0
        self._check_n_samples(X.shape[0])
        return rows_with(X, keep), weight[weight > 0], keep

    @property
    def membership_(self):
        """One-hot rows of Y, a CSR matrix of shape (n_samples, n_clusters)."""
        if "labels_" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} has no membership_ before it is fitted."
            )
        return one_hot(self.labels_, self._n_features_out)

    def predict(self, X):
        """Cluster of each row: that of the nearest mean.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Numbers of the clusters, from 0 on; of several means equally near the first.
        """
        check_is_fitted(self)
        return self._label(self._validate(X, reset=False))

    def score(self, X, y=None, sample_weight=None):
        """Say how well the predicted partition respects the neighbourhoods of X.

        See :func:`~skdeepcluster.metrics.neighborhood_score`. It is not the criterion,
        which is `inertia_`, and can be compared over numbers of clusters, seeds and
        methods.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Of more than 2,000 rows a fixed sample is scored.
        y : ignored
            Present by convention.

        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. A whole number counts as so many copies,
            0 leaves a row out; of other weights only the ratios count.

        Returns
        -------
        score : float
            Greater is better; exactly 0 for a single cluster.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return score_partition(X, self._label, sample_weight=sample_weight)


def one_hot(labels, n_clusters):
    """Matrix with a 1 in each row, at its label.

    Parameters
    ----------
    labels : ndarray of shape (n,)
    n_clusters : int

    Returns
    -------
    membership : CSR matrix of shape (n, n_clusters), float64
    """
    n = len(labels)
    parts = np.ones(n), labels, np.arange(n + 1)
    return sp.csr_matrix(parts, shape=(n, n_clusters))


def used_first(labels, n_clusters):
    """Order of the clusters in which those without rows come last.

    Parameters
    ----------
    labels : ndarray of shape (n,)
    n_clusters : int

    Returns
    -------
    order : ndarray of shape (n_clusters,)
        Number of the cluster that comes first, second, and so on.
    labels : ndarray of shape (n,), int32
        Labels in that order.
    counts : ndarray of shape (n_clusters,)
        Rows of each cluster, in the order from before.
    """
    counts = np.bincount(labels, minlength=n_clusters)
    order = np.argsort(counts == 0, kind="stable")
    return order, np.argsort(order)[labels].astype(np.int32), counts
