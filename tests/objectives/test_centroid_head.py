"""Known answers and invariants of the centroid layer and its losses."""

import math

import pytest
import torch

from skdeepcluster.objectives import (
    Batch,
    CentroidHead,
    bce_loss,
    centroid_logits,
    ct_loss,
    ga_loss,
)

KINDS = ("ga", "ct", "bce")


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def random_rows(n=40, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def codes_of(n=40, k=4):
    return torch.arange(n) % k


def initialised(z, k=4, weight=None, **options):
    head = CentroidHead(codes_of(len(z), k), k, **options)
    head.initialise(z, weight, torch.Generator())
    return head


def with_gammas(head, gammas):
    with torch.no_grad():
        head.gamma.copy_(double(gammas))
    return head


# --- a case by hand: gamma 0.5, squared distances 1 and 4 ---------------------

LOGITS = double([[-0.5, -2.0]])
FIRST = torch.tensor([0])


def test_confidences_and_probabilities():
    centers, gamma = double([[1.0, 0.0], [0.0, 2.0]]), double([0.5, 0.5])
    logits = centroid_logits(double([[0.0, 0.0]]), centers, gamma)
    torch.testing.assert_close(logits, LOGITS)
    known = {"rtol": 0, "atol": 1e-6}
    torch.testing.assert_close(logits.exp(), double([[0.606531, 0.135335]]), **known)
    softmax = logits.softmax(dim=1)
    torch.testing.assert_close(softmax, double([[0.817574, 0.182426]]), **known)


def test_losses():
    delta = double([0.9, 0.9])
    assert ga_loss(LOGITS, FIRST, delta).item() == pytest.approx(0.691008, abs=1e-6)
    assert ct_loss(LOGITS, FIRST).item() == pytest.approx(0.701413, abs=1e-6)
    plain = ct_loss(LOGITS, FIRST, nll_weight=0.0).item()
    assert plain == pytest.approx(-math.log(0.817574), abs=1e-6)
    expected = 0.5 - math.log(1 - math.exp(-2))
    assert bce_loss(LOGITS, FIRST).item() == pytest.approx(expected, abs=1e-12)


def test_each_class_has_its_delta():
    delta = double([0.3, 0.8])
    apart = math.exp(-0.5) + math.exp(0.8 * -2.0)
    expected = 0.5 + math.log(apart) + 0.3 * 0.5
    assert ga_loss(LOGITS, FIRST, delta).item() == pytest.approx(expected, abs=1e-12)


def test_confidence_is_the_likelihood_of_bce():
    logits = -random_rows(d=4).square() - 0.01
    target = codes_of()
    expected = torch.nn.functional.binary_cross_entropy(
        logits.exp(), torch.nn.functional.one_hot(target).double(), reduction="none"
    )
    torch.testing.assert_close(bce_loss(logits, target), expected.sum(dim=1))


def test_bce_at_the_centroid_of_another_class():
    """Neither infinite, nor with a gradient that throws the network off."""
    z = double([[1.0, 1.0]]).requires_grad_()
    centers = double([[0.0, 0.0], [1.0, 1.0]])
    loss = bce_loss(centroid_logits(z, centers, double([1.0, 1.0])), FIRST)
    assert loss.item() == pytest.approx(2 - math.log(-math.expm1(-1e-3)))
    loss.backward()
    torch.testing.assert_close(z.grad, double([[2.0, 2.0]]))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind):
    z = random_rows(n=8).requires_grad_()
    head = with_gammas(initialised(z.detach(), kind=kind), [0.3, 1.0, 2.0, 0.7])
    batch = Batch(x=z, z=z, index=torch.arange(8))
    inputs = [z, head.centers, head.gamma] + ([head.delta] if kind == "ga" else [])
    assert torch.autograd.gradcheck(lambda *_: head.loss(batch), inputs)


def test_gradient_of_the_pull():
    """With one class the cross-entropy is zero: 2 delta gamma (z - m) remains."""
    z = random_rows(n=8).requires_grad_()
    center, gamma, delta = double([[1.0, 0.0, 2.0]]), double([0.7]), double([0.4])
    logits = centroid_logits(z, center, gamma)
    loss = ga_loss(logits, torch.zeros(8, dtype=torch.long), delta)
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    torch.testing.assert_close(gradient, 2 * 0.4 * 0.7 * (z.detach() - center))


# --- the layer ----------------------------------------------------------------


def test_centroids_start_as_class_means():
    z = random_rows()
    head = initialised(z)
    means = torch.stack([z[codes_of() == k].mean(dim=0) for k in range(4)])
    torch.testing.assert_close(head.centers.detach(), means, rtol=0, atol=1e-12)


def test_gammas_start_at_the_inverse_of_the_scatter():
    """Centroids 1 and 11, squared distances 1, 1, 4, 9 and 1."""
    head = CentroidHead(torch.tensor([0, 0, 1, 1, 1]), 2)
    z = double([[0.0], [2.0], [9.0], [14.0], [10.0]])
    head.initialise(z, None, torch.Generator())
    assert head.centers.flatten().tolist() == [1.0, 11.0]
    torch.testing.assert_close(head.gamma.detach(), double([5 / 16, 5 / 16]))
    head.initialise(1e3 * z, None, torch.Generator())
    torch.testing.assert_close(head.gamma.detach(), double([0.05, 0.05]))
    for small in (0.1 * z, 0 * z):
        head.initialise(small, None, torch.Generator())
        assert head.gamma.tolist() == [1.0, 1.0]
    assert initialised(random_rows(), gamma_init=0.7).gamma.tolist() == [0.7] * 4


def test_weights_enter_the_start():
    z, weight = random_rows(n=8), torch.tensor([1, 2, 3, 1, 0, 2, 1, 5]).double()
    repeated = z.repeat_interleave(weight.long(), dim=0)
    head = CentroidHead(codes_of(8, 4).repeat_interleave(weight.long()), 4)
    head.initialise(repeated, None, torch.Generator())
    weighted = initialised(z, weight=weight)
    torch.testing.assert_close(weighted.centers, head.centers)
    torch.testing.assert_close(weighted.gamma, head.gamma)


def test_statistics_of_all_processes_set_the_means():
    z = random_rows()
    head = CentroidHead(codes_of(), 4)
    head.initialise(z, None, torch.Generator(), reduce=lambda total: 2 * total)
    torch.testing.assert_close(head.centers, initialised(z).centers)
    torch.testing.assert_close(head.gamma, initialised(z).gamma)


def test_confidence_of_a_centroid_is_one():
    head = with_gammas(initialised(random_rows()), [0.05, 1.0, 30.0, 1000.0])
    confidence = head.confidence(head.centers.detach())
    torch.testing.assert_close(confidence.diagonal(), torch.ones(4).double())
    assert (confidence - torch.eye(4)).max() < 1


def test_confidence_falls_along_any_ray():
    head = with_gammas(initialised(random_rows()), [0.05, 1.0, 3.0, 10.0])
    rays = random_rows(n=20, seed=1)
    for k in range(4):
        steps = double([0.0, 0.1, 0.5, 1.0, 3.0])
        path = head.centers.detach()[k] + steps[:, None, None] * rays  # (5, 20, 3)
        along = torch.stack([head.confidence(rows)[:, k] for rows in path])
        assert (along.diff(dim=0) < 0).all()


def test_confidences_need_not_sum_to_one():
    head = initialised(random_rows(), gamma_init=1.0)
    far = head.confidence(100 + random_rows())
    assert far.sum(dim=1).max() < 1e-6
    with torch.no_grad():
        head.centers[1] = head.centers[0]
    near = head.confidence(head.centers.detach()[:1])
    assert near[0, :2].sum().item() == pytest.approx(2.0)
    q = head.soft_assign(random_rows())
    torch.testing.assert_close(q.sum(dim=1), torch.ones(40).double())


def test_project_clamps_gamma_and_delta():
    head = initialised(random_rows(), gamma_bounds=(0.1, 10.0))
    with torch.no_grad():
        head.gamma.copy_(double([-1.0, 0.05, 5.0, 11.0]))
        head.delta.copy_(double([-1.0, 0.0005, 0.5, 1.0]))
    head.project()
    torch.testing.assert_close(head.gamma.detach(), double([0.1, 0.1, 5.0, 10.0]))
    torch.testing.assert_close(head.delta.detach(), double([0.001, 0.001, 0.5, 0.9]))


def test_a_start_outside_of_the_bounds_is_brought_in():
    head = initialised(random_rows(), gamma_init=20.0, gamma_bounds=(0.1, 10.0))
    assert head.gamma.tolist() == [10.0] * 4


def test_delta_decays():
    """Its gradient has 5e-3 delta added, as by an optimizer's weight decay."""
    z = random_rows(n=4)
    head = initialised(z)
    loss = head.loss(Batch(x=z, z=z, index=torch.arange(4)))
    plain = ga_loss(head.logits(z), codes_of(4), head.delta)
    (decay,) = torch.autograd.grad((loss - plain).mean(), head.delta)
    torch.testing.assert_close(decay, 5e-3 * head.delta.detach())


@pytest.mark.parametrize("kind", KINDS)
def test_only_ga_learns_delta(kind):
    head = initialised(random_rows(), kind=kind)
    learnt = [name for name, p in head.named_parameters() if p.requires_grad]
    assert learnt == ["centers", "gamma"] + (["delta"] if kind == "ga" else [])


def test_classes_of_the_rows_are_no_state():
    head = initialised(random_rows())
    assert "codes" not in head.state_dict()
    head.codes = None
    with pytest.raises(ValueError, match="classes of all rows"):
        head.loss(Batch(x=random_rows(), z=random_rows(), index=torch.arange(40)))
    with pytest.raises(ValueError, match="classes of all rows"):
        head.initialise(random_rows(), None, torch.Generator())


# --- the margin ---------------------------------------------------------------


def test_margin_by_hand():
    """Between (0, 0) and (4, 0) with equal gammas the boundary is at 2."""
    head = CentroidHead(torch.arange(2), 2, gamma_init=1.0)
    head.initialise(double([[0.0, 0.0], [4.0, 0.0]]), None, torch.Generator())
    z = double([[1.0, 0.0], [2.0, 7.0], [5.0, -3.0]])
    torch.testing.assert_close(head.margin(z), double([1.0, 0.0, 3.0]))
    # With gammas 1 and 4: |x| = 2 |x - 4|, a circle around 16/3 with radius 8/3.
    with_gammas(head, [1.0, 4.0])
    apart = [math.hypot(16 / 3 - x, y) - 8 / 3 for x, y in z.tolist()]
    torch.testing.assert_close(head.margin(z), double(apart))


@pytest.mark.parametrize("gammas", [[1.0] * 4, [0.3, 1.0, 1.0 + 1e-9, 40.0]])
def test_margin_is_the_distance_to_another_decision(gammas):
    head = with_gammas(initialised(random_rows()), gammas)
    z = 2 * random_rows(n=30, seed=2)
    margin, before = head.margin(z), head.assign(z)
    rays = torch.nn.functional.normalize(random_rows(n=2000, seed=3), dim=1)
    for row, radius, label in zip(z, margin, before, strict=True):
        inside = row + radius * (1 - 1e-9) * rays
        assert (head.assign(inside) == label).all()
    pulls = head.gamma[:, None] * (z[:, None] - head.centers)
    own = pulls[torch.arange(30), before][:, None]
    towards = torch.nn.functional.normalize((own - pulls).detach(), dim=2)
    reached = z[:, None] + (margin * (1 + 1e-6) + 1e-12)[:, None, None] * towards
    found = torch.stack([head.assign(rows) for rows in reached.unbind(1)], dim=1)
    assert (found != before[:, None]).any(dim=1).all()


def test_margin_of_centroids_in_one_place():
    z = double([[0.0], [0.0], [0.0], [0.0]])
    head = CentroidHead(torch.arange(2).repeat(2), 2, gamma_init=1.0)
    head.initialise(z, None, torch.Generator())
    assert head.margin(double([[0.0], [3.0]])).tolist() == [0.0, 0.0]
    with_gammas(head, [1.0, 2.0])
    torch.testing.assert_close(head.margin(double([[3.0]])), double([3.0]))
