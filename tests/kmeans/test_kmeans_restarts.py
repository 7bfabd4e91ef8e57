import os
import subprocess
import sys

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris

from skdeepcluster.kmeans import kmeans, kmeans_plus_plus, lloyd, nearest_center

IRIS = torch.from_numpy(load_iris().data)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def same(one, other):
    return (
        torch.equal(one.centers, other.centers)
        and torch.equal(one.labels, other.labels)
        and (one.inertia, one.n_iter) == (other.inertia, other.n_iter)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_iris(dtype):
    result = kmeans(IRIS.to(dtype), 3, generator=seeded())
    # the known optimum of iris for three clusters, of 62, 50 and 38 flowers
    assert result.inertia == pytest.approx(78.851441426, rel=1e-6)
    assert sorted(result.labels.bincount().tolist()) == [38, 50, 62]
    assert torch.equal(result.labels, nearest_center(IRIS.to(dtype), result.centers)[0])


@pytest.mark.parametrize("n_clusters", [2, 5])
def test_reaches_the_inertia_of_scikit_learn(n_clusters):
    theirs = KMeans(n_clusters, n_init=20, random_state=0, tol=0).fit(IRIS.numpy())
    ours = kmeans(IRIS, n_clusters, generator=seeded(), tol=0)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-9)


def test_is_the_best_of_its_starts():
    weight, generator = torch.rand(150, generator=seeded(9)), seeded(1)
    starts = [
        lloyd(
            IRIS,
            kmeans_plus_plus(IRIS, 8, generator=generator, weight=weight),
            weight=weight,
        )
        for _ in range(6)
    ]
    inertias = [start.inertia for start in starts]
    assert len(set(inertias)) > 1
    best = starts[inertias.index(min(inertias))]
    found = kmeans(IRIS, 8, generator=seeded(1), weight=weight, n_init=6)
    assert same(found, best)


def test_more_starts_are_never_worse():
    inertias = [
        kmeans(IRIS, 12, generator=seeded(), n_init=n).inertia for n in (1, 4, 16)
    ]
    assert inertias == sorted(inertias, reverse=True)
    assert inertias[0] > inertias[-1]


def test_max_iter_and_tol_are_passed_on():
    assert kmeans(IRIS, 8, generator=seeded(), max_iter=1).n_iter == 1
    exact = kmeans(IRIS, 8, generator=seeded(), n_init=1, tol=0)
    loose = kmeans(IRIS, 8, generator=seeded(), n_init=1, tol=1.0)
    assert loose.n_iter == 1 < exact.n_iter


def test_the_generator_is_the_only_randomness(global_rng_untouched):
    torch.manual_seed(1)
    with global_rng_untouched():
        first = kmeans(IRIS, 8, generator=seeded(3), n_init=2)
    torch.manual_seed(2)
    assert same(first, kmeans(IRIS, 8, generator=seeded(3), n_init=2))
    assert not same(first, kmeans(IRIS, 8, generator=seeded(4), n_init=2))


def test_weights_equal_repetition():
    counts = torch.arange(150) % 4
    weighted = kmeans(IRIS, 5, generator=seeded(), weight=counts, n_init=3)
    repeated = kmeans(
        IRIS.repeat_interleave(counts, 0), 5, generator=seeded(), n_init=3
    )
    assert weighted.inertia == pytest.approx(repeated.inertia, rel=1e-12)
    torch.testing.assert_close(weighted.centers, repeated.centers)


def test_one_cluster():
    result = kmeans(IRIS, 1, generator=seeded())
    torch.testing.assert_close(result.centers[0], IRIS.mean(0))
    assert not result.labels.any()


def test_a_cluster_for_every_row():
    x = torch.randn(25, 3, generator=seeded())
    result = kmeans(x, 25, generator=seeded(), n_init=2)
    assert result.inertia == 0
    assert result.labels.sort().values.tolist() == list(range(25))
    assert torch.equal(result.centers[result.labels], x.double())


@pytest.mark.parametrize("n_clusters", [3, 6])
def test_fewer_distinct_rows_than_clusters(n_clusters):
    x = torch.tensor([[0.1, 1.0], [0.7, 0.3]]).repeat(10, 1)
    result = kmeans(x, n_clusters, generator=seeded(), tol=0)
    assert len(result.labels.unique()) == 2
    assert result.centers.isfinite().all()
    assert result.n_iter < 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_clusters": 151}, "n_samples=150 should be >= n_clusters=151."),
        ({"n_clusters": 0}, "n_clusters=0 should be >= 1."),
        ({"n_init": 0}, "n_init=0 should be >= 1."),
        ({"max_iter": 0}, "max_iter=0 should be >= 1."),
        ({"tol": -0.5}, "tol=-0.5 should be >= 0."),
        ({"weight": torch.zeros(150)}, "weight should have a sum > 0, got 0.0."),
        ({"weight": -torch.ones(150)}, "weight should be >= 0, got -1.0."),
        ({"x": IRIS * torch.inf}, "x should be finite, got nan or inf in row 0."),
    ],
)
def test_bad_input(change, message):
    arguments = {"x": IRIS, "n_clusters": 3, **change}
    with pytest.raises(ValueError, match=message):
        kmeans(**arguments, generator=seeded())


FINGERPRINTS = """
import hashlib

import torch

from skdeepcluster.kmeans import kmeans


def fingerprint(n, d, k, weighted):
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=draws)
    weight = torch.rand(n, generator=draws) if weighted else None
    generator = torch.Generator().manual_seed(1)
    found = kmeans(x, k, generator=generator, weight=weight, n_init=1, max_iter=4)
    content = found.centers.numpy().tobytes() + found.labels.numpy().tobytes()
    return hashlib.sha256(content).hexdigest(), found.inertia.hex(), found.n_iter


sizes = [(150, 4, 3), (20_000, 3, 5), (700, 60, 12)]
for n_threads in (1, 2, 3, 8):
    torch.set_num_threads(n_threads)
    print(torch.get_num_threads(), *(fingerprint(*s, w) for s in sizes for w in (0, 1)))
"""


def test_same_bits_with_any_number_of_threads():
    # In a process of its own: there may be fewer cores than threads, which then must
    # not wait for each other actively, and the thread pools of this one stay as set.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "8",
        "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    run = subprocess.run(
        [sys.executable, "-c", FINGERPRINTS],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    lines = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
    assert [n_threads for n_threads, _ in lines] == ["1", "2", "3", "8"]
    assert len({bits for _, bits in lines}) == 1
