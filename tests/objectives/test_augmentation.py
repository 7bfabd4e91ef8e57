"""Known answers for self-augmentation."""

import math

import pytest
import torch

from skdeepcluster.objectives import Batch, SelfAugmentation


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def flip(x, generator):
    return x.flip(dims=(1,))


def jitter(x, generator):
    return x + torch.empty_like(x).normal_(generator=generator)


def loss_of(z, z_view, similarity):
    objective = SelfAugmentation(flip, similarity)
    return objective.loss(Batch(x=z, z=z, z_view=z_view))


def test_euclidean():
    loss = loss_of(
        double([[1.0, 2.0], [5.0, 5.0]]), double([[3.0, 1.0], [5.0, 5.0]]), "euclidean"
    )
    assert loss.tolist() == [2.5, 0.0]


def test_cosine():
    z = double([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    z_view = double([[1.0, 1.0], [0.0, 3.0], [5.0, 5.0], [-2.0, 0.0]])
    expected = double([1 - math.sqrt(0.5), 1.0, 0.0, 2.0])
    torch.testing.assert_close(loss_of(z, z_view, "cosine"), expected)


@pytest.mark.parametrize("similarity", ["euclidean", "cosine"])
def test_gradients(similarity):
    generator = torch.Generator().manual_seed(0)
    z, z_view = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    inputs = (z.requires_grad_(), z_view.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: loss_of(a, b, similarity), inputs)


@pytest.mark.parametrize("similarity", ["euclidean", "cosine"])
def test_embedding_at_the_origin(similarity):
    z = torch.zeros(2, 3, requires_grad=True)
    loss = loss_of(z, torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]]), similarity)
    loss.sum().backward()
    expected = {"euclidean": [0.0, 3.0], "cosine": [1.0, 1.0]}
    assert loss.tolist() == expected[similarity]
    assert torch.isfinite(z.grad).all()


def test_view_is_the_transformed_batch():
    x = torch.tensor([[1.0, 2.0, 3.0]])
    generator = torch.Generator()
    assert SelfAugmentation(flip).view(x, generator).tolist() == [[3.0, 2.0, 1.0]]


def test_view_draws_from_the_generator():
    x = torch.zeros(3, 2)
    views = [
        SelfAugmentation(jitter).view(x, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])


@pytest.mark.parametrize(
    "moved, got",
    [
        (torch.zeros(2, 4), r"\(2, 4\)"),
        (torch.zeros(1, 3), r"\(1, 3\)"),
        (None, "NoneType"),
    ],
)
def test_transform_must_keep_the_shape(moved, got):
    objective = SelfAugmentation(lambda x, generator: moved)
    with pytest.raises(ValueError, match=rf"'transform'.*\(2, 3\). Got.*{got}"):
        objective.view(torch.zeros(2, 3), torch.Generator())


def test_arguments():
    with pytest.raises(TypeError, match="'transform'.*callable. Got 'flip'"):
        SelfAugmentation("flip")
    with pytest.raises(ValueError, match="'similarity'.*Got 'dot'"):
        SelfAugmentation(flip, "dot")


def test_loss_without_view_is_an_error():
    z = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="batch.z_view"):
        SelfAugmentation(flip).loss(Batch(x=z, z=z))
