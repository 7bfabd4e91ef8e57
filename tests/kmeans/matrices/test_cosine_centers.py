import numpy as np
import pytest
import torch
from cosine_cases import FORMS, centers_of, text, unit

from skdeepcluster.kmeans import as_matrix
from skdeepcluster.kmeans.matrices._centers import (
    DenseCenters,
    SparseCenters,
    cancelled,
)

X = text()
FORM = pytest.mark.parametrize("form", FORMS)


def scale_of(matrix, weight=1.0):
    return weight / matrix.norms


def fresh(matrix, labels, k, weight=1.0):
    return matrix.centers_type(matrix.sums(labels, scale_of(matrix, weight), k))


@FORM
def test_directions(form):
    matrix = as_matrix(FORMS[form](X))
    centers = matrix.centers_type(torch.from_numpy(X[:4] * 7))
    assert len(centers) == 4
    np.testing.assert_allclose(centers.unit(), unit(X[:4]), rtol=1e-14)
    np.testing.assert_allclose(centers.norms, 7 * np.linalg.norm(X[:4], axis=1))
    np.testing.assert_array_equal(centers.sums, X[:4] * 7)


@FORM
def test_moved_sums_equal_new_ones_after_many_moves(form):
    matrix, k = as_matrix(FORMS[form](X)), 6
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(k, (300,), generator=random)
    weight = torch.rand(300, generator=random, dtype=torch.float64) * 5
    scale = scale_of(matrix, weight)
    centers = fresh(matrix, labels, k, weight)
    block = next(iter(matrix.blocks()))[1]
    matrix.products(block, centers)  # what is kept of them must follow
    for _ in range(400):
        index = torch.randperm(300, generator=random)[:5]
        after = torch.randint(k, (5,), generator=random)
        before = labels[index]
        labels[index] = after
        centers = centers.moved(matrix, index, before, after, scale[index])
    expected = fresh(matrix, labels, k, weight)
    torch.testing.assert_close(centers.sums, expected.sums, rtol=0, atol=1e-11)
    torch.testing.assert_close(centers.norms, expected.norms, rtol=1e-11, atol=0)
    torch.testing.assert_close(centers.unit(), expected.unit(), rtol=0, atol=1e-11)
    found, wanted = matrix.products(block, centers), matrix.products(block, expected)
    torch.testing.assert_close(found, wanted, rtol=0, atol=3e-6)


@FORM
def test_rows_without_a_cluster_are_only_added(form):
    matrix = as_matrix(FORMS[form](X))
    labels = torch.arange(300) % 3
    nothing = matrix.centers_type(torch.zeros(3, 40, dtype=torch.float64))
    outside = torch.full((300,), -1)
    every = torch.arange(300)
    centers = nothing.moved(matrix, every, outside, labels, scale_of(matrix))
    torch.testing.assert_close(centers.sums, fresh(matrix, labels, 3).sums)


@FORM
@pytest.mark.parametrize("weight", [1e-90, 1e-40, 1e40, 1e90])
def test_weights_of_any_size_leave_products(form, weight):
    matrix = as_matrix(FORMS[form](X))
    labels = torch.arange(300) % 3
    block = next(iter(matrix.blocks()))[1]
    expected = matrix.products(block, fresh(matrix, labels, 3))
    heavy = fresh(matrix, labels, 3, weight)
    torch.testing.assert_close(matrix.products(block, heavy), expected)


@FORM
def test_rows_that_outweigh_all_before_them(form):
    matrix = as_matrix(FORMS[form](X))
    labels = torch.arange(300) % 3
    block = next(iter(matrix.blocks()))[1]
    centers = fresh(matrix, labels, 3)
    matrix.products(block, centers)
    row = torch.tensor([0])
    heavy = 1e60 * scale_of(matrix)[row]
    centers = centers.moved(matrix, row, labels[row], labels[row] + 1, heavy)
    products = matrix.products(block, centers)[:, 1]
    np.testing.assert_allclose(products, X @ unit(X[:1])[0], rtol=1e-5, atol=1e-5)


@FORM
def test_a_centre_can_point_elsewhere(form):
    matrix = as_matrix(FORMS[form](X))
    centers = centers_of(matrix, X[:3])
    block = next(iter(matrix.blocks()))[1]
    matrix.products(block, centers)
    direction = torch.from_numpy(X[9] * 1e-150)
    centers = centers.with_direction(1, direction)
    np.testing.assert_allclose(centers.unit(), unit(X[[0, 9, 2]]), rtol=1e-12)
    assert 0 < float(centers.norms[1]) < 1e-148
    expected = X @ unit(X[[0, 9, 2]]).T
    np.testing.assert_allclose(matrix.products(block, centers), expected, rtol=1e-5)


def test_dense_centres_that_rows_leave_are_as_they_were():
    matrix = as_matrix(X)
    labels = torch.arange(300) % 3
    centers = fresh(matrix, labels, 3)
    sums = centers.sums.clone()
    row = torch.tensor([0])
    centers.moved(matrix, row, labels[row], labels[row] + 1, scale_of(matrix)[row])
    centers.with_direction(0, torch.ones(40).double())
    assert torch.equal(centers.sums, sums)


def test_turns_are_never_understated():
    matrix, k = as_matrix(FORMS["csr"](X)), 4
    random = torch.Generator().manual_seed(1)
    labels = torch.randint(k, (300,), generator=random)
    centers = fresh(matrix, labels, k)
    for _ in range(50):
        before, turned = centers.unit(), centers.turned.clone()
        index = torch.randperm(300, generator=random)[:3]
        after = torch.randint(k, (3,), generator=random)
        scale = scale_of(matrix)[index]
        centers = centers.moved(matrix, index, labels[index], after, scale)
        labels[index] = after
        chords = torch.linalg.vector_norm(centers.unit() - before, dim=1)
        angles = 2 * (chords / 2).asin()
        assert (centers.turned - turned >= angles - 1e-14).all()
        assert (centers.turned - turned <= angles * 1.01 + 1e-6).all()


def test_cancelled_sums():
    norms = torch.tensor([1.0, 1e-15, 0.0, 1e-15, 1e-150], dtype=torch.float64)
    weights = torch.tensor([1.0, 1.0, 0.0, 1e-15, 1.0], dtype=torch.float64)
    assert cancelled(norms, weights) == [1, 2, 4]


@pytest.mark.parametrize("kind", [DenseCenters, SparseCenters])
@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_one_centre_or_one_feature(kind, shape):
    centers = kind(torch.full(shape, 2.0, dtype=torch.float64))
    np.testing.assert_allclose(centers.unit(), np.full(shape, shape[1] ** -0.5))
