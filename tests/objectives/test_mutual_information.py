"""Known answers of the mutual information and of its closed-form targets."""

import math

import pytest
import torch

from skdeepcluster.objectives import Batch, MutualInformation, balanced_targets

P = torch.tensor([[0.8, 0.2], [0.6, 0.4]], dtype=torch.float64)


def close(actual, expected, atol=6e-7):
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


def random_posteriors(n=50, k=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, k, generator=generator, dtype=torch.float64).log_softmax(1)


def random_rows(n=40, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def initialised(z=None, n_clusters=3, start=None, **options):
    z = random_rows() if z is None else z
    objective = MutualInformation(n_clusters, n_init=3, **options)
    objective.start = start
    objective.initialise(z, None, torch.Generator().manual_seed(0))
    return objective


def auxiliary_objective(q, log_p, power):
    """F without the regulariser."""
    mean = q.mean(0)
    rows = (torch.xlogy(q, q) - power * q * log_p).sum(1).mean()
    return float(rows + torch.xlogy(mean, mean).sum())


def test_targets_by_hand():
    close(balanced_targets(P.log(), 1), [[0.723651, 0.276349], [0.495454, 0.504546]])
    close(balanced_targets(P.log(), 2), [[0.877382, 0.122618], [0.501553, 0.498447]])


@pytest.mark.parametrize("power, gap", [(1, 4e-4), (2, 1e-3)])
def test_targets_are_near_the_minimum(power, gap):
    """Not far above the exact fixed point, and below q = p."""
    log_p = random_posteriors()
    q = balanced_targets(log_p, power)
    found = auxiliary_objective(q, log_p, power)
    exact = log_p.exp()
    for _ in range(500):
        exact = (power * log_p - exact.mean(0).log()).softmax(1)
    least = auxiliary_objective(exact, log_p, power)
    assert least <= found < auxiliary_objective(log_p.exp(), log_p, power)
    assert found - least < gap


def test_weights_of_the_targets_are_repetitions():
    log_p = random_posteriors(n=12)
    weight = torch.arange(12).double() % 3
    repeated = balanced_targets(log_p.repeat_interleave(weight.long(), 0), 2)
    ours = balanced_targets(log_p, 2, weight).repeat_interleave(weight.long(), 0)
    torch.testing.assert_close(ours, repeated)


def test_statistics_of_all_processes_set_the_targets():
    log_p = random_posteriors()
    halves = log_p.split(25)
    total = log_p.mul(2).exp().sum(0)
    parts = [balanced_targets(half, 2, reduce=lambda _: total) for half in halves]
    torch.testing.assert_close(torch.cat(parts), balanced_targets(log_p, 2))


def test_targets_of_posteriors_that_underflow():
    log_p = torch.tensor([[0.0, -800.0], [-800.0, 0.0]], dtype=torch.float64)
    close(balanced_targets(log_p, 2), [[1.0, 0.0], [0.0, 1.0]])


def test_clusters_of_equal_total_get_sharper_targets():
    log_p = torch.tensor([[0.7, 0.3], [0.3, 0.7]], dtype=torch.float64).log()
    q = balanced_targets(log_p, 2)
    close(q[0], [0.49 / 0.58, 0.09 / 0.58], atol=1e-12)


@pytest.mark.parametrize("objective, power", [("mi", 2), ("kl", 1)])
def test_loss_by_hand(objective, power):
    loss = initialised(objective=objective, reg=0.5)
    z = random_rows()[:5]
    q = loss.refresh(random_rows())[:5]
    scores = z @ loss.weight.T + loss.bias
    cross = torch.logsumexp(scores, 1) - (q * scores).sum(1)
    expected = power * cross + 0.5 * (loss.weight**2).sum()
    torch.testing.assert_close(loss.loss(Batch(x=z, z=z, target=q)), expected)


def test_gradient_reaches_layer_and_embedding():
    loss = initialised(reg=0.1)
    z = random_rows().requires_grad_()
    loss.loss(Batch(x=z, z=z, target=loss.refresh(z))).sum().backward()
    for tensor in (z, loss.weight, loss.bias):
        assert float(tensor.grad.abs().max()) > 0


def test_targets_of_the_warm_up_are_the_first_labels():
    loss = initialised(warmup_epochs=2)
    z = random_rows()
    labels = loss.first_labels
    with torch.no_grad():
        loss.bias.add_(torch.tensor([5.0, 0.0, -5.0]))
    for epoch, hard in [(0, True), (1, True), (2, False)]:
        loss.on_epoch(epoch)
        q = loss.refresh(z)
        assert bool(((q == 0) | (q == 1)).all()) is hard
        assert torch.equal(q.argmax(1), labels) is hard


def test_finish_gives_the_means_by_posteriors_and_forgets_the_rows():
    loss = initialised(warmup_epochs=1)
    z = random_rows()
    loss.finish(z, None, torch.Generator())
    p = (z @ loss.weight.T + loss.bias).softmax(1)
    torch.testing.assert_close(loss.centers, (p.T @ z / p.sum(0)[:, None]).detach())
    assert loss.first_labels is None


def test_start_gives_the_labels():
    z = random_rows()
    labels = torch.arange(len(z)).numpy() % 3
    loss = initialised(z, start=lambda z, seed: labels, warmup_epochs=1)
    assert loss.refresh(z).argmax(1).tolist() == labels.tolist()
    torch.testing.assert_close(loss.centers[1], z[1::3].mean(0))


@pytest.mark.parametrize(
    "labels, message",
    [
        (torch.zeros(40).long().numpy(), r"rows in all 3 clusters, got rows in 1\."),
        (torch.arange(40).numpy() % 4, r"in \[0, 3\), got 0 to 3\."),
        (torch.arange(40).numpy() % 3 - 1, r"in \[0, 3\), got -1 to 1\."),
        (torch.zeros(39).long().numpy(), r"40 integers, got an array of shape \(39,\)"),
        (torch.zeros(40).numpy(), "40 integers, got an array of .* dtype float32"),
    ],
)
def test_wrong_first_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        initialised(start=lambda z, seed: labels)


def test_weights_of_the_start():
    z, weight = random_rows(n=6), torch.tensor([1.0, 3.0, 0.0, 1.0, 1.0, 1.0])
    loss = MutualInformation(2)
    loss.start = lambda z, seed: torch.arange(6).numpy() % 2
    loss.initialise(z, weight, torch.Generator())
    torch.testing.assert_close(loss.centers[0], (z[0] + z[4]) / 2)
    torch.testing.assert_close(loss.centers[1], (3 * z[1] + z[3] + z[5]) / 5)


def test_unknown_objective():
    message = "must be 'mi' or 'kl'. Got 'js' instead"
    with pytest.raises(ValueError, match=message):
        MutualInformation(3, objective="js")


def test_reordered_clusters():
    loss, z = initialised(), random_rows()
    before = loss.soft_assign(z)
    loss.reorder(torch.tensor([2, 0, 1]))
    torch.testing.assert_close(loss.soft_assign(z), before[:, [2, 0, 1]])
    assert math.isclose(float(before.sum()), len(z))
