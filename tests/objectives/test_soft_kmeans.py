"""Known answers for Deep k-Means' loss and its annealing."""

import math

import pytest
import torch
from sklearn.cluster import KMeans

from skdeepcluster.objectives import Batch, SoftKMeans, annealing_schedule

Z = [[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]
CENTERS = [[0.0, 0.0], [2.5, 0.0]]
TOLERANCE = {"rtol": 0, "atol": 1e-9}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def at(centers, alpha):
    objective = SoftKMeans(len(centers), alpha)
    objective._put_centers(torch.as_tensor(centers).clone())
    return objective


def loss_of(objective, z):
    return objective.loss(Batch(x=z, z=z))


def random_case(n=40, k=4, d=3):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return z, torch.randn(k, d, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    "alpha, expected",
    [
        (0.0, 3.125),
        (0.1, 2.1964671285),
        (1.0, 0.5139345274),
        (10.0, 0.4166682194),
        (1000.0, 0.4166666667),
        (math.inf, 0.4166666667),
    ],
)
def test_loss(alpha, expected):
    loss = loss_of(at(double(CENTERS), alpha), double(Z))
    assert loss.shape == (3,)
    assert loss.mean().item() == pytest.approx(expected, abs=1e-9)


def test_loss_falls_with_alpha():
    z, centers = random_case()
    alphas = [0.0, 0.1, 1.0, 10.0, 1000.0, math.inf]
    losses = [loss_of(at(centers, alpha), z).mean().item() for alpha in alphas]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) >= 5


def test_infinite_alpha_is_the_inertia_of_scikit_learn():
    z, _ = random_case()
    reference = KMeans(4, n_init=1, random_state=0).fit(z.numpy())
    objective = at(torch.as_tensor(reference.cluster_centers_), math.inf)
    loss = loss_of(objective, z)
    assert loss.sum().item() == pytest.approx(reference.inertia_, rel=1e-12)
    assert objective.assign(z).tolist() == reference.labels_.tolist()
    assert not objective.is_soft
    loss.sum().backward()
    own = objective.centers.detach()[objective.assign(z)]
    pull = torch.zeros_like(own[:4]).index_add_(0, objective.assign(z), own - z)
    torch.testing.assert_close(objective.centers.grad, 2 * pull)


def test_weights_and_gradients():
    objective = at(double(CENTERS), 1.0)
    z = double([[1.0, 0.0]]).requires_grad_()
    g = double([[0.7772998612, 0.2227001388]])
    torch.testing.assert_close(objective.soft_assign(z), g, **TOLERANCE)
    loss_of(objective, z).sum().backward()
    # Were G a constant, the first would be 0.8864993063.
    torch.testing.assert_close(z.grad, double([[1.9684042246, 0.0]]), **TOLERANCE)
    expected = double([[-1.9873616898, 0.0], [0.0189574653, 0.0]])
    torch.testing.assert_close(objective.centers.grad, expected, **TOLERANCE)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 5.0, math.inf])
def test_gradcheck(alpha):
    z, centers = random_case(n=5)
    objective = at(centers, alpha)
    inputs = (z.requires_grad_(), objective.centers)
    assert torch.autograd.gradcheck(lambda z, centers: loss_of(objective, z), inputs)


def test_large_alpha_does_not_underflow():
    """A softmax of -alpha d as it stands would be 0 / 0 in float32."""
    log_q = at(torch.tensor(CENTERS), 1000.0).log_q(torch.tensor([[10.0, 0.0]]))
    assert log_q.exp().tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("far", [10.0, 1e4, 1e8, 1e18])
def test_far_rows_stay_finite_in_float32(far):
    objective = at(torch.tensor(CENTERS), 1000.0)
    z = torch.tensor([[far, 0.0], [-far, far], [0.0, 0.0]]).requires_grad_()
    loss = loss_of(objective, z)
    loss.sum().backward()
    assert loss.dtype == torch.float32
    expected = torch.cdist(z, torch.tensor(CENTERS)).amin(dim=1).square()
    torch.testing.assert_close(loss, expected)
    for value in (z.grad, objective.centers.grad, objective.soft_assign(z)):
        assert torch.isfinite(value).all()


def test_far_from_the_origin_no_digits_are_lost():
    offset = 4096.0
    near = loss_of(at(torch.tensor(CENTERS), 1.0), torch.tensor(Z))
    far = loss_of(at(torch.tensor(CENTERS) + offset, 1.0), torch.tensor(Z) + offset)
    torch.testing.assert_close(far, near)


def test_schedule():
    alphas = annealing_schedule()
    first = [0.1, 0.4232086107, 0.7515684111, 1.0779711602, 1.4087110116]
    first += [1.7481914086, 2.0993673884, 2.4643682946]
    assert len(alphas) == 40
    assert alphas[:8] == pytest.approx(first, abs=1e-9)
    later = [alphas[i - 1] for i in (10, 20, 30, 40)]
    expected = [3.2421783153, 8.3739384549, 16.298376725, 28.1325781475]
    assert later == pytest.approx(expected, abs=1e-9)
    assert all(a < b for a, b in zip(alphas, alphas[1:], strict=False))
    assert annealing_schedule(3) == alphas[:3]


@pytest.mark.parametrize(
    "epochs, epoch, index",
    [(200, 0, 0), (200, 4, 0), (200, 5, 1), (200, 199, 39), (200, 500, 39)]
    + [(40, 7, 7), (80, 7, 3), (10, 1, 4), (10, 9, 39), (1, 0, 39)],
)
def test_annealing(epochs, epoch, index):
    objective = SoftKMeans(2, alpha=77.0, annealing_epochs=epochs)
    assert objective.alpha == 0.1
    objective.on_epoch(epoch)
    assert objective.alpha == annealing_schedule()[index]


def test_without_annealing_alpha_stays():
    objective = SoftKMeans(2, alpha=77.0)
    objective.on_epoch(30)
    assert objective.alpha == 77.0


def test_centers_start_at_random_for_annealing(global_rng_untouched):
    z = torch.full((5, 100), 30.0, dtype=torch.float64)

    def start(seed):
        objective = SoftKMeans(3, annealing_epochs=2)
        with global_rng_untouched():
            objective.initialise(z, None, torch.Generator().manual_seed(seed))
        return objective.centers.detach()

    centers = start(0)
    assert centers.shape == (3, 100)
    assert centers.dtype == torch.float64
    assert -1 <= centers.min() < -0.9 and 0.9 < centers.max() <= 1
    assert torch.equal(centers, start(0))
    assert not torch.equal(centers, start(1))


@pytest.mark.parametrize("alpha", [0.0, 1e-30, 0.1, 28.1325781475, 1000.0, math.inf])
def test_labels_are_the_nearest_centers(alpha):
    """Also where the weights of all centres are the same, or round to it."""
    z, centers = random_case(n=1003)
    objective = at(centers, alpha)
    assert torch.equal(objective.assign(z), torch.cdist(z, centers).argmin(dim=1))


def test_of_equally_near_centers_the_first_has_the_row():
    objective = at(double([[9.0], [1.0], [-1.0]]), 0.0)
    assert objective.assign(double([[0.0], [2.0]])).tolist() == [1, 1]


def test_rows_are_assigned_alone_as_together():
    z, centers = random_case()
    objective = at(centers, 1.0)
    q = objective.soft_assign(z)
    torch.testing.assert_close(q.sum(dim=1), torch.ones(len(z)).double())
    alone = torch.cat([objective.soft_assign(row) for row in z.split(1)])
    assert torch.equal(alone, q)


def test_reorder_renumbers_the_clusters():
    z, centers = random_case()
    objective = at(centers, 1.0)
    q, loss = objective.soft_assign(z), loss_of(objective, z)
    order = torch.tensor([2, 0, 3, 1])
    objective.reorder(order)
    torch.testing.assert_close(objective.soft_assign(z), q[:, order], **TOLERANCE)
    torch.testing.assert_close(loss_of(objective, z), loss, **TOLERANCE)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1000.0, math.inf])
@pytest.mark.parametrize("k", [1, 3])
def test_equal_rows_and_centers(alpha, k):
    z = torch.ones(5, 1, requires_grad=True)
    objective = at(torch.ones(k, 1), alpha)
    loss = loss_of(objective, z)
    loss.sum().backward()
    assert not loss.any()
    assert not z.grad.any()
    assert not objective.centers.grad.any()


def test_state_dict_carries_alpha():
    z, centers = random_case()
    objective = SoftKMeans(4, annealing_epochs=40)
    objective._put_centers(centers)
    objective.on_epoch(11)
    other = SoftKMeans(4, annealing_epochs=40)
    other._put_centers(torch.zeros_like(centers))
    other.load_state_dict(objective.state_dict())
    assert other.alpha == annealing_schedule()[11]
    assert torch.equal(loss_of(other, z), loss_of(objective, z))


@pytest.mark.parametrize("epochs", [1, 3, 39, 40, 55, 200])
def test_annealing_ends_at_the_last_value(epochs):
    objective = SoftKMeans(2, annealing_epochs=epochs)
    alphas = []
    for epoch in range(epochs):
        objective.on_epoch(epoch)
        alphas.append(objective.alpha)
    assert alphas == sorted(alphas)
    assert alphas[-1] == annealing_schedule()[-1]


def test_reclustering_is_kmeans_even_where_centres_started_at_random():
    z = torch.tensor([[0.0], [1.0], [100.0], [102.0]])
    objective = SoftKMeans(2, annealing_epochs=5)
    objective.recluster(z, None, torch.Generator().manual_seed(0))
    assert sorted(objective.centers.flatten().tolist()) == [0.5, 101.0]


@pytest.mark.parametrize("alpha", [-1.0, float("nan")])
def test_bad_alpha(alpha):
    with pytest.raises(ValueError, match="'alpha' parameter of SoftKMeans"):
        SoftKMeans(2, alpha=alpha)
