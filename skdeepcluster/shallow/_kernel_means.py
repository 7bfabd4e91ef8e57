"""What means in the space of a kernel do with rows: label and measure them."""

from __future__ import annotations

import copy

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.engine import Compute
from skdeepcluster.kmeans._assignment import first_nearest
from skdeepcluster.kmeans._rows import summation_error
from skdeepcluster.shallow._base import answer
from skdeepcluster.shallow._hard_memberships import HardClusterer
from skdeepcluster.shallow._kernel_blocks import KernelBlocks

# Numbers in the longest vectors of processors, and more.
_VECTOR = 16


class KernelMeans(HardClusterer):
    """Clusterers whose means are combinations of training rows, `dual_coef_`."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self._precomputed()
        return tags

    def transform(self, X):
        """Distances to the means, in the space of the kernel.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to compare.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            Distances, not squared, in X's dtype, or float64 where that overflows.
        """
        check_is_fitted(self)
        if self._precomputed():
            raise ValueError(
                "transform needs the products of rows with themselves, which a "
                "precomputed kernel with the training rows does not hold. Got "
                "kernel='precomputed'."
            )
        X = self._validate(X, reset=False)
        blocks = self._blocks(self.X_fit_)
        own = blocks.squares(X)[:, None]
        squares = own + self._reduced(blocks.of(X, self._n_fit))
        # What rounding leaves of nothing: its root would look like a distance.
        squares[squares <= self._rounding() * np.abs(own + self._norms)] = 0
        distances = np.sqrt(squares)
        if blocks.exponent:
            distances *= 2.0 ** (blocks.exponent / 2)
        return answer(distances, X)

    def _validate(self, X, *, reset):
        X = super()._validate(X, reset=reset)
        if not self._precomputed():
            return X
        X = X.toarray() if sp.issparse(X) else X
        if reset and X.shape[0] != X.shape[1]:
            raise ValueError(
                "X should be a matrix of shape (n_samples, n_samples) with "
                f"kernel='precomputed', got {X.shape}."
            )
        if reset and not np.allclose(X, X.T, atol=1e-8 * float(np.abs(X).max())):
            raise ValueError("X should be symmetric with kernel='precomputed'.")
        return X

    def _label(self, X):
        reduced = self._reduced(self._blocks(self.X_fit_).of(X, self._n_fit))
        return self._nearest(reduced)

    def _reduced(self, blocks):
        """Squared distances to the means less the rows' own squares, (m, k)."""
        return np.concatenate([self._norms - 2 * self._products(b) for b in blocks])

    def _products(self, block):
        """Products of rows with the means, (b, k), summed row by row."""
        # Whole vectors of columns: their ends might be rounded otherwise.
        columns = np.zeros((block.shape[1], -(-len(block) // _VECTOR) * _VECTOR))
        columns[:, : len(block)] = block.T
        return (self.dual_coef_ @ columns).T[: len(block)]

    def _nearest(self, reduced):
        """The first of the nearest means, beyond what rounding tells apart."""
        error = self._rounding() * (np.abs(reduced - self._norms) + np.abs(self._norms))
        near = first_nearest(torch.from_numpy(reduced), torch.from_numpy(error))
        return near.numpy().astype(np.int32)

    def _rounding(self):
        """Part of what is summed that rounding may change."""
        return summation_error(self._n_fit)

    @property
    def _n_fit(self):
        return self.dual_coef_.shape[1]

    def _set_means(self, labels, weight, norms):
        """Set the combinations of rows; clusters without any copy the first."""
        masses = np.bincount(labels, weight, minlength=self.n_clusters)
        heavy = np.flatnonzero(weight > 0)
        shares = weight[heavy] / masses[labels[heavy]]
        shape = self.n_clusters, len(labels)
        means = sp.csr_matrix((shares, (labels[heavy], heavy)), shape=shape)
        source = np.where(masses > 0, np.arange(self.n_clusters), 0)
        self.dual_coef_ = means[source]
        self._norms = norms[source]

    def _heavy(self, X, sample_weight):
        X, weight, keep = super()._heavy(X, sample_weight)
        if self._precomputed() and not keep.all():
            X = np.ascontiguousarray(X[:, keep])
        return X, weight, keep

    def _place_among(self, keep):
        """Give the means a place for each row of a precomputed kernel."""
        if self._precomputed():
            means = self.dual_coef_
            parts = means.data, np.flatnonzero(keep)[means.indices], means.indptr
            self.dual_coef_ = sp.csr_matrix(parts, shape=(len(self._norms), len(keep)))

    def _cause_of_empty(self):
        return (
            f"Enough rows of X differ, but kernel={self.kernel!r} may hardly tell them "
            "apart, or clusters have lost their rows in the iterations. More starts "
            "(n_init), or another init, may keep them."
        )

    def _fitted_attributes(self, X, weight, keep, state):
        """Those of a model that stops after an iteration, for callbacks."""
        labels, norms = (part.cpu().numpy() for part in state)
        model = copy.copy(self)
        model._set_means(labels, weight.numpy(), norms)
        model._place_among(keep)
        return {
            "X_fit_": None if self._precomputed() else X,
            "dual_coef_": model.dual_coef_,
            "_norms": model._norms,
            "_n_features_out": self.n_clusters,
        }

    def _blocks(self, X_fit):
        if callable(self.kernel):
            params = self.kernel_params or {}
        elif self._precomputed():
            params = {}
        else:
            params = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}
        return KernelBlocks(X_fit, self.kernel, params, self.precision)

    def _device(self):
        device = Compute.here(self.device, self.precision).device
        return device if device.type != "mps" else "cpu"

    def _precomputed(self):
        return isinstance(self.kernel, str) and self.kernel == "precomputed"
