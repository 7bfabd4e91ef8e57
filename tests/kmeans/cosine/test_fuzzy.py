import numpy as np
import pytest
import torch
from cosine_cases import FORMS, blobs, setting, unit, weights_of

from skdeepcluster.kmeans import Partition, fuzzy_memberships, nearest_by_cosine
from skdeepcluster.kmeans.cosine._fuzzy import converge_fuzzy, fuzzy_criterion
from skdeepcluster.kmeans.cosine._partition import converge, lloyd_step

FORM = pytest.mark.parametrize("form", FORMS)


def memberships(distances, m):
    distances = torch.tensor([distances], dtype=torch.float64)
    return fuzzy_memberships(distances, m)[0].tolist()


def partition_of(x, start, form="dense", weight=None):
    matrix, centers = setting(x, start, form, "float64")
    return Partition(matrix, weights_of(x, weight), centers)


def run(x, start, m, form="dense", weight=None, max_iter=300, tol=1e-14):
    return converge_fuzzy(partition_of(x, start, form, weight), m, max_iter, tol)


def test_known_answers():
    assert memberships([0.5, 1.0], 2) == pytest.approx([2 / 3, 1 / 3])
    cost = sum(u**2 * d for u, d in zip([2 / 3, 1 / 3], [0.5, 1.0], strict=True))
    assert cost == pytest.approx(1 / 3)
    assert memberships([0.1, 0.4], 2) == pytest.approx([0.8, 0.2])
    assert memberships([0.1, 0.4], 1.1) == pytest.approx([0.999999, 9.5e-7], rel=0.01)


@pytest.mark.parametrize("m", [1.0001, 1.5, 2.0, 50.0])
def test_rows_at_centres_belong_to_these_alone(m):
    assert memberships([0.0, 0.5, 2.0], m) == [1, 0, 0]
    assert memberships([0.0, 0.5, 0.0], m) == [0.5, 0, 0.5]
    assert memberships([1e-15, 0.5, 0.0], m) == [0.5, 0, 0.5]
    assert memberships([1.0, 1.0], m) == [0.5, 0.5]


@pytest.mark.parametrize("m", [1 + 1e-12, 1.001, 1.3, 2.0, 10.0, 1e6])
def test_memberships_of_any_fuzziness(m):
    distances = 2 * torch.rand(500, 7, generator=torch.Generator().manual_seed(0))
    distances[::9] *= 1e-11
    u = fuzzy_memberships(distances.double(), m)
    assert u.isfinite().all()
    assert (u >= 0).all()
    torch.testing.assert_close(u.sum(1), torch.ones(500).double())
    assert torch.equal(u.argmax(1), distances.argmin(1))


def test_memberships_are_optimal():
    distances = torch.rand(200, 4, generator=torch.Generator().manual_seed(0)).double()
    m = 1.7
    u = fuzzy_memberships(distances, m)
    cost = (u.pow(m) * distances).sum(1)
    # In closed form, and below that of the nearest centre alone.
    expected = distances.pow(-1 / (m - 1)).sum(1).pow(-(m - 1))
    torch.testing.assert_close(cost, expected)
    assert (cost <= distances.amin(1)).all()
    for seed in range(20):
        noise = torch.rand(200, 4, generator=torch.Generator().manual_seed(seed))
        other = (u * (1 + 0.1 * noise)) / (u * (1 + 0.1 * noise)).sum(1, keepdim=True)
        assert ((other.pow(m) * distances).sum(1) >= cost - 1e-12).all()


@FORM
@pytest.mark.parametrize("m", [1.2, 2.0])
def test_the_criterion_never_rises_and_centres_are_weighted_sums(form, m):
    x, weight = blobs(), np.arange(300) % 3
    values = [run(x, x[:5], m, form, weight, max_iter=i).criterion for i in range(1, 9)]
    assert all(a >= b - 1e-11 for a, b in zip(values, values[1:], strict=False))
    found = run(x, x[:5], m, form, weight)
    distances = 1 - torch.from_numpy(unit(x)) @ found.centers.unit().T
    u = fuzzy_memberships(distances, m)
    expected = ((u**m * distances).sum(1) * weights_of(x, weight)).sum()
    assert fuzzy_criterion(found, m) == pytest.approx(float(expected), rel=1e-11)
    sums = (u**m * weights_of(x, weight)[:, None]).T @ torch.from_numpy(unit(x))
    np.testing.assert_allclose(unit(sums), found.centers.unit(), atol=1e-6)


@pytest.mark.parametrize("m", [1.2, 2.0])
def test_dense_equals_csr(m):
    x = blobs()
    dense, sparse = (run(x, x[:5], m, form) for form in FORMS)
    np.testing.assert_allclose(dense.centers.unit(), sparse.centers.unit(), atol=1e-9)
    assert dense.criterion == pytest.approx(sparse.criterion, rel=1e-12)


@FORM
def test_weights_equal_repetition(form):
    x, counts = blobs(), np.arange(300) % 4
    weighted = run(x, x[:5], 2.0, form, counts)
    repeated = run(np.repeat(x, counts, axis=0)[::-1].copy(), x[:5], 2.0, form)
    assert weighted.criterion == pytest.approx(repeated.criterion, rel=1e-12)
    np.testing.assert_allclose(
        weighted.centers.unit(), repeated.centers.unit(), atol=1e-7
    )


def test_towards_fuzziness_one_it_is_hard():
    x = blobs()
    hard = partition_of(x, x[:5])
    converge(hard, lloyd_step(hard.matrix), 300, 0.0)
    soft = run(x, x[:5], 1 + 1e-6)
    np.testing.assert_allclose(soft.centers.unit(), hard.centers.unit(), atol=1e-5)
    labels, _ = nearest_by_cosine(soft.matrix, soft.centers)
    assert torch.equal(labels, hard.labels)


@FORM
def test_rows_of_zeros_have_no_influence(form):
    x = blobs()
    alone = run(x, x[:5], 2.0, form)
    haunted = run(np.vstack([x, np.zeros((9, 5))]), x[:5], 2.0, form)
    np.testing.assert_allclose(haunted.centers.unit(), alone.centers.unit(), atol=1e-12)
    assert haunted.criterion == pytest.approx(alone.criterion, rel=1e-12)


@FORM
def test_rows_that_cancel_leave_the_centre(form):
    x = np.array([[1.0, 2.0], [-1.0, -2.0]])
    found = run(x, [[1.0, 0.0]], 2.0, form)
    np.testing.assert_allclose(found.centers.unit(), [[1, 0]])
    assert found.criterion == pytest.approx(2)


@FORM
@pytest.mark.parametrize("m", [100.0, 1e4])
def test_powers_that_vanish_leave_the_centres(form, m):
    x = blobs()
    found = run(x, x[:5], m, form)
    lengths = torch.linalg.vector_norm(found.centers.unit(), dim=1)
    np.testing.assert_allclose(lengths, np.ones(5))
