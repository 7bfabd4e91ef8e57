"""Known answers for DCN's centres, which follow every batch."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from skdeepcluster.objectives import Batch, RunningKMeans

TOLERANCE = {"rtol": 0, "atol": 1e-9}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def at(centers, count_init=100):
    objective = RunningKMeans(len(centers), count_init=count_init)
    objective._put_centers(torch.as_tensor(centers).clone())
    return objective


def step(objective, z, weight=None):
    return objective.after_step(Batch(x=z, z=z, weight=weight))


def random_case(n=40, k=4, d=3):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return z, torch.randn(k, d, generator=generator, dtype=torch.float64)


def one_by_one(z, centers, counts):
    """Equation (8): centres as they stand assign, then move row by row."""
    labels = torch.cdist(z, centers).argmin(dim=1)
    centers, counts = centers.clone(), counts.clone()
    for row, k in zip(z, labels, strict=True):
        counts[k] += 1
        centers[k] -= (centers[k] - row) / counts[k]
    return labels, centers, counts


def test_known_answer():
    far = [50.3, 49.1]
    objective = at(double([[0.0, 0.0], far]))
    labels = step(objective, double([[1.0, 0.0], [1.0, 2.0]]))
    assert labels.tolist() == [0, 0]
    expected = double([[2 / 102, 2 / 102], far])
    torch.testing.assert_close(objective.centers, expected, **TOLERANCE)
    assert objective.centers[1].tolist() == far
    assert objective.counts.tolist() == [102.0, 100.0]


def test_agrees_with_one_row_after_the_other():
    z, centers = random_case()
    objective = at(centers, count_init=3)
    counts = torch.full((4,), 3.0)
    for batch in z.split(16):
        expected, centers, counts = one_by_one(batch, centers, counts)
        assert torch.equal(step(objective, batch), expected)
        torch.testing.assert_close(objective.centers, centers, **TOLERANCE)
        assert torch.equal(objective.counts, counts)


def test_order_of_rows_does_not_matter():
    z, centers = random_case()
    forward, backward = at(centers), at(centers)
    labels = step(forward, z)
    assert torch.equal(step(backward, z.flip(dims=(0,))).flip(dims=(0,)), labels)
    torch.testing.assert_close(forward.centers, backward.centers, **TOLERANCE)


def test_rows_are_assigned_before_any_center_moves():
    """After the first two rows the left centre would be the nearer one for 5.2."""
    objective = at(double([[0.0], [10.0]]), count_init=1)
    assert step(objective, double([[4.9], [4.9], [5.2]])).tolist() == [0, 0, 1]
    expected = double([[9.8 / 3], [15.2 / 2]])
    torch.testing.assert_close(objective.centers, expected, **TOLERANCE)


def test_integer_weights_are_repeated_rows():
    z, centers = random_case(n=6)
    weight = double([1, 3, 0, 2, 1, 5])
    repeated = z.repeat_interleave(weight.long(), dim=0)
    one, other, plain = at(centers), at(centers), at(centers)
    step(one, z, weight)
    step(other, repeated)
    step(plain, z)
    torch.testing.assert_close(one.centers, other.centers, **TOLERANCE)
    assert torch.equal(one.counts, other.counts)
    assert not torch.allclose(one.centers, plain.centers)


def test_rows_that_do_not_count_move_nothing():
    z, centers = random_case()
    objective = at(centers)
    step(objective, z, torch.zeros(len(z)).double())
    assert torch.equal(objective.centers, centers)
    assert objective.counts.tolist() == [100.0] * 4


def test_first_batch_sets_centers_that_have_counted_nothing():
    objective = at(double([[0.0], [10.0]]), count_init=0)
    step(objective, double([[1.0], [2.0]]))
    assert objective.centers.flatten().tolist() == [1.5, 10.0]
    assert objective.counts.tolist() == [2.0, 0.0]


def test_refresh_leaves_the_centers():
    z, centers = random_case()
    objective = at(centers)
    labels = objective.refresh(z)
    assert torch.equal(labels, torch.cdist(z, centers).argmin(dim=1))
    assert len(labels.unique()) == 4
    assert torch.equal(objective.centers, centers)
    objective.finish(z, None, torch.Generator())
    assert torch.equal(objective.centers, centers)


def test_empty_cluster_starts_again_at_the_farthest_row(caplog):
    z = double([[0.0], [1.0], [2.0], [9.0], [10.5]])
    objective = at(double([[1.0], [9.0], [99.0]]))
    objective.counts.fill_(500)
    with caplog.at_level(logging.INFO, logger="skdeepcluster"):
        labels = objective.refresh(z)
    assert labels.tolist() == [0, 0, 0, 1, 2]
    assert objective.centers.flatten().tolist() == [1.0, 9.0, 10.5]
    assert objective.counts.tolist() == [500.0, 500.0, 100.0]
    assert caplog.messages == ["clusters without rows that start again: 1"]
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="skdeepcluster"):
        objective.refresh(z)
    assert caplog.messages == []


def test_labels_are_those_of_the_centers_after_a_new_start():
    """The new centre takes the rows around it too."""
    z = double([[0.0], [1.0], [20.0], [21.0]])
    objective = at(double([[0.5], [99.0]]))
    labels = objective.refresh(z)
    assert labels.tolist() == [0, 0, 1, 1]
    assert torch.equal(labels, objective.assign(z))


def test_empty_clusters_start_again_at_different_places():
    """The two farthest rows are the same; one centre is enough for them."""
    z = double([[0.0], [1.0], [20.0], [20.0], [-7.0]])
    objective = at(double([[0.5], [98.0], [99.0]]))
    assert objective.refresh(z).tolist() == [0, 0, 1, 1, 2]


def test_a_new_start_leaves_no_other_cluster_without_rows():
    """The farthest row is the only one of its cluster."""
    z = double([[0.0], [0.5], [0.6], [1.0], [10.0]])
    objective = at(double([[0.5], [9.0], [100.0]]))
    labels = objective.refresh(z)
    assert labels.tolist() == [2, 0, 0, 0, 1]
    assert objective.centers.flatten().tolist() == [0.5, 9.0, 0.0]


def test_a_cluster_that_a_new_start_empties_starts_again_too(caplog):
    """The new centre at 8 is nearer to 6 and 7 than theirs at 2."""
    z = double([[7.0], [6.0], [-1.0], [8.0], [-4.0], [-3.0]])
    objective = at(double([[-2.0], [2.0], [99.0]]))
    with caplog.at_level(logging.INFO, logger="skdeepcluster"):
        labels = objective.refresh(z)
    assert labels.tolist() == [1, 1, 0, 2, 0, 0]
    assert objective.centers.flatten().tolist() == [-2.0, 6.0, 8.0]
    assert caplog.messages == ["clusters without rows that start again: 2"]


@pytest.mark.parametrize("seed", range(40))
def test_no_cluster_stays_without_rows(seed):
    generator = torch.Generator().manual_seed(seed)
    k = 2 + seed % 7
    z = torch.randint(0, 9, (12, 2), generator=generator).double() ** 2
    centers = 40 * torch.randn(k, 2, generator=generator, dtype=torch.float64)
    weight = torch.randint(0, 2, (12,), generator=generator).double()
    objective = at(centers)
    labels = objective.refresh(z, weight)
    expected = min(k, len(z[weight > 0].unique(dim=0)))
    assert len(labels[weight > 0].unique()) == expected
    assert torch.equal(labels, objective.assign(z))


def test_processes_sum_equally_often():
    """Whatever rows they have: else they would wait for each other."""
    parts = double([[0.0], [0.5], [0.6]]), double([[1.0], [10.0], [-30.0]])
    processes, sums, calls = threading.Barrier(2, timeout=30), [None, None], [0, 0]

    def refresh(rank):
        def reduce(statistics):
            calls[rank] += 1
            sums[rank] = statistics
            processes.wait()
            total = sums[0] + sums[1]
            processes.wait()
            return total

        at(double([[0.5], [9.0], [100.0], [101.0]])).refresh(parts[rank], reduce=reduce)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(refresh, range(2)))
    assert calls[0] == calls[1] > 1


def test_rows_without_weight_take_no_cluster():
    z = double([[0.0], [1.0], [9.0], [30.0]])
    objective = at(double([[0.5], [99.0]]))
    labels = objective.refresh(z, double([1.0, 1.0, 1.0, 0.0]))
    assert objective.centers.flatten().tolist() == [0.5, 9.0]
    assert labels.tolist() == [0, 0, 1, 1]


def test_cluster_of_rows_without_weight_is_empty():
    z = double([[0.0], [1.0], [9.0]])
    objective = at(double([[0.2], [9.0]]))
    objective.refresh(z, double([1.0, 1.0, 0.0]))
    assert objective.centers.flatten().tolist() == [0.2, 1.0]


def test_cluster_with_rows_elsewhere_is_not_empty():
    objective = at(double([[0.5], [99.0]]))
    objective.refresh(double([[0.0], [1.0]]), reduce=lambda statistic: statistic + 1)
    assert objective.centers.flatten().tolist() == [0.5, 99.0]


def test_equal_rows():
    z = torch.ones(5, 2)
    objective = RunningKMeans(3, n_init=1)
    objective.initialise(z, None, torch.Generator().manual_seed(0))
    for _ in range(3):
        labels = objective.refresh(z)
        step(objective, z)
    assert torch.isfinite(objective.centers).all()
    assert not objective.loss(Batch(x=z, z=z, target=labels)).any()


@pytest.mark.parametrize("n, k, d", [(1, 1, 1), (5, 1, 2), (4, 4, 1)])
def test_edge_sizes(n, k, d):
    z, _ = random_case(n=n, k=k, d=d)
    objective = RunningKMeans(k, n_init=1, count_init=1)
    objective.initialise(z, None, torch.Generator().manual_seed(0))
    start = objective.centers.clone()
    assert torch.equal(objective.refresh(z), step(objective, z))
    torch.testing.assert_close(objective.centers, start, **TOLERANCE)
    assert objective.counts.sum() == k + n


def test_float32_keeps_its_dtype():
    z, centers = (value.float() for value in random_case())
    objective = at(centers)
    step(objective, z)
    assert objective.centers.dtype == torch.float32
    assert not torch.equal(objective.centers, centers)


def test_initialise_counts_anew():
    z, centers = random_case()
    objective = at(centers, count_init=7)
    step(objective, z)
    objective.initialise(z, None, torch.Generator().manual_seed(0))
    assert objective.counts.tolist() == [7.0] * 4


def test_reorder_and_state_dict_carry_the_counts():
    z, centers = random_case()
    objective = at(centers)
    step(objective, z)
    counts = objective.counts.clone()
    assert len(counts.unique()) > 1
    order = torch.tensor([2, 0, 3, 1])
    moved = objective.centers[order]
    objective.reorder(order)
    assert torch.equal(objective.counts, counts[order])
    assert torch.equal(objective.centers, moved)
    other = at(centers)
    other.load_state_dict(objective.state_dict())
    step(other, z)
    step(objective, z)
    assert torch.equal(other.centers, objective.centers)


def test_loss_without_target_is_an_error():
    z = torch.zeros(1, 1)
    with pytest.raises(ValueError, match=r"RunningKMeans needs batch\.target"):
        at(z).loss(Batch(x=z, z=z))
