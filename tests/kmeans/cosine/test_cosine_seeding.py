import numpy as np
import pytest
import torch
from cosine_cases import FORMS, blobs, text, unit, weights_of

from skdeepcluster.kmeans import Seeding, as_matrix

FORM = pytest.mark.parametrize("form", FORMS)
METHOD = pytest.mark.parametrize("method", ["k-means++", "random", "farthest"])


def draw(x, method, k, seed=0, form="dense", weight=None, precision="float32"):
    matrix = as_matrix(FORMS[form](x), precision=precision)
    generator = torch.Generator().manual_seed(seed)
    return Seeding(matrix, weights_of(x, weight), generator).draw(method, k).unit()


def rows_of(centers, x):
    """Numbers of the rows that the centres are."""
    cosines = centers.numpy() @ unit(x).T
    assert (cosines.max(axis=1) > 1 - 1e-12).all()
    return cosines.argmax(axis=1)


@FORM
@METHOD
def test_centres_are_different_rows(method, form):
    x = blobs()
    centers = draw(x, method, 12, form=form)
    assert centers.shape == (12, 5)
    assert centers.dtype == torch.float64
    rows = rows_of(centers[1:] if method == "farthest" else centers, x)
    assert len(set(rows)) == len(rows)


@METHOD
@pytest.mark.parametrize("data", [blobs, text])
def test_dense_equals_csr(method, data):
    dense, sparse = (draw(data(), method, 6, form=form) for form in FORMS)
    torch.testing.assert_close(dense, sparse, rtol=0, atol=1e-13)


@FORM
@METHOD
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(method, form, seed):
    x = blobs()
    order = np.random.RandomState(seed).permutation(len(x))
    expected = draw(x, method, 6, seed, form)
    shuffled = draw(x[order], method, 6, seed, form)
    torch.testing.assert_close(shuffled, expected, rtol=0, atol=1e-13)


@FORM
@METHOD
@pytest.mark.parametrize("seed", range(3))
def test_weights_equal_repetition(method, form, seed):
    x, counts = blobs(), np.arange(300) % 4
    order = np.random.RandomState(seed).permutation(np.repeat(np.arange(300), counts))
    weighted = draw(x, method, 6, seed, form, counts)
    repeated = draw(x[order], method, 6, seed, form)
    torch.testing.assert_close(weighted, repeated, rtol=0, atol=1e-13)


@FORM
@METHOD
@pytest.mark.parametrize("factor", [1e-200, 1e-40, 1024.0, 1e200])
def test_the_length_of_rows_does_not_matter(method, form, factor):
    x = blobs()
    long = x * factor
    long[::2] *= 3
    torch.testing.assert_close(
        draw(long, method, 6, form=form),
        draw(x, method, 6, form=form),
        rtol=0,
        atol=1e-13,
    )


@FORM
@METHOD
def test_rows_of_zeros_and_without_weight_are_never_drawn(method, form):
    x = np.vstack([blobs(12), np.zeros((200, 5)), -blobs(100, seed=1)])
    weight = np.r_[np.ones(212), np.zeros(100)]
    for seed in range(10):
        centers = draw(x, method, 12, seed, form, weight)
        assert centers.isfinite().all()
        rows = rows_of(centers[1:] if method == "farthest" else centers, x)
        assert rows.max() < 12
        assert len(set(rows)) == len(rows)


@FORM
@METHOD
def test_fewer_directions_than_clusters(method, form):
    x = np.repeat(blobs(3), 4, axis=0) * np.arange(1, 13)[:, None]
    centers = draw(x, method, 7, form=form)
    rows = rows_of(centers[1:] if method == "farthest" else centers, x)
    assert set(rows // 4) == {0, 1, 2}


@METHOD
def test_one_cluster(method):
    assert draw(blobs(), method, 1).shape == (1, 5)


def test_random_rows_follow_the_weights():
    x = np.eye(3)
    matrix, weight = as_matrix(x), torch.tensor([1.0, 2.0, 5.0]).double()
    seeding = Seeding(matrix, weight, torch.Generator().manual_seed(0))
    drawn = [int(seeding.draw("random", 1).unit().argmax()) for _ in range(2000)]
    shares = np.bincount(drawn) / 2000
    np.testing.assert_allclose(shares, [1 / 8, 2 / 8, 5 / 8], atol=0.04)


def test_plus_plus_draws_by_the_cosine_distance():
    # From the first row: 0, 1 - cos 60 = 1/2 and 1 - cos 180 = 2.
    x = np.array([[1, 0], [0.5, np.sqrt(0.75)], [-1, 0]])
    drawn = np.zeros((3, 3))
    weight = torch.ones(3).double()
    seeding = Seeding(as_matrix(x), weight, torch.Generator().manual_seed(0))
    closest = seeding._distances(torch.tensor([0]))[:, 0]
    np.testing.assert_allclose(closest, [0, 0.5, 2], atol=1e-7)
    for _ in range(500):
        first, second = rows_of(seeding.draw("k-means++", 2).unit(), x)
        drawn[first, second] += 1
    # The best of two candidates leaves the smallest sum: from row 0 that is row 2,
    # which leaves 1/2, unless both candidates are row 1: (1/5)^2.
    assert drawn[0, 1] / drawn[0].sum() == pytest.approx(1 / 25, abs=0.04)
    assert drawn.diagonal().sum() == 0


def test_plus_plus_finds_all_blobs():
    x = np.repeat(np.eye(9), 50, axis=0) + blobs(450, 9, k=1, std=0.01) * 1e-3
    for seed in range(5):
        assert set(rows_of(draw(x, "k-means++", 9, seed), x) // 50) == set(range(9))


def test_farthest_rows_one_by_one():
    angles = np.deg2rad([0, 10, 20, 80, 170])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    centers = draw(x, "farthest", 3)
    mean = unit(x.sum(axis=0, keepdims=True))
    np.testing.assert_allclose(centers, np.vstack([mean, x[4], x[3]]), atol=1e-12)


def test_seeds_and_draws_differ():
    x = blobs()
    one, other = draw(x, "k-means++", 5, 0), draw(x, "k-means++", 5, 1)
    assert not torch.equal(one, other)
    seeding = Seeding(as_matrix(x), weights_of(x), torch.Generator().manual_seed(0))
    first, second = (seeding.draw("k-means++", 5).unit() for _ in range(2))
    assert not torch.equal(first, second)


@METHOD
def test_global_generators_are_left_alone(method, global_rng_untouched):
    with global_rng_untouched():
        draw(blobs(), method, 4)
