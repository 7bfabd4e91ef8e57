import pytest
import torch

from skdeepcluster.objectives import Batch, Reconstruction


def test_known_answer_per_row():
    x = torch.tensor([[1.0, 2.0], [0.0, 0.0]], dtype=torch.float64)
    x_hat = torch.tensor([[1.5, 1.0], [0.0, 0.0]], dtype=torch.float64)
    loss = Reconstruction().loss(Batch(x=x, z=x, x_hat=x_hat))
    assert loss.tolist() == [0.625, 0.0]


def test_mean_over_features():
    """Repeating every column leaves the loss as it is."""
    generator = torch.Generator().manual_seed(0)
    x, x_hat = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    once = Reconstruction().loss(Batch(x=x, z=x, x_hat=x_hat))
    twice = Reconstruction().loss(
        Batch(x=x.repeat(1, 4), z=x, x_hat=x_hat.repeat(1, 4))
    )
    torch.testing.assert_close(once, twice)
    assert once.shape == (5,)


def test_gradient():
    x = torch.zeros(1, 4)
    x_hat = torch.tensor([[1.0, -2.0, 0.0, 3.0]], requires_grad=True)
    Reconstruction().loss(Batch(x=x, z=x, x_hat=x_hat)).sum().backward()
    torch.testing.assert_close(x_hat.grad, x_hat.detach() / 2)


def test_asks_for_the_decoder():
    assert Reconstruction.needs_reconstruction
    x = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="batch.x_hat"):
        Reconstruction().loss(Batch(x=x, z=x))
