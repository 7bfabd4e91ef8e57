"""How sure a classifier is of a row: confidence, rejection, margin, radius."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.deep._encoder import Encoder
from skdeepcluster.deep._inference import check_answers
from skdeepcluster.theory import lipschitz_bound
from skdeepcluster.utils._numbers import is_real


class ConfidenceMixin:
    """Confidence, rejection, margin and certified radius from a `ClassHead`."""

    def confidence(self, X):
        r"""Confidence in each class, :math:`e^{-\gamma_k \lVert f(x) - m_k \rVert^2}`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        C : ndarray of shape (n_samples, n_classes)
            From 0 to 1, in X's dtype. Rows need not sum to 1: far from all centroids
            the sum vanishes, and near two of them it exceeds 1. With ``loss="softmax"``
            these are the probabilities.
        """
        check_is_fitted(self)
        X = self._validate_new_data(X)
        return check_answers(self._infer(self.objective_.confidence, X))

    def predict_with_reject(self, X, *, threshold=0.5, reject_label=-1):
        """Class of each row, or `reject_label` where the model is not confident.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.
        threshold : float, default=0.5
            Rows whose confidence in their class is smaller are rejected; between 0,
            which rejects none, and 1.
        reject_label : int, str or other label, default=-1
            Label of rejected rows, which must not be one of the classes.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The dtype is that of ``classes_`` if it can hold `reject_label`, a longer
            string dtype if both are strings, and otherwise object, with the labels
            unchanged.
        """
        check_is_fitted(self)
        if not is_real(threshold) or not 0 <= threshold <= 1:
            raise ValueError(f"threshold={threshold!r} should be a float in [0, 1].")
        if np.ndim(reject_label) != 0:
            raise ValueError(
                f"reject_label={reject_label!r} should be one label, not an array."
            )
        if reject_label in self.classes_.tolist():
            raise ValueError(
                f"reject_label={reject_label!r} is one of the classes: rejected rows "
                "could not be told apart."
            )
        numbers, confidence = self._sure(self._validate_new_data(X))
        labels = self.classes_.astype(_common_dtype(self.classes_, reject_label))
        labels = labels[numbers]
        labels[confidence < threshold] = reject_label
        return labels

    def _sure(self, X):
        """Number of each row's class, and the confidence in it."""
        head = self.objective_

        def both(z):
            return torch.cat([head.soft_assign(z), head.confidence(z)], dim=1)

        found = check_answers(self._infer(both, X))
        probabilities, confidences = np.split(found, 2, axis=1)
        numbers = probabilities.argmax(axis=1)
        return numbers, confidences[np.arange(len(numbers)), numbers]

    def margin(self, X):
        """Distance of each row's embedding to the nearest decision boundary.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        margin : ndarray of shape (n_samples,)
            Euclidean, in the embedding; exact but for rounding, and 0 for a tie. In X's
            dtype.
        """
        check_is_fitted(self)
        X = self._validate_new_data(X)
        return check_answers(self._infer(self.objective_.margin, X))

    def certified_radius(self, X, lipschitz=None):
        r"""Radius around each row in which all points are classified alike.

        .. math:: r(x) = \text{margin}(x) / L

        because the embedding moves by at most :math:`L \lVert x' - x \rVert_2`. The
        bound is valid but conservative: the Lipschitz bound of a deep network far
        exceeds how much it stretches distances around any row. Rounding errors of
        `precision` are not accounted for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.
        lipschitz : float, default=None
            L, a Lipschitz constant of ``transform``. None takes the product of the
            spectral norms of the encoder's layers, see
            :func:`~skdeepcluster.theory.lipschitz_bound`.

        Returns
        -------
        radius : ndarray of shape (n_samples,)
            In the units of X, in the Euclidean norm. Infinite where the encoder does
            not depend on X at all.
        """
        if lipschitz is not None and not (is_real(lipschitz) and lipschitz > 0):
            raise ValueError(f"lipschitz={lipschitz!r} should be a float > 0.")
        margin = self.margin(X)
        if lipschitz is None:
            lipschitz = self._encoder_bound() / self._scaling.factor
        if lipschitz == 0:
            return np.where(margin > 0, np.inf, 0).astype(margin.dtype)
        with np.errstate(over="ignore", divide="ignore"):  # beyond the dtype: infinite
            return margin / margin.dtype.type(lipschitz)

    def _encoder_bound(self):
        own = isinstance(self.module_, Encoder)
        return lipschitz_bound(self.module_, (self.n_features_in_,) if own else None)


def _common_dtype(classes, label):
    """Dtype of an array of classes and of a label that is none of them."""
    own = np.asarray(label)
    if classes.dtype.kind == own.dtype.kind == "U":
        return np.result_type(classes, own)
    if classes.dtype.kind in "iuf" and own.dtype.kind in "iuf":
        with np.errstate(invalid="ignore"):  # NaN as an integer
            cast = own.astype(classes.dtype)
        if np.array_equal(cast, own, equal_nan=True):
            return classes.dtype
    return np.dtype(object)
