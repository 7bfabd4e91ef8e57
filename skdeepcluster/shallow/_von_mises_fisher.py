"""Mixture of von Mises-Fisher distributions."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skdeepcluster.engine import RandomStreams, verbosity
from skdeepcluster.kmeans import spherical_kmeans
from skdeepcluster.kmeans.directional import (
    MAX_CONCENTRATION,
    MixtureModel,
    fit_mixture,
)
from skdeepcluster.kmeans.matrices import unit_blocks
from skdeepcluster.shallow._base import BaseDirectionalEstimator
from skdeepcluster.shallow._directional_mixture import DirectionalMixture
from skdeepcluster.shallow._hard_memberships import used_first
from skdeepcluster.shallow._starts import number_of_starts, starts
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._sklearn import Interval, StrOptions, _fit_context
from skdeepcluster.utils._tasks import Tasks
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing
from skdeepcluster.utils._warnings import warn_user


@shared_docstring
class VonMisesFisherMixture(DirectionalMixture):
    r"""Mixture of von Mises-Fisher distributions: soft clusters of directions.

    The density of a row's direction is

    .. math::
        f(x) = \sum_j \alpha_j C_d(\kappa_j) e^{\kappa_j \mu_j \cdot x}, \qquad
        C_d(\kappa) = \frac{\kappa^{d/2-1}}{(2 \pi)^{d/2} I_{d/2-1}(\kappa)}

    with weights :math:`\alpha`, mean directions :math:`\mu` and concentrations
    :math:`\kappa`, estimated by expectation maximisation. It is the probabilistic twin
    of :class:`SphericalKMeans`, as :class:`~sklearn.mixture.GaussianMixture` is that of
    :class:`~sklearn.cluster.KMeans`: clusters may be of different width and size, and
    a row may belong to several.

    Parameters
    ----------
    n_components : int, default=8
        Number of components, which is also the number of clusters.
    tied_concentration : bool, default=False
        Whether all components have one concentration.
    equal_weights : bool, default=False
        Whether the mixing weights stay equal.
    assignment : {"soft", "hard"}, default="soft"
        In the iterations a row counts for all components, in proportion to its
        memberships, or for the most likely one only. Hard assignment with a tied
        concentration and equal weights is spherical k-means.
    init : str, array-like or callable, default="k-means"
        Mean directions to start from: those of a run of spherical k-means ("k-means");
        "k-means++", "random" or "farthest" rows, see :class:`SphericalKMeans`;
        directions of any length; or a function
        ``init(X, n_components, random_state)`` that gives them.
    n_init : int, default=1
        Number of starts, of which the likeliest is kept.
    max_iter : int, default=100
        Iterations of one start, at most.
    tol : float, default=1e-3
        A start ends when the mean log-likelihood of a row rises by at most so much.
    {zero_rows}
    {vmf_engine}

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights. Components to which no training row is assigned come last.
    means_ : ndarray of shape (n_components, n_features)
        Mean directions, of length 1.
    concentrations_ : ndarray of shape (n_components,)
        Concentrations, from 0 (uniform) to 1e8, all equal if tied.
    labels_ : ndarray of shape (n_samples,)
        Component of each training row; equals ``predict(X)``.
    lower_bound_ : float
        Mean log-likelihood of the training rows, as `score` gives it; with hard
        assignment that of rows and their components together.
    converged_ : bool
        Whether the start that was kept ended by `tol`.
    n_iter_ : int
        Its number of iterations.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    SphericalKMeans : Hard clusters of directions, faster.
    sklearn.mixture.GaussianMixture : Mixture for rows whose length matters.

    Notes
    -----
    A component whose rows all have the same direction would have an infinite
    concentration and likelihood. Concentrations are limited to 1e8, which keeps all
    results finite, but such a solution says little, and is warned of;
    `tied_concentration` avoids it unless every component is like that. At the limit,
    directions less than about 1e-4 rad apart are not told apart: rows far from the
    origin are to be centred first, or clustered by :class:`SphericalKMeans`. A
    component that loses its rows keeps its direction and concentration, with a weight
    of 0 unless `equal_weights` is set.

    The attributes are float64 whatever X: in many dimensions single digits of the
    logarithm of a density are beyond float32.

    References
    ----------
    A. Banerjee, I. S. Dhillon, J. Ghosh and S. Sra, "Clustering on the unit hypersphere
    using von Mises-Fisher distributions", JMLR 6, 2005.

    K. Hornik and B. Gruen, "movMF: an R package for fitting mixtures of von
    Mises-Fisher distributions", Journal of Statistical Software 58(10), 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster import VonMisesFisherMixture
    >>> X = np.array([[1.0, 0.1], [9.0, 0.0], [3.0, 0.5], [0.2, 1.0], [-1.0, 30.0]])
    >>> model = VonMisesFisherMixture(n_components=2, random_state=0).fit(X)
    >>> (model.labels_ == model.labels_[0]).tolist()
    [True, True, True, False, False]
    >>> p = model.predict_proba([[500.0, 20.0]])
    >>> p.shape, float(p.max()) > 0.999
    ((1, 2), True)
    """

    _groups = "n_components"
    _parameter_constraints: dict = {
        **BaseDirectionalEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tied_concentration": ["boolean"],
        "equal_weights": ["boolean"],
        "assignment": [StrOptions({"soft", "hard"})],
        "init": [
            StrOptions({"k-means", "k-means++", "random", "farthest"}),
            callable,
            "array-like",
            "sparse matrix",
        ],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "precision": [StrOptions({"float32", "float64"})],
    }

    def __init__(
        self,
        n_components=8,
        *,
        tied_concentration=False,
        equal_weights=False,
        assignment="soft",
        init="k-means",
        n_init=1,
        max_iter=100,
        tol=1e-3,
        zero_rows="ignore",
        device="auto",
        precision="float64",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.tied_concentration = tied_concentration
        self.equal_weights = equal_weights
        self.assignment = assignment
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.zero_rows = zero_rows
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @whole_or_nothing
    @own_torch_settings()
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Estimate the mixture.

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
        rows = self._read(X, sample_weight)
        weight = torch.where(rows.matrix.norms > 0, rows.weight, 0.0)
        tasks = Tasks(self, X, y, _attributes_of)
        with verbosity(self.verbose):
            tasks.fit_begins()
            found = fit_mixture(
                unit_blocks(rows.matrix),
                weight,
                self._starts(rows.X, rows.matrix, weight),
                self._model(),
                n_init=number_of_starts(self.init, self.n_init),
                max_iter=self.max_iter,
                tol=self.tol,
                tasks=tasks,
            )
            self._finish(rows, found, tasks.stopped)
            tasks.fit_ends()
        return self

    def _model(self):
        return MixtureModel(
            bool(self.tied_concentration),
            bool(self.equal_weights),
            self.assignment == "hard",
        )

    def _starts(self, X, matrix, weight):
        """Function that gives the directions of each start."""
        streams = RandomStreams.from_random_state(self.random_state)
        by_k_means = isinstance(self.init, str) and self.init == "k-means"
        init = "k-means++" if by_k_means else self.init
        start = starts(init, self.n_components, X, matrix, weight, streams)
        if not by_k_means:
            return lambda: start().unit().numpy()
        return lambda: spherical_kmeans(matrix, weight, start).centers.unit().numpy()

    def _finish(self, rows, found, stopped):
        """Set the fitted attributes."""
        self._set_parameters(found.parameters)
        self.labels_ = self._label(rows.X, rows.matrix)
        order, _, counts = used_first(self.labels_, self.n_components)
        reordered = (np.diff(order) < 0).any()
        if reordered:
            self._set_parameters(found.parameters.reordered(order))
        if not rows.whole:
            self.labels_ = self._label(rows.given)
        elif reordered:
            self.labels_ = self._label(rows.X, rows.matrix)
        self.lower_bound_ = found.bound
        self.n_iter_ = found.n_iter
        self.converged_ = found.converged
        if not found.converged and not stopped:
            self._warn_of_limit()
        self._warn_of_empty(counts, rows.X)
        if counts.all() and self._narrowness():
            warn_user(self._narrowness(), ConvergenceWarning)

    def _cause_of_empty(self):
        return self._narrowness() or (
            "Enough directions differ: the other components are nowhere the most "
            "likely. More starts (n_init), or another init, may separate them."
        )

    def _narrowness(self):
        """What to say where components have come to the limit of the concentration."""
        narrow = (self.concentrations_ >= MAX_CONCENTRATION) & (self.weights_ > 0)
        if not narrow.any():
            return None
        return (
            f"{np.count_nonzero(narrow)} of {self.n_components} components are at the "
            f"limit of the concentration, {MAX_CONCENTRATION:.0e}: their rows have "
            "nearly one direction, and directions less than about 1e-4 rad apart are "
            "not told apart. Rows far from the origin have such directions: centre X "
            "first, for instance with StandardScaler(with_std=False). For repeated "
            "rows use tied_concentration=True."
        )

    def _label(self, X, matrix=None):
        return self._infer(X, matrix)[0].argmax(axis=1).astype(np.int32)

    def _set_parameters(self, parameters):
        for name, value in _attributes_of(parameters).items():
            setattr(self, name, value)

    def _warn_of_limit(self):
        warn_user(
            f"The mixture did not converge within max_iter={self.max_iter} iterations: "
            "the log-likelihood still rises by more than tol. Raise max_iter or tol, "
            "or check for degenerate data.",
            ConvergenceWarning,
        )


def _attributes_of(parameters):
    return {
        "weights_": parameters.weights,
        "means_": parameters.means,
        "concentrations_": parameters.concentrations,
    }
