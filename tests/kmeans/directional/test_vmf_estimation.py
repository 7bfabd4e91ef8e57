"""Sampling, memberships and EM of mixtures of von Mises-Fisher distributions."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skdeepcluster.kmeans import Partition, as_matrix, nearest_by_cosine
from skdeepcluster.kmeans.cosine._partition import converge, lloyd_step
from skdeepcluster.kmeans.directional._concentration import mean_resultant
from skdeepcluster.kmeans.directional._estimation import (
    MixtureModel,
    expect,
    expectation_maximisation,
    maximise,
    start_from,
)
from skdeepcluster.kmeans.directional._mixture import (
    VonMisesFisherParameters,
    infer_mixture,
)
from skdeepcluster.kmeans.directional._sampling import sample_von_mises_fisher
from skdeepcluster.kmeans.matrices._unit_blocks import unit_blocks

MODELS = [
    MixtureModel(tied, equal, hard)
    for tied in (False, True)
    for equal in (False, True)
    for hard in (False, True)
]


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def data(n=300, d=6, k=4, seed=0):
    """Rows of k directions with noise, and k directions to start from."""
    random = generator(seed)
    means = random.standard_normal((k, d))
    x = means[random.integers(k, size=n)] + 0.9 * random.standard_normal((n, d))
    return x, unit(x[:k])


# --- sampling -----------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 50, 2000])
@pytest.mark.parametrize("kappa", [0.0, 0.5, 10.0, 1e3, 1e6])
def test_sample_has_the_moments_of_the_distribution(d, kappa):
    n = 4000 if d < 1000 else 1000
    mean = unit(np.ones((1, d)))[0]
    x = sample_von_mises_fisher(mean, kappa, n, generator())
    assert x.shape == (n, d)
    assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-12)
    expected = float(mean_resultant(np.array([kappa]), d)[0])
    # A' = 1 - A^2 - (d - 1) A / kappa is the variance of the cosine.
    ratio = expected / kappa if kappa else 1 / d
    variance = max(1 - expected**2 - (d - 1) * ratio, 0.0)
    cosines = x @ mean
    error = np.sqrt(variance / n)
    assert_allclose(cosines.mean(), expected, rtol=0, atol=3 * error + 1e-12)
    if d > 1:  # across the mean direction nothing is preferred
        across = x.mean(axis=0) - cosines.mean() * mean
        spread = np.sqrt((1 - np.square(cosines).mean()) / n)
        assert np.linalg.norm(across) < spread * (1 + 4 / np.sqrt(2 * (d - 1)))


def test_sample_of_circle_fills_it():
    x = sample_von_mises_fisher(np.array([1.0, 0.0]), 0.0, 4000, generator())
    quarters = np.bincount(2 * (x[:, 0] > 0) + (x[:, 1] > 0), minlength=4)
    assert_allclose(quarters, 1000, atol=4 * np.sqrt(750))


def test_nothing_to_sample():
    assert sample_von_mises_fisher(np.array([1.0, 0]), 5.0, 0, generator()).size == 0


# --- the parts of EM ----------------------------------------------------------


def test_memberships_by_hand():
    """In three dimensions the normaliser is kappa / (4 pi sinh(kappa))."""
    parameters = VonMisesFisherParameters(
        np.array([0.3, 0.7]), np.eye(3)[:2], np.array([2.0, 5.0])
    )
    x = np.array([[2.0, 0, 0], [3.0, 4.0, 0], [0, 0, 0], [0, 0, -1.0]])
    blocks = unit_blocks(as_matrix(x, "cpu", "float64"))
    memberships, log_density = infer_mixture(blocks, parameters)
    kappa = parameters.concentrations
    scale = parameters.weights * kappa / (4 * np.pi * np.sinh(kappa))
    cosines = np.array([[1, 0], [0.6, 0.8], [0, 0]])
    joint = scale * np.exp(kappa * cosines)
    rows = [0, 1, 3]
    assert_allclose(log_density[rows], np.log(joint.sum(axis=1)), rtol=1e-13)
    expected = joint / joint.sum(axis=1, keepdims=True)
    assert_allclose(memberships[rows], expected, rtol=1e-13)
    # No direction: nothing is learnt from the row.
    assert_array_equal(memberships[2], parameters.weights)
    assert_allclose(log_density[2], -np.log(4 * np.pi), rtol=1e-15)


@pytest.mark.parametrize("sparse", [False, True])
def test_blocks_give_cosines_and_sums(sparse):
    random = generator()
    x = random.standard_normal((5000, 7)) * (random.random((5000, 7)) < 0.6)
    x[17] = 0
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    rows = x / np.where(norms > 0, norms, 1)
    directions = unit(random.standard_normal((3, 7)))
    memberships = random.random((5000, 3))
    blocks = unit_blocks(as_matrix(sp.csr_matrix(x) if sparse else x, "cpu", "float64"))
    sums = torch.zeros(3, 7, dtype=torch.float64)
    for at, block in blocks:
        found = blocks.cosines(block, blocks.operand(directions))
        count = at.stop - at.start
        assert_allclose(found[:count], rows[at] @ directions.T, atol=1e-15)
        sums += blocks.sums(block, memberships[at])
    assert at.stop == 5000
    assert_allclose(sums.numpy(), memberships.T @ rows, atol=1e-11)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_likelihood_never_falls(model):
    x, directions = data()
    blocks = unit_blocks(as_matrix(x, "cpu", "float64"))
    weight = torch.from_numpy(generator().random(len(x)))
    parameters = start_from(blocks, weight, directions, model)
    bounds = []
    for _ in range(40):
        found = expect(blocks, weight, parameters, model.hard)
        bounds.append(found.bound)
        parameters = maximise(found, parameters, model)
    assert (np.diff(bounds) >= -1e-12).all()
    assert bounds[-1] > bounds[0]


def test_hard_equal_and_tied_is_spherical_kmeans():
    for seed in range(5):
        x, directions = data(seed=seed)
        matrix = as_matrix(x, "cpu", "float64")
        weight = torch.ones(len(x), dtype=torch.float64)
        partition = Partition(
            matrix, weight, matrix.centers_type(torch.from_numpy(directions))
        )
        converge(partition, lloyd_step(matrix), 100, 0.0)
        blocks = unit_blocks(matrix)
        model = MixtureModel(tied=True, equal_weights=True, hard=True)
        found = expectation_maximisation(
            blocks,
            weight,
            start_from(blocks, weight, directions, model),
            model,
            max_iter=100,
            tol=0.0,
        )
        assert found.converged
        labels = infer_mixture(blocks, found.parameters)[0].argmax(axis=1)
        assert_array_equal(labels, partition.labels.numpy())
        assert_allclose(found.parameters.means, partition.centers.unit(), atol=1e-12)
        # The criterion of k-means gives the concentration.
        resultant = mean_resultant(found.parameters.concentrations[:1], 6)
        assert_allclose(1 - resultant, partition.criterion / len(x), rtol=1e-10)


def test_high_concentrations_give_the_nearest_direction():
    x, directions = data()
    matrix = as_matrix(x, "cpu", "float64")
    centers = matrix.centers_type(torch.from_numpy(directions))
    nearest = nearest_by_cosine(matrix, centers)[0].numpy()
    soft = VonMisesFisherParameters(np.full(4, 0.25), directions, np.full(4, 1e7))
    memberships = infer_mixture(unit_blocks(matrix), soft)[0]
    assert_allclose(memberships, np.eye(4)[nearest], atol=1e-12)


def test_lost_components_keep_their_shape():
    x, directions = data(k=2)
    blocks = unit_blocks(as_matrix(np.abs(x), "cpu", "float64"))
    away = np.vstack([np.abs(directions), -np.ones(6) / np.sqrt(6)])
    weight = torch.ones(len(x), dtype=torch.float64)
    for model in MODELS:
        start = start_from(blocks, weight, away, model)
        assert_allclose(start.means[2], away[2])
        assert start.concentrations[2] > 0
        assert start.weights[2] == (1 / 3 if model.equal_weights else 0)
        found = expectation_maximisation(
            blocks, weight, start, model, max_iter=5, tol=0.0
        )
        for values in vars(found.parameters).values():
            assert np.isfinite(values).all()


def test_cancelling_rows_make_a_uniform_component():
    x = np.array([[1.0, 0], [-1.0, 0], [0, 1.0], [0, -1.0]])
    blocks = unit_blocks(as_matrix(x, "cpu", "float64"))
    start = start_from(
        blocks, torch.ones(4).double(), np.array([[0.6, 0.8]]), MixtureModel()
    )
    assert_allclose(start.means, [[0.6, 0.8]])
    assert_allclose(start.concentrations, 0, atol=1e-12)
