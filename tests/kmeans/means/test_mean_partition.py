"""Lloyd's iteration where the criterion is nothing beside the scatter."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skdeepcluster.kmeans.means._euclidean import EuclideanPartition, EuclideanPoints
from skdeepcluster.kmeans.means._euclidean_rows import as_rows
from skdeepcluster.kmeans.means._hartigan import hartigan
from skdeepcluster.kmeans.means._kernel import KernelPartition, KernelPoints
from skdeepcluster.kmeans.means._partition import converge

RANDOM = np.random.RandomState(0)
BLOBS = np.concatenate([RANDOM.normal(size=(200, 2)) + [c, 0] for c in (0, 6, 12)])


def euclidean(x, labels):
    points = EuclideanPoints(as_rows(x), torch.ones(len(labels), dtype=torch.float64))
    partition = EuclideanPartition(points, points.means(labels, int(labels.max()) + 1))
    partition.relabel(labels)
    return partition


def kernel(x, labels):
    ones = torch.ones(len(x), dtype=torch.float64)
    products = torch.from_numpy(x @ x.T)
    points = KernelPoints(products, ones, as_rows(x).twins())
    partition = KernelPartition(points, int(labels.max()) + 1)
    partition.relabel(labels)
    return partition


SPACES = {
    "dense": euclidean,
    "csr": lambda x, labels: euclidean(sp.csr_matrix(x), labels),
    "kernel": kernel,
}
each_space = pytest.mark.parametrize("make", SPACES.values(), ids=SPACES)


def with_and_without(make, solve, x, labels, far):
    """The same rows with a far one in a cluster of its own, and alone."""
    more = np.concatenate([labels, [labels.max() + 1]])
    there = make(np.vstack([x, np.full(2, far)]), torch.from_numpy(more))
    alone = make(x, torch.from_numpy(labels))
    for partition in (there, alone):
        solve(partition, 300, 0.0)
    return there, alone


@each_space
@pytest.mark.parametrize("far", [1e6, 1e8, 1e10, 1e12])
def test_a_far_row_changes_nothing_for_the_others(make, far):
    # Rows in the order of a coordinate that says little: many steps to the end.
    labels = (BLOBS[:, 1].argsort().argsort() // 200).astype(np.int64)
    there, alone = with_and_without(make, converge, BLOBS, labels, far)
    assert there.n_iter == alone.n_iter > 4
    assert torch.equal(there.labels[:-1], alone.labels)
    assert there.criterion == pytest.approx(alone.criterion, rel=1e-7)
    assert (np.diff(there.history) <= 1e-12 * there.history[0]).all()


@each_space
@pytest.mark.parametrize("far", [1e6, 1e8, 1e10])
def test_single_moves_beside_a_far_row(make, far):
    x = np.random.RandomState(3).normal(size=(60, 2)) * 3
    labels = np.arange(60) % 4
    there, alone = with_and_without(make, hartigan, x, labels, far)
    plain, _ = with_and_without(make, converge, x, labels, far)
    assert there.criterion < 0.995 * plain.criterion
    assert there.criterion == pytest.approx(alone.criterion, rel=0.01)
