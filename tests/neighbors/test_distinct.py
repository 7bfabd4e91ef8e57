"""Equal rows once."""

import numpy as np
import pytest
import scipy.sparse as sp

from skdeepcluster.neighbors import distinct_rows


def integers(n=200):
    return np.random.default_rng(0).integers(-2, 3, size=(n, 3)).astype(float)


def test_kinds_are_rows():
    X = integers()
    distinct = distinct_rows(X)
    np.testing.assert_array_equal(X[distinct.first][distinct.kind], X)
    assert len(np.unique(X, axis=0)) == len(distinct.first) < len(X)
    np.testing.assert_array_equal(distinct.mass(), np.bincount(distinct.kind))
    weight = np.arange(len(X), dtype=float)
    assert distinct.mass(weight).sum() == pytest.approx(weight.sum())


def test_order_comes_from_the_values_alone():
    X = integers()
    expected = X[distinct_rows(X).first]
    shuffled = np.random.default_rng(1).permutation(len(X))
    negative_zeros = np.where(X == 0, -0.0, X)
    for unit in (1e-9, 1e-300, 1e300):
        np.testing.assert_array_equal(
            distinct_rows(X * unit).first, distinct_rows(X).first
        )
    np.testing.assert_array_equal(distinct_rows(X + 7).first, distinct_rows(X).first)
    for Z in (
        X[shuffled],
        X.astype(np.float32),
        np.asfortranarray(X),
        negative_zeros,
        np.repeat(X, 2, axis=0),
    ):
        np.testing.assert_array_equal(Z[distinct_rows(Z).first], expected)
    narrow, wide = sp.csr_array(X), sp.csr_array(X)
    wide.indices, wide.indptr = (
        part.astype(np.int64) for part in (wide.indices, wide.indptr)
    )
    first = distinct_rows(narrow).first
    np.testing.assert_array_equal(distinct_rows(wide).first, first)
