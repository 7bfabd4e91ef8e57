"""Known answers for reconstruction, beside a clustering loss and from noisy inputs."""

import pytest
import torch

from skdeepcluster.objectives import Batch, Denoising, Hardening, Reconstruction

KINDS = [Reconstruction, Denoising]


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "reduction, expected", [("mean", [0.625, 0.0]), ("sum", [1.25, 0.0])]
)
def test_known_answer_per_row(kind, reduction, expected):
    x = double([[1.0, 2.0], [0.0, 0.0]])
    x_hat = double([[1.5, 1.0], [0.0, 0.0]])
    loss = kind(reduction=reduction).loss(Batch(x=x, z=x, x_hat=x_hat))
    assert loss.tolist() == expected


@pytest.mark.parametrize("reduction, factor", [("mean", 1), ("sum", 4)])
def test_more_features(reduction, factor):
    """Repeating every column four times leaves the mean as it is."""
    x, x_hat = torch.randn(2, 5, 3, generator=seeded(), dtype=torch.float64)
    objective = Reconstruction(reduction)
    once = objective.loss(Batch(x=x, z=x, x_hat=x_hat))
    more = objective.loss(Batch(x=x.repeat(1, 4), z=x, x_hat=x_hat.repeat(1, 4)))
    torch.testing.assert_close(more, factor * once)
    assert once.shape == (5,)


@pytest.mark.parametrize("reduction, expected", [("mean", 0.5), ("sum", 2.0)])
def test_gradient(reduction, expected):
    x = torch.zeros(1, 4)
    x_hat = torch.tensor([[1.0, -2.0, 0.0, 3.0]], requires_grad=True)
    Reconstruction(reduction).loss(Batch(x=x, z=x, x_hat=x_hat)).sum().backward()
    torch.testing.assert_close(x_hat.grad, expected * x_hat.detach())


@pytest.mark.parametrize(
    "reduction, expected", [("mean", 0.6304132924), ("sum", 1.2554132924)]
)
def test_beside_hardening(reduction, expected):
    """IDEC with gamma = 0.1."""
    z = double([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    hardening = Hardening(2)
    hardening.centers = torch.nn.Parameter(double([[0.0, 0.0], [2.0, 0.0]]))
    batch = Batch(
        x=double([[1.0, 2.0]] * 3),
        z=z,
        x_hat=double([[1.5, 1.0]] * 3),
        target=hardening.refresh(z),
    )
    clustering = hardening.loss(batch).mean()
    total = Reconstruction(reduction).loss(batch).mean() + 0.1 * clustering
    assert total.item() == pytest.approx(expected, abs=1e-9)


def test_neither_loss_reaches_the_parameters_of_the_other():
    encode, decode = torch.nn.Linear(4, 2), torch.nn.Linear(2, 4)
    x = torch.randn(6, 4, generator=seeded())
    hardening = Hardening(2)
    hardening.initialise(encode(x).detach(), None, seeded())
    z = encode(x)
    batch = Batch(x=x, z=z, x_hat=decode(z), target=hardening.refresh(z))
    clustering = hardening.loss(batch).mean()
    reconstruction = Reconstruction().loss(batch).mean()

    def gradient(loss, of):
        return torch.autograd.grad(loss, of, retain_graph=True, allow_unused=True)[0]

    assert gradient(clustering, decode.weight) is None
    assert gradient(reconstruction, hardening.centers) is None
    assert gradient(clustering, encode.weight).abs().sum() > 0
    gamma_zero = reconstruction + 0 * clustering
    assert not gradient(gamma_zero, hardening.centers).any()
    alone = gradient(reconstruction, encode.weight)
    torch.testing.assert_close(gradient(gamma_zero, encode.weight), alone)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x_hat", [None, torch.zeros(1, 3)])
def test_asks_for_the_decoder(kind, x_hat):
    assert kind.needs_reconstruction
    x = torch.zeros(1, 2)
    with pytest.raises(ValueError, match=rf"{kind.__name__} needs batch.x_hat.*\(1, 2"):
        kind().loss(Batch(x=x, z=x, x_hat=x_hat))


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_reduction(kind):
    with pytest.raises(ValueError, match="'reduction'.*Got 'median'"):
        kind(reduction="median")


@pytest.mark.parametrize(
    "arguments",
    [
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"dropout": float("nan")},
        {"noise": -1.0},
        {"noise": float("nan")},
    ],
)
def test_impossible_corruption(arguments):
    with pytest.raises(ValueError, match="0 <= dropout < 1 and noise >= 0"):
        Denoising(**arguments)


def test_dropout_zeroes_entries_and_scales_the_others():
    x = torch.full((200, 100), 3.0, dtype=torch.float64)
    view = Denoising(dropout=0.25).view(x, seeded())
    dropped = view == 0
    torch.testing.assert_close(view[~dropped], torch.full_like(view[~dropped], 4.0))
    # 20,000 entries: five standard deviations are 0.0153.
    assert float(dropped.double().mean()) == pytest.approx(0.25, abs=0.0153)
    by_column = dropped.double().mean(dim=0)
    assert by_column.min() < 0.25 < by_column.max() < 0.5


def test_noise_has_the_given_deviation():
    x = torch.randn(200, 100, generator=seeded(1), dtype=torch.float64)
    noise = Denoising(dropout=0.0, noise=0.5).view(x, seeded()) - x
    # Of 20,000 entries: five standard deviations of mean and deviation.
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.018)
    assert float(noise.std()) == pytest.approx(0.5, abs=0.0125)


def test_dropout_also_drops_noise():
    view = Denoising(dropout=0.5, noise=1.0).view(torch.ones(50, 50), seeded())
    assert 0.4 < float((view == 0).float().mean()) < 0.6


def test_corruption_comes_from_the_generator_and_spares_the_input():
    x = torch.randn(20, 5, generator=seeded())
    before = x.clone()
    objective = Denoising(dropout=0.3, noise=0.1)
    views = [objective.view(x, seeded(seed)) for seed in (0, 0, 1)]
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert torch.equal(x, before)
    assert views[0].dtype == x.dtype


def test_without_corruption_the_view_is_the_input():
    x = torch.randn(4, 3, generator=seeded())
    assert torch.equal(Denoising(dropout=0.0).view(x, seeded()), x)
