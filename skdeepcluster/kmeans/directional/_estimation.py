r"""Expectation maximisation for mixtures of von Mises-Fisher distributions.

The E-step gives rows their memberships :math:`p_{ij} \propto \alpha_j C_d(\kappa_j)
e^{\kappa_j \mu_j \cdot x_i}`, in hard EM 1 for the greatest of them; the M-step takes
:math:`s_j = \sum_i w_i p_{ij} x_i`, :math:`m_j = \sum_i w_i p_{ij}` and sets
:math:`\mu_j = s_j / \lVert s_j \rVert`, :math:`A_d(\kappa_j) = \lVert s_j \rVert / m_j`
and :math:`\alpha_j \propto m_j`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from skdeepcluster.kmeans.directional._concentration import concentration_of
from skdeepcluster.kmeans.directional._mixture import (
    VonMisesFisherParameters,
    posterior,
)
from skdeepcluster.kmeans.matrices import UnitBlocks
from skdeepcluster.utils._tasks import UNWATCHED, Tasks

_LOGGER = logging.getLogger("skdeepcluster")

# A component with a smaller share of the weight keeps its shape; a sum so short beside
# its weight is what rounding leaves of a sum of zero.
_NOTHING = 1e-12
# Starts whose likelihoods differ by rounding are equally good: the first is taken.
_SAME_LIKELIHOOD = 1e-9


@dataclass(frozen=True)
class MixtureModel:
    """What is estimated, and how.

    Attributes
    ----------
    tied : bool
        One concentration for all components.
    equal_weights : bool
        Mixing proportions stay 1 / k.
    hard : bool
        Every row counts for its most likely component only.
    """

    tied: bool = False
    equal_weights: bool = False
    hard: bool = False


@dataclass(frozen=True, eq=False)
class Expectation:
    """What the E-step finds.

    Attributes
    ----------
    sums : Tensor of shape (k, d)
    masses : ndarray of shape (k,)
    bound : float
        Weighted mean of the log-likelihood of a row; in hard EM, of a row and its
        component. Of the parameters that went into the E-step.
    """

    sums: Tensor
    masses: np.ndarray
    bound: float


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A mixture with the bound that its parameters reach.

    Attributes
    ----------
    parameters : VonMisesFisherParameters
    bound : float
    n_iter : int
    converged : bool
    """

    parameters: VonMisesFisherParameters
    bound: float
    n_iter: int
    converged: bool


def expect(
    data: UnitBlocks, weight: Tensor, parameters: VonMisesFisherParameters, hard: bool
) -> Expectation:
    """E-step: the statistics of the memberships.

    Parameters
    ----------
    data : UnitBlocks of shape (n, d)
    weight : Tensor of shape (n,), float64
        Zero for rows of zeros.
    parameters : VonMisesFisherParameters
    hard : bool

    Returns
    -------
    expectation : Expectation
    """
    k = len(parameters.weights)
    sums = torch.zeros(k, parameters.dimension, dtype=torch.float64)
    masses, likelihood = np.zeros(k), 0.0
    operand, offsets = data.operand(parameters.means), parameters.offsets()
    for at, block in data:
        found = posterior(data.cosines(block, operand), parameters, offsets)
        w = weight[at].numpy()
        memberships, log_density, log_joint = (part[: len(w)] for part in found)
        if hard:
            memberships = np.eye(k)[memberships.argmax(axis=1)]
        memberships = memberships * w[:, None]
        sums += data.sums(block, memberships)
        masses += memberships.sum(axis=0)
        likelihood += float(w @ (log_joint if hard else log_density))
    return Expectation(sums, masses, likelihood / float(masses.sum()))


def maximise(
    found: Expectation, before: VonMisesFisherParameters, model: MixtureModel
) -> VonMisesFisherParameters:
    """M-step: the most likely parameters for the memberships.

    Parameters
    ----------
    found : Expectation
    before : VonMisesFisherParameters
        What components keep that no row belongs to, or whose rows cancel.
    model : MixtureModel

    Returns
    -------
    parameters : VonMisesFisherParameters
    """
    sums, masses = found.sums.numpy(), found.masses
    total, k = masses.sum(), len(masses)
    lengths = np.linalg.norm(sums, axis=1)
    alive = masses > _NOTHING * total
    moved = alive & (lengths > _NOTHING * masses)
    means = before.means.copy()
    means[moved] = sums[moved] / lengths[moved, None]
    if model.tied:
        shared = concentration_of(np.array([lengths.sum() / total]), before.dimension)
        concentrations = np.repeat(shared, k)
    else:
        concentrations = before.concentrations.copy()
        resultants = lengths[alive] / masses[alive]
        concentrations[alive] = concentration_of(resultants, before.dimension)
    weights = np.full(k, 1 / k) if model.equal_weights else masses / total
    return VonMisesFisherParameters(weights, means, concentrations)


def start_from(
    data: UnitBlocks, weight: Tensor, directions: np.ndarray, model: MixtureModel
) -> VonMisesFisherParameters:
    """Parameters of the partition into the nearest of some directions, (k, d)."""
    k = len(directions)
    nearest = VonMisesFisherParameters(np.full(k, 1 / k), directions, np.ones(k))
    # What nothing is near to starts as wide as all rows together.
    found = expect(data, weight, nearest, hard=True)
    overall = np.linalg.norm(found.sums.numpy().sum(axis=0)) / found.masses.sum()
    wide = concentration_of(np.array([overall]), nearest.dimension)
    return maximise(found, replace(nearest, concentrations=np.repeat(wide, k)), model)


def expectation_maximisation(
    data: UnitBlocks,
    weight: Tensor,
    parameters: VonMisesFisherParameters,
    model: MixtureModel,
    *,
    max_iter: int,
    tol: float,
    tasks: Tasks = UNWATCHED,
) -> MixtureFit:
    """Run EM from given parameters.

    It ends when the bound rises by at most `tol`, or when a callback asks for it; the
    bound never falls, but for rounding.

    Parameters
    ----------
    data : UnitBlocks of shape (n, d)
    weight : Tensor of shape (n,), float64
    parameters : VonMisesFisherParameters
    model : MixtureModel
    max_iter : int
        Most M-steps.
    tol : float
    tasks : Tasks, optional
        Of an open start.

    Returns
    -------
    fit : MixtureFit
    """
    found = expect(data, weight, parameters, model.hard)
    for n_iter in range(1, max_iter + 1):
        tasks.iteration_begins()
        moved = maximise(found, parameters, model)
        following = expect(data, weight, moved, model.hard)
        _LOGGER.debug("iteration %d: log-likelihood %.9g", n_iter, following.bound)
        rise = following.bound - found.bound
        parameters, found = moved, following
        stops = tasks.iteration_ends(parameters)
        if stops or rise <= tol:
            return MixtureFit(parameters, found.bound, n_iter, rise <= tol)
    return MixtureFit(parameters, found.bound, max_iter, False)


def fit_mixture(
    data: UnitBlocks,
    weight: Tensor,
    start: Callable[[], np.ndarray],
    model: MixtureModel,
    *,
    n_init: int,
    max_iter: int,
    tol: float,
    tasks: Tasks = UNWATCHED,
) -> MixtureFit:
    """Run EM from several starts; returns the likeliest mixture.

    Parameters
    ----------
    data : UnitBlocks of shape (n, d)
    weight : Tensor of shape (n,), float64
    start : callable
        Gives the directions of each start, (k, d).
    model : MixtureModel
    n_init : int
    max_iter : int
    tol : float
    tasks : Tasks, optional

    Returns
    -------
    fit : MixtureFit
    """
    best: MixtureFit | None = None
    for number in range(n_init):
        tasks.start_begins()
        parameters = start_from(data, weight, start(), model)
        found = expectation_maximisation(
            data, weight, parameters, model, max_iter=max_iter, tol=tol, tasks=tasks
        )
        _LOGGER.info(
            "start %d: mean log-likelihood %.6g after %d iterations",
            number,
            found.bound,
            found.n_iter,
        )
        if best is None or found.bound > best.bound + _SAME_LIKELIHOOD:
            best = found
        if tasks.start_ends():
            break
    if best is None:
        raise ValueError(f"n_init={n_init} should be >= 1.")
    return best
