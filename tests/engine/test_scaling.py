import numpy as np
import pytest
import scipy.sparse as sp

from skdeepcluster.engine import Scaling


def data(n=60, d=4, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, d)) * [1, 10, 0.1, 3] + [0, 100, -5, 2]
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


@pytest.mark.parametrize("value", [0.0, 3.0, 0.1, -1e6 / 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_data_are_only_centred(value, dtype):
    X = np.full((7, 3), value, dtype)
    scaling = Scaling.fit(X)
    assert scaling.factor == 1.0
    np.testing.assert_allclose(scaling.apply(X), 0, atol=1e-6 * max(1, abs(value)))


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


def test_constant_sparse_rows_with_weights():
    for seed in range(5):
        weight = np.random.RandomState(seed).uniform(0.1, 1, 50)
        X = np.full((50, 3), 0.1)
        assert Scaling.fit(sp.csr_array(X), weight).factor == 1.0


def test_rounding_of_constant_columns_is_not_a_dominant_column():
    X = np.full((30, 3), (0.1, 1.0, 2.0))
    assert Scaling.fit(X).factor == 1.0  # warnings are errors here
