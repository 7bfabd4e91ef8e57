"""Known answers of soft regularised k-means."""

import pytest
import torch

from skdeepcluster.kmeans import lloyd
from skdeepcluster.objectives import Batch, SoftRegularizedKMeans

Z = torch.tensor([[0.0], [1.0], [4.0]], dtype=torch.float64)
FIRST = torch.tensor([0, 0, 1]).numpy()


def random_rows(n=40, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def initialised(z, n_clusters=2, weight=None, start=None, **options):
    objective = SoftRegularizedKMeans(n_clusters, **options)
    objective.start = start
    objective.initialise(z, weight, torch.Generator().manual_seed(0))
    return objective


def published(**options):
    return initialised(Z, reg=0.5, start=lambda z, seed: FIRST, **options)


def test_first_step_by_hand():
    """Centres 1/2 and 4 from hard labels, at lambda K = 1."""
    loss = published()
    target = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert loss.temperature == 1.0
    assert loss.centers.flatten().tolist() == [0.5, 4.0]
    values = loss.loss(Batch(x=Z, z=Z, target=target))
    assert float(values.mean()) == pytest.approx(-5.5)
    expected = [[1.0, 0.0], [0.999842, 0.000158], [0.000005, 0.999995]]
    torch.testing.assert_close(
        loss.refresh(Z), torch.tensor(expected).double(), atol=6e-7, rtol=0
    )


def test_posteriors_are_those_of_the_softmax_layer():
    z = random_rows()
    loss = initialised(z, 4, reg=0.3)
    loss.refresh(z)
    scores = z @ loss.weight.T + loss.bias
    torch.testing.assert_close(loss.log_q(z), scores.log_softmax(1))
    share = loss.memberships(z).mean(0)
    torch.testing.assert_close(loss.log_shares.exp(), share)
    q = loss.memberships(z)
    p = (q * share).sqrt()
    torch.testing.assert_close(loss.soft_assign(z), p / p.sum(1, keepdim=True))


def test_loss_with_soft_targets_by_hand():
    z = random_rows()
    loss = initialised(z, 3, reg=0.2)
    q = loss.refresh(z)
    squared = torch.cdist(z, loss.centers).square()
    apart = (q * squared).sum(1) - z.square().sum(1)
    expected = apart / 0.6 + (q * q.log()).sum(1)
    torch.testing.assert_close(loss.loss(Batch(x=z, z=z, target=q)), expected)


def test_gradient_pulls_along_the_mean_center_alone():
    """The squared norms cancel: the gradient is -2 times the mean centre over T."""
    z = random_rows().requires_grad_()
    loss = initialised(z.detach(), 3, reg=0.2)
    q = loss.refresh(z.detach())
    loss.loss(Batch(x=z, z=z, target=q)).sum().backward()
    torch.testing.assert_close(z.grad, -2 * q @ loss.centers / 0.6)


def test_refresh_takes_the_centers_of_the_last_assignments():
    z, moved = random_rows(), random_rows(seed=1)
    loss = initialised(z, 3, reg=0.2)
    last = loss.refresh(z)
    loss.refresh(moved)
    expected = last.T @ moved / last.sum(0)[:, None]
    torch.testing.assert_close(loss.centers, expected)


def test_assignments_of_the_warm_up_are_the_first_labels():
    loss = published(warmup_epochs=1)
    moved = Z + torch.tensor([[0.0], [2.9], [0.0]])
    assert loss.refresh(moved).argmax(1).tolist() == [0, 0, 1]
    assert loss.centers.flatten().tolist() == pytest.approx([1.95, 4.0])
    loss.on_epoch(1)
    assert loss.refresh(moved).argmax(1).tolist() == [0, 1, 1]


def test_a_low_temperature_is_kmeans():
    z = random_rows(n=80)
    loss = initialised(z, 4, reg=1e-5, n_init=3)
    start = loss.centers.clone()
    loss.finish(z, None, torch.Generator())
    assert torch.equal(loss.assign(z), lloyd(z, start, tol=0.0).labels)
    assert loss.assignments is None
    assert bool(loss.soft_assign(z).isfinite().all())


def test_translation_moves_posteriors_but_not_assignments():
    z = random_rows()
    loss = initialised(z, 3, reg=0.2)
    q = loss.refresh(z)
    with torch.no_grad():
        loss.centers.add_(10.0)
    torch.testing.assert_close(loss.memberships(z + 10), q)
    one, other = (loss.loss(Batch(x=m, z=m, target=q)) for m in (z, z + 10))
    assert not torch.allclose(one, other)


def test_balanced_clusters_of_equal_norm_agree_in_all_rules():
    angles = torch.arange(3).double() * 2 * torch.pi / 3
    corners = torch.stack([angles.cos(), angles.sin()], dim=1)
    z = (corners[:, None] + 0.3 * random_rows(50, 2)).reshape(-1, 2)
    z = torch.cat([z, -z @ torch.tensor([[1.0, 0.0], [0.0, -1.0]]).double()])
    loss = initialised(z, 3, reg=0.05)
    with torch.no_grad():
        loss.centers.copy_(corners)
        loss.log_shares.fill_(-torch.tensor(3.0).log())
    nearest = torch.cdist(z, corners).argmin(1)
    assert torch.equal(loss.assign(z), nearest)
    assert torch.equal(loss.memberships(z).argmax(1), nearest)
    assert torch.equal((z @ loss.weight.T).argmax(1), nearest)


def test_weights_are_repetitions():
    z = random_rows(n=20)
    weight = torch.arange(20).double() % 3
    labels = torch.arange(20).numpy() % 2
    repeats = weight.long()
    one = initialised(z, weight=weight, reg=0.4, start=lambda z, seed: labels)
    other = initialised(
        z.repeat_interleave(repeats, 0),
        reg=0.4,
        start=lambda z, seed: labels.repeat(repeats.numpy()),
    )
    q = one.refresh(z, weight)
    torch.testing.assert_close(
        q.repeat_interleave(repeats, 0),
        other.refresh(z.repeat_interleave(repeats, 0)),
    )
    torch.testing.assert_close(one.log_shares, other.log_shares)


def test_reordered_clusters():
    z = random_rows()
    loss = initialised(z, 3, reg=0.2)
    loss.refresh(z)
    before = loss.soft_assign(z)
    loss.reorder(torch.tensor([2, 0, 1]))
    torch.testing.assert_close(loss.soft_assign(z), before[:, [2, 0, 1]])


def test_reg_must_be_positive():
    with pytest.raises(ValueError, match=r"range \(0.0, inf\). Got 0.0 instead"):
        SoftRegularizedKMeans(3, reg=0.0)
