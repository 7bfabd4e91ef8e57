"""Normaliser and concentration of the von Mises-Fisher distribution."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import ive

from skdeepcluster.kmeans.directional._concentration import (
    MAX_CONCENTRATION,
    banerjee_start,
    concentration_bounds,
    concentration_of,
    log_mean_exponential,
    log_sphere_area,
    mean_resultant,
)

DIMENSIONS = [2, 3, 4, 10, 99, 101, 102, 103, 104, 384, 768, 5000, 100_000]
CONCENTRATIONS = [1e-8, 1e-3, 0.5, 9.9, 49.0, 49.99, 50.01, 333.0, 5000.0]


def one(function, value, dimension):
    return float(function(np.array([value]), dimension)[0])


def in_decimals(kappa, dimension):
    """Logarithm of M and A from the power series, to 50 digits."""
    with localcontext(prec=70, Emax=10**9, Emin=-(10**9)):
        kappa, half = Decimal(repr(kappa)), Decimal(dimension) / 2
        x = kappa * kappa / 4
        term = above = Decimal(1)
        total, total_above, j = Decimal(1), Decimal(1), 0
        while j < 5 or term > total * Decimal("1e-60"):
            j += 1
            term = term * x / (j * (half + j - 1))
            above = above * x / (j * (half + j))
            total += term
            total_above += above
        return float(total.ln()), float(kappa / dimension * total_above / total)


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("kappa", CONCENTRATIONS)
def test_against_series_in_decimals(dimension, kappa):
    log_mean, resultant = in_decimals(kappa, dimension)
    found = one(log_mean_exponential, kappa, dimension)
    assert_allclose(found, log_mean, rtol=1e-13, atol=1e-14)
    found = one(mean_resultant, kappa, dimension)
    assert_allclose(found, resultant, rtol=1e-14)
    back = one(concentration_of, resultant, dimension)
    # One digit of A moves kappa the more, the closer A is to 1.
    assert_allclose(back, kappa, rtol=1e-15 * (10 + 10 * kappa / dimension))


@pytest.mark.parametrize("dimension", [2, 3, 7, 50, 120])
@pytest.mark.parametrize("kappa", [0.7, 30.0, 60.0, 700.0])
def test_against_bessel_functions(dimension, kappa):
    order = dimension / 2 - 1
    log_bessel = np.log(ive(order, kappa)) + kappa
    log_c = order * np.log(kappa) - dimension / 2 * np.log(2 * np.pi) - log_bessel
    found = -one(log_mean_exponential, kappa, dimension) - log_sphere_area(dimension)
    assert_allclose(found, log_c, rtol=1e-11)
    ratio = ive(order + 1, kappa) / ive(order, kappa)
    assert_allclose(one(mean_resultant, kappa, dimension), ratio, rtol=1e-11)


@pytest.mark.parametrize("kappa", [0.0, 1e-8, 0.3, 5.0, 80.0, 1e4])
def test_normaliser_integrates_to_one(kappa):
    """Over the angle to the mean direction, scaled down by the density there."""

    def shape(angle):
        return np.exp(kappa * (np.cos(angle) - 1))

    width = min(np.pi, 40 / np.sqrt(max(kappa, 1e-9)))
    circle = 2 * quad(shape, 0, width, epsabs=0)[0]
    sphere = 2 * np.pi * quad(lambda t: shape(t) * np.sin(t), 0, width, epsabs=0)[0]
    for dimension, integral in ((2, circle), (3, sphere)):
        log_c = -one(log_mean_exponential, kappa, dimension)
        log_c -= log_sphere_area(dimension)
        assert_allclose(np.log(integral) + kappa + log_c, 0, atol=1e-8)


@pytest.mark.parametrize("dimension", [2, 3, 384, 100_000])
def test_continuous_where_the_method_changes(dimension):
    order = dimension / 2 - 1
    edge = np.sqrt(max(50.0**2 - order**2, 0))
    kappa = edge + np.array([-1e-7, 1e-7]) if edge else np.array([1e-9, 1e-7])
    log_mean = log_mean_exponential(kappa, dimension)
    slope = mean_resultant(kappa, dimension).mean()
    assert_allclose(np.diff(log_mean), slope * np.diff(kappa), rtol=1e-4, atol=1e-13)
    assert (np.diff(mean_resultant(kappa, dimension)) > 0).all()


@pytest.mark.parametrize("kappa", [1e5, 1e6, 1e7, 9.9e7])
def test_high_concentrations(kappa):
    # Langevin's function in three dimensions.
    assert_allclose(one(mean_resultant, kappa, 3), 1 - 1 / kappa, rtol=1e-15)
    for dimension in (2, 3, 768, 100_000):
        back = one(concentration_of, one(mean_resultant, kappa, dimension), dimension)
        assert_allclose(back, kappa, rtol=1e-15 * (10 + 10 * kappa / dimension))


def test_published_example():
    """d=3 and rho=0.9: kappa 10 up to the hyperbolic cotangent."""
    rho = np.array([0.9])
    kappa = concentration_of(rho, 3)
    assert_allclose(1 / np.tanh(kappa) - 1 / kappa, 0.9, rtol=1e-14)
    assert_allclose(kappa, 10, rtol=1e-6)
    assert_allclose(banerjee_start(rho, 3), 10.3737, atol=5e-5)
    lower, upper = concentration_bounds(rho, 3)
    assert_allclose([lower[0], upper[0]], [9.904, 10.672], atol=5e-4)


def test_concentration_lies_within_the_bounds():
    rho = np.linspace(0.001, 0.999, 200)
    for dimension in (2, 3, 10, 768, 50_000):
        lower, upper = concentration_bounds(rho, dimension)
        found = concentration_of(rho, dimension)
        assert (found >= lower * (1 - 1e-12)).all()
        assert (found <= upper * (1 + 1e-12)).all()
        assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("dimension", [1, 2, 3, 768, 100_000])
def test_ends(dimension):
    assert one(log_mean_exponential, 0.0, dimension) == 0
    assert one(mean_resultant, 0.0, dimension) == 0
    assert one(concentration_of, 0.0, dimension) == 0
    for rho in (1.0, 1 + 1e-15):
        assert one(concentration_of, rho, dimension) == MAX_CONCENTRATION
    assert len(concentration_of(np.zeros(0), dimension)) == 0


def test_one_dimension_has_two_points():
    kappa = np.array([1e-8, 0.5, 3.0, 60.0, 1e8])
    log_cosh = np.logaddexp(kappa, -kappa) - np.log(2)
    assert_allclose(log_mean_exponential(kappa, 1), log_cosh, rtol=1e-13, atol=1e-15)
    assert_allclose(mean_resultant(kappa, 1), np.tanh(kappa), rtol=1e-14)
    assert_allclose(log_sphere_area(1), np.log(2), rtol=1e-15)


def test_sphere_areas():
    areas = [np.exp(log_sphere_area(d)) for d in (2, 3, 4)]
    assert_allclose(areas, [2 * np.pi, 4 * np.pi, 2 * np.pi**2], rtol=1e-14)
