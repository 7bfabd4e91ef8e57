"""Directions drawn from a von Mises-Fisher distribution."""

from __future__ import annotations

import numpy as np


def sample_von_mises_fisher(
    mean: np.ndarray, concentration: float, size: int, random: np.random.Generator
) -> np.ndarray:
    """Draw directions around a mean direction.

    The cosine to the mean is drawn by rejection from the envelope of Wood, written for
    what is missing to a cosine of 1, so that no digits are lost at high concentrations;
    the rest of the direction is uniform.

    Parameters
    ----------
    mean : ndarray of shape (d,), float64
        Of length 1.
    concentration : float
        0 or more.
    size : int
    random : numpy.random.Generator

    Returns
    -------
    directions : ndarray of shape (size, d)
        Of length 1.

    References
    ----------
    A. T. A. Wood, "Simulation of the von Mises Fisher distribution", Communications in
    Statistics: Simulation and Computation 23(1), 1994.
    """
    if len(mean) == 1:
        same = random.random(size) < 1 / (1 + np.exp(-2 * concentration))
        return np.where(same, mean, -mean)[:, None]
    missing = _draw_missing(concentration, len(mean), size, random)
    rest = random.standard_normal((size, len(mean)))
    rest -= (rest @ mean)[:, None] * mean
    rest *= np.sqrt(missing * (2 - missing) / np.square(rest).sum(axis=1))[:, None]
    rest += (1 - missing)[:, None] * mean
    return rest / np.linalg.norm(rest, axis=1, keepdims=True)


def _draw_missing(
    kappa: float, dimension: int, size: int, random: np.random.Generator
) -> np.ndarray:
    """Draw 1 - cosine."""
    m = dimension - 1
    b = m / (2 * kappa + np.hypot(2 * kappa, m))
    peak = 2 * b / (1 + b)  # where the envelope touches
    out = np.empty(size)
    drawn = 0
    while drawn < size:
        z = random.beta(m / 2, m / 2, size - drawn)
        missing = 2 * b * z / (1 - (1 - b) * z)
        slack = (peak + (1 - peak) * missing) / (peak * (2 - peak))
        accept = kappa * (peak - missing) + m * np.log(slack)
        kept = missing[accept >= np.log1p(-random.random(size - drawn))]
        out[drawn : drawn + len(kept)] = kept
        drawn += len(kept)
    return out
