"""What a fitted network does with rows: embed them, decode them."""

from __future__ import annotations

import copy

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skdeepcluster.engine import (
    Compute,
    SparseRows,
    check_scaled,
    is_available,
    map_blocks,
    position_free,
)
from skdeepcluster.utils._input import without_duplicates

_READ_ROWS = 4096


class EmbeddingMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """``transform`` through the network of an estimator."""

    def transform(self, X):
        """Embed rows.

        Unlike :class:`~sklearn.cluster.KMeans`, whose ``transform`` gives distances
        to the centres.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to embed.

        Returns
        -------
        Z : ndarray of shape (n_samples, embedding_size)
            The embedding, dense, in X's dtype.
        """
        check_is_fitted(self)
        return check_answers(self._infer(lambda z: z, self._validate_new_data(X)))

    def _infer(self, function, X):
        """Apply `function` to the embedding of rows of X: numpy, in X's dtype."""
        compute, network = self._inference_network()

        def encode_then(x):
            with compute.autocast():
                z = network.encode(x)
            return function(z.to(compute.dtype))

        read = scaled_reader(X, self._scaling, compute)
        out = map_blocks(encode_then, read, X.shape[0]).cpu().numpy()
        return out.astype(X.dtype)

    def _validate_new_data(self, X):
        return valid_rows(self, X, reset=False)

    def _inference_network(self):
        """Device and precision to infer with, and the network there.

        The CPU stands in for a device that this host does not have.
        """
        device = self.device if is_available(self.device) else "cpu"
        compute = Compute.resolve(device, self.precision)
        network = self.module_
        placed = {(p.device.type, p.dtype) for p in network.parameters()}
        if not placed <= {(compute.device.type, compute.dtype)}:
            network = copy.deepcopy(network).to(compute.device, compute.dtype)
        return compute, position_free(network)


class DecodingMixin:
    """``inverse_transform`` through the network of an estimator."""

    def inverse_transform(self, X):
        """Decode embeddings.

        With the decoder as trained; where the clustering phase has no reconstruction,
        that is as pretrained.

        Parameters
        ----------
        X : array-like of shape (n_samples, embedding_size)
            Rows of the embedding.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Reconstructions in the scale of the training data, in X's dtype.
        """
        check_is_fitted(self)
        Z = check_array(X, dtype=[np.float64, np.float32])
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {Z.shape[1]} columns, but the embedding of "
                f"{type(self).__name__} has {self._n_features_out}."
            )
        compute, network = self._inference_network()

        def decode(z):
            with compute.autocast():
                return network.decode(z).to(compute.dtype)

        def read(start, stop):
            rows = torch.from_numpy(np.array(Z[start:stop]))
            return rows.to(compute.device, compute.dtype)

        decoded = map_blocks(decode, read, len(Z)).cpu().numpy()
        return check_answers(self._scaling.invert(decoded).astype(Z.dtype))


def valid_rows(estimator, X, y="no_validation", *, reset=True):
    """Rows as an array or as CSR without duplicate entries, of floats; and `y`.

    Parameters
    ----------
    estimator : BaseEstimator
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,), optional
    reset : bool, default=True
        Whether the features are noted, or compared with those of the fit.

    Returns
    -------
    X : {ndarray, CSR matrix}
    y : ndarray, where it was passed
    """
    found = validate_data(
        estimator,
        X,
        y,
        reset=reset,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
    )
    X, *rest = found if isinstance(found, tuple) else (found,)
    X = without_duplicates(X)
    return (X, *rest) if rest else X


def check_answers(out):
    """Refuse answers that are not numbers."""
    if not np.isfinite(out).all():
        raise ValueError(
            "X has rows so far from the training data that the network overflows on "
            "them."
        )
    return out


def all_rows(X, scaling, compute):
    """Scaled rows on the device; those of a CSR matrix are made when asked for."""
    if sp.issparse(X):
        return SparseRows(X, scaling, compute)
    return scaled_reader(X, scaling, compute)(0, len(X))


def scaled_reader(X, scaling, compute):
    """Return the function that scales rows of `X` and puts them on the device."""
    if sp.issparse(X):
        rows = all_rows(X, scaling, compute)
        return lambda start, stop: rows[start:stop]

    def read(start, stop):
        out = np.empty((stop - start, X.shape[1]), compute.numpy_dtype)
        for a in range(start, stop, _READ_ROWS):
            b = min(a + _READ_ROWS, stop)
            out[a - start : b - start] = scaling.apply(X[a:b], compute.numpy_dtype)
        check_scaled(out)
        return torch.from_numpy(out).to(compute.device)

    return read
