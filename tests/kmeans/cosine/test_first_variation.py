import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skdeepcluster.kmeans.cosine import _first_variation
from skdeepcluster.kmeans.cosine._chain import Chain
from skdeepcluster.kmeans.cosine._first_variation import improve, local_search
from skdeepcluster.kmeans.cosine._partition import Partition, converge, lloyd_step
from skdeepcluster.kmeans.matrices._matrix import as_matrix

KINDS = {
    "dense float64": np.asarray,
    "dense float32": np.float32,
    "CSR float64": sp.csr_matrix,
    "CSR float32": lambda x: sp.csr_array(x.astype(np.float32)),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def no_sweeps(monkeypatch):
    """Leave all moves to the chains."""
    monkeypatch.setattr(_first_variation, "_VISITED_PER_GAINING", 0)
    monkeypatch.setattr(_first_variation, "_LEAST_VISITED", 0)


def fan(*angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def counts(n=120, d=30, seed=0):
    x = np.random.RandomState(seed).poisson(0.7, (n, d)).astype(np.float64)
    x[:, 0] += 0.5
    return x


def criterion(x, labels, k, weight=None):
    """Phi by its definition, from labels alone."""
    x = x.toarray() if sp.issparse(x) else np.asarray(x)
    norms = np.linalg.norm(x.astype(np.float64), axis=1)
    weight = np.where(norms > 0, np.ones(len(x)) if weight is None else weight, 0)
    y = x * (weight / np.where(norms > 0, norms, 1))[:, None]
    labels = np.asarray(labels)
    sums = [np.linalg.norm(y[labels == j].sum(0)) for j in range(k)]
    return weight.sum() - sum(sums)


def partition_of(x, labels, k, weight=None):
    """Partition with given labels and the centres that belong to them."""
    weight = torch.ones(x.shape[0]) if weight is None else torch.as_tensor(weight)
    matrix = as_matrix(x)
    zeros = torch.zeros(k, x.shape[1], dtype=torch.float64)
    found = Partition(matrix, weight.double(), matrix.centers_type(zeros))
    found.relabel(torch.as_tensor(labels), matrix.norms)
    return found


def lloyd(x, k, seed, weight=None):
    """Fixed point of Lloyd's iteration from random rows, and its assignment step."""
    n = x.shape[0]
    weight = np.ones(n) if weight is None else weight
    matrix = as_matrix(x)
    rows = np.random.RandomState(seed).permutation(n)[:k]
    start = matrix.centers_type(matrix.gather(torch.from_numpy(rows)))
    found = Partition(matrix, torch.as_tensor(weight, dtype=torch.float64), start)
    return converge(found, lloyd_step(matrix), 100, 0.0)


def search(x, k, seed, chain_length=10, weight=None, tol=0.0):
    found = lloyd(x, k, seed, weight)
    return local_search(found, lloyd_step(found.matrix), chain_length, 500, tol)


# Known answers


def test_a_fixed_point_of_lloyd_is_left(kind):
    x = kind(fan(0, 0.9, 1.7))
    found = partition_of(x, [0, 0, 1], 2)
    assert found.criterion == pytest.approx(3 - (2 * np.cos(0.45) + 1), abs=1e-7)
    local_search(found, lloyd_step(found.matrix), 0, 100, 0.0)
    assert found.labels.tolist() == [0, 0, 1]
    before = found.criterion
    local_search(found, lloyd_step(found.matrix), 1, 100, 0.0)
    assert found.labels.tolist() == [0, 1, 1]
    assert before - found.criterion == pytest.approx(0.041228, abs=1e-6)
    assert found.criterion == pytest.approx(3 - (2 * np.cos(0.4) + 1), abs=1e-7)


def test_a_chain_moves_it_too(no_sweeps):
    found = partition_of(fan(0, 0.9, 1.7), [0, 0, 1], 2)
    assert improve(found, 1, 0.0)
    assert found.labels.tolist() == [0, 1, 1]
    assert not improve(found, 5, 0.0)


def test_gain_below_the_tolerance_is_left():
    found = partition_of(fan(0, 0.9, 1.7), [0, 0, 1], 2)
    assert not improve(found, 1, 0.0413 / found.criterion)
    assert found.labels.tolist() == [0, 0, 1]
    assert improve(found, 1, 0.0412 / found.criterion)


def test_chain_crosses_a_ridge():
    # Two pairs: neither row of the middle one gains alone, both together do.
    x = fan(0, 0, 0.8, 0.8, 1.5, 1.5)
    x = np.vstack([x, fan(1.5)])
    found = partition_of(x, [0, 0, 0, 0, 1, 1, 1], 2)
    best = criterion(x, [0, 0, 1, 1, 1, 1, 1], 2)
    one = criterion(x, [0, 0, 0, 1, 1, 1, 1], 2)
    assert best < found.criterion < one
    assert improve(found, 1, 0.0) is False
    assert improve(found, 2, 0.0)
    assert found.labels.tolist() == [0, 0, 1, 1, 1, 1, 1]


# Delta


@pytest.mark.parametrize("weighted", [False, True])
def test_every_move_of_a_chain_is_the_best_and_its_delta_exact(kind, weighted):
    rng = np.random.RandomState(0)
    x, k = kind(counts(40, 12)), 4
    weight = rng.uniform(0.2, 3, 40) if weighted else np.ones(40)
    labels = rng.randint(k, size=40)
    chain = Chain(partition_of(x, labels, k, weight), torch.arange(40))
    moved = np.zeros(40, dtype=bool)
    for _ in range(30):
        delta = chain.best + chain.removal
        b = int(delta.argmax())
        now = criterion(x, labels, k, weight)
        gains = {}
        for row in np.flatnonzero(~moved):
            if (labels == labels[row]).sum() == 1:
                continue
            for j in set(range(k)) - {labels[row]}:
                other = labels.copy()
                other[row] = j
                gains[row, j] = now - criterion(x, other, k, weight)
        best = max(gains, key=gains.get)
        assert delta[b] == pytest.approx(gains[best], abs=1e-9)
        assert gains[b, chain.target[b]] == pytest.approx(gains[best], abs=1e-9)
        labels[b] = chain.target[b]
        moved[b] = True
        chain.move(b)
        np.testing.assert_array_equal(chain.own, labels)


def test_rounded_deltas_choose_as_exact_ones(kind):
    x = kind(counts())
    found = lloyd(x, 5, 0)
    chain = Chain(found, torch.arange(120))
    rounded = _first_variation._best_deltas(found).numpy()
    np.testing.assert_allclose(rounded, chain.best + chain.removal, atol=1e-5)


# Promises


@pytest.mark.parametrize("sweeps", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_never_above_lloyd_and_criterion_is_that_of_the_labels(
    kind, seed, sweeps, request
):
    if not sweeps:
        request.getfixturevalue("no_sweeps")
    x, k = kind(counts(seed=seed)), 6
    weight = np.random.RandomState(seed).uniform(0, 2, 120)
    found = lloyd(x, k, seed, weight)
    before = found.criterion
    while improve(found, 15, 0.0):
        exact = criterion(x, found.labels, k, weight)
        assert found.criterion == pytest.approx(exact, abs=1e-9)
        assert found.criterion < before
        before = found.criterion
    assert before < lloyd(x, k, seed, weight).criterion
    # no single move is left, so that nothing is left for Lloyd's iteration either
    labels = found.labels
    converge(found, lloyd_step(found.matrix), found.n_iter + 1, 0.0)
    assert found.labels.tolist() == labels.tolist()


def test_longer_chains_are_better_in_the_mean():
    x = counts(300, 40)
    means = [
        np.mean([search(x, 8, seed, length).criterion for seed in range(8)])
        for length in (0, 1, 50)
    ]
    assert means[0] > means[1] > means[2]


def test_chain_that_does_not_improve_changes_nothing(kind):
    found = search(kind(counts()), 6, 0)
    labels, sums = found.labels.clone(), found.centers.sums.clone()
    norms, value = found.centers.norms.clone(), found.criterion
    assert not improve(found, 10, 0.0)
    assert found.labels.equal(labels)
    assert found.centers.sums.equal(sums)
    assert found.centers.norms.equal(norms)
    assert found.criterion == value


def test_rows_are_left_as_they_are(kind):
    x = kind(counts())
    before = x.copy()
    search(x, 6, 0)
    assert abs(x - before).max() == 0


def test_no_cluster_is_emptied():
    # Every row its own cluster but one pair: all single moves empty a cluster or lose.
    x = fan(0, 0.02, 0.04, 3)
    found = partition_of(x, [0, 1, 2, 0], 3)
    while improve(found, 10, 0.0):
        assert (torch.bincount(found.labels, minlength=3) > 0).all()
    assert found.labels[3] not in found.labels[:3]


def test_one_row_per_cluster_stays():
    found = partition_of(np.eye(4), [0, 1, 2, 3], 4)
    assert not improve(found, 10, 0.0)
    assert found.labels.tolist() == [0, 1, 2, 3]


def test_one_cluster_stays():
    assert not improve(partition_of(counts(10), [0] * 10, 1), 10, 0.0)


def test_rows_without_weight_or_direction_stay(kind, no_sweeps):
    x = counts(60)
    x[:10] = 0
    labels = np.random.RandomState(0).randint(4, size=60)
    weight = np.ones(60)
    weight[10:20] = 0
    found = partition_of(kind(x), labels, 4, weight)
    assert improve(found, 60, 0.0)
    assert found.labels[:20].tolist() == labels[:20].tolist()
    assert found.labels.tolist() != labels.tolist()


def test_dense_equals_sparse():
    for seed in range(4):
        dense = search(counts(seed=seed), 6, seed)
        sparse = search(sp.csr_matrix(counts(seed=seed)), 6, seed)
        assert dense.labels.tolist() == sparse.labels.tolist()
        assert dense.criterion == pytest.approx(sparse.criterion, rel=1e-12)


def test_scale_of_rows_plays_no_part():
    x = counts()
    scale = 2.0 ** np.random.RandomState(0).randint(-40, 40, 120)
    a, b = search(x, 6, 1), search(x * scale[:, None], 6, 1)
    assert a.labels.tolist() == b.labels.tolist()


def test_integer_weight_is_repetition():
    x, k = counts(60, 20), 5
    weight = np.random.RandomState(0).randint(1, 4, 60)
    labels = np.random.RandomState(1).randint(k, size=60)
    found = partition_of(x, labels, k, weight)
    while improve(found, 10, 0.0):
        pass
    repeated = np.repeat(found.labels.numpy(), weight)
    again = partition_of(np.repeat(x, weight, axis=0), repeated, k)
    assert again.criterion == pytest.approx(found.criterion, rel=1e-12)
    # the criterion is concave in how many copies have moved: if all gain nothing
    # together, one gains nothing
    delta = _first_variation._best_deltas(again)
    assert (delta < 1e-6).all()


def test_few_rows_of_many(monkeypatch):
    x = sp.csr_matrix(counts(300, 40))
    whole = search(x, 8, 0, 20)
    monkeypatch.setattr(_first_variation, "MOST_ROWS", 64)
    part = search(x, 8, 0, 20)
    start = lloyd(x, 8, 0).criterion
    assert part.criterion == pytest.approx(criterion(x, part.labels, 8), abs=1e-9)
    assert start - part.criterion > 0.5 * (start - whole.criterion)


def test_iterations_are_limited():
    found = lloyd(counts(300, 40), 8, 0)
    labels, n_iter = found.labels, found.n_iter
    local_search(found, lloyd_step(found.matrix), 10, n_iter, 0.0)
    assert found.n_iter == n_iter
    assert found.labels.equal(labels)
    local_search(found, lloyd_step(found.matrix), 10, n_iter + 1, 0.0)
    assert found.n_iter == n_iter + 1


def test_several_processes_are_refused():
    found = partition_of(fan(0, 0.9, 1.7), [0, 0, 1], 2)
    found.reduce = lambda statistics: statistics
    with pytest.raises(NotImplementedError, match="one process"):
        improve(found, 1, 0.0)
