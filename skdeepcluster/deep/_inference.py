"""What a fitted network does with rows: embed them, decode them."""

from __future__ import annotations

import copy

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from skdeepcluster.deep._input import FLOATS, rows_of, valid_rows
from skdeepcluster.engine import (
    Compute,
    blocks_of,
    map_blocks,
    position_free,
)
from skdeepcluster.utils._forms import plain_rows
from skdeepcluster.utils._stored import at_once
from skdeepcluster.utils._torch_settings import own_torch_settings


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

    @own_torch_settings()
    def _infer(self, function, X):
        """Apply `function` to the embedding of rows of X: numpy, in X's dtype."""
        return filled(self._infer_blocks(function, X), X.shape[0], X.dtype)

    def _infer_blocks(self, function, X):
        """The same, one block of rows after the other."""
        compute, network = self._inference_network()

        def encode_then(x):
            with compute.autocast():
                z = network.encode(x)
            return function(z.to(compute.dtype))

        for block in blocks_of(encode_then, rows_of(X, self._scaling, compute)):
            yield block.cpu().numpy().astype(X.dtype)

    def _validate_new_data(self, X):
        return valid_rows(self, X, reset=False)

    def _inference_network(self):
        """Device and precision to infer with, and the network there.

        The CPU stands in for a device that this host does not have.
        """
        compute = Compute.here(self.device, self.precision)
        network = self.module_
        placed = {(p.device.type, p.dtype) for p in network.parameters()}
        if not placed <= {(compute.device.type, compute.dtype)}:
            network = copy.deepcopy(network).to(compute.device, compute.dtype)
        return compute, position_free(network)


class DecodingMixin:
    """``inverse_transform`` through the network of an estimator."""

    @own_torch_settings()
    def inverse_transform(self, X):
        """Decode embeddings.

        This uses the trained decoder; if the clustering phase has no reconstruction
        loss, that is the pretrained one.

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
        Z = check_array(at_once(plain_rows(X)), dtype=list(FLOATS))
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {Z.shape[1]} columns, but the embedding of "
                f"{type(self).__name__} has {self._n_features_out}."
            )
        compute, network = self._inference_network()

        def decode(z):
            with compute.autocast():
                return network.decode(z).to(compute.dtype)

        z = torch.from_numpy(np.array(Z)).to(compute.device, compute.dtype)
        decoded = map_blocks(decode, z).cpu().numpy()
        return check_answers(self._scaling.invert(decoded).astype(Z.dtype))


def filled(blocks, n_rows, dtype):
    """One array of blocks of rows; a list of them would be a second copy."""
    out, start = None, 0
    for block in blocks:
        if out is None:
            out = np.empty((n_rows, *block.shape[1:]), dtype)
        out[start : start + len(block)] = block
        start += len(block)
    return out


def check_answers(out):
    """Refuse answers that are not numbers."""
    if not np.isfinite(out).all():
        raise ValueError(
            "X has rows so far from the training data that the network overflows on "
            "them."
        )
    return out


def labels_or_nan(objective):
    """Labels of embedded rows, as floats; NaN where the embedding is not finite."""

    def assign(z):
        finite = z.isfinite().all(dim=1, keepdim=True)
        labels = objective.assign(torch.where(finite, z, 0.0)).to(z)
        return torch.where(finite.squeeze(1), labels, torch.nan)

    return assign
