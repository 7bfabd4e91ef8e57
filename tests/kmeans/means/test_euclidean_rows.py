"""Rows of Euclidean k-means: dense, CSR and mapped ones answer alike."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skdeepcluster.kmeans.means._euclidean_rows import (
    DenseRows,
    Frame,
    SparseRows,
    as_rows,
)

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(70, 6)) * (RANDOM.rand(70, 6) < 0.5)
X[:, 0], X[:, 5] = RANDOM.normal(size=70), 0.0
CENTERS = torch.from_numpy(RANDOM.normal(size=(4, 6)))
LABELS = torch.from_numpy(RANDOM.randint(4, size=70))
WEIGHT = torch.from_numpy(RANDOM.rand(70))


def mapped(x, folder):
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r")


@pytest.fixture(params=["dense", "fortran", "mapped", "csr", "csr_unsorted"])
def rows(request, tmp_path):
    forms = {
        "dense": lambda: X,
        "fortran": lambda: np.asfortranarray(X),
        "mapped": lambda: mapped(X, tmp_path),
        "csr": lambda: sp.csr_matrix(X),
        "csr_unsorted": unsorted,
    }
    return as_rows(forms[request.param]())


def unsorted():
    """With indices in descending order, and a stored zero per row."""
    x = sp.csr_matrix(np.where(X == 0, 1e-300, X))
    x.data[x.data == 1e-300] = 0
    for start, stop in zip(x.indptr[:-1], x.indptr[1:], strict=True):
        for values in (x.indices, x.data):
            values[start:stop] = values[start:stop][::-1].copy()
    x.has_sorted_indices = False
    return x


def squared(x, centers):
    return ((x[:, None] - centers.numpy()) ** 2).sum(2)


def test_answers_are_those_of_the_formulas(rows):
    expected = squared(X, CENTERS)
    np.testing.assert_array_equal(rows.nearest(CENTERS), expected.argmin(1))
    np.testing.assert_allclose(rows.distances(CENTERS), expected, rtol=1e-12)
    own = rows.own_distances(CENTERS, LABELS)
    np.testing.assert_allclose(own, expected[np.arange(70), LABELS], rtol=1e-12)
    sums, masses = rows.sums(LABELS, 5, WEIGHT)
    hot = np.eye(5)[LABELS] * WEIGHT.numpy()[:, None]
    np.testing.assert_allclose(sums, hot.T @ X, atol=1e-14)
    np.testing.assert_allclose(masses, hot.sum(0))
    counts = rows.sums(LABELS, 5, None)[1]
    assert counts.tolist() == np.bincount(LABELS, minlength=5).tolist()
    np.testing.assert_allclose(rows.gather(torch.tensor([3, 1])), X[[3, 1]])
    to_one = squared(X, torch.from_numpy(X[2:3]))[:, 0]
    np.testing.assert_allclose(rows.distances_to(2), to_one, atol=1e-13)
    assert rows.distances_to(2)[2] == 0
    closest, chosen = torch.from_numpy(RANDOM.rand(70)), torch.tensor([5, 9])
    nearer = np.minimum(squared(X, rows.gather(chosen)).T, closest.numpy())
    potentials = rows.potentials(chosen, closest, WEIGHT)
    np.testing.assert_allclose(potentials, nearer @ WEIGHT.numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_framed_products(rows, dtype):
    tolerance = 50 * torch.finfo(dtype).eps
    frame = Frame(CENTERS[1], 4.0, dtype)
    framed = (X - CENTERS[1].numpy()) / 4
    products = torch.cat([part for _, part in rows.products(CENTERS, frame)])
    assert products.dtype == torch.float64
    np.testing.assert_allclose(products, framed @ CENTERS.numpy().T, atol=tolerance)
    y = torch.from_numpy(RANDOM.rand(70, 3))
    sums = rows.mixed_sums(y, frame)
    assert sums.dtype == torch.float64
    np.testing.assert_allclose(sums, y.numpy().T @ framed, atol=10 * tolerance)


def test_equal_rows_are_found(rows):
    assert rows.twins().tolist() == list(range(70))
    doubled = sp.vstack([sp.csr_matrix(X), sp.csr_matrix(X[::-1])]).tocsr()
    expected = [*range(70), *range(69, -1, -1)]
    assert SparseRows(doubled).twins().tolist() == expected
    minus_zero = np.where(X == 0, -0.0, X)
    both = np.vstack([X, minus_zero[::-1]])
    assert DenseRows(both).twins().tolist() == expected


def test_keys_are_the_same_for_equal_rows_in_any_order(rows):
    direction = torch.from_numpy(RANDOM.normal(size=6))
    keys = rows.keys(direction)
    np.testing.assert_allclose(keys, X @ direction.numpy(), atol=1e-13)
    order = RANDOM.permutation(70)
    shuffled = as_rows(rows.x[order]).keys(direction)
    np.testing.assert_array_equal(shuffled, keys[order])


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_ties_and_small_distances_are_those_of_differences(offset):
    """Products of long rows round far above such distances."""
    x = np.array([[offset + 1, 0.0], [offset + 1 + 1e-5, 0.0], [offset + 1.5e-5, 1.0]])
    centers = torch.tensor([[offset + 1, 0.0], [offset + 1, 0.0], [offset, 1.0]])
    centers = centers.to(torch.float64)
    expected = squared(x, centers)
    for form in (np.asarray, sp.csr_matrix):
        rows = as_rows(form(x))
        assert rows.nearest(centers).tolist() == [0, 0, 2]
        np.testing.assert_allclose(rows.distances(centers), expected, rtol=1e-6)
        assert rows.distances(centers)[0, 0] == 0


def test_a_mapped_file_is_not_copied(tmp_path):
    x = mapped(X, tmp_path)
    assert DenseRows(x).tensor.data_ptr() == x.__array_interface__["data"][0]
