"""Known answers for DEC's soft assignments, target and loss."""

import pytest
import torch

from skdeepcluster.objectives import (
    Batch,
    Hardening,
    _base,
    _hardening,
    kl_divergence,
    student_t_log_q,
    target_distribution,
)

Z = [[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]
CENTERS = [[0.0, 0.0], [2.0, 0.0]]
Q = [[5 / 6, 1 / 6], [1 / 2, 1 / 2], [1 / 6, 5 / 6]]
P = [[25 / 26, 1 / 26], [1 / 2, 1 / 2], [1 / 26, 25 / 26]]
KL = [0.0811993855, 0.0, 0.0811993855]
TOLERANCE = {"rtol": 0, "atol": 1e-9}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def hardening_at(centers, alpha=1.0):
    objective = Hardening(len(centers), alpha)
    objective.centers = torch.nn.Parameter(torch.as_tensor(centers).clone())
    return objective


def batch_of(z, target):
    return Batch(x=z, z=z, target=target)


def random_case(n=40, k=4, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, d, generator=generator, dtype=torch.float64)
    centers = torch.randn(k, d, generator=generator, dtype=torch.float64)
    return z, centers


def q_of(z, centers, alpha=1.0):
    return student_t_log_q(z, centers, alpha).exp()


def test_soft_assignments():
    torch.testing.assert_close(q_of(double(Z), double(CENTERS)), double(Q), **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [1e-323, 1e-200, 1e-45, 1e-38, 1e-30])
def test_few_degrees_of_freedom_stay_finite(alpha, dtype):
    """The limit: one over the distances, of which the quotient would overflow."""
    z, centers = (value.to(dtype) for value in random_case())
    centers[0] = z[0]
    z, centers = z.requires_grad_(), centers.requires_grad_()
    log_q = student_t_log_q(z, centers, alpha)
    near = 1 / torch.cdist(z[1:], centers)
    expected = near / near.sum(dim=1, keepdim=True)
    torch.testing.assert_close(log_q[1:].exp(), expected, rtol=1e-5, atol=0)
    assert log_q[0].exp().argmax() == 0
    (log_q.exp() * log_q).sum().backward()
    for value in (log_q, z.grad, centers.grad):
        assert torch.isfinite(value).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_small_alphas_join_the_others(dtype):
    z, centers = (value.to(dtype) for value in random_case())
    edge = torch.finfo(dtype).tiny ** 0.5
    below = student_t_log_q(z, centers, edge * (1 - 1e-6))
    torch.testing.assert_close(student_t_log_q(z, centers, edge), below)


def test_alpha_beyond_the_numbers_of_the_dtype_is_an_error():
    z, centers = random_case()
    assert student_t_log_q(z, centers, 1e300).isfinite().all()
    with pytest.raises(ValueError, match=r"'alpha'.* 3\.4e\+38.*float32. Got 1e\+300"):
        student_t_log_q(z.float(), centers.float(), 1e300)


def test_soft_assignments_with_two_degrees_of_freedom():
    expected = [
        [0.8386095222, 0.1613904778],
        [0.5, 0.5],
        [0.1246706805, 0.8753293195],
    ]
    q = q_of(double(Z), double(CENTERS), alpha=2.0)
    torch.testing.assert_close(q, double(expected), **TOLERANCE)


def test_target():
    torch.testing.assert_close(target_distribution(double(Q)), double(P), **TOLERANCE)


def test_target_may_flip_a_row():
    """A row's argmax can change: the target divides by the clusters' frequencies."""
    q = double([[0.8, 0.2], [0.6, 0.4]])
    p = target_distribution(q)
    expected = [[0.872727, 0.127273], [0.490909, 0.509091]]
    torch.testing.assert_close(p, double(expected), rtol=0, atol=1e-6)
    assert kl_divergence(p, q.log()).sum().item() == pytest.approx(0.042674, abs=1e-6)


def test_target_of_a_batch_is_another_target():
    expected = [[0.9259259259, 0.0740740741], [1 / 3, 2 / 3]]
    p = target_distribution(double(Q[:2]))
    torch.testing.assert_close(p, double(expected), **TOLERANCE)


def test_loss_per_row():
    objective = hardening_at(double(CENTERS))
    z = double(Z)
    loss = objective.loss(batch_of(z, objective.refresh(z)))
    torch.testing.assert_close(loss.detach(), double(KL), **TOLERANCE)
    assert loss.mean().item() == pytest.approx(0.0541329236, abs=1e-9)


def test_gradients():
    objective = hardening_at(double(CENTERS))
    z = double(Z).requires_grad_()
    objective.loss(batch_of(z, double(P))).sum().backward()
    dz = [[0.1025641026, 0.0], [0.0, 0.0], [0.0512820513, 0.0]]
    dmu = [[0.0769230769, 0.0], [-0.2307692308, 0.0]]
    torch.testing.assert_close(z.grad, double(dz), **TOLERANCE)
    torch.testing.assert_close(objective.centers.grad, double(dmu), **TOLERANCE)
    total = z.grad.sum(dim=0) + objective.centers.grad.sum(dim=0)
    torch.testing.assert_close(total, torch.zeros(2).double(), **TOLERANCE)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_autograd_agrees_with_the_closed_form(alpha):
    z, centers = random_case()
    objective = hardening_at(centers, alpha)
    p = objective.refresh(z)
    z.requires_grad_()
    objective.loss(batch_of(z, p)).sum().backward()
    with torch.no_grad():
        difference = z.unsqueeze(1) - centers  # (n, k, d)
        kernel = 1 / (1 + difference.square().sum(dim=2) / alpha)
        pull = kernel * (p - q_of(z, centers, alpha))
        terms = (alpha + 1) / alpha * pull.unsqueeze(2) * difference
    torch.testing.assert_close(z.grad, terms.sum(dim=1), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        objective.centers.grad, -terms.sum(dim=0), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_gradcheck(alpha):
    z, centers = random_case(n=5)
    p = target_distribution(q_of(z, centers, alpha))

    def loss(z, centers):
        return kl_divergence(p, student_t_log_q(z, centers, alpha))

    inputs = (z.requires_grad_(), centers.requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)


@pytest.mark.parametrize(
    "scale, row",
    [(0.1, [0.5098039216, 0.4901960784]), (10.0, [0.9975124378, 0.0024875622])],
)
def test_assignments_depend_on_scale(scale, row):
    q = q_of(double(Z) * scale, double(CENTERS) * scale)
    torch.testing.assert_close(q[0], double(row), **TOLERANCE)


def test_assignments_do_not_depend_on_translation():
    shift = double([3.0, -7.0])
    q = q_of(double(Z) + shift, double(CENTERS) + shift)
    torch.testing.assert_close(q, double(Q), **TOLERANCE)


def test_permuted_centers_permute_columns():
    z, centers = random_case()
    order = torch.tensor([2, 0, 3, 1])
    q, permuted = q_of(z, centers), q_of(z, centers[order])
    torch.testing.assert_close(permuted, q[:, order], **TOLERANCE)
    torch.testing.assert_close(
        target_distribution(permuted), target_distribution(q)[:, order], **TOLERANCE
    )


@pytest.mark.parametrize("far", [1e4, 1e8])
def test_far_rows_stay_finite_in_float32(far):
    objective = hardening_at([[0.0, 0.0], [2.0, 0.0]])
    z = torch.tensor([[far, 0.0], [-far, far], [0.0, 0.0]]).requires_grad_()
    p = objective.refresh(z.detach())
    loss = objective.loss(batch_of(z, p))
    loss.sum().backward()
    assert p.dtype == loss.dtype == torch.float32
    for value in (p, loss, z.grad, objective.centers.grad, objective.soft_assign(z)):
        assert torch.isfinite(value).all()


def test_far_from_the_origin_no_digits_are_lost():
    """Expanding the square would cancel here."""
    offset = 4096.0
    z, centers = torch.tensor(Z) + offset, torch.tensor(CENTERS) + offset
    torch.testing.assert_close(q_of(z, centers), torch.tensor(Q), rtol=0, atol=1e-6)


def test_empty_cluster_gives_no_nan():
    q = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    p = target_distribution(q)
    torch.testing.assert_close(p, q)
    assert torch.isfinite(kl_divergence(p, q.clamp(min=1e-30).log())).all()


def test_uniform_assignments_are_a_fixed_point():
    objective = hardening_at(double([[-1.0, 0.0], [1.0, 0.0]]))
    z = double([[0.0, 0.0], [0.0, 2.0], [0.0, -5.0]]).requires_grad_()
    p = objective.refresh(z.detach())
    loss = objective.loss(batch_of(z, p))
    loss.sum().backward()
    torch.testing.assert_close(p, torch.full_like(p, 0.5), **TOLERANCE)
    zero = {"rtol": 0, "atol": 1e-15}
    torch.testing.assert_close(loss.detach(), torch.zeros(3).double(), **zero)
    torch.testing.assert_close(z.grad, torch.zeros(3, 2).double(), **zero)


def test_equal_rows_are_a_fixed_point():
    """Their target is their assignment, uniform or not."""
    q = double([[0.7, 0.2, 0.1]] * 4)
    torch.testing.assert_close(target_distribution(q), q, **TOLERANCE)


def test_target_has_no_gradient():
    z, centers = random_case()
    q = q_of(z.requires_grad_(), centers)
    assert q.requires_grad
    assert not target_distribution(q).requires_grad
    assert not hardening_at(centers).refresh(z).requires_grad


def test_integer_weights_are_repeated_rows():
    z, centers = random_case(n=6)
    weight = torch.tensor([1.0, 3.0, 0.0, 2.0, 1.0, 5.0]).double()
    repeated = z.repeat_interleave(weight.long(), dim=0)
    objective = hardening_at(centers)
    weighted = objective.refresh(z, weight).repeat_interleave(weight.long(), dim=0)
    torch.testing.assert_close(weighted, objective.refresh(repeated), **TOLERANCE)
    assert not torch.allclose(objective.refresh(z, weight), objective.refresh(z))


def test_reduce_sums_the_frequencies_over_processes():
    z, centers = random_case()
    q = q_of(z, centers)
    other = q[25:].sum(dim=0)
    p = target_distribution(q[:25], reduce=lambda statistic: statistic + other)
    torch.testing.assert_close(p, target_distribution(q)[:25], **TOLERANCE)
    refreshed = hardening_at(centers).refresh(z[:25], reduce=lambda s: s + other)
    torch.testing.assert_close(refreshed, p, **TOLERANCE)


def test_reorder_renumbers_the_clusters():
    z, centers = random_case()
    objective = hardening_at(centers)
    before = objective.soft_assign(z)
    order = torch.tensor([2, 0, 3, 1])
    objective.reorder(order)
    torch.testing.assert_close(objective.centers.detach(), centers[order])
    torch.testing.assert_close(objective.soft_assign(z), before[:, order], **TOLERANCE)
    assert isinstance(objective.centers, torch.nn.Parameter)


@pytest.mark.parametrize("kept", [True, False])
def test_blocks_do_not_change_the_target(monkeypatch, kept):
    """Nor does it matter whether assignments are kept or computed again."""
    z, centers = random_case(n=101)
    objective = hardening_at(centers)
    whole = objective.refresh(z)
    sizes = []
    original = student_t_log_q

    def spy(z, *args):
        sizes.append(len(z))
        return original(z, *args)

    monkeypatch.setattr(_base, "_BLOCK_ELEMENTS", 10 * centers.numel())
    monkeypatch.setattr(_hardening, "_KEPT_ELEMENTS", 101 * 4 - (not kept))
    monkeypatch.setattr(_hardening, "student_t_log_q", spy)
    torch.testing.assert_close(objective.refresh(z), whole, rtol=1e-14, atol=0)
    assert sizes == (1 if kept else 2) * ([10] * 10 + [1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtypes(dtype):
    z, centers = (value.to(dtype) for value in random_case())
    objective = hardening_at(centers)
    q = objective.soft_assign(z)
    assert q.dtype == torch.float64
    assert not q.requires_grad
    torch.testing.assert_close(q.sum(dim=1), torch.ones(len(z)).double())
    assert objective.refresh(z).dtype == dtype
    assert torch.equal(objective.assign(z), q.argmax(dim=1))
    assert torch.equal(objective.assign(z), torch.cdist(z, centers).argmin(dim=1))


def test_loss_without_target_is_an_error():
    objective = hardening_at(double(CENTERS))
    with pytest.raises(ValueError, match="batch.target"):
        objective.loss(batch_of(double(Z), None))
