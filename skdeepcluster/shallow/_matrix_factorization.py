"""K-means as a factorization of the data matrix."""

from __future__ import annotations

from functools import partial
from numbers import Real

import numpy as np
import torch

from skdeepcluster.engine import RandomStreams, verbosity
from skdeepcluster.kmeans.means import METHODS, SOLVERS, EuclideanPoints, factorize
from skdeepcluster.shallow._base import answer_dtype
from skdeepcluster.shallow._centroid_factors import CentroidFactors, small_exponent
from skdeepcluster.shallow._hard_memberships import used_first
from skdeepcluster.shallow._mean_starts import center_starts
from skdeepcluster.shallow._starts import number_of_starts
from skdeepcluster.utils._sklearn import Interval, StrOptions, _fit_context
from skdeepcluster.utils._tasks import Tasks
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing

# One start of "palm" is as far from the best as one of "lloyd" (measured).
_PALM_STARTS = 10


class MatrixFactorizationKMeans(CentroidFactors):
    r"""K-means as what it is: a factorization of the data by one-hot memberships.

    It minimises

    .. math::
        \lVert D - Y X^\top \rVert_F^2 = \sum_i \lVert d_i - x_{l_i} \rVert^2, \qquad
        Y \in \{0, 1\}^{n \times k}, \quad \sum_j Y_{ij} = 1

    over memberships Y and centres, the columns of X in this formula; the data D are the
    `X` of `fit`. Each factor has a closed form where the other is given: Y the nearest
    centres, :math:`X^\top = (Y^\top Y)^{-1} Y^\top D` the means. With sample weights,
    rows of the residual count by their weight.

    The optimum is that of :class:`~sklearn.cluster.KMeans`; the ways to it differ. See
    the :ref:`user guide <matrix_factorization>`.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, k: the rank of the factorization.
    solver : {"lloyd", "hartigan", "palm"}, default="lloyd"
        "lloyd" alternates the two closed forms. "hartigan" then also moves single rows
        where that lowers the exact objective, and alternates the two until neither
        helps: never above "lloyd" from the same start. "palm" relaxes the
        rows of Y to sum to 1, with a growing penalty on entries that are not 0 or 1, by
        proximal alternating minimisation; then it runs "lloyd".
    init : {"k-means++", "random"}, array or callable, default="k-means++"
        Initial centres: rows drawn far from each other (greedy k-means++); distinct
        rows drawn at random; an array of shape (n_clusters, n_features); or a function
        ``init(X, n_clusters, random_state)`` that returns one. The draws do not depend
        on the order of the rows of X.
    n_init : int or "auto", default="auto"
        Number of starts, of which the one with the lowest objective is kept. "auto"
        takes 1 for an array and for "k-means++", but 10 with "random", a callable or
        ``solver="palm"``.
    max_iter : int, default=300
        Iterations of one start, at most. Passes of single moves are not counted.
    tol : float, default=1e-8
        A start ends when an iteration, and with "hartigan" a pass of moves, lowers the
        objective by a smaller share of itself, or changes no label. 0 waits for the
        latter.
    penalty : float, default=0.5
        First weight of the binary penalty of "palm". At 1 no row midway between the two
        nearest centres leaves its own; the smaller, the more rows belong to several
        clusters at first, and the more steps it takes.
    penalty_growth : float, default=1.03
        Above 1: what the weight is multiplied by after each step of "palm". With the
        defaults Y is binary after at most 188 steps.
    device : str, default="auto"
        "auto" (cuda, then mps, then cpu) or the name of a torch device. A fitted model
        can be used where that device does not exist. Sparse rows stay on the CPU.
    precision : {"float32", "float64"}, default="float32"
        Arithmetic of the products of dense rows in "palm", whatever the dtype of X. All
        else is float64.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts. The same int gives bit-identical results on the CPU with the
        same number of threads. The global random generators are neither used nor
        changed.
    verbose : int, default=0
        1 logs every start to the logger ``"skdeepcluster"`` (to standard error if
        logging is not configured).

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training row; equals ``predict(X)``.
    membership_ : CSR matrix of shape (n_samples, n_clusters)
        Y, from `labels_`.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The other factor, transposed: means. Clusters without a training row come last.
    inertia_ : float
        The objective of these two.
    objective_history_ : list of float
        The objective after each iteration and each pass of moves of the start that was
        kept. It never rises with "lloyd" and "hartigan"; with "palm" the first values
        are those of relaxed memberships, which the penalty raises.
    binary_gap_ : float
        With "palm" the largest distance of a membership from 0 or 1 before rounding: 0
        unless `max_iter` came first. 0 with the other solvers.
    n_iter_ : int
        Iterations of the start that was kept.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    KernelKMeans : The same where only products of rows are known.
    SphericalKMeans : K-means for directions.
    sklearn.cluster.KMeans : K-means of scikit-learn.

    References
    ----------
    C. Bauckhage, "k-means clustering is matrix factorization", arXiv:1512.07548, 2015.

    M. Telgarsky and A. Vattani, "Hartigan's method: k-means clustering without
    Voronoi", AISTATS 2010.

    J. Bolte, S. Sabach and M. Teboulle, "Proximal alternating linearized minimization
    for nonconvex and nonsmooth problems", Mathematical Programming 146, 2014.

    S. Hess, K. Morik and N. Piatkowski, "The PRIMPING routine: tiling through proximal
    alternating linearized minimization", Data Mining and Knowledge Discovery 31, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster import MatrixFactorizationKMeans
    >>> X = np.array([[1.0, 0.0], [1.0, 2.0], [9.0, 1.0], [11.0, 1.0]])
    >>> model = MatrixFactorizationKMeans(
    ...     n_clusters=2, solver="hartigan", random_state=0
    ... ).fit(X)
    >>> model.labels_, model.inertia_
    (array([0, 0, 1, 1], dtype=int32), 4.0)
    >>> model.inverse_transform(model.labels_)
    array([[ 1.,  1.],
           [ 1.,  1.],
           [10.,  1.],
           [10.,  1.]])
    """

    _parameter_constraints: dict = {
        **CentroidFactors._parameter_constraints,
        "solver": [StrOptions(set(SOLVERS))],
        "init": [StrOptions(set(METHODS)), callable, "array-like", "sparse matrix"],
        "penalty": [Interval(Real, 0, None, closed="neither")],
        "penalty_growth": [Interval(Real, 1, None, closed="neither")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        solver="lloyd",
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-8,
        penalty=0.5,
        penalty_growth=1.03,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.solver = solver
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.penalty = penalty
        self.penalty_growth = penalty_growth
        self.device = device
        self.precision = precision
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
            Training rows. A mapped array is read in blocks. Sparse matrices are used as
            CSR.
        y : ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row; an integer weight counts as so many rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        given, passed = self._validate(X, reset=True), X
        X, weight, _ = self._heavy(given, sample_weight)
        exponent = small_exponent(X)
        snapshot = partial(self._fitted_attributes, answer_dtype(X), exponent)
        tasks = Tasks(self, passed, y, snapshot)
        points = EuclideanPoints(self._rows(X, exponent), weight)
        streams = RandomStreams.from_random_state(self.random_state)
        with verbosity(self.verbose):
            tasks.fit_begins()
            found = factorize(
                points,
                center_starts(self.init, self.n_clusters, X, points, streams, exponent),
                solver=self.solver,
                n_init=number_of_starts(
                    self.init, self.n_init, _PALM_STARTS if self.solver == "palm" else 1
                ),
                max_iter=self.max_iter,
                tol=self.tol,
                penalty=self.penalty,
                penalty_growth=self.penalty_growth,
                dtype=getattr(torch, self.precision),
                tasks=tasks,
            )
            self._finish(X, points, found, exponent)
            if X is not given:
                self.labels_ = self._label(given)
            tasks.fit_ends()
        return self

    def _finish(self, X, points, found, exponent):
        """Set the fitted attributes from a partition."""
        self._set_centers(np.ldexp(found.centers.cpu().numpy(), exponent), X)
        order, labels, counts = used_first(self._label(X), self.n_clusters)
        self._set_centers(self.cluster_centers_[order], X)
        self.labels_ = labels
        at = torch.from_numpy(labels.astype(np.int64))
        self.inertia_ = self._error(X, at, points.summed_weight)
        history = np.ldexp(np.array(found.history), 2 * exponent)
        self.objective_history_ = history.tolist()
        self.binary_gap_ = found.binary_gap
        self.n_iter_ = found.n_iter
        self._warn_of_empty(counts, X)

    def _set_centers(self, centers, X):
        self.cluster_centers_ = np.asarray(centers).astype(answer_dtype(X))
        self._n_features_out = self.n_clusters

    def _fitted_attributes(self, dtype, exponent, centers):
        """Those of a model that stops after an iteration, for callbacks."""
        return {
            "cluster_centers_": np.ldexp(centers.cpu().numpy(), exponent).astype(dtype),
            "_n_features_out": self.n_clusters,
        }
