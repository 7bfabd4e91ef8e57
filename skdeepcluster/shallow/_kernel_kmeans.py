"""Kernel k-means."""

from __future__ import annotations

from functools import partial
from math import isfinite
from numbers import Real

import numpy as np
import scipy.sparse as sp

from skdeepcluster.engine import RandomStreams, verbosity
from skdeepcluster.kmeans.means import (
    KERNEL_SOLVERS,
    METHODS,
    KernelPoints,
    content_rank,
    first_twins,
    kernel_kmeans,
)
from skdeepcluster.shallow._hard_memberships import used_first
from skdeepcluster.shallow._kernel_blocks import KERNELS
from skdeepcluster.shallow._kernel_means import KernelMeans
from skdeepcluster.shallow._mean_starts import label_starts
from skdeepcluster.shallow._starts import number_of_starts
from skdeepcluster.utils._input import without_zeros
from skdeepcluster.utils._sklearn import Interval, StrOptions, _fit_context
from skdeepcluster.utils._tasks import Tasks
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing


class KernelKMeans(KernelMeans):
    r"""K-means where only products of rows are known: a kernel :math:`K = U U^\top`.

    It minimises

    .. math::
        \lVert U - Y X^\top \rVert_F^2
            = \operatorname{tr} K - \operatorname{tr} (Z^\top K Z), \qquad
        Z = Y (Y^\top Y)^{-1/2}

    over one-hot memberships Y, without ever forming U: the squared distance of a row
    to the mean of a cluster C of n rows is

    .. math::
        K_{ii} - \frac{2}{n} \sum_{j \in C} K_{ij}
               + \frac{1}{n^2} \sum_{j, l \in C} K_{jl} ,

    weights counting as copies. With ``kernel="linear"`` this is
    :class:`MatrixFactorizationKMeans`; with :math:`\lambda_{\max} I - L` of a graph's
    Laplacian it is the graph's minimum cut. See the :ref:`user guide
    <matrix_factorization>`.

    Memory and the time of an iteration grow with the square of the number of rows.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    kernel : str or callable, default="linear"
        As in :func:`~sklearn.metrics.pairwise.pairwise_kernels`: "linear", "poly",
        "rbf", "sigmoid", "cosine", "laplacian", "chi2", "additive_chi2", "precomputed",
        or a function of two rows. With "precomputed" `fit` takes the matrix of shape
        (n_samples, n_samples), symmetric and positive semi-definite, and `predict` the
        products of new rows with the training rows.
    gamma : float, default=None
        Of "rbf", "laplacian", "poly", "sigmoid" and "chi2"; None takes 1 over the
        number of features (for "chi2" 1).
    degree : float, default=3
        Of "poly".
    coef0 : float, default=1
        Of "poly" and "sigmoid".
    kernel_params : dict, default=None
        Further arguments of a callable.
    solver : {"lloyd", "hartigan"}, default="lloyd"
        As in :class:`MatrixFactorizationKMeans`. Lloyd's iteration easily gets stuck if
        rows are nearly orthogonal, as with a narrow "rbf"; "hartigan" costs little.
    init : {"k-means++", "random"} or array-like, default="k-means++"
        How a start is chosen: rows drawn far from each other, distinct rows drawn at
        random, or an array of initial labels, of shape (n_samples,).
    n_init : int or "auto", default="auto"
        Number of starts, of which the one with the lowest objective is kept. "auto"
        takes 1 for "k-means++" and labels, and 10 for "random".
    max_iter : int, default=300
        Iterations of one start, at most. Passes of single moves are not counted.
    tol : float, default=1e-8
        A start ends when an iteration, and with "hartigan" a pass of moves, lowers the
        objective by a smaller share of itself, or changes no label.
    device : str, default="auto"
        "auto" (cuda, then mps, then cpu) or the name of a torch device; it holds the
        kernel matrix. A fitted model can be used where that device does not exist.
    precision : {"float32", "float64"}, default="float64"
        Of the kernel matrix; "float32" halves its memory. Kernels are evaluated, and
        sums of them used, in float64.
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
    dual_coef_ : CSR matrix of shape (n_clusters, n_samples)
        The means as combinations of training rows in the space of the kernel: the
        weights of a cluster's rows, divided by their sum. Rows of weight 0 are not
        among them, unless the kernel is precomputed. They are those of the last
        iteration: where `max_iter` ends the run, `labels_` are the nearest of them, and
        may have moved on. Clusters without a training row come last, with the mean of
        the first.
    inertia_ : float
        The objective of `labels_` and these means.
    objective_history_ : list of float
        The objective of the start, and after each iteration and each pass of moves. It
        never rises where the kernel is positive semi-definite.
    n_iter_ : int
        Iterations of the start that was kept.
    X_fit_ : {ndarray, CSR matrix} of shape (n_samples, n_features)
        The training rows that have a weight, which new ones are compared with; None
        with a precomputed kernel.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    MatrixFactorizationKMeans : K-means of the rows themselves.
    sklearn.cluster.SpectralClustering : Relaxes the memberships instead.

    References
    ----------
    I. S. Dhillon, Y. Guan and B. Kulis, "Kernel k-means, spectral clustering and
    normalized cuts", KDD 2004.

    Examples
    --------
    >>> from sklearn.datasets import make_circles
    >>> from skdeepcluster import KernelKMeans
    >>> X, y = make_circles(100, factor=0.3, random_state=0)
    >>> model = KernelKMeans(
    ...     n_clusters=2, kernel="rbf", gamma=4, solver="hartigan", random_state=1
    ... ).fit(X)
    >>> int(abs(model.labels_ - y).sum()) in (0, 100)
    True
    """

    _parameter_constraints: dict = {
        **KernelMeans._parameter_constraints,
        "kernel": [StrOptions({*KERNELS, "precomputed"}), callable],
        "gamma": [Interval(Real, 0, None, closed="left"), None],
        "degree": [Interval(Real, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "kernel_params": [dict, None],
        "solver": [StrOptions(set(KERNEL_SOLVERS))],
        "init": [StrOptions(set(METHODS)), "array-like"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        kernel="linear",
        gamma=None,
        degree=3,
        coef0=1,
        kernel_params=None,
        solver="lloyd",
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-8,
        device="auto",
        precision="float64",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.solver = solver
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
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
            Training rows; with ``kernel="precomputed"`` the kernel matrix of shape
            (n_samples, n_samples).
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
        X, weight, keep = self._heavy(given, sample_weight)
        tasks = Tasks(
            self, passed, y, partial(self._fitted_attributes, X, weight, keep)
        )
        blocks = self._blocks(X)
        kernel = blocks.matrix(X)
        points = self._points(X, kernel, weight)
        streams = RandomStreams.from_random_state(self.random_state)
        with verbosity(self.verbose):
            tasks.fit_begins()
            found = kernel_kmeans(
                points,
                label_starts(self.init, self.n_clusters, points, streams, keep),
                self.n_clusters,
                solver=self.solver,
                n_init=number_of_starts(self.init, self.n_init),
                max_iter=self.max_iter,
                tol=self.tol,
                tasks=tasks,
            )
            self._finish(X, blocks, kernel, found)
            if X is not given:
                self._place_among(keep)
                self.labels_ = self._label(given)
            tasks.fit_ends()
        return self

    def _points(self, X, kernel, weight):
        least, most = (float(end) for end in kernel.aminmax())
        if not isfinite(max(most, -least) * float(weight.sum()) ** 2):
            raise ValueError(
                f"Sums of kernel={self.kernel!r} overflow float64; scale X first, for "
                "instance with StandardScaler."
            )
        rows = without_zeros(X) if sp.issparse(X) else X
        content = None if self._precomputed() else content_rank(rows)
        kernel = kernel.to(self._device())
        return KernelPoints(kernel, weight, first_twins(rows), content)

    def _finish(self, X, blocks, kernel, found):
        """Set the fitted attributes from a partition."""
        order, labels, _ = used_first(found.labels.cpu().numpy(), self.n_clusters)
        weight = found.points.weight.cpu().numpy()
        self.X_fit_ = None if self._precomputed() else X.copy()
        self._set_means(labels, weight, found.norms.cpu().numpy()[order])
        # Of float64 like the blocks of new rows, so that both get the same labels.
        reduced = self._reduced(blocks.split(kernel.numpy()))
        # The last means may lose a cluster that the last partition had.
        nearest = self._nearest(reduced)
        order, self.labels_, counts = used_first(nearest, self.n_clusters)
        squares = found.points.squares.cpu().numpy()
        unit = 2.0**blocks.exponent
        distances = squares + reduced.min(1)
        distances[np.abs(distances) <= self._rounding() * np.abs(squares)] = 0
        self.inertia_ = unit * float((weight * distances).sum())
        self.dual_coef_ = self.dual_coef_[order]
        self._norms = self._norms[order]
        self.objective_history_ = [value * unit for value in found.history]
        self.n_iter_ = found.n_iter
        self._n_features_out = self.n_clusters
        self._warn_of_empty(counts, X)
