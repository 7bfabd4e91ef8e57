"""What several clusterers agree on."""

from __future__ import annotations

import warnings
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeepcluster.engine import Compute, RandomStreams, verbosity
from skdeepcluster.graphs import LINKAGES, Evidence, Shares
from skdeepcluster.metrics._partition import score_partition
from skdeepcluster.shallow._base import BaseShallowEstimator, answer_dtype
from skdeepcluster.shallow._graph_clusterer import GraphClusterer, HeavyRows
from skdeepcluster.shallow._matrix_factorization import MatrixFactorizationKMeans
from skdeepcluster.shallow._members import NearestLabels, fitted_members, seed_of
from skdeepcluster.shallow._neighborhoods import SearchedNeighborhood
from skdeepcluster.shallow._path_integral import PathIntegralClustering
from skdeepcluster.shallow._spectral_kmeans import SpectralKMeans
from skdeepcluster.shallow._spherical_kmeans import SphericalKMeans
from skdeepcluster.utils._input import without_zeros
from skdeepcluster.utils._sklearn import (
    Interval,
    StrOptions,
    _BaseComposition,
    _fit_context,
)
from skdeepcluster.utils._tasks import Tasks
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing

# Neighbours by which partitions are compared.
_JUDGED_NEIGHBORS = 10
_KMEANS_STARTS = 10


class ConsensusClustering(ClusterMixin, _BaseComposition, BaseShallowEstimator):
    r"""The partition that several clusterers agree on, or the best of them.

    Rows are as far from each other as the share of the members that put them apart,

    .. math::
        d_{ij} = 1 - \frac{1}{M} \sum_{m=1}^{M} [c_m(i) = c_m(j)] ,

    and agglomerative clustering of these distances is the consensus. By default the
    members are k-means, :class:`SpectralKMeans` and :class:`PathIntegralClustering`,
    and where they contradict each other one of them may have failed, as graphs do on
    many texts and tables. So of the consensus, k-means and the graph the one is taken
    that has the highest modularity on the graph of the 10 nearest neighbours: no labels
    are needed. See the :ref:`user guide <consensus>` for what it gains, and on which
    data it lies under k-means.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    estimators : list of (str, clusterer), default=None
        The members, by name. They are cloned, and those without a `random_state` get
        seeds of their own; a :class:`~sklearn.frozen.FrozenEstimator` is taken as it
        is. Their numbers of clusters may differ; -1 marks rows that a member leaves
        out. Parameters are reached as ``name__parameter``. With None those above, all
        on one search for neighbours, and a choice; of others it is always the
        consensus that is taken.
    linkage : {"average", "complete", "single"}, default="average"
        How far groups of rows are from each other.
    metric : {"auto", "euclidean", "cosine"}, default="auto"
        Distance between rows, of the default members and of the graph that decides.
        "auto" takes the cosine for sparse rows. With the cosine k-means is
        :class:`SphericalKMeans`.
    n_jobs : int, default=None
        Members of `estimators` that are fitted at the same time, as in joblib.
    device : str, default="auto"
        "auto" (cuda, then mps, then cpu) or the name of a torch device, for the
        products of the search. A fitted model can be used where that device does not
        exist.
    random_state : int, RandomState instance or None, default=None
        Seed of the members' seeds.
    verbose : int, default=0
        1 logs the steps of the fit to the logger ``"skdeepcluster"`` (to standard error
        if logging is not configured).

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training row; equals ``predict(X)``.
    chosen_ : str
        "consensus", or the name of the member whose clusters were taken.
    modularities_ : dict of str to float
        What decided.
    estimators_ : list of (str, clusterer)
        The fitted members.
    member_labels_ : ndarray of shape (n_samples, n_members)
        Labels by each member.
    agreement_ : ndarray of shape (n_samples,)
        From 0 to 1, how sure a row is: the share of the members that put it together
        with the rows of its cluster, in the mean over these rows.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    PathIntegralClustering : Alone better on images.
    SphericalKMeans : Alone as good on texts, and faster.

    Notes
    -----
    New rows are labelled by the members, and get the cluster of the training rows with
    the same labels, or of those that agree with them most. A member without ``predict``
    gives a row the label of its nearest training row.

    References
    ----------
    A. L. N. Fred and A. K. Jain, "Combining multiple clusterings using evidence
    accumulation", IEEE Transactions on Pattern Analysis and Machine Intelligence 27,
    2005.

    M. E. J. Newman and M. Girvan, "Finding and evaluating community structure in
    networks", Physical Review E 69, 2004.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skdeepcluster import ConsensusClustering
    >>> X, y = make_moons(300, noise=0.05, random_state=0)
    >>> model = ConsensusClustering(n_clusters=2, random_state=0).fit(X)
    >>> int(abs(model.labels_ - y).sum()) in (0, 300)
    True
    """

    _parameter_constraints: dict = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "estimators": [list, None],
        "linkage": [StrOptions(set(LINKAGES))],
        "metric": [StrOptions({"auto", "euclidean", "cosine"})],
        "n_jobs": [Integral, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        estimators=None,
        linkage="average",
        metric="auto",
        n_jobs=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.estimators = estimators
        self.linkage = linkage
        self.metric = metric
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep=True):
        """Parameters of this estimator and, with `deep`, of the members.

        Parameters
        ----------
        deep : bool, default=True
            Whether those of the members are among them, by ``name__parameter``.

        Returns
        -------
        params : dict
            Values by name.
        """
        if self.estimators is None:
            return super().get_params(deep=deep)
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters of this estimator or of the members.

        Parameters
        ----------
        **params : dict
            A name of `estimators` replaces that member; ``name__parameter`` sets a
            parameter of it.

        Returns
        -------
        self : object
            This estimator.
        """
        if self.estimators is None and "estimators" not in params:
            return super().set_params(**params)
        self._set_params("estimators", **params)
        return self

    @whole_or_nothing
    @own_torch_settings()
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Those of a file or store are read at once.
        y : ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row; an integer weight counts as so many rows.
            All of `estimators` must take it.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X, passed = self._validate(X, reset=True), X
        weight = self._validate_weight(sample_weight, X).numpy()
        self._check_n_samples(X.shape[0])
        self._check_names()
        tasks = Tasks(self, passed, y)
        streams = RandomStreams.from_random_state(self.random_state)
        with verbosity(self.verbose):
            tasks.fit_begins()
            rows = HeavyRows.of_rows(X, weight)
            near = self._neighborhood(X[rows.first])
            if self.estimators is None:
                labels = self._fit_own_members(X, rows, near, streams)
            else:
                given = None if sample_weight is None else weight
                labels = self._fit_given_members(X, given, streams)
            self._choose(labels, weight, rows, near)
            self._finish(X, labels)
            tasks.fit_ends()
        return self

    def _validate(self, X, *, reset):
        X = super()._validate(X, reset=reset)
        return without_zeros(X) if sp.issparse(X) else X

    def _check_names(self):
        if self.estimators is None:
            return
        if not self.estimators:
            raise ValueError(
                "The 'estimators' parameter must be a list of (name, clusterer) with "
                "at least one of them, or None. Got []."
            )
        names, members = zip(*self.estimators, strict=True)
        self._validate_names(names)
        for name, member in zip(names, members, strict=True):
            if not hasattr(member, "fit"):
                raise TypeError(
                    f"Each of 'estimators' must be a clusterer. Got {member!r} for "
                    f"{name!r}."
                )

    def _neighborhood(self, X):
        self._metric = self.metric
        if self.metric == "auto":
            self._metric = "cosine" if sp.issparse(X) else "euclidean"
        device = Compute.here(self.device, "float32").device
        return SearchedNeighborhood(X, self._metric, device)

    def _fit_own_members(self, X, rows, near, streams):
        """Labels of all rows by the default members, (n_samples, 3)."""
        metric, k = near.metric, min(self.n_clusters, len(rows.first))
        kmeans = SphericalKMeans if metric == "cosine" else MatrixFactorizationKMeans
        seeds = [seed_of(name, streams) for name in ("k-means", "spectral")]
        self.estimators_ = [
            ("k-means", kmeans(k, n_init=_KMEANS_STARTS, random_state=seeds[0])),
            ("graph", PathIntegralClustering(k, metric=metric)),
            ("spectral", SpectralKMeans(k, metric=metric, random_state=seeds[1])),
        ]
        own, each = X[rows.first], HeavyRows.each(rows.mass)
        with warnings.catch_warnings():  # of few different rows we warn ourselves
            warnings.simplefilter("ignore", ConvergenceWarning)
            near.training_graph(self.estimators_[1][1].n_neighbors)
            for _, member in self.estimators_:
                if isinstance(member, GraphClusterer):
                    validate_data(member, X, skip_check_array=True)
                    member._learn(own, near, each)
                else:
                    member.fit(own, sample_weight=rows.mass)
        of_kinds = np.stack([member.labels_ for _, member in self.estimators_], 1)
        labels = of_kinds[rows.kind].astype(np.intp)
        light = rows.kind < 0
        if light.any():
            labels[light] = self._profiles_of(X[light])
        return labels

    def _fit_given_members(self, X, weight, streams):
        """Labels of all rows by the user's members, (n_samples, n_members)."""
        self.estimators_, labels = fitted_members(
            self.estimators, X, weight, streams, self.n_jobs
        )
        for m, (name, member) in enumerate(self.estimators_):
            if not hasattr(member, "predict"):
                nearest = NearestLabels(X, labels[:, m], self._metric)
                self.estimators_[m] = name, nearest
        return labels

    def _choose(self, labels, weight, rows, near):
        """Set the partition that is taken, of the profiles of labels."""
        heavy = np.flatnonzero(weight > 0)
        # In the order of the different rows, which does not depend on that of all.
        heavy = heavy[np.argsort(rows.kind[heavy], kind="stable")]
        evidence, place = Evidence.of(labels[heavy], weight[heavy])
        consensus = evidence.clusters(self.n_clusters, self.linkage)
        candidates = {"consensus": consensus}
        if self.estimators is None:
            names = [name for name, _ in self.estimators_]
            for name in ("k-means", "graph"):
                candidates[name] = evidence.profiles[:, names.index(name)]
        graph = near.training_graph(_JUDGED_NEIGHBORS)
        of_kind = np.empty(len(rows.first), np.intp)
        of_kind[rows.kind[heavy]] = place
        self.modularities_ = {
            name: graph.modularity(found[of_kind], rows.mass)
            for name, found in candidates.items()
        }
        near.forget()
        self.chosen_ = max(candidates, key=lambda name: self._rank(name, candidates))
        self._profiles = evidence.profiles
        self._clusters = np.unique(candidates[self.chosen_], return_inverse=True)[1]
        self._shares = Shares.of(evidence.profiles, evidence.mass, self._clusters)

    def _rank(self, name, candidates):
        """What is compared: first the number of clusters, then the modularity."""
        return len(np.unique(candidates[name])), self.modularities_[name]

    def _finish(self, X, labels):
        proba, agreement = self._answers(labels)
        proba = proba.astype(answer_dtype(X))
        self.member_labels_ = labels.astype(np.int32)
        self.labels_ = proba.argmax(axis=1).astype(np.int32)
        self.agreement_ = agreement[np.arange(len(labels)), self.labels_]
        counts = np.bincount(self.labels_, minlength=self.n_clusters)
        self._warn_of_empty(counts, X)

    def _profiles_of(self, X):
        """Labels of rows by each member, (n_samples, n_members)."""
        found = [np.asarray(member.predict(X)) for _, member in self.estimators_]
        return np.stack(found, axis=1).astype(np.intp)

    def _answers(self, labels):
        """Probabilities of the clusters, and agreement with them, (n, n_clusters)."""
        agreement = np.zeros((len(labels), self.n_clusters))
        found = self._shares.agreement(labels)
        agreement[:, : found.shape[1]] = found
        cluster = self._cluster_of(labels, agreement)
        total = agreement.sum(axis=1, keepdims=True)
        proba = agreement / np.where(total > 0, total, 1.0) / 2
        proba[np.arange(len(labels)), cluster] += np.where(total > 0, 0.5, 1.0)[:, 0]
        return proba, agreement

    def _cluster_of(self, labels, agreement):
        """Cluster of each profile, known or not."""
        cluster = agreement.argmax(axis=1)
        known = {
            row.tobytes(): c
            for row, c in zip(self._profiles, self._clusters, strict=True)
        }
        for i, row in enumerate(np.ascontiguousarray(labels, self._profiles.dtype)):
            cluster[i] = known.get(row.tobytes(), cluster[i])
        return cluster

    @own_torch_settings()
    def predict_proba(self, X):
        """Probability of each cluster.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters)
            Half of it for the cluster that a row is given, the other half in proportion
            to the agreement of the members with the rows of each. Rows sum to 1; in X's
            dtype.
        """
        check_is_fitted(self)
        return self._proba(self._validate(X, reset=False))

    def _proba(self, X):
        return self._answers(self._profiles_of(X))[0].astype(answer_dtype(X))

    def predict(self, X):
        """Cluster of each row: the most probable one.

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
        return self._label(self._validate(X, reset=False))

    @own_torch_settings()
    def _label(self, X):
        return self._proba(X).argmax(axis=1).astype(np.int32)

    def score(self, X, y=None, sample_weight=None):
        """Say how well the predicted partition respects the neighbourhoods of X.

        See :func:`~skdeepcluster.metrics.neighborhood_score`. It can be compared over
        numbers of clusters and methods.

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
            X, self._label, metric=self._metric, sample_weight=sample_weight
        )
