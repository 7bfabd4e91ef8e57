"""Known answers of the softmax layer of a classifier."""

import math

import pytest
import torch

from skdeepcluster.objectives import Batch, ClassHead, SoftmaxHead
from skdeepcluster.theory import softmax_margin


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def random_rows(n=40, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def initialised(z, k=4, seed=0):
    head = SoftmaxHead(torch.arange(len(z)) % k, k)
    head.initialise(z, None, torch.Generator().manual_seed(seed))
    return head


def test_loss():
    head = initialised(double([[0.0], [0.0]]), k=2)
    with torch.no_grad():
        head.weight.copy_(double([[0.0], [math.log(3.0)]]))
    z = double([[1.0], [1.0]])
    loss = head.loss(Batch(x=z, z=z, index=torch.tensor([0, 1])))
    torch.testing.assert_close(loss, double([math.log(4), math.log(4 / 3)]))


def test_logits_and_answers():
    z = random_rows()
    head = initialised(z)
    with torch.no_grad():
        head.bias.copy_(double([0.0, 1.0, -2.0, 0.5]))
    logits = z @ head.weight.detach().T + head.bias.detach()
    torch.testing.assert_close(head.scores(z), logits)
    torch.testing.assert_close(head.soft_assign(z), logits.softmax(dim=1))
    assert torch.equal(head.confidence(z), head.soft_assign(z))
    assert torch.equal(head.assign(z), logits.argmax(dim=1))


def test_start():
    head = initialised(random_rows(d=100))
    assert head.weight.abs().max() <= 0.1
    assert head.weight.std().item() == pytest.approx(0.2 / math.sqrt(12), rel=0.1)
    assert not head.bias.any()
    assert torch.equal(initialised(random_rows(d=100)).weight, head.weight)
    assert not torch.equal(initialised(random_rows(d=100), seed=1).weight, head.weight)


def test_far_rows_are_sure():
    """Where confidences of centroids vanish: in a cone, the farther the surer."""
    z = random_rows()
    head = initialised(z)
    assert head.confidence(1e3 * z).amax(dim=1).median() > 1 - 1e-9


def test_margin():
    z = random_rows()
    head = initialised(z)
    with torch.no_grad():
        head.bias.copy_(double([0.0, 1.0, -2.0, 0.5]))
    weight, bias = head.weight.detach(), head.bias.detach()
    expected = softmax_margin(z.numpy(), weight.numpy(), bias.numpy())
    torch.testing.assert_close(head.margin(z), torch.as_tensor(expected))


def test_rows_are_answered_alone_as_together():
    z = random_rows(n=200, d=10)
    head = initialised(z)
    alone = torch.cat([head.soft_assign(row) for row in z.split(1)])
    assert torch.equal(alone, head.soft_assign(z))


def test_loss_needs_the_index():
    head = initialised(random_rows())
    with pytest.raises(ValueError, match="SoftmaxHead needs .* batch.index"):
        head.loss(Batch(x=random_rows(), z=random_rows()))


def test_heads_say_how_they_score():
    head = ClassHead(torch.arange(2), 2)
    for method in (head.logits, head.margin):
        with pytest.raises(NotImplementedError):
            method(random_rows())
