"""Deep estimators that learn the classes of rows."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.architectures import DEFAULT_EMBEDDING_SIZE
from skdeepcluster.deep._base import BaseDeepEstimator
from skdeepcluster.deep._encoder import Encoder
from skdeepcluster.deep._inference import check_answers
from skdeepcluster.deep._input import valid_rows
from skdeepcluster.deep._training_rows import TrainingRows
from skdeepcluster.engine import group_of
from skdeepcluster.utils._forms import plain_labels
from skdeepcluster.utils._input import checked_weight
from skdeepcluster.utils._sklearn import _fit_context
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing

_SHARED = (
    "embedding_size",
    "hidden_layer_sizes",
    "architecture",
    "max_iter",
    "batch_size",
    "learning_rate",
    "optimizer",
    "device",
    "precision",
    "pretrained",
    "checkpoint_dir",
    "shard",
    "random_state",
    "verbose",
)


class BaseDeepClassifier(ClassifierMixin, BaseDeepEstimator):
    """Deep estimators that learn the classes of rows.

    The objective of the last phase is a `ClassHead`.
    """

    _parameter_constraints: dict = {
        name: BaseDeepEstimator._parameter_constraints[name] for name in _SHARED
    }
    _decodes = False

    @whole_or_nothing
    @own_torch_settings()
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Learn the network and the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. float64 and float32 are used as they are, other dtypes
            become float64; the network computes in `precision`. Sparse rows become
            dense batch by batch; formats other than CSR are converted.
        y : array-like of shape (n_samples,)
            Class of each row: numbers or strings, of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss and in the class means. Only their ratios
            matter. Rows of weight 0 are left out, and so are classes that occur in no
            other rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        raw, classes = X, y
        group = group_of(self.shard)
        whole = self._has_all_rows(group)
        with group.together():
            X, y = valid_rows(self, X, y)
            check_classification_targets(y)
            codes = np.unique(y, return_inverse=True)[1]
            rows = TrainingRows.of(X, sample_weight, whole)
            rows = rows.merged(self.batch_size, codes) if whole else rows
            y = rows.gather(y)
        y = y if whole else np.concatenate(group.each(y))
        rows = self._shared(rows, group, y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "The number of classes has to be greater than one; got "
                f"{len(self.classes_)} class."
            )
        self._codes = torch.from_numpy(codes)
        self._learn(rows, raw, classes)
        del self._codes
        return self

    def _make_network(self, rows, streams):
        scaling, network = super()._make_network(rows, streams)
        if hasattr(network, "layer_pairs"):
            network = Encoder(encoder for encoder, _ in network.layer_pairs())
        return scaling, network

    def _make_cache(self, rows, streams, compute):
        return None  # nothing is pretrained

    def _data(self, rows):
        return *super()._data(rows), self._codes.numpy()

    def _default_embedding_size(self):
        return max(DEFAULT_EMBEDDING_SIZE, len(self.classes_))

    def _finish(self, trainer, objective, rows):
        epochs = sum(len(phase["loss"]) for phase in self.history_.values())
        self.n_iter_ = max(1, epochs)
        super()._finish(trainer, objective, rows)
        # The very last step may overflow.
        with rows.group.together():
            trainer.check_finite(self._scores(rows.X))

    def _fitted_attributes(self, trainer, objective):
        attributes = super()._fitted_attributes(trainer, objective)
        attributes["objective_"].codes = None
        return attributes

    def _scores(self, X):
        return self._infer(self.objective_.scores, X)

    def _assignments(self, X):
        """Probabilities of the classes, (n, k)."""
        return check_answers(self._infer(self.objective_.soft_assign, X))

    def score(self, X, y, sample_weight=None):
        """Share of rows whose class is predicted: the accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.
        y : array-like of shape (n_samples,)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Between 0 and 1.
        """
        y = plain_labels(y)
        if sample_weight is not None:
            sample_weight = checked_weight(sample_weight, y)
        return super().score(X, y, sample_weight)

    def predict_proba(self, X):
        """Probabilities of the classes: the softmax of the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            Rows sum to 1; columns in the order of ``classes_``; in X's dtype.
        """
        check_is_fitted(self)
        return self._assignments(self._validate_new_data(X))

    def predict(self, X):
        """Class of each row: the argmax of ``predict_proba(X)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Classes, as they were in y.
        """
        numbers = self.predict_proba(X).argmax(axis=1)
        return self.classes_[numbers]

    def decision_function(self, X):
        """Logits of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Logits, in X's dtype. Of two classes the difference: greater than 0 means
            ``classes_[1]``.
        """
        check_is_fitted(self)
        X = self._validate_new_data(X)
        if len(self.classes_) > 2:
            return check_answers(self._scores(X))
        scores = self.objective_.scores
        return check_answers(self._infer(lambda z: scores(z).diff(dim=1)[:, 0], X))
