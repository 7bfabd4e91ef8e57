import threading

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from skdeepcluster.kmeans import cluster_sums, lloyd, nearest_center

pytestmark = pytest.mark.usefixtures("both_ways")


def blobs(n=600, d=4, k=6, seed=0):
    x, _ = make_blobs(n, d, centers=k, cluster_std=3.0, random_state=seed)
    return torch.from_numpy(x)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def flat(result):
    return result.centers.flatten().tolist()


def test_known_answer():
    x = column(0, 1, 9, 11)
    result = lloyd(x, x[:2])
    assert flat(result) == [0.5, 10.0]
    assert result.labels.tolist() == [0, 0, 1, 1]
    assert result.inertia == 2.5
    # starts {0} {1, 9, 11}, then {0, 1} {9, 11}, then no label changes
    assert result.n_iter == 3
    assert result.centers.dtype == torch.float64
    assert result.labels.dtype == torch.int64


def test_known_answer_weighted():
    x = column(0, 1, 9, 11)
    result = lloyd(x, x[:2], weight=torch.tensor([3.0, 1.0, 1.0, 0.5]))
    assert result.centers[0].item() == 0.25
    assert result.centers[1].item() == pytest.approx(29 / 3, rel=1e-15)
    assert result.inertia == pytest.approx(0.75 + 4 / 3, rel=1e-14)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tol", [0.0, 1e-4, 0.05])
def test_agrees_with_scikit_learn(seed, tol):
    x = blobs(seed=seed)
    start = x[seed : seed + 8].clone()
    theirs = KMeans(8, init=start.numpy(), n_init=1, tol=tol).fit(x.numpy())
    ours = lloyd(x, start, tol=tol)
    assert ours.n_iter == theirs.n_iter_
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-9)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, rtol=1e-9)


def test_agrees_with_scikit_learn_weighted():
    x = blobs()
    weight = np.random.default_rng(0).uniform(0, 3, len(x))
    start = x[:8].clone()
    theirs = KMeans(8, init=start.numpy(), n_init=1, tol=0)
    theirs.fit(x.numpy(), sample_weight=weight)
    ours = lloyd(x, start, weight=torch.from_numpy(weight), tol=0)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-9)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)


def test_relocation_agrees_with_scikit_learn():
    x = blobs()
    start = torch.cat([x[:3], x[:1] + 1e3])
    theirs = KMeans(4, init=start.numpy(), n_init=1, max_iter=20).fit(x.numpy())
    ours = lloyd(x, start, max_iter=20)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-9)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)


@pytest.mark.parametrize("max_iter", [1, 2, 300])
def test_labels_are_nearest_and_inertia_theirs(max_iter):
    x = blobs().float()
    result = lloyd(x, x[:8], max_iter=max_iter)
    labels, distances = nearest_center(x, result.centers)
    assert torch.equal(result.labels, labels)
    assert result.inertia == pytest.approx(float(distances.sum()), rel=1e-12)
    assert result.n_iter <= max_iter


def test_inertia_never_rises_and_centers_end_as_means():
    x = blobs()
    inertias = [lloyd(x, x[:8], max_iter=m, tol=0).inertia for m in range(1, 12)]
    assert inertias == sorted(inertias, reverse=True)
    assert inertias[0] > inertias[-1]
    result = lloyd(x, x[:8], tol=0)
    sums, weights = cluster_sums(x, result.labels, 8)
    assert torch.equal(result.centers, sums / weights[:, None])


def test_tolerance_does_not_depend_on_the_units():
    x = blobs()
    small, large = (lloyd(x * unit, x[:8] * unit, tol=0.01) for unit in (1.0, 2.0**20))
    assert small.n_iter == large.n_iter < lloyd(x, x[:8], tol=0).n_iter
    assert torch.equal(small.centers * 2.0**20, large.centers)


@pytest.mark.parametrize("tol", [0.0, 1e-4])
def test_weights_equal_repetition(tol):
    x, counts = blobs(), torch.arange(600) % 4
    start = x[4:9]
    weighted = lloyd(x, start, weight=counts, tol=tol)
    repeated = lloyd(x.repeat_interleave(counts, 0), start, tol=tol)
    assert weighted.n_iter == repeated.n_iter
    assert weighted.inertia == pytest.approx(repeated.inertia, rel=1e-12)
    torch.testing.assert_close(weighted.centers, repeated.centers)
    seen = weighted.labels.repeat_interleave(counts)
    assert torch.equal(seen, repeated.labels)


def test_rows_of_weight_zero_have_no_influence():
    x = blobs()
    ghosts = torch.cat([x + 1e3, x * 50])
    weight = torch.cat([torch.ones(600), torch.zeros(1200)])
    alone = lloyd(x, x[:8])
    haunted = lloyd(torch.cat([x, ghosts]), x[:8], weight=weight)
    assert torch.equal(alone.centers, haunted.centers)
    assert alone.inertia == pytest.approx(haunted.inertia, rel=1e-14)
    assert alone.n_iter == haunted.n_iter


def test_large_offset_in_float32():
    x = (blobs() * 16).round().div(16).float()  # exact also beside 1e4
    here, there = lloyd(x, x[:8]), lloyd(x + 1e4, x[:8] + 1e4)
    assert torch.equal(here.labels, there.labels)
    assert there.inertia == pytest.approx(here.inertia, rel=1e-12)
    torch.testing.assert_close(there.centers - 1e4, here.centers, rtol=0, atol=1e-10)


def test_empty_cluster_takes_the_farthest_row():
    result = lloyd(column(0, 1, 2, 10), column(1, 100), max_iter=1)
    assert flat(result) == [1.0, 10.0]


def test_farthest_row_is_one_that_counts():
    x, weight = column(0, 1, 2, 10, 50), torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])
    result = lloyd(x, column(1, 100), weight=weight, max_iter=1)
    # The row at 50 fills no cluster and moves no centre.
    assert flat(result) == [1.0, 10.0]


def test_several_empty_clusters_take_the_farthest_rows_in_turn():
    # 0 and 2 are equally far from 1: the first of them goes.
    result = lloyd(column(0, 1, 2, 10), column(1, 100, 200), max_iter=1)
    assert flat(result) == [1.5, 10.0, 0.0]


def test_copies_of_a_row_move_together():
    x, start = column(0, 1, 2, 10, 10), column(1, 100, 200)
    repeated = lloyd(x, start, max_iter=1)
    weighted = lloyd(
        x[:4], start, weight=torch.tensor([1.0, 1.0, 1.0, 2.0]), max_iter=1
    )
    assert flat(repeated) == flat(weighted) == [1.5, 10.0, 0.0]


def test_a_cluster_of_equal_rows_gives_none():
    # 10, far from its centre 18, is all that its cluster has; 2 goes instead.
    result = lloyd(column(0, 2, 10), column(0.5, 18, 100), max_iter=1)
    assert flat(result) == [0.0, 10.0, 2.0]


def test_fewer_distinct_rows_than_clusters_ends():
    x = column(*[0.1] * 3, *[0.7] * 7)
    result = lloyd(x, column(0.1, 0.7, 0.3, 5.0), tol=0)
    assert result.n_iter < 10
    assert result.centers.isfinite().all()
    assert len(result.labels.unique()) == 2
    assert result.inertia == pytest.approx(0, abs=1e-28)


def test_constant_rows_end():
    x = torch.full((50, 3), 0.1)
    result = lloyd(x, x[:4], tol=0)
    assert result.n_iter < 10
    assert len(result.labels.unique()) == 1
    torch.testing.assert_close(result.centers, x[:4].double())


def test_one_cluster_is_the_mean():
    x = blobs()
    result = lloyd(x, x[:1])
    torch.testing.assert_close(result.centers[0], x.mean(0))
    expected = (x - x.mean(0)).square().sum()
    assert result.inertia == pytest.approx(float(expected), rel=1e-12)


def test_the_start_is_left_as_it_was():
    x = blobs()
    start = x[:5].clone()
    lloyd(x, start)
    assert torch.equal(start, x[:5])


class TwoProcesses:
    """Sum over two threads, each of which stands for a process."""

    def __init__(self):
        self.barrier = threading.Barrier(2, timeout=5)
        self.parts = {}

    def reduce(self, rank):
        def reduced(statistics):
            assert statistics.dtype == torch.float64
            self.parts[rank] = statistics
            self.barrier.wait()
            total = self.parts[0] + self.parts[1]
            self.barrier.wait()
            return total

        return reduced


@pytest.mark.parametrize("tol", [0.0, 0.02, 0.2])
def test_statistics_are_reduced_over_processes(tol):
    # The few rows of the first process settle at once and vary little.
    x, weight = torch.cat([blobs()[:8], blobs()]), torch.arange(1, 609) % 3
    x[8:] *= 1.5
    group, parts = TwoProcesses(), [slice(0, 8), slice(8, 608)]
    found = {}

    def run(rank):
        own, reduce = parts[rank], group.reduce(rank)
        found[rank] = lloyd(x[own], x[:8], weight=weight[own], tol=tol, reduce=reduce)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = lloyd(x, x[:8], weight=weight, tol=tol)
    for rank in (0, 1):
        torch.testing.assert_close(found[rank].centers, whole.centers)
        assert found[rank].inertia == pytest.approx(whole.inertia, rel=1e-12)
        assert found[rank].n_iter == whole.n_iter
        assert torch.equal(found[rank].labels, whole.labels[parts[rank]])
    assert torch.equal(found[0].centers, found[1].centers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_iter": 0}, "max_iter=0 should be >= 1."),
        ({"tol": -1.0}, "tol=-1.0 should be >= 0."),
        ({"tol": float("nan")}, "tol=nan should be >= 0."),
        ({"centers": torch.zeros(2, 3)}, r"centers should have shape .*got \(2, 3\)"),
        ({"weight": torch.zeros(4)}, "weight should have a sum > 0, got 0.0"),
        ({"weight": torch.ones(2)}, r"weight should have shape \(4,\), got \(2,\)"),
        ({"x": column(0, 1, float("nan"), 2)}, "x should be finite.* in row 2."),
    ],
)
def test_bad_input(change, message):
    arguments = {"x": column(0, 1, 9, 11), "centers": column(0, 1), **change}
    with pytest.raises(ValueError, match=message):
        lloyd(**arguments)
