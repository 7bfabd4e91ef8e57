"""Spherical k-means."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Integral, Real

import numpy as np

from skdeepcluster.engine import RandomStreams, group_of, verbosity
from skdeepcluster.kmeans import (
    ALGORITHMS,
    spherical_kmeans,
    summarise,
)
from skdeepcluster.shallow._base import BaseDirectionalEstimator, answer_dtype
from skdeepcluster.shallow._cosine_inference import CosineClusterer
from skdeepcluster.shallow._hard_memberships import used_first
from skdeepcluster.shallow._mini_batches import MiniBatchMixin
from skdeepcluster.shallow._starts import METHODS, number_of_starts
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._group import SHARDS
from skdeepcluster.utils._sklearn import Interval, StrOptions, _fit_context
from skdeepcluster.utils._tasks import Tasks
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing


@shared_docstring
class SphericalKMeans(MiniBatchMixin, CosineClusterer):
    r"""K-means for directions: clusters of rows with a high cosine to their centre.

    It minimises

    .. math::
        \Phi = \sum_i w_i \bigl(1 - \cos(x_i, c_{l_i})\bigr)

    over labels :math:`l` and unit centres :math:`c`. The length of a row has no
    influence, so that texts of any length, and embeddings that were trained for the
    cosine, are compared by what they are about.

    It is not :class:`~sklearn.cluster.KMeans` on normalised rows: there the centres are
    means, shorter than 1, and the shorter one wins rows from the longer.

    Parameters
    ----------
    {n_clusters}
    init : {"k-means++", "random", "farthest"}, array or callable, default="k-means++"
        Initial centres: rows drawn far from each other (greedy k-means++ for the
        cosine); rows drawn at random; "farthest", without randomness, the direction of
        the mean and then repeatedly the row farthest from all centres so far; an array
        of centres, of any length; or a function ``init(X, n_clusters, random_state)``
        that returns them. The draws do not depend on the order of the rows of X.
    n_init : int or "auto", default="auto"
        Number of starts, of which the one with the lowest criterion is kept. "auto"
        takes 10 for "random" and callables, and 1 for the others.
    max_iter : int, default=300
        Iterations of one start, at most; with `batch_size`, passes over the rows.
    tol : float, default=1e-8
        A start ends when the relative decrease of the criterion is smaller, or when no
        label changes. 0 waits for the latter.
    algorithm : {"auto", "lloyd", "hamerly", "elkan"}, default="auto"
        How the nearest centres are found. All give the same labels; "hamerly" and
        "elkan" use bounds on the cosine to skip what cannot change a label.
    local_search : int, default=0
        Above 0, once no label changes any more, single rows are moved as long as that
        lowers the criterion (first variation), and then in a chain that also makes
        moves that raise it, until this many in a row have led to no new best
        (Kernighan-Lin). The result is never worse than without; 50 is a good choice,
        at two to six times the cost of a start. 0 does no local search.
    fuzziness : float, default=1.0
        Exponent m of the memberships :math:`u` in :math:`\sum_{ij} w_i u_{ij}^m (1 -
        \cos(x_i, c_j))`. With 1 a row belongs to one cluster, above 1 to all of them,
        see `predict_proba`.
    batch_size : int, default=None
        Rows of a mini-batch, for data so large that a few passes must suffice; the
        result is slightly worse. The fit ends when a pass lowers the criterion by less
        than 0.001 of its value. With mini-batches there is one start and no local
        search, and `algorithm` has no effect. None uses all rows in every iteration.
    copy_x : bool, default=True
        Not used, present for compatibility with :class:`~sklearn.cluster.KMeans`: X is
        neither changed nor copied.
    {zero_rows}
    {sharded_engine}

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Unit centres. Clusters without a training row come last.
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training row; equals ``predict(X)``.
    inertia_ : float
        The criterion :math:`\Phi` (with its memberships, where `fuzziness` is above 1)
        of these centres; without rows of zeros.
    n_iter_ : int
        Iterations of the start that was kept; passes, in mini-batches.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    VonMisesFisherMixture : Its probabilistic twin, with a concentration per cluster.
    sklearn.cluster.KMeans : K-means of the Euclidean distance.

    References
    ----------
    I. S. Dhillon and D. S. Modha, "Concept decompositions for large sparse text data
    using clustering", Machine Learning 42, 2001.

    I. S. Dhillon, Y. Guan and J. Kogan, "Iterative clustering of high dimensional text
    data augmented by local search", ICDM 2002.

    K. Hornik, I. Feinerer, M. Kober and C. Buchta, "Spherical k-means clustering",
    Journal of Statistical Software 50(10), 2012.

    E. Schubert, A. Lang and G. Feher, "Accelerating spherical k-means", SISAP 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster import SphericalKMeans
    >>> X = np.array([[1.0, 0.1], [9.0, 0.0], [0.2, 1.0], [0.0, 30.0]])
    >>> model = SphericalKMeans(n_clusters=2, random_state=0).fit(X)
    >>> model.labels_
    array([1, 1, 0, 0], dtype=int32)
    >>> model.predict([[500.0, 20.0]])
    array([1], dtype=int32)
    """

    _parameter_constraints: dict = {
        **BaseDirectionalEstimator._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions(set(METHODS)), callable, "array-like", "sparse matrix"],
        "n_init": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "algorithm": [StrOptions({"auto", *ALGORITHMS})],
        "local_search": [Interval(Integral, 0, None, closed="left")],
        "fuzziness": [Interval(Real, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "copy_x": ["boolean"],
        "shard": [StrOptions(set(SHARDS)), None],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-8,
        algorithm="auto",
        local_search=0,
        fuzziness=1.0,
        batch_size=None,
        copy_x=True,
        zero_rows="ignore",
        device="auto",
        precision="float32",
        shard=None,
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.algorithm = algorithm
        self.local_search = local_search
        self.fuzziness = fuzziness
        self.batch_size = batch_size
        self.copy_x = copy_x
        self.zero_rows = zero_rows
        self.device = device
        self.precision = precision
        self.shard = shard
        self.random_state = random_state
        self.verbose = verbose

    @whole_or_nothing
    @own_torch_settings()
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, of any length. A mapped array is read in blocks. Sparse
            matrices are used as CSR.
        y : ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row; an integer weight counts as so many rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_combination()
        group = group_of(self.shard)
        rows = self._read(X, sample_weight, self._precision(), shard=self.shard)
        tasks = Tasks(
            self, X, y, partial(self._fitted_attributes, answer_dtype(rows.X))
        )
        with verbosity(self.verbose if group.rank == 0 else 0), group.left_on_error():
            tasks.fit_begins()
            directions, found = self._run(rows, group, tasks)
            if rows.matrix.precision == "bfloat16":  # the final labels are exact again
                rows = replace(rows, matrix=self._matrix(rows.X, "float32", group))
            self._finish(rows, directions, found, group)
            tasks.fit_ends()
        return self

    def _check_combination(self, in_batches=False):
        if self.fuzziness > 1 and (self.batch_size or self.local_search):
            raise ValueError(
                "fuzziness above 1 allows no mini-batches and no local search, got "
                f"fuzziness={self.fuzziness} with batch_size={self.batch_size} and "
                f"local_search={self.local_search}."
            )
        starts = 1 if isinstance(self.n_init, str) else self.n_init
        if self.batch_size and (starts > 1 or self.local_search):
            raise ValueError(
                "Mini-batches allow only one start and no local search, got "
                f"batch_size={self.batch_size} with n_init={self.n_init} and "
                f"local_search={self.local_search}."
            )
        in_batches = in_batches or self.batch_size
        plain = self.fuzziness == 1 and not in_batches and not self.local_search
        if self.shard is not None and not (plain and isinstance(self.init, str)):
            raise ValueError(
                "shard needs an init by its name, and has no fuzziness, mini-batches "
                f"or local search, got shard={self.shard!r} with "
                f"fuzziness={self.fuzziness}, batch_size={self.batch_size}, "
                f"local_search={self.local_search} and init={self.init!r}."
            )

    def _precision(self):
        """Memberships need distances that float32 products do not give."""
        return "float64" if self.fuzziness > 1 else self.precision

    def _run(self, rows, group, tasks):
        """Unit centres, float64, and their partition, where there is one."""
        streams = RandomStreams.from_random_state(self.random_state)
        streams = RandomStreams(group.first(streams.entropy))
        if self.batch_size is not None:
            return self._run_mini_batches(rows, streams, tasks), None
        found = spherical_kmeans(
            rows.matrix,
            rows.weight,
            self._starts(rows.X, rows.matrix, rows.weight, streams),
            n_init=number_of_starts(self.init, self.n_init),
            max_iter=self.max_iter,
            tol=self.tol,
            algorithm=self.algorithm,
            chain_length=self.local_search,
            fuzziness=self.fuzziness,
            tasks=tasks,
        )
        self.n_iter_ = found.n_iter
        return found.centers.unit(), found

    def _finish(self, rows, directions, found, group):
        """Set the fitted attributes from the directions of the centres."""
        dtype = answer_dtype(rows.X)
        self._set_centers(directions, dtype)
        labels = self._label(rows.X, rows.matrix)
        order, labels, counts = used_first(labels, self.n_clusters)
        self._set_centers(self.cluster_centers_[order], dtype)
        self._summarise(rows, labels, found)
        self.labels_ = self._given_labels(rows, labels, group)
        self._warn_of_empty(counts, rows.X)

    def _cause_of_empty(self):
        if self.fuzziness > 1:
            return (
                "Enough directions differ, but centres are in one place: try a smaller "
                f"fuzziness than {self.fuzziness}, or another init."
            )
        if self.batch_size is not None:
            return (
                "Enough directions differ: no row was nearest to the other centres "
                "after the last mini-batch. Try a larger batch_size than "
                f"{self.batch_size}."
            )
        return (
            f"{super()._cause_of_empty()} Where all rows have nearly one direction, as "
            "far from the origin, centre X first."
        )

    def _given_labels(self, rows, labels, group):
        """Labels of the rows that came, from those of the rows with a weight."""
        matrix = rows.matrix
        if not rows.whole:
            matrix = self._matrix(rows.given, "float32", group)
            labels = self._label(rows.given, matrix)
        return labels[matrix.own_rows] if self.shard == "local" else labels

    def _set_centers(self, directions, dtype):
        self.cluster_centers_ = np.asarray(directions).astype(dtype)
        self._n_features_out = self.n_clusters

    def _fitted_attributes(self, dtype, state):
        """Those of a model that stops after an iteration, for callbacks."""
        in_batches = self.batch_size is not None
        directions = state.directions if in_batches else state.centers.unit()
        return {
            "cluster_centers_": directions.numpy().astype(dtype),
            "_n_features_out": self.n_clusters,
        }

    def _summarise(self, rows, labels, found):
        """Set the criterion, and what `partial_fit` continues from."""
        centers = self._centers_of(rows.matrix)
        self.inertia_, self._resultants, self._weights = summarise(
            rows.matrix, rows.weight, centers, labels, self.fuzziness, found
        )
