"""Known answers for group sparsity."""

import math

import pytest
import torch

from skdeepcluster.objectives import Batch, GroupSparsity


def loss_of(z, n_groups):
    return GroupSparsity(n_groups).loss(Batch(x=z, z=z))


def double(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    "n_groups, expected",
    [
        (1, 2 * math.sqrt(194)),
        (2, math.sqrt(2) * (5 + 13)),
        (3, math.sqrt(2) * 5 + 5 + 12),  # groups of 2, 1 and 1
        (4, 3 + 4 + 5 + 12),
    ],
)
def test_known_answers(n_groups, expected):
    loss = loss_of(double([[3.0, -4.0, 5.0, -12.0], [0.0] * 4]), n_groups)
    torch.testing.assert_close(loss, double([expected, 0.0]))


def test_one_group_costs_less_than_two_of_the_same_norm():
    """Which is what makes rows choose groups."""
    one, two = loss_of(double([[3.0, 4.0, 0.0, 0.0], [3.0, 0.0, 4.0, 0.0]]), 2)
    assert one < two


def test_order_of_groups_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    swapped = z[:, [4, 5, 0, 1, 2, 3]]
    torch.testing.assert_close(loss_of(swapped, 3), loss_of(z, 3))


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4, 5, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss_of(z, 2), (z,))


def test_gradient_at_the_origin_is_zero():
    z = torch.tensor([[0.0, 0.0, 3.0, 4.0]], requires_grad=True)
    loss_of(z, 2).sum().backward()
    expected = torch.tensor([[0.0, 0.0, 0.6, 0.8]]) * math.sqrt(2)
    torch.testing.assert_close(z.grad, expected)


def test_more_groups_than_columns():
    with pytest.raises(ValueError, match="n_groups=3.*at least 3 columns. Got 2"):
        loss_of(torch.zeros(1, 2), 3)
