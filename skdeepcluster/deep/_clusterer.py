"""Deep estimators that assign rows to clusters."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from sklearn.base import ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.deep._base import BaseDeepEstimator
from skdeepcluster.deep._inference import (
    DecodingMixin,
    check_answers,
    filled,
    labels_or_nan,
)
from skdeepcluster.deep._input import valid_rows
from skdeepcluster.deep._partial_fit import PartialFitMixin
from skdeepcluster.deep._starts import start_of
from skdeepcluster.deep._training_rows import TrainingRows
from skdeepcluster.deep._warm_start import LastFit
from skdeepcluster.engine import group_of, part_of
from skdeepcluster.metrics._partition import score_partition
from skdeepcluster.utils._distinct import too_few_distinct
from skdeepcluster.utils._group import ALONE
from skdeepcluster.utils._sklearn import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from skdeepcluster.utils._stored import neighbours
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing
from skdeepcluster.utils._warnings import warn_user


def _has_soft_assignments(estimator):
    fitted = getattr(estimator, "objective_", None)
    return estimator._is_soft if fitted is None else fitted.is_soft


class BaseDeepClusterer(
    ClusterMixin, PartialFitMixin, DecodingMixin, BaseDeepEstimator
):
    """Deep estimators that assign rows to clusters."""

    _parameter_constraints: dict = {
        **BaseDeepEstimator._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-means", "graph"}), HasMethods("fit_predict")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }

    #: Whether the method has soft assignments, and so ``predict_proba``.
    _is_soft = True

    @whole_or_nothing
    @own_torch_settings()
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the network and the clusters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. float64 and float32 are used as they are, other dtypes
            become float64; the network computes in `precision`. Sparse rows are made
            dense one batch at a time; formats other than CSR are converted.
        y : array-like, default=None
            Not used in training, only passed on to callbacks that compute scores.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in all losses, centres and targets. Only their ratios
            matter. Rows of weight 0 are left out of the fit, but get a label.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        group = group_of(self.shard)
        self._last_fit = last = LastFit.of(self)
        with group.together():
            valid = valid_rows(self, X, reset=last is None)
            whole = self._has_all_rows(group)
            if whole:
                self._check_n_samples(valid.shape[0])
            rows = self._training_rows(valid, sample_weight, whole)
        self._learn(self._shared(rows, group), X, y)
        del self._last_fit
        return self

    def _check_n_samples(self, n_samples):
        if n_samples < self.n_clusters:
            raise ValueError(
                f"n_samples={n_samples} should be >= n_clusters={self.n_clusters}."
            )

    def _clustering_phase(self, budget, objectives, **options):
        phase = super()._clustering_phase(budget, objectives, **options)
        start = start_of(self.init, self.n_clusters)
        if start is not None:  # else a loss that was passed keeps its own
            phase.clustering.start = start
        return phase

    def _training_rows(self, X, sample_weight, whole):
        k = self.n_clusters
        rows = TrainingRows.of(X, sample_weight, whole)
        # What a user's clusterer finds depends on how often a row is there.
        if whole and isinstance(self.init, str):
            rows = rows.merged(self.batch_size, at_least=k)
        if whole and rows.X.shape[0] < k:
            raise ValueError(
                "The number of rows with a positive sample_weight should be >= "
                f"n_clusters={k}, got {rows.X.shape[0]}."
            )
        return rows

    def _finish(self, trainer, objective, rows):
        initial = trainer.initial_labels.cpu().numpy()
        self.initial_labels_ = rows.spread(initial, -1).astype(np.int32)
        self.n_iter_ = max(1, len(self.history_["clustering"]["loss"]))
        super()._finish(trainer, objective, rows)
        labels = self._final_labels(trainer, rows)
        counts = self._count(labels[rows.place >= 0], None, rows)
        order = np.argsort(counts == 0, kind="stable")
        self.objective_.reorder(torch.as_tensor(order))
        self.cluster_centers_ = self.cluster_centers_[order].astype(rows.X.dtype)
        self.labels_ = np.argsort(order)[labels].astype(np.int32)
        self._cluster_weights = self._count(*rows.weighed(self.labels_), rows)
        self._warn_of_collapse(counts[order], np.unique(initial), rows)

    def _warn_of_collapse(self, counts, initial, rows):
        """Say that clusters are empty, and why, as far as that is known."""
        alive, k = int(np.count_nonzero(counts)), len(counts)
        if alive == k:
            return
        # Rows that are too few in each of several processes may be enough together.
        cause = too_few_distinct(rows.X, k) if rows.group.size == 1 else None
        if cause is None and len(initial) < k:
            cause = f"Already the start had {len(initial)}: try another init."
        elif cause is None:
            cause = (
                f"The others of the {k} that the start had have died in training: try "
                "a smaller learning_rate, fewer epochs (max_iter) or another "
                "random_state."
            )
        warn_user(
            f"Number of distinct clusters ({alive}) found smaller than n_clusters "
            f"({k}). {cause} Rows per cluster: {counts.tolist()}.",
            ConvergenceWarning,
        )

    def _count(self, labels, weight, rows):
        """Rows of each cluster, or their weights, in all processes."""
        counts = np.bincount(labels, weight, minlength=self.n_clusters)
        return (
            counts if self._has_all_rows(rows.group) else sum(rows.group.each(counts))
        )

    def _fitted_attributes(self, trainer, objective):
        last = self._last_fit
        had = 0 if last is None else last.pretrained_epochs
        pretraining = self.history_.get("pretraining", {"loss": []})
        learning = [n for n, p in trainer.network.named_parameters() if p.requires_grad]
        first = torch.bincount(trainer.initial_labels, minlength=self.n_clusters)
        return {
            **super()._fitted_attributes(trainer, objective),
            "cluster_centers_": objective.centers.detach().cpu().numpy().copy(),
            "_pretrained_epochs": had + len(pretraining["loss"]),
            "_learning": frozenset(learning),
            # Of a fit that ends, those of its labels.
            "_cluster_weights": first.cpu().double().numpy(),
            "_running_centers": None,
            "_last_fit": None,  # not to be kept
        }

    def _final_labels(self, trainer, rows):
        # The very last step may overflow.
        trainer.check_finite(self.cluster_centers_)
        X, group = rows.given, rows.group
        shared = group.size > 1 and self._has_all_rows(group)
        if shared:
            X = neighbours(X, part_of(X.shape[0], group))
        with group.together():
            labels = self._label(X, trainer.check_finite)
        return group.concat(torch.from_numpy(labels)).numpy() if shared else labels

    @available_if(_has_soft_assignments)
    def predict_proba(self, X):
        """Soft assignments of rows to clusters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            Rows sum to 1; in X's dtype.
        """
        check_is_fitted(self)
        return check_answers(self._assignments(self._validate_new_data(X)))

    def _assignments(self, X):
        """Soft assignments, (n, k)."""
        return self._infer(self.objective_.soft_assign, X)

    @own_torch_settings()
    def _label(self, X, check):
        """Labels of rows, int32; `check` looks at the answers they come from.

        Never all of these at once, which take more memory than the labels.
        """

        def labels(block):
            check(block)
            return block if block.ndim == 1 else block.argmax(axis=1)

        blocks = self._infer_blocks(_answers(self.objective_), X)
        return filled(map(labels, blocks), X.shape[0], np.int32)

    def predict(self, X):
        """Cluster of each row: the nearest centre, or argmax of ``predict_proba(X)``.

        Where it is both, the nearest centre decides among equally probable clusters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Numbers of the clusters, from 0 on.
        """
        check_is_fitted(self)
        return self._label(self._validate_new_data(X), check_answers)

    def score(self, X, y=None, sample_weight=None):
        """Say how well the predicted partition respects the neighbourhoods of X.

        See :func:`~skdeepcluster.metrics.neighborhood_score`. It is not the training
        objective and does not depend on the embedding, so it can be compared over
        numbers of clusters, embedding sizes, seeds and methods.

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
            X = self._validate_new_data(X)
        return score_partition(
            X,
            lambda X: self._label(X, check_answers),
            group,
            sample_weight=sample_weight,
        )


def _answers(objective):
    """What tells the labels of embedded rows: labels, (n,), or what to compare, (n, k).

    NaN where there is no answer.
    """
    if not objective.is_soft:
        return labels_or_nan(objective)
    if not objective.takes_nearest:
        return objective.soft_assign

    def likeliest(z):
        q = objective.soft_assign(z)
        labels = q.argmax(dim=1)
        tied = (q == q.amax(dim=1, keepdim=True)).sum(dim=1) > 1
        if tied.any():
            labels[tied] = objective.assign(z[tied]).to(labels.device)
        answered = q.isfinite().all(dim=1)
        return torch.where(answered, labels.to(q), torch.nan)

    return likeliest
