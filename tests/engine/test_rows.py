"""Rows that are made dense when they are asked for."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skdeepcluster.engine import Compute, Scaling, SparseRows
from skdeepcluster.engine._curvature import DataCurvature, _SparseSample


def sparse(n=40, d=7, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(3, 2, size=(n, d)) * (rng.random((n, d)) < 0.4)).astype(dtype)


@pytest.fixture(params=["float32", "float64"])
def rows(request):
    X = sparse()
    scaling = Scaling.fit(sp.csr_array(X))
    compute = Compute.resolve("cpu", request.param)
    dtype = np.float64 if request.param == "float64" else np.float32
    expected = torch.from_numpy(scaling.apply(X, dtype))
    return SparseRows(sp.csr_array(X), scaling, compute), expected


def test_same_bits_as_the_scaled_dense_matrix(rows):
    rows, expected = rows
    assert torch.equal(rows[3:20], expected[3:20])
    assert torch.equal(rows[::7], expected[::7])
    index = torch.tensor([5, 0, 39, 5])
    assert torch.equal(rows.index_select(0, index), expected[index])
    assert (len(rows), rows.shape, rows.dtype) == (40, (40, 7), expected.dtype)
    assert rows[5:5].shape == (0, 7)


def test_uncentred_rows_differ_by_one_shift(rows):
    rows, expected = rows
    shift = rows.uncentred().toarray() - expected.numpy()
    np.testing.assert_allclose(shift, np.tile(shift[:1], (40, 1)), atol=1e-6)
    assert np.ptp(shift[0]) > 0.1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaling_of_sparse_rows(weighted, dtype):
    X = sparse(dtype=dtype)
    weight = np.arange(40.0) % 5 if weighted else None
    found = Scaling.fit(sp.csr_matrix(X), weight)
    expected = Scaling.fit(X, weight)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    assert found.factor == pytest.approx(expected.factor, rel=1e-12)


def test_weights_of_a_scaling_are_repetitions():
    X = sparse()
    weight = np.arange(40) % 4
    found = Scaling.fit(X, weight.astype(float))
    expected = Scaling.fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    assert found.factor == pytest.approx(expected.factor, rel=1e-12)


def test_constant_sparse_columns():
    X = np.zeros((30, 3))
    X[:, 1] = 5.0
    assert Scaling.fit(sp.csr_array(X)).factor == 1.0


def test_only_entries_are_read():
    """A matrix that would not fit in memory as a dense one."""
    n, d = 200_000, 1_000_000
    X = sp.csr_array((np.ones(n), np.arange(n) % d, np.arange(n + 1)), shape=(n, d))
    scaling = Scaling.fit(X)
    rows = SparseRows(X, scaling, Compute.resolve("cpu", "float32"))
    assert rows[17:19][0].argmax() == 17


def test_overflow_is_refused():
    X = sp.csr_array(np.eye(3))
    rows = SparseRows(
        X * 1e38, Scaling(np.zeros(3), 1e-5), Compute.resolve("cpu", "float32")
    )
    with pytest.raises(ValueError, match="overflow float32 once scaled"):
        rows[:2]


def test_curvature_of_sparse_rows_copies_those_that_it_looks_at():
    X = sp.random_array((40_000, 20), density=0.5, rng=0).tocsr()
    rows = SparseRows(X, Scaling.fit(X), Compute.resolve("cpu", "float32"))
    sample = _SparseSample(rows, slice(3, None, 20), None).sparse
    expected = rows.uncentred()[3::20].astype(np.float64)
    np.testing.assert_array_equal(sample.toarray(), expected.toarray())
    tracemalloc.start()
    try:
        DataCurvature(rows).largest_eigenvalue()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < X.data.nbytes / 2


@pytest.mark.parametrize("weighted", [False, True])
def test_curvature_of_sparse_rows(weighted):
    X = sparse()
    weight = torch.arange(40.0) % 5 / 2 if weighted else None
    scaling, compute = Scaling.fit(X), Compute.resolve("cpu", "float64")
    rows = SparseRows(sp.csr_array(X), scaling, compute)
    found = DataCurvature(rows, weight=weight).largest_eigenvalue()
    dense = torch.from_numpy(scaling.apply(X, np.float64))
    before = dense.clone()
    of_dense = DataCurvature(dense, weight=weight).largest_eigenvalue()
    assert found == pytest.approx(of_dense, rel=1e-12)
    assert torch.equal(dense, before)
    heavy = np.ones(40) if weight is None else weight.numpy()
    moments = dense.numpy().T @ (heavy[:, None] * dense.numpy()) / 40
    assert found == pytest.approx(np.linalg.eigvalsh(moments)[-1], rel=0.05)
