import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skdeepcluster.engine import DataScaleWarning, Scaling


def data(n=60, d=4, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, d)) * [1, 10, 0.5, 3] + [0, 100, -5, 2]
    return X.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centred_with_unit_root_mean_square(dtype):
    X = data(dtype=dtype)
    Z = Scaling.fit(X).apply(X, np.float64)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-6)
    assert np.sqrt(np.square(Z).mean()) == pytest.approx(1.0)


def test_one_factor_keeps_the_geometry():
    X = data()
    Z = Scaling.fit(X).apply(X, np.float64)
    ratio = np.ptp(X, axis=0) / np.ptp(Z, axis=0)
    np.testing.assert_allclose(ratio, ratio[0])


@pytest.mark.parametrize("power", [-20, 20])
def test_powers_of_two_leave_the_scaled_data(power):
    X = data()
    Z = Scaling.fit(X).apply(X)
    Y = X * 2.0**power
    assert np.array_equal(Scaling.fit(Y).apply(Y), Z)


def test_invert_undoes_apply():
    X = data()
    scaling = Scaling.fit(X)
    np.testing.assert_allclose(scaling.invert(scaling.apply(X, np.float64)), X)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_data_become_zeros(dtype, kind):
    rng = np.random.RandomState(0)
    for value in (0.0, 3.0, 0.1, -1e6 / 3, 1e9 + 0.1, 7.3e12, 1e-30, -1e-200):
        for shape in ((7, 3), (32, 17), (5000, 2)):
            X = np.full(shape, value, dtype)
            for weight in (None, rng.uniform(0.1, 1, len(X))):
                scaling = Scaling.fit(kind(X), weight)
                assert scaling.factor == 1.0
                assert not scaling.apply(X).any()
                decoded = scaling.invert(np.zeros(shape))
                np.testing.assert_array_equal(decoded, X.astype(float))


def test_rounding_is_no_variation():
    """One number, computed in several ways, beside columns that vary."""
    rng = np.random.RandomState(0)
    steps = 1 + rng.randint(-3, 4, size=(300, 2)) * np.finfo(float).eps
    small = rng.normal(size=(300, 3)) * 1e-4
    for value in (0.1, 2024.0, 1e9 + 0.1, -7.3e12):
        noisy, exact = (
            np.column_stack([part, small])
            for part in (value * steps, np.full((300, 2), value))
        )
        found, expected = Scaling.fit(noisy), Scaling.fit(exact)
        assert found.factor == expected.factor
        assert not found.apply(noisy)[:, :2].any()
        np.testing.assert_array_equal(found.apply(noisy), expected.apply(exact))
        # Rows that differ by more keep their difference.
        new = exact[:1] + [1e-3 * abs(value), 0, 0, 0, 0]
        assert found.apply(new)[0, 0] == pytest.approx(1e-3 * abs(value) / found.factor)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_values_decide_and_not_their_dtype(kind):
    """Seconds of an hour in float32, in steps of 128, are 29 values, not noise."""
    rng = np.random.RandomState(0)
    blobs = rng.normal(size=(300, 5)) + 4 * rng.randint(0, 3, size=(300, 1))
    for seconds in (300, 3600, 86400):
        X = np.column_stack([1.7e9 + seconds * rng.rand(300), blobs])
        factors = []
        for given in (X, X.astype(np.float32), X.astype(np.float32).astype(float)):
            with pytest.warns(DataScaleWarning, match=r"^column 0 has 9\d"):
                factors.append(Scaling.fit(kind(given)).factor)
        assert factors[1] == factors[2]
        assert factors[0] == pytest.approx(factors[1], rel=128 / seconds)


def test_constant_columns_of_many_rows_with_rounded_means():
    X = np.column_stack([np.full(100_000, 0.1), np.arange(100_000) % 2 * 1e-13])
    scaling = Scaling.fit(X)
    assert scaling.factor == pytest.approx(5e-14 / np.sqrt(2))
    assert not scaling.apply(X)[:, 0].any()


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**-500, 2.0**100])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_extreme_scales(scale, kind):
    X = data()
    found, expected = Scaling.fit(kind(X * scale)), Scaling.fit(kind(X))
    np.testing.assert_array_equal(found.apply(X * scale), expected.apply(X))


def test_small_variation_on_a_large_mean_is_kept():
    X = 1e6 + data()
    Z = Scaling.fit(X).apply(X)
    np.testing.assert_allclose(Z, Scaling.fit(data()).apply(data()), atol=1e-5)


def test_many_rows_are_read_in_blocks():
    X = data(n=10_000)
    scaling = Scaling.fit(X)
    np.testing.assert_allclose(scaling.mean, X.mean(axis=0))
    np.testing.assert_allclose(scaling.factor, np.sqrt(X.var(axis=0).mean()))


def test_input_is_left_as_it_is():
    X = data()
    X.setflags(write=False)
    Scaling.fit(X).apply(X)
    np.testing.assert_array_equal(X, data())


@pytest.mark.parametrize("value", [1e300, -1e300, 1e39])
def test_values_beyond_float32_are_refused(value):
    X = data()
    X[3, 1] = value
    with pytest.raises(ValueError, match=r"1e\+\d+, which overflow float32; scale X"):
        Scaling.fit(X)


def test_large_values_that_float32_can_hold():
    X = data() * 1e30
    Z = Scaling.fit(X).apply(X)
    np.testing.assert_allclose(Z, Scaling.fit(data()).apply(data()), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [1e4, 2024.0, 1.7e9])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_a_constant_column_does_not_scale_the_others(value, dtype, kind):
    small = 1e-4 * np.random.RandomState(0).normal(size=(80, 4))
    X = np.column_stack([np.full(80, value), small]).astype(dtype)
    scaling = Scaling.fit(kind(X))
    expected = np.sqrt(np.square(small - small.mean(axis=0)).sum() / (80 * 5))
    np.testing.assert_allclose(scaling.factor, expected, rtol=1e-5)
    assert np.abs(scaling.apply(X)).max() < 10


class OneOfTwo:
    """A group of two threads that exchange what they have."""

    size = 2

    def __init__(self, rank, barrier, board):
        self.rank, self.barrier, self.board = rank, barrier, board

    def each(self, value):
        self.barrier.wait()
        self.board[self.rank] = value
        self.barrier.wait()
        return [self.board[0], self.board[1]]

    def sum(self, part):
        return sum(self.each(part))

    def concat(self, rows):
        return torch.cat(self.each(rows))

    def together(self):
        return contextlib.nullcontext()


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_processes_measure_as_one(kind):
    """A column that is constant in each process, but not in both, is none."""
    X = np.column_stack([data(), np.full(60, 1e9 + 0.1), np.repeat([2.0, 5.0], 30)])
    X[3, 4] += 2e-7
    barrier, board = threading.Barrier(2, timeout=30), {}
    with ThreadPoolExecutor(2) as pool:
        parts = [(kind(X[:30]), None, OneOfTwo(0, barrier, board))]
        parts += [(kind(X[30:]), None, OneOfTwo(1, barrier, board))]
        found = list(pool.map(lambda part: Scaling.fit(*part), parts))
    expected = Scaling.fit(kind(X))
    for scaling in found:
        np.testing.assert_allclose(scaling.mean, expected.mean, rtol=1e-14)
        assert scaling.factor == pytest.approx(expected.factor, rel=1e-12)
        assert not scaling.apply(X)[:, 4].any()
