"""Known answers for balanced assignments."""

import math

import pytest
import torch

from skdeepcluster.objectives import (
    BalancedAssignment,
    Batch,
    ClusteringObjective,
    Hardening,
    HardKMeans,
    SoftKMeans,
)


class LogOfEmbedding(ClusteringObjective):
    """The embedding itself is the soft assignment."""

    def log_q(self, z):
        return z.log()


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def loss_of(q, weight=None):
    objective = BalancedAssignment(LogOfEmbedding(q.shape[1]))
    return objective.loss(Batch(x=q, z=q, weight=weight))


def random_q(n=12, k=4):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(n, k, generator=generator, dtype=torch.float64)
    return scores.softmax(dim=1)


def soft_kmeans_at(centers, alpha=1000.0):
    clustering = SoftKMeans(len(centers), alpha)
    clustering._put_centers(centers)
    return clustering


def test_known_answer():
    """Shares .7 and .3, of a batch that says .8 and .6."""
    loss = loss_of(double([[0.8, 0.2], [0.6, 0.4]]))
    assert loss.shape == ()
    expected = math.log(2) + 0.7 * math.log(0.7) + 0.3 * math.log(0.3)
    assert expected == pytest.approx(0.0822828, abs=1e-7)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_agrees_with_the_formula():
    q = random_q()
    share = q.mean(dim=0)
    expected = (share * (share / (1 / 4)).log()).sum()
    torch.testing.assert_close(loss_of(q), expected)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_equal_shares_cost_nothing(k):
    """Also where every row is certain of its cluster."""
    certain = torch.eye(k, dtype=torch.float64).clamp(min=1e-300)
    for q in (certain, torch.full((3, k), 1 / k, dtype=torch.float64)):
        assert loss_of(q).item() == pytest.approx(0.0, abs=1e-12)


def test_one_cluster_for_all_costs_the_most():
    q = double([[1.0, 1e-300, 1e-300]] * 4)
    assert loss_of(q).item() == pytest.approx(math.log(3), abs=1e-12)
    assert loss_of(random_q()) < math.log(4)


def test_integer_weights_are_repeated_rows():
    q = random_q(n=6)
    weight = double([1, 3, 0, 2, 1, 5])
    weighted = loss_of(q, weight)
    torch.testing.assert_close(weighted, loss_of(q.repeat_interleave(weight.long(), 0)))
    torch.testing.assert_close(weighted, loss_of(q, 7 * weight))
    assert not torch.isclose(weighted, loss_of(q))


def test_numbers_of_clusters_do_not_matter():
    q = random_q()
    torch.testing.assert_close(loss_of(q[:, [2, 0, 3, 1]]), loss_of(q))


@pytest.mark.parametrize("weight", [None, [1.0, 0.0, 2.0]])
def test_gradients(weight):
    q = random_q(n=3).requires_grad_()
    weight = None if weight is None else double(weight)
    assert torch.autograd.gradcheck(lambda q: loss_of(q, weight), (q,))


def test_centers_learn_to_share():
    z = double([[0.0], [0.1], [0.2], [5.0]])
    clustering = Hardening(2)
    clustering._put_centers(double([[0.0], [6.0]]))
    objective = BalancedAssignment(clustering)
    optimizer = torch.optim.SGD(clustering.parameters(), lr=5.0)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        losses.append(objective.loss(Batch(x=z, z=z)))
        losses[-1].backward()
        optimizer.step()
    assert losses[0] > 0.1 and losses[-1] < 0.01
    shares = clustering.soft_assign(z).mean(dim=0)
    torch.testing.assert_close(shares, double([0.5, 0.5]), rtol=0, atol=0.07)


def test_share_that_underflows_has_a_gradient():
    """Its logarithm is about -99,000, and its exponential 0."""
    clustering = soft_kmeans_at(torch.tensor([[0.0], [10.0]]))
    z = torch.tensor([[0.0], [0.05]], requires_grad=True)
    loss = BalancedAssignment(clustering).loss(Batch(x=z, z=z))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert torch.isfinite(z.grad).all()
    assert torch.isfinite(clustering.centers.grad).all()


def test_equal_rows():
    clustering = soft_kmeans_at(torch.ones(3, 2))
    z = torch.ones(4, 2, requires_grad=True)
    loss = BalancedAssignment(clustering).loss(Batch(x=z, z=z))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert not z.grad.any()


@pytest.mark.parametrize("clustering", [HardKMeans(2), SoftKMeans(2, alpha=math.inf)])
def test_needs_soft_assignments(clustering):
    name = type(clustering).__name__
    with pytest.raises(ValueError, match=f"soft assignments. Got {name}"):
        BalancedAssignment(clustering)
