"""Known answers for DEKM's targets and its re-clustering."""

import copy
from itertools import permutations

import pytest
import torch

from skdeepcluster.objectives import Batch, ScatterReduction, aligned, within_scatter

H = [[0.0, 0.0], [2.0, 1.0], [1.0, 2.0], [10.0, 0.0], [12.0, 1.0], [11.0, 2.0]]
U = [[1.0, 1.0], [11.0, 1.0]]
LABELS = torch.tensor([0, 0, 0, 1, 1, 1])
TARGETS = [[1.0, 1.0], [1.5, 0.5], [0.5, 1.5], [11.0, 1.0], [11.5, 0.5], [10.5, 1.5]]
TOLERANCE = {"rtol": 0, "atol": 1e-9}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def at(centers, n_init=20):
    objective = ScatterReduction(len(centers), n_init)
    objective._put_centers(torch.as_tensor(centers).clone())
    return objective


def loss_of(objective, z, target):
    return objective.loss(Batch(x=z, z=z, target=target))


def random_rows(n=60, d=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=dtype)


def blobs(d=2):
    """Three of different sizes, so far apart that k-means finds them."""
    centers = torch.zeros(3, d).double()
    centers[1, 0], centers[2, -1] = 40.0, 70.0
    return centers.repeat_interleave(torch.tensor([5, 7, 9]), dim=0) + random_rows(
        21, d
    )


def inertia(z, centers):
    return float(torch.cdist(z, centers).amin(dim=1).square().sum())


def random_rotation(d):
    return torch.linalg.qr(random_rows(d, d, seed=5)).Q


def test_scatter():
    scatter = within_scatter(double(H), double(U), LABELS)
    torch.testing.assert_close(scatter, double([[4.0, 2.0], [2.0, 4.0]]), **TOLERANCE)
    values, vectors = torch.linalg.eigh(scatter)
    torch.testing.assert_close(values, double([2.0, 6.0]), **TOLERANCE)
    last = vectors[:, -1] * vectors[:, -1].sum().sign()
    torch.testing.assert_close(last, double([0.5, 0.5]).sqrt(), **TOLERANCE)


def test_trace_of_the_scatter_is_the_inertia():
    z = random_rows()
    centers = z[:4]
    labels = torch.cdist(z, centers).argmin(dim=1)
    scatter = within_scatter(z.float(), centers.float(), labels)
    assert scatter.dtype == torch.float64
    assert scatter.trace().item() == pytest.approx(inertia(z, centers), rel=1e-6)
    rotation = random_rotation(3)
    rotated = within_scatter(z @ rotation, centers @ rotation, labels)
    exact = within_scatter(z, centers, labels)
    torch.testing.assert_close(rotated, rotation.T @ exact @ rotation)


def test_weights_and_processes_in_the_scatter():
    z = random_rows(n=6)
    labels = torch.tensor([0, 1, 0, 1, 1, 0])
    weight = double([1, 3, 0, 2, 1, 5])
    repeats = weight.long()
    weighted = within_scatter(z, z[:2], labels, weight)
    repeated = within_scatter(
        z.repeat_interleave(repeats, dim=0), z[:2], labels.repeat_interleave(repeats)
    )
    torch.testing.assert_close(weighted, repeated)
    here, there = (within_scatter(z[s], z[:2], labels[s]) for s in (slice(4), [4, 5]))
    whole = within_scatter(z, z[:2], labels)
    torch.testing.assert_close(here + there, whole)
    part = within_scatter(z[:4], z[:2], labels[:4], reduce=lambda s: s + there)
    torch.testing.assert_close(part, whole)


def test_targets():
    objective = at(double(U))
    targets = objective.refresh(double(H))
    torch.testing.assert_close(targets, double(TARGETS), **TOLERANCE)
    torch.testing.assert_close(objective.centers, double(U), **TOLERANCE)


def test_loss_after_a_refresh_is_the_largest_eigenvalue():
    objective = at(double(U))
    z = double(H).requires_grad_()
    loss = loss_of(objective, z, objective.refresh(z.detach()))
    assert loss.shape == (6,)
    assert (2 * loss.sum()).item() == pytest.approx(6.0, abs=1e-9)
    assert loss.mean().item() == pytest.approx(0.5, abs=1e-9)
    loss.sum().backward()
    # 2 v v' (h - u), over the two columns
    apart = double(H) - double(U)[LABELS]
    gradient = apart @ torch.full((2, 2), 0.5).double()
    torch.testing.assert_close(z.grad, gradient, **TOLERANCE)


def test_rows_at_their_targets():
    """No loss, no scatter left along that direction, the same centres."""
    targets = double(TARGETS)
    assert not loss_of(at(double(U)), targets, targets).any()
    scatter = within_scatter(targets, double(U), LABELS)
    torch.testing.assert_close(scatter, double([[1.0, -1.0], [-1.0, 1.0]]), **TOLERANCE)
    values = torch.linalg.eigvalsh(scatter)
    torch.testing.assert_close(values, double([0.0, 2.0]), **TOLERANCE)
    means = targets.view(2, 3, 2).mean(dim=1)
    torch.testing.assert_close(means, double(U), **TOLERANCE)


def test_targets_turn_with_the_embedding():
    z, rotation = blobs(d=4), random_rotation(4)
    centers = z[[0, 5, 12]]
    targets = at(centers).refresh(z)
    turned = at(centers @ rotation).refresh(z @ rotation)
    torch.testing.assert_close(turned, targets @ rotation)
    assert not torch.allclose(targets, z)


def test_alignment_undoes_a_permutation():
    before = torch.tensor([0, 0, 1, 1, 1, 2, 2])
    for names in permutations(range(3)):
        labels = torch.tensor(names)[before]
        order = aligned(labels, before, 3)
        assert torch.equal(order.argsort()[labels], before)


def test_alignment_keeps_the_most_labels():
    generator = torch.Generator().manual_seed(0)
    before, labels = torch.randint(4, (2, 30), generator=generator)
    order = aligned(labels, before, 4)
    kept = int((order.argsort()[labels] == before).sum())
    best = max(
        int((torch.tensor(names)[labels] == before).sum())
        for names in permutations(range(4))
    )
    assert kept == best
    assert sorted(order.tolist()) == [0, 1, 2, 3]


def test_alignment_with_clusters_without_rows():
    labels, before = torch.tensor([2, 2, 2, 0]), torch.tensor([0, 0, 1, 1])
    order = aligned(labels, before, 3)
    assert order.argsort()[labels].tolist() == [0, 0, 0, 1]


def test_alignment_counts_the_rows_of_all_processes():
    before, labels = torch.tensor([0, 1, 0, 1, 0]), torch.tensor([0, 1, 1, 0, 1])
    assert aligned(labels, before, 2).tolist() == [1, 0]
    assert aligned(labels[:2], before[:2], 2).tolist() == [0, 1]
    elsewhere = double([0.0, 2.0, 1.0, 0.0])
    order = aligned(labels[:2], before[:2], 2, lambda counts: counts + elsewhere)
    assert order.tolist() == [1, 0]


def test_finish_is_kmeans_again():
    z = blobs()
    objective = at(z[[0, 5, 12]])
    objective.finish(z, None, torch.Generator())
    means = torch.stack([part.mean(dim=0) for part in z.split([5, 7, 9])])
    torch.testing.assert_close(objective.centers, means)


@pytest.mark.parametrize("seed", range(8))
def test_fresh_starts_leave_a_bad_optimum(seed):
    """Two centres share a blob and one has two: Lloyd's iteration alone stays there.

    However the fresh start numbers its clusters, as many rows as can keep theirs.
    """
    z = blobs()
    best = inertia(z, torch.stack([part.mean(dim=0) for part in z.split([5, 7, 9])]))
    objective = at(torch.stack([z[12], z[13], z[:12].mean(dim=0)]), n_init=100)
    objective.seed.fill_(seed)
    before = objective.assign(z)
    objective.refresh(z)
    assert inertia(z, objective.centers) == pytest.approx(best)
    labels = objective.assign(z)
    kept = int((labels == before).sum())
    assert kept == max(
        int((torch.tensor(names)[labels] == before).sum())
        for names in permutations(range(3))
    )


def test_targets_are_those_of_the_renumbered_clusters():
    z = random_rows(150, 2)
    objective = at(z[:12].clone(), n_init=100)
    targets = objective.refresh(z)
    own = objective.centers[torch.cdist(z, objective.centers).argmin(dim=1)]
    v = torch.linalg.eigh((z - own).T @ (z - own)).eigenvectors[:, -1:]
    torch.testing.assert_close(targets, z - (z - own) @ v @ v.T)


def test_refreshes_never_raise_the_inertia():
    z = random_rows(150, 2)
    objective = ScatterReduction(12, n_init=1)
    objective.initialise(z, None, torch.Generator().manual_seed(0))
    values = [inertia(z, objective.centers)]
    for _ in range(12):
        objective.refresh(z)
        values.append(inertia(z, objective.centers))
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_refreshes_depend_on_the_seed_alone(global_rng_untouched):
    z = random_rows(150, 2)

    def run(seed):
        objective = ScatterReduction(12, n_init=1)
        objective.initialise(z, None, torch.Generator().manual_seed(seed))
        objective.centers.copy_(z[:12])  # the start alone shall not decide
        with global_rng_untouched():
            objective.refresh(z)
            resumed = ScatterReduction(12, n_init=1)
            resumed._put_centers(torch.zeros_like(objective.centers))
            resumed.load_state_dict(copy.deepcopy(objective.state_dict()))
            targets = [o.refresh(2 * z) for o in (objective, resumed)]
        assert torch.equal(*targets)
        return targets[0]

    assert torch.equal(run(0), run(0))
    assert any(not torch.equal(run(0), run(seed)) for seed in range(1, 4))


def test_integer_weights_are_repeated_rows():
    z = blobs()
    weight = torch.arange(21).double() % 4 + 1
    repeats = weight.long()
    centers = z[[0, 5, 12]]
    weighted, repeated, plain = at(centers), at(centers), at(centers)
    targets = weighted.refresh(z, weight).repeat_interleave(repeats, dim=0)
    expected = repeated.refresh(z.repeat_interleave(repeats, dim=0))
    torch.testing.assert_close(targets, expected)
    torch.testing.assert_close(weighted.centers, repeated.centers)
    assert not torch.allclose(weighted.refresh(z, weight), plain.refresh(z))


@pytest.mark.parametrize("n, k, d", [(1, 1, 1), (5, 1, 2), (6, 2, 1), (4, 4, 3)])
def test_edge_sizes(n, k, d):
    z = random_rows(n, d)
    objective = at(z[:k].clone(), n_init=1)
    targets = objective.refresh(z)
    assert torch.isfinite(targets).all()
    if d == 1 or n == k:
        own = objective.centers[objective.assign(z)]
        torch.testing.assert_close(targets, own, **TOLERANCE)


def test_equal_rows():
    z = torch.ones(5, 2)
    targets = at(torch.ones(3, 2), n_init=1).refresh(z)
    assert torch.equal(targets, z)


def test_float32():
    targets = at(torch.tensor(U)).refresh(torch.tensor(H))
    torch.testing.assert_close(targets, torch.tensor(TARGETS))


def test_loss_without_target_is_an_error():
    with pytest.raises(ValueError, match=r"batch\.target"):
        loss_of(at(double(U)), double(H), None)
