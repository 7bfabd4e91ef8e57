"""What clusterers of the nearest-neighbour graph share: the graph, and new rows."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClusterMixin
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.engine import Compute, verbosity
from skdeepcluster.graphs import NeighborVotes
from skdeepcluster.metrics._partition import score_partition
from skdeepcluster.neighbors import distinct_rows
from skdeepcluster.shallow._base import BaseShallowEstimator, answer_dtype
from skdeepcluster.shallow._neighborhoods import (
    GivenNeighborhood,
    SearchedNeighborhood,
    TransformedNeighborhood,
    check_distances,
    distinct_points,
)
from skdeepcluster.utils._input import without_zeros
from skdeepcluster.utils._sklearn import HasMethods, Interval, StrOptions, _fit_context
from skdeepcluster.utils._tasks import Tasks
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing

# Rows that are labelled together.
_BLOCK_ROWS = 1 << 14


class GraphClusterer(ClusterMixin, BaseShallowEstimator):
    """Clusterers of rows through a graph of their nearest neighbours.

    A method gives ``_partition(graph, mass, near)``: labels of the graph's rows.
    """

    _parameter_constraints: dict = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"euclidean", "cosine", "precomputed"})],
        "neighbors": [HasMethods(["fit_transform", "transform"]), None],
        "device": [str],
        "verbose": ["verbose"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags

    @whole_or_nothing
    @own_torch_settings()
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. With ``metric="precomputed"`` their distances to each other,
            (n_samples, n_samples), or in a sparse matrix those that are known, as
            :func:`~sklearn.neighbors.kneighbors_graph` gives them in its mode
            "distance". Rows of a file or store are read at once.
        y : ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row; an integer weight counts as so many rows.
            Neighbours are counted among different rows, whatever their weight.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X, passed = self._validate(X, reset=True), X
        weight = self._validate_weight(sample_weight, X).numpy()
        self._check_n_samples(X.shape[0])
        tasks = Tasks(self, passed, y)
        with verbosity(self.verbose):
            tasks.fit_begins()
            distinct = self._distinct_rows(X, weight)
            near = self._neighborhood(X, distinct.first)
            self._learn(X, near, distinct)
            near.forget()
            tasks.fit_ends()
        return self

    def _learn(self, X, near, distinct):
        """Fit to valid rows, of which the neighbours are known where to find."""
        self._near = near
        n_rows = len(distinct.first)
        if n_rows <= self.n_clusters:
            labels = np.arange(n_rows)
        else:
            labels = self._partition(near, distinct.mass)
        self._finish(X, labels, distinct)

    def _partition(self, near, mass):
        """Clusters of the rows of `near`, (m,), of which there are enough."""
        raise NotImplementedError

    def _finish(self, X, labels, distinct):
        """Set the fitted attributes from the clusters of the different rows."""
        graph = self._near.own_graph(self.n_neighbors)
        self._learn_answers(labels, graph)
        own = self._proba(graph, X).argmax(axis=1)
        self.labels_ = own[distinct.kind].astype(np.int32)
        # Distances that are given need not be the same for equal rows.
        again = (
            distinct.kind < 0 if self._compares_rows() else np.full(X.shape[0], True)
        )
        if again.any():
            self.labels_[again] = self._label(X[again])
        self.graph_labels_ = np.where(distinct.kind < 0, -1, labels[distinct.kind])
        counts = np.bincount(self.labels_, minlength=self.n_clusters)
        self._warn_of_empty(counts, X)

    def _learn_answers(self, labels, graph):
        """Keep what answers for new rows: by default the votes of neighbours."""
        self._votes = NeighborVotes.that_keep_all(labels, graph, self.n_clusters)

    def _proba(self, graph, X):
        """Probabilities of rows X, from the graph of their neighbours; in X's dtype."""
        return self._votes.proba(graph).astype(answer_dtype(X))

    def _validate(self, X, *, reset):
        X = super()._validate(X, reset=reset)
        if self.metric == "precomputed":
            check_distances(X, square=reset)
        return without_zeros(X) if sp.issparse(X) and self._compares_rows() else X

    def _compares_rows(self):
        return self.metric != "precomputed"

    def _distinct_rows(self, X, weight):
        if self.metric != "precomputed":
            return HeavyRows.of_rows(X, weight)
        heavy = np.flatnonzero(weight > 0)
        return HeavyRows.of(distinct_points(X[heavy][:, heavy]), heavy, weight)

    def _neighborhood(self, X, first):
        if self.metric == "precomputed":
            return GivenNeighborhood(X[first][:, first], first)
        if self.neighbors is not None:
            return TransformedNeighborhood(X[first], self.metric, self.neighbors)
        device = Compute.here(self.device, "float32").device
        return SearchedNeighborhood(X[first], self.metric, device)

    @own_torch_settings()
    def predict_proba(self, X):
        """Probability of each cluster, from the clusters of a row's neighbours.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign; with ``metric="precomputed"`` their distances to the
            training rows, (n_samples, n_training_samples).

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters)
            The r-th nearest training row votes with 1 / r for its cluster. Rows sum to
            1; in X's dtype.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        parts = [proba for _, proba in self._proba_blocks(X)]
        return np.concatenate(parts)

    def predict(self, X):
        """Cluster of each row: the most probable one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign, as for `predict_proba`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Numbers of the clusters, from 0 on.
        """
        check_is_fitted(self)
        return self._label(self._validate(X, reset=False))

    @own_torch_settings()
    def _label(self, X):
        labels = np.empty(X.shape[0], np.int32)
        for rows, proba in self._proba_blocks(X):
            labels[rows] = proba.argmax(axis=1)
        return labels

    def _proba_blocks(self, X):
        for start in range(0, X.shape[0], _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            yield rows, self._proba(self._near.graph_of(X[rows], self.n_neighbors), X)

    def score(self, X, y=None, sample_weight=None):
        """Say how well the predicted partition respects the neighbourhoods of X.

        See :func:`~skdeepcluster.metrics.neighborhood_score`; it is measured in
        `metric`, and can be compared over numbers of clusters and methods.

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
        return score_partition(
            X, self._label, metric=self.metric, sample_weight=sample_weight
        )


@dataclass(frozen=True)
class HeavyRows:
    """Different rows of a positive weight.

    Parameters
    ----------
    first : ndarray of shape (m,)
        One row of each kind, among all.
    kind : ndarray of shape (n,)
        Kind of each row; -1 where it has no weight.
    mass : ndarray of shape (m,)
        Total weight of each kind.
    """

    first: np.ndarray
    kind: np.ndarray
    mass: np.ndarray

    @classmethod
    def of_rows(cls, X, weight):
        """Of rows that are compared themselves."""
        heavy = np.flatnonzero(weight > 0)
        rows = X if len(heavy) == len(weight) else X[heavy]
        return cls.of(distinct_rows(rows), heavy, weight)

    @classmethod
    def each(cls, mass):
        """Of rows that are all different."""
        return cls(np.arange(len(mass)), np.arange(len(mass)), mass)

    @classmethod
    def of(cls, distinct, heavy, weight):
        """From the different ones among the rows `heavy`."""
        kind = np.full(len(weight), -1)
        kind[heavy] = distinct.kind
        return cls(heavy[distinct.first], kind, distinct.mass(weight[heavy]))
