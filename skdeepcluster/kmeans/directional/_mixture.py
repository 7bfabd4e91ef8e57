r"""Mixtures of von Mises-Fisher distributions: parameters, memberships and density.

.. math::
    f(x) = \sum_j \alpha_j C_d(\kappa_j) e^{\kappa_j \mu_j \cdot x} , \qquad
    p_{ij} = \frac{\alpha_j C_d(\kappa_j) e^{\kappa_j \mu_j \cdot x_i}}{f(x_i)}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skdeepcluster.kmeans.directional._concentration import (
    log_mean_exponential,
    log_sphere_area,
)
from skdeepcluster.kmeans.matrices import UnitBlocks


@dataclass(frozen=True, eq=False)
class VonMisesFisherParameters:
    """Parameters of a mixture, float64.

    Attributes
    ----------
    weights : ndarray of shape (k,)
        Mixing proportions.
    means : ndarray of shape (k, d)
        Mean directions, of length 1.
    concentrations : ndarray of shape (k,)
    """

    weights: np.ndarray
    means: np.ndarray
    concentrations: np.ndarray

    @property
    def dimension(self) -> int:
        """Number of features."""
        return int(self.means.shape[1])

    def offsets(self) -> np.ndarray:
        """Logarithms of weight times normaliser, (k,)."""
        with np.errstate(divide="ignore"):  # a component may have lost all weight
            logs = np.log(self.weights)
        logs = logs - log_mean_exponential(self.concentrations, self.dimension)
        return logs - log_sphere_area(self.dimension)

    def reordered(self, order: np.ndarray) -> VonMisesFisherParameters:
        """Components in another order."""
        return VonMisesFisherParameters(
            self.weights[order], self.means[order], self.concentrations[order]
        )


def posterior(
    cosines: np.ndarray, parameters: VonMisesFisherParameters, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Memberships of rows and their likelihood.

    numpy computes an element the same way wherever it stands, torch does not: a row's
    bits are its own.

    Parameters
    ----------
    cosines : ndarray of shape (b, k), float64
    parameters : VonMisesFisherParameters
    offsets : ndarray of shape (k,)
        Of these parameters.

    Returns
    -------
    memberships : ndarray of shape (b, k)
        Rows sum to 1.
    log_density : ndarray of shape (b,)
    log_joint : ndarray of shape (b,)
        Of a row and its most likely component.
    """
    logs = cosines * parameters.concentrations + offsets
    log_joint = logs.max(axis=1)
    memberships = np.exp(logs - log_joint[:, None])
    total = memberships.sum(axis=1)
    memberships /= total[:, None]
    return memberships, log_joint + np.log(total), log_joint


def infer_mixture(
    data: UnitBlocks, parameters: VonMisesFisherParameters
) -> tuple[np.ndarray, np.ndarray]:
    """Memberships and log density of all rows.

    Parameters
    ----------
    data : UnitBlocks of shape (n, d)
    parameters : VonMisesFisherParameters

    Returns
    -------
    memberships : ndarray of shape (n, k)
        For rows of zeros the weights of the components.
    log_density : ndarray of shape (n,)
        For rows of zeros that of the uniform distribution.
    """
    n, k = len(data.matrix), len(parameters.weights)
    memberships, log_density = np.empty((n, k)), np.empty(n)
    operand, offsets = data.operand(parameters.means), parameters.offsets()
    for at, block in data:
        found = posterior(data.cosines(block, operand), parameters, offsets)
        count = at.stop - at.start
        memberships[at], log_density[at] = found[0][:count], found[1][:count]
    zero = data.matrix.norms.numpy() == 0
    memberships[zero] = parameters.weights
    log_density[zero] = -log_sphere_area(parameters.dimension)
    return memberships, log_density
