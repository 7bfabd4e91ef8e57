"""What centres do with rows: label, measure and reconstruct them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.engine import Compute
from skdeepcluster.kmeans._rows import fixed_order_sum
from skdeepcluster.kmeans.means import as_rows
from skdeepcluster.shallow._base import answer
from skdeepcluster.shallow._hard_memberships import HardClusterer
from skdeepcluster.shallow._mean_starts import check_labels
from skdeepcluster.utils._exact_products import row_exponents, scaled_rows
from skdeepcluster.utils._forms import plain

# Sums of squares of larger numbers might leave the range of float64.
_LARGEST = 1e140
# And of smaller ones than 2 to minus this might vanish.
_FAR = 400


class CentroidFactors(HardClusterer):
    """Clusterers whose means are vectors, `cluster_centers_`."""

    def transform(self, X):
        """Distances to the centres.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to compare.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            Euclidean distances, not squared, in X's dtype, or float64 where that
            overflows.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        exponent = self._exponent()
        distances = self._distances(X, exponent)
        if exponent:
            distances = np.ldexp(distances, exponent)
            far = np.flatnonzero(row_exponents(X) > exponent + _FAR)
            if len(far):
                distances[far] = self._distances(X[far], 0)
        return answer(distances, X)

    def inverse_transform(self, Y):
        r"""Rows from memberships: the product :math:`Y X^\top` of the two factors.

        It is the inverse of the factorization, not of `transform`, whose distances are
        no memberships.

        Parameters
        ----------
        Y : {array-like, sparse matrix}
            Labels, of shape (n_samples,), whole numbers from 0 to ``n_clusters - 1``;
            or a row of memberships per sample, of shape (n_samples, n_clusters), hard
            such as `membership_` or soft.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the dtype of `cluster_centers_`, or float64 where that overflows.
        """
        check_is_fitted(self)
        Y = check_array(
            plain(Y, "Y"), accept_sparse="csr", ensure_2d=False, input_name="Y"
        )
        if Y.ndim == 1:
            return self.cluster_centers_[check_labels(Y, self._n_features_out)]
        if Y.shape[1] != self._n_features_out:
            raise ValueError(
                f"Y has {Y.shape[1]} columns, but {type(self).__name__} has "
                f"n_clusters={self._n_features_out} memberships per row."
            )
        centers = self.cluster_centers_
        return answer(np.asarray(Y.astype(np.float64) @ centers), centers)

    def reconstruction_error(self, X):
        """Squared error of rows that are replaced by their nearest centres.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to reconstruct.

        Returns
        -------
        error : float
            Sum of squared differences over all entries; for the training rows without
            weights, `inertia_`.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        labels = torch.from_numpy(self._label(X).astype(np.int64))
        return self._error(X, labels, None)

    def _validate(self, X, *, reset):
        X = super()._validate(X, reset=reset)
        values = X.data if sp.issparse(X) else X
        ends = values.min(initial=0.0), values.max(initial=0.0)
        largest = max(abs(float(end)) for end in ends)
        if largest > _LARGEST:
            raise ValueError(
                f"X has values up to {largest:g}, whose squares overflow float64; "
                "scale X first, for instance with StandardScaler."
            )
        return X

    def _rows(self, X, exponent):
        """The rows for computing with, over ``2 ** exponent``, on the device."""
        if exponent:
            X = scaled_rows(X.astype(np.float64), np.full(X.shape[0], -exponent))
            # All centres are equally near to rows so far away.
            farthest = 2.0 ** (_FAR + 1)
            if sp.issparse(X):
                X.data = X.data.clip(-farthest, farthest)
            else:
                X = X.clip(-farthest, farthest)
        return as_rows(X, Compute.here(self.device, self.precision).device)

    def _label(self, X):
        exponent = self._exponent()
        rows = self._rows(X, exponent)
        nearest = rows.nearest(self._centers(exponent).to(rows.device))
        return nearest.cpu().numpy().astype(np.int32)

    def _distances(self, X, exponent):
        """Distances to the centres, (n, k), over ``2 ** exponent``."""
        rows = self._rows(X, exponent)
        squares = rows.distances(self._centers(exponent).to(rows.device))
        return squares.sqrt().cpu().numpy()

    def _exponent(self):
        """Of the unit in which squares of differences to the centres do not vanish."""
        return small_exponent(self.cluster_centers_)

    def _centers(self, exponent):
        centers = np.ldexp(self.cluster_centers_.astype(np.float64), -exponent)
        return torch.from_numpy(centers)

    def _error(self, X, labels, weight):
        """Weighted squared error of rows that are replaced by centres, a float."""
        exponent = self._exponent()
        rows = self._rows(X, exponent)
        centers = self._centers(exponent).to(rows.device)
        distances = rows.own_distances(centers, labels.to(rows.device))
        total = fixed_order_sum(distances if weight is None else distances * weight)
        return float(np.ldexp(float(total), 2 * exponent))


def small_exponent(X):
    """Exponent of 2 above all entries where their squares would vanish, or else 0."""
    if not X.shape[0]:
        return 0
    exponent = int(row_exponents(X).max())
    return exponent if exponent < -_FAR else 0
