"""Known answers and properties of soft k-means."""

import math

import pytest
import torch

from skdeepcluster.kmeans import lloyd, soft_kmeans, soft_log_memberships, soft_means


def rows(n=60, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    x[: n // 2, 0] += 4
    return x


def covariance_eigenvalue(x):
    centred = x - x.mean(0)
    return float(torch.linalg.eigvalsh(centred.T @ centred / len(x))[-1])


def test_memberships_by_hand():
    """Squared distances 1/4, 49/4 and so on of the published example, at T = 1."""
    z = torch.tensor([[0.0], [1.0], [4.0]], dtype=torch.float64)
    centers = torch.tensor([[0.5], [4.0]], dtype=torch.float64)
    q = soft_log_memberships(z, centers, 1.0).exp()
    ratio = math.exp(-(9.0 - 0.25))
    assert q[1].tolist() == pytest.approx([1 / (1 + ratio), ratio / (1 + ratio)])
    expected = [[1.0, 0.0], [0.999842, 0.000158], [0.000005, 0.999995]]
    torch.testing.assert_close(
        q, torch.tensor(expected, dtype=torch.float64), atol=6e-7, rtol=0
    )


def test_means_by_hand():
    x = torch.tensor([[0.0], [2.0], [4.0]], dtype=torch.float64)
    q = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], dtype=torch.float64)
    start = torch.zeros(2, 1, dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    assert soft_means(x, q, start).flatten().tolist() == [2 / 3, 10 / 3]
    assert soft_means(x, q, start, weight).flatten().tolist() == [1.0, 3.5]


def test_a_cluster_without_members_keeps_its_center():
    x = torch.ones(3, 1, dtype=torch.float64)
    q = torch.tensor([[1.0, 0.0]] * 3, dtype=torch.float64)
    start = torch.tensor([[0.0], [7.0]], dtype=torch.float64)
    assert soft_means(x, q, start).flatten().tolist() == [1.0, 7.0]


@pytest.mark.parametrize("temperature", [1e-3, 0.5, 2.0, 20.0])
def test_the_objective_never_rises(temperature):
    x = rows()
    found = soft_kmeans(x, x[:4], temperature, tol=0.0, max_iter=50)
    steps = torch.tensor(found.objectives).diff()
    assert len(steps) > 1
    assert float(steps.max()) <= 1e-9 * abs(found.objectives[0])
    torch.testing.assert_close(found.memberships.sum(1), torch.ones(60).double())


def test_a_low_temperature_is_lloyd():
    x = rows()
    hard = lloyd(x, x[:4], tol=0.0)
    soft = soft_kmeans(x, x[:4], 1e-4, tol=0.0)
    assert torch.equal(soft.memberships.argmax(1), hard.labels)
    torch.testing.assert_close(soft.centers, hard.centers, atol=1e-3, rtol=0)


def test_centers_merge_at_the_critical_temperature_and_not_below():
    x = rows()
    critical = 2 * covariance_eigenvalue(x)
    spread = {}
    for factor in (0.95, 1.05):
        found = soft_kmeans(x, x[:4], factor * critical, tol=0.0, max_iter=3000)
        spread[factor] = float((found.centers - x.mean(0)).norm(dim=1).max())
    assert spread[1.05] < 1e-5 < 0.1 < spread[0.95]


def test_integer_weights_are_repetitions():
    x = rows(n=20)
    weight = torch.arange(20).double() % 3
    one = soft_kmeans(x, x[:3], 0.5, weight=weight, tol=0.0, max_iter=20)
    other = soft_kmeans(
        x.repeat_interleave(weight.long(), 0), x[:3], 0.5, tol=0.0, max_iter=20
    )
    torch.testing.assert_close(one.centers, other.centers)
    assert one.objectives == pytest.approx(other.objectives)


def test_statistics_of_all_processes_move_the_centers():
    x = rows()
    doubled = soft_kmeans(x, x[:3], 0.5, max_iter=5, tol=0.0, reduce=lambda t: 2 * t)
    single = soft_kmeans(x, x[:3], 0.5, max_iter=5, tol=0.0)
    torch.testing.assert_close(doubled.centers, single.centers)
    assert doubled.objectives == pytest.approx([2 * j for j in single.objectives])


def test_a_row_does_not_depend_on_the_others():
    x, centers = rows().float(), rows()[:4]
    whole = soft_log_memberships(x, centers, 0.1)
    alone = torch.cat([soft_log_memberships(row, centers, 0.1) for row in x.split(1)])
    assert torch.equal(whole, alone)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_must_be_positive(temperature):
    x = rows()
    with pytest.raises(ValueError, match="temperature=.* should be > 0"):
        soft_kmeans(x, x[:2], temperature)
