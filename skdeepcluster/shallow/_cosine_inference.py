"""What fitted unit centres do with rows: label them, measure them, score them."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.engine import group_of
from skdeepcluster.kmeans import fuzzy_memberships, nearest_by_cosine
from skdeepcluster.metrics._partition import score_partition
from skdeepcluster.shallow._base import BaseDirectionalEstimator, answer_dtype
from skdeepcluster.shallow._distances import cosine_distances
from skdeepcluster.utils._group import ALONE
from skdeepcluster.utils._torch_settings import own_torch_settings


class CosineClusterer(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    BaseDirectionalEstimator,
):
    """Clusterers with unit centres, `cluster_centers_`, and maybe a `fuzziness`."""

    def predict(self, X):
        """Cluster of each row: that of the nearest centre.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Numbers of the clusters, from 0 on. Of several centres equally near the
            first; for a row of zeros 0.
        """
        check_is_fitted(self)
        return self._label(self._validate(X, reset=False))

    @own_torch_settings()
    def _label(self, X, matrix=None):
        """Labels of validated rows; `matrix` is theirs, where there is one already."""
        if self.fuzziness > 1:
            return self._memberships(X).argmax(axis=1).astype(np.int32)
        if matrix is None:
            matrix = self._matrix(X, "float32")
        labels, _ = nearest_by_cosine(matrix, self._centers_of(matrix))
        return labels.numpy().astype(np.int32)

    @available_if(lambda self: self.fuzziness > 1)
    def predict_proba(self, X):
        r"""Memberships of rows in clusters, where `fuzziness` is above 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        U : ndarray of shape (n_samples, n_clusters)
            Proportional to :math:`(1 - \cos(x_i, c_j))^{-1/(m-1)}`; rows sum to 1. In
            X's dtype. A row of zeros belongs to all clusters equally.
        """
        check_is_fitted(self)
        return self._memberships(self._validate(X, reset=False))

    @own_torch_settings()
    def _memberships(self, X):
        distances = cosine_distances(X, self.cluster_centers_)
        memberships = fuzzy_memberships(torch.from_numpy(distances), self.fuzziness)
        return memberships.numpy().astype(answer_dtype(X))

    @own_torch_settings()
    def transform(self, X):
        """Cosine distances to the centres.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to compare.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            ``1 - cos``, from 0 to 2, in X's dtype; 1 for a row of zeros.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return cosine_distances(X, self.cluster_centers_).astype(answer_dtype(X))

    def score(self, X, y=None, sample_weight=None):
        """Say how well the predicted partition respects the neighbourhoods of X.

        See :func:`~skdeepcluster.metrics.neighborhood_score`, with the cosine. It is
        not the criterion, which is `inertia_`, and can be compared over numbers of
        clusters, seeds and methods.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            If there are more than 2,000 rows, a fixed sample of them is scored. With
            ``shard="local"`` every process calls this with its own rows, and the sample
            is drawn from the rows of all processes.
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
        group = group_of(self.shard) if self.shard == "local" else ALONE
        with group.together():
            X = self._validate(X, reset=False)
        return score_partition(
            X, self._label, group, metric="cosine", sample_weight=sample_weight
        )

    def _centers_of(self, matrix):
        centers = torch.from_numpy(self.cluster_centers_.astype(np.float64))
        return matrix.centers_type(centers)
