"""Single moves: exact, never worse, the same for weights as for copies."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import make_blobs

from skdeepcluster.kmeans.means._euclidean import EuclideanPartition, EuclideanPoints
from skdeepcluster.kmeans.means._euclidean_rows import as_rows
from skdeepcluster.kmeans.means._hartigan import MovingPoints, hartigan, improve
from skdeepcluster.kmeans.means._kernel import KernelPartition, KernelPoints
from skdeepcluster.kmeans.means._partition import converge

K = 4
RANDOM = np.random.RandomState(0)


def euclidean(x, labels, weight):
    points = EuclideanPoints(as_rows(x), torch.from_numpy(weight))
    means = points.means(torch.from_numpy(labels), labels.max() + 1)
    partition = EuclideanPartition(points, means)
    partition.relabel(torch.from_numpy(labels))
    return partition


def kernel(x, labels, weight):
    x = x.toarray() if sp.issparse(x) else x
    twins = as_rows(x).twins()
    points = KernelPoints(torch.from_numpy(x @ x.T), torch.from_numpy(weight), twins)
    partition = KernelPartition(points, labels.max() + 1)
    partition.relabel(torch.from_numpy(labels))
    return partition


SPACES = {
    "dense": euclidean,
    "csr": lambda x, *others: euclidean(sp.csr_matrix(x), *others),
    "kernel": kernel,
}
each_space = pytest.mark.parametrize("make", SPACES.values(), ids=SPACES)


def setting(n=40, seed=0):
    random = np.random.RandomState(seed)
    x = random.normal(size=(n, 3))
    labels = np.concatenate([np.arange(K), random.randint(K, size=n - K)])
    return x, labels, random.randint(1, 4, size=n) * 1.0


def objective(x, labels, weight):
    """Sum of squared distances to the weighted means, as it is written."""
    total = 0.0
    for j in np.unique(labels[weight > 0]):
        mine, w = x[labels == j], weight[labels == j]
        total += float(w @ ((mine - w @ mine / w.sum()) ** 2).sum(1))
    return total


@each_space
@pytest.mark.parametrize("weighted", [False, True])
def test_delta_is_exact(make, weighted):
    x, labels, weight = setting()
    weight = weight if weighted else np.ones(len(x))
    partition = make(x, labels, weight)
    before = objective(x, labels, weight)
    assert partition.criterion == pytest.approx(before, rel=1e-12)
    gains = MovingPoints(partition).gains()
    for i in range(len(x)):
        after = []
        for j in range(K):
            moved = labels.copy()
            moved[i] = j
            after.append(before if j == labels[i] else objective(x, moved, weight))
        after[labels[i]] = np.inf
        assert gains[i] == pytest.approx(before - min(after), abs=1e-9)


def test_delta_of_unit_weights_is_the_published_one():
    """A point at 3 leaves {0, 3} for {5, 7}: 2/3 * 9 - 2/1 * 2.25 = 1.5."""
    x = np.array([[0.0], [3.0], [5.0], [7.0]])
    labels = np.array([0, 0, 1, 1])
    partition = euclidean(x, labels, np.ones(4))
    assert MovingPoints(partition).gains()[1] == pytest.approx(-1.5)
    moved = objective(x, np.array([0, 1, 1, 1]), np.ones(4))
    assert moved - objective(x, labels, np.ones(4)) == pytest.approx(1.5)


@each_space
def test_means_follow_every_move(make):
    x, labels, weight = setting()
    partition = make(x, labels, weight)
    points = MovingPoints(partition)
    gain = points.settle(torch.arange(len(x)))
    assert gain > 0
    after = objective(x, points.labels, weight)
    assert partition.criterion - after == pytest.approx(gain, rel=1e-10)
    np.testing.assert_allclose(points.masses, np.bincount(points.labels, weight))


@each_space
@pytest.mark.parametrize("seed", range(5))
def test_no_move_is_left(make, seed):
    x, labels, weight = setting(60, seed)
    partition = make(x, labels, weight)
    hartigan(partition, 300, 0.0)
    assert MovingPoints(partition).gains().max() <= 1e-9
    assert torch.equal(partition.nearest(), partition.labels)  # a fixed point of Lloyd
    expected = objective(x, partition.labels.numpy(), weight)
    assert partition.criterion == pytest.approx(expected, rel=1e-12)
    assert (np.diff(partition.history) <= 1e-12).all()


@pytest.mark.parametrize("seed", range(100))
def test_never_above_lloyd_from_the_same_start(seed):
    x, _ = make_blobs(150, 4, centers=6, cluster_std=4.0, random_state=seed)
    start = torch.from_numpy(x[np.random.RandomState(seed).choice(150, 6, False)])
    points = EuclideanPoints(as_rows(x), torch.ones(150, dtype=torch.float64))
    plain, moved = (EuclideanPartition(points, start) for _ in range(2))
    converge(plain, 300, 0.0)
    hartigan(moved, 300, 0.0)
    assert moved.criterion <= plain.criterion * (1 + 1e-12)


def test_it_finds_more_than_lloyd():
    """One of ten fixed points at least, of random labels, has a move left."""
    better = 0
    for seed in range(30):
        x, labels, weight = setting(60, seed)
        plain = euclidean(x, labels, weight)
        converge(plain, 300, 0.0)
        better += improve(plain, 0.0)
    assert better >= 3


@each_space
def test_integer_weights_are_copies(make):
    x, labels, weight = setting(50, 3)
    copies = np.repeat(np.arange(50), weight.astype(int))
    copies = RANDOM.permutation(copies)
    weighted = make(x, labels, weight)
    repeated = make(x[copies], labels[copies], np.ones(len(copies)))
    for partition in (weighted, repeated):
        hartigan(partition, 300, 0.0)
    assert weighted.criterion == pytest.approx(repeated.criterion, rel=1e-12)
    np.testing.assert_array_equal(repeated.labels, weighted.labels[copies])


@each_space
def test_rows_without_weight_and_last_rows_stay(make):
    x, labels, weight = setting()
    weight[labels == 2] = 0
    weight[2] = 1  # the only one of its cluster that counts
    gains = MovingPoints(make(x, labels, weight)).gains()
    assert (gains[torch.from_numpy(labels == 2)] == -torch.inf).all()
    assert (gains[torch.from_numpy(labels != 2)] > -torch.inf).all()


def test_copies_move_together():
    """One of them alone would gain nothing: the others hold the mean."""
    x = np.array([[0.0]] * 4 + [[2.0]] * 4 + [[3.1]] * 3 + [[9.0], [-9.0]])
    labels = np.array([0] * 8 + [1] * 3 + [2, 3])
    partition = euclidean(x, labels, np.ones(len(x)))
    before = partition.criterion
    assert improve(partition, 0.0)
    assert partition.criterion < before
    assert partition.labels.tolist() == [0] * 4 + [1] * 7 + [2, 3]
