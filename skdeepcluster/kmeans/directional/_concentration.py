r"""The normaliser of the von Mises-Fisher distribution, and its concentration.

On the unit sphere in :math:`d` dimensions the density is

.. math::
    f(x) = C_d(\kappa) \, e^{\kappa \mu \cdot x} , \qquad
    C_d(\kappa) = \frac{1}{S_d M_d(\kappa)} , \qquad
    M_d(\kappa) = \Gamma(\nu + 1) (2 / \kappa)^\nu I_\nu(\kappa) , \qquad
    \nu = d / 2 - 1 ,

with the area :math:`S_d` of the sphere: :math:`M_d` is the mean of
:math:`e^{\kappa \mu \cdot x}` over it. A sample whose mean has the length
:math:`\rho` is most likely under the :math:`\kappa` with
:math:`A_d(\kappa) = (\log M_d)'(\kappa) = \rho`.

Neither is taken from Bessel functions, which leave the range of float64: where
:math:`R = \sqrt{\nu^2 + \kappa^2}` is small, :math:`M_d` is a series of positive terms;
elsewhere twelve terms of the uniform asymptotic expansion (DLMF 10.41.3) are exact to
rounding, for any dimension and concentration. Everything is float64.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.polynomial.polynomial import polyval
from scipy.special import gammaln

# Larger ones are not given. The formulas below hold far beyond; but cosines and lengths
# of means, as they are summed, have lost the digits that tell such directions apart.
MAX_CONCENTRATION = 1e8

_SERIES_RADIUS = 50.0
_SERIES_TERMS = 150
_EXPANSION_TERMS = 12
# From this order on the gamma function is divided out by the expansion itself.
_LARGE_ORDER = 50.0
_NEWTON_STEPS = 60


def log_sphere_area(dimension: int) -> float:
    """Logarithm of the area of the unit sphere in `dimension` dimensions."""
    half = dimension / 2
    return float(np.log(2) + half * np.log(np.pi) - gammaln(half))


def log_mean_exponential(concentration: np.ndarray, dimension: int) -> np.ndarray:
    r"""Logarithm of :math:`M_d(\kappa)`.

    Parameters
    ----------
    concentration : ndarray of shape (k,), float64
        0 or more.
    dimension : int
        1 or more.

    Returns
    -------
    log_mean : ndarray of shape (k,)
        0 for a concentration of 0. The log density is ``concentration * cosine -
        log_mean - log_sphere_area(dimension)``.
    """
    order = dimension / 2 - 1
    near = _in_series(concentration, order)
    out = np.empty_like(concentration)
    out[near] = np.log1p(_series(concentration[near], order + 1))
    kappa = concentration[~near]
    out[~near] = _expanded(kappa, order)
    return out


def mean_resultant(concentration: np.ndarray, dimension: int) -> np.ndarray:
    r"""Expected cosine to the mean direction, :math:`A_d(\kappa)`.

    Parameters
    ----------
    concentration : ndarray of shape (k,), float64
    dimension : int

    Returns
    -------
    resultant : ndarray of shape (k,)
        From 0 to 1, increasing.
    """
    return _resultant(concentration, dimension)[0]


def concentration_of(resultant: np.ndarray, dimension: int) -> np.ndarray:
    r"""Concentration with a given expected cosine: the inverse of :math:`A_d`.

    Newton's method within the bounds of Hornik and Gruen, from the start of Banerjee
    and others.

    Parameters
    ----------
    resultant : ndarray of shape (k,), float64
        Lengths of mean directions; rounding may have taken them past 1.
    dimension : int

    Returns
    -------
    concentration : ndarray of shape (k,)
        At most `MAX_CONCENTRATION`.

    References
    ----------
    A. Banerjee, I. S. Dhillon, J. Ghosh and S. Sra, "Clustering on the unit hypersphere
    using von Mises-Fisher distributions", JMLR 6, 2005, equation 4.4.

    K. Hornik and B. Gruen, "On maximum likelihood estimation of the concentration
    parameter of von Mises-Fisher distributions", Computational Statistics 29, 2014.
    """
    rho = np.clip(resultant, 0.0, 1.0)
    if dimension == 1:  # two points; A is the hyperbolic tangent
        with np.errstate(divide="ignore"):
            return np.minimum(np.arctanh(rho), MAX_CONCENTRATION)
    highest = mean_resultant(np.array([MAX_CONCENTRATION]), dimension)
    out = np.full_like(rho, MAX_CONCENTRATION)
    inside = rho < highest
    out[inside] = _invert(rho[inside], dimension)
    return out


def banerjee_start(resultant: np.ndarray, dimension: int) -> np.ndarray:
    """Banerjee's approximation of the concentration."""
    return resultant * (dimension - resultant**2) / _one_minus_square(resultant)


def concentration_bounds(
    resultant: np.ndarray, dimension: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of Hornik and Gruen on the concentration, lower and upper."""
    half = dimension / 2
    lower = np.maximum(
        _bound(resultant, half - 1, half + 1),
        _bound(resultant, half - 0.5, np.sqrt(dimension**2 - 1) / 2),
    )
    return lower, _bound(resultant, half - 0.5, half + 0.5)


def _bound(rho: np.ndarray, a: float, b: float) -> np.ndarray:
    rest = _one_minus_square(rho)
    return rho / rest * (a + np.sqrt(rho**2 * a**2 + rest * b**2))


def _one_minus_square(rho: np.ndarray) -> np.ndarray:
    return (1 - rho) * (1 + rho)


def _invert(rho: np.ndarray, dimension: int) -> np.ndarray:
    """Newton's method; A is concave, so that every step but the first ascends."""
    lower, upper = concentration_bounds(rho, dimension)
    kappa = np.clip(banerjee_start(rho, dimension), lower, upper)
    for _ in range(_NEWTON_STEPS):
        found, rest = _resultant(kappa, dimension)
        # Near 1 the difference of what is missing to 1 keeps its digits.
        gap = np.where(rho > 0.5, rest - (1 - rho), rho - found)
        slope = rest * (1 + found) - (dimension - 1) * _over(found, kappa, dimension)
        step = gap / slope
        kappa = np.clip(kappa + step, lower, upper)
        if (np.abs(step) <= 1e-14 * kappa).all():
            break
    return np.minimum(kappa, MAX_CONCENTRATION)


def _over(found: np.ndarray, kappa: np.ndarray, dimension: int) -> np.ndarray:
    """A / kappa, which tends to 1 / d."""
    ratio = np.full_like(kappa, 1 / dimension)
    return np.divide(found, kappa, out=ratio, where=kappa > 0)


def _resultant(kappa: np.ndarray, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """A and 1 - A."""
    order = dimension / 2 - 1
    near = _in_series(kappa, order)
    out, rest = np.empty_like(kappa), np.empty_like(kappa)
    above, below = (_series(kappa[near], order + j) for j in (2, 1))
    out[near] = kappa[near] / dimension * (1 + above) / (1 + below)
    rest[near] = 1 - out[near]
    out[~near], rest[~near] = _expanded_resultant(kappa[~near], order)
    return out, rest


def _in_series(kappa: np.ndarray, order: float) -> np.ndarray:
    return np.hypot(kappa, order) < _SERIES_RADIUS


def _series(kappa: np.ndarray, parameter: float) -> np.ndarray:
    """Confluent hypergeometric limit function 0F1(parameter; kappa**2 / 4), less 1."""
    j = np.arange(1, _SERIES_TERMS + 1)
    factors = kappa[:, None] ** 2 / 4 / (j * (parameter + j - 1))
    # The smallest terms first; the last ones vanish, as they may.
    with np.errstate(under="ignore"):
        return np.cumprod(factors, axis=1)[:, ::-1].sum(axis=1)


def _expanded(kappa: np.ndarray, order: float) -> np.ndarray:
    radius = np.hypot(kappa, order)
    correction = np.log(_expansion(radius, order)[0])
    if order < _LARGE_ORDER:
        leading = radius - order * np.log((order + radius) / 2)
        prefactor = gammaln(order + 1) - 0.5 * np.log(2 * np.pi * radius)
        return leading + prefactor + correction
    # Stirling's series for the gamma function is the same expansion at 0: what the two
    # have in common, millions in high dimensions, never enters.
    rise = kappa**2 / (radius + order)
    leading = rise - order * np.log1p(rise / (2 * order))
    at_zero = np.log(_expansion(np.array([order]), order)[0])
    return leading - 0.25 * np.log1p((kappa / order) ** 2) + correction - at_zero


def _expanded_resultant(
    kappa: np.ndarray, order: float
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of `_expanded`, term by term, and what is missing to 1."""
    radius = np.hypot(kappa, order)
    value, slope = _expansion(radius, order)
    correction = kappa / radius**2 * (0.5 + slope / value)
    leading = kappa / (radius + order)
    missing = (order + order**2 / (radius + kappa)) / (radius + order)
    return leading - correction, missing + correction


def _expansion(radius: np.ndarray, order: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Sum of the expansion, and its derivative by :math:`-\log R`.

    With :math:`p = 1 / R` and :math:`s = (\nu p)^2` the terms are
    :math:`p^j Q_j(s)`, in which no small order is divided by.
    """
    p = 1 / radius
    s = (order * p) ** 2
    value, slope = np.ones_like(p), np.zeros_like(p)
    for j in range(1, _EXPANSION_TERMS + 1):
        power = p**j
        value += power * polyval(s, _POLYNOMIALS[j])
        slope += power * polyval(s, _SLOPES[j])
    return value, slope


def _debye_polynomials(n_terms: int) -> list[np.ndarray]:
    r"""Coefficients of :math:`Q_j(s)`, where :math:`u_j(t) = t^j Q_j(t^2)`.

    By the recurrence DLMF 10.41.9, in fractions.
    """
    q = [Fraction(1)]
    found = [q]
    for j in range(n_terms):
        following = [Fraction(0)] * (j + 2)
        for i, coefficient in enumerate(q):
            power = j + 2 * i
            first = Fraction(power, 2) + Fraction(1, 8 * (power + 1))
            second = Fraction(power, 2) + Fraction(5, 8 * (power + 3))
            following[i] += coefficient * first
            following[i + 1] -= coefficient * second
        q = following
        found.append(q)
    return [np.array([float(c) for c in q]) for q in found]


_POLYNOMIALS = _debye_polynomials(_EXPANSION_TERMS)
# Of p**j s**i the derivative by log(p) has the factor j + 2 i.
_SLOPES = [q * (j + 2 * np.arange(len(q))) for j, q in enumerate(_POLYNOMIALS)]
