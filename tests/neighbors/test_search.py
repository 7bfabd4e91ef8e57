"""The nearest neighbours of rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import pairwise_distances

from skdeepcluster.neighbors import NeighborSearch, _search, nearest_neighbors


def all_distances(X, metric, Y=None):
    """Distances by their definition, in float64; the cosine of the unit rows."""
    rows = [Z.toarray() if sp.issparse(Z) else Z for Z in (X, X if Y is None else Y)]
    left, right = (Z.astype(np.float64) for Z in rows)
    if metric == "cosine":
        return np.sqrt(2 * pairwise_distances(left, right, metric="cosine").clip(0))
    return np.sqrt(((left[:, None] - right[None]) ** 2).sum(axis=2))


def nearest(distances, n_neighbors, alone=True):
    distances = distances.copy()
    if alone:
        np.fill_diagonal(distances, np.inf)
    index = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors]
    return index, np.take_along_axis(distances, index, axis=1)


def rows_of(kind, dtype=np.float64, n=300):
    rng = np.random.default_rng(0)
    if kind == "sparse":
        return sp.csr_array(sp.random_array((n, 80), density=0.2, rng=rng), dtype=dtype)
    X = rng.normal(size=(n, 7))
    if kind == "far":  # two groups, whose rows are alike in float32
        X[::2] += 1e6
    return X.astype(dtype)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", ["plain", "far", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_pairs_compared_one_by_one(kind, metric, dtype, monkeypatch):
    monkeypatch.setattr(_search, "_BLOCK_ROWS", 64)
    monkeypatch.setattr(_search, "_BLOCK_COLUMNS", 50)
    if (kind, metric) == ("far", "cosine"):
        pytest.skip("two directions alone")
    X = rows_of(kind, dtype)
    index, distances = nearest_neighbors(X, 9, metric=metric)
    expected = nearest(all_distances(X, metric), 9)
    np.testing.assert_allclose(distances, expected[1], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(index, expected[0])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", ["plain", "sparse"])
def test_neighbours_of_other_rows(kind, metric):
    X = rows_of(kind)
    search = NeighborSearch(X[100:], metric)
    index, distances = search.neighbors(5, X[:100])
    expected = nearest(all_distances(X[:100], metric, X[100:]), 5, alone=False)
    np.testing.assert_array_equal(index, expected[0])
    np.testing.assert_allclose(distances, expected[1], rtol=1e-9)


def test_a_row_may_be_its_own_neighbour():
    X = rows_of("plain")
    index, distances = NeighborSearch(X).neighbors(4, with_self=True)
    again = NeighborSearch(X).neighbors(4, X.copy())
    np.testing.assert_array_equal(index[:, 0], np.arange(len(X)))
    np.testing.assert_array_equal(index, again[0])
    np.testing.assert_array_equal(distances, again[1])
    assert (distances[:, 0] == 0).all()


@pytest.mark.parametrize("most", [1 << 22, 2000])
def test_of_equally_near_rows_the_first(most, monkeypatch):
    """On a grid nearly all distances are ties, which rounding must not break."""
    monkeypatch.setattr(_search, "_MOST_CANDIDATES", most)
    monkeypatch.setattr(_search, "_BLOCK_ROWS", 100)
    grid = np.stack(np.meshgrid(np.arange(17), np.arange(17)), -1).reshape(-1, 2)
    expected = nearest(all_distances(grid.astype(float), "euclidean"), 12)
    for X in (grid.astype(float), grid * 0.1, grid * 0.1 + 3.3, grid * 1e-200):
        index, _ = nearest_neighbors(X, 12)
        np.testing.assert_array_equal(index, expected[0])


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-30, 1e150, 1e300])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_any_scale(scale, metric):
    X = rows_of("plain")
    index, distances = nearest_neighbors(X, 5, metric=metric)
    scaled, far = nearest_neighbors(X * scale, 5, metric=metric)
    if scale > 1e-305:  # of subnormal numbers few digits are left
        np.testing.assert_array_equal(scaled, index)
        unit = scale if metric == "euclidean" else 1.0
        np.testing.assert_allclose(far / unit, distances, rtol=1e-9)
    assert np.isfinite(far).all()


def test_rows_of_zeros_are_at_a_right_angle_to_all():
    X = np.vstack([np.zeros((2, 3)), np.eye(3)])
    for rows in (X, sp.csr_array(X)):
        index, distances = nearest_neighbors(rows, 4, metric="cosine")
        assert index[0, 0] == 1 and distances[0, 0] == 0
        np.testing.assert_allclose(distances[2:], np.sqrt(2), rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_hardly_any_rows(n):
    X = np.arange(n, dtype=np.float32)[:, None]
    index, distances = nearest_neighbors(X, n - 1)
    assert index.shape == distances.shape == (n, n - 1)
    assert (np.sort(np.column_stack([index, np.arange(n)])) == np.arange(n)).all()


def test_other_metrics_are_refused():
    with pytest.raises(ValueError, match="metric must be one of .* Got 'manhattan'"):
        nearest_neighbors(np.eye(3), 1, metric="manhattan")
