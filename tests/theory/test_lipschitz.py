"""Upper bounds on Lipschitz constants."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from torch import nn

from skdeepcluster import DEC, CentroidClassifier
from skdeepcluster.architectures import (
    BoundedEmbedding,
    ConvAutoencoder,
    IdentityArchitecture,
    MLPAutoencoder,
    UnpoolingAutoencoder,
)
from skdeepcluster.architectures._mlp import MLPAutoencoderModule
from skdeepcluster.theory import lipschitz_bound


def seeded(build, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def jacobian_norm(module, shape, seed=0):
    """Largest stretch of a module at a random point, by its whole Jacobian."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    jacobian = torch.autograd.functional.jacobian(lambda x: module(x[None]).ravel(), x)
    return np.linalg.norm(jacobian.reshape(len(jacobian), -1).numpy(), 2)


def exact_norm(layer, shape):
    """Largest singular value of a linear layer on images of one size."""
    return jacobian_norm(layer.double(), shape)


def test_a_linear_layer_is_its_largest_singular_value():
    layer = nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([0.5, -4.0, 1.0])))
    assert lipschitz_bound(layer) == pytest.approx(4.0, rel=1e-15)
    assert lipschitz_bound(nn.Sequential()) == 1.0


def test_a_product_over_layers_nested_or_not():
    first, second = seeded(lambda: (nn.Linear(5, 7), nn.Linear(7, 3)))
    expected = lipschitz_bound(first) * lipschitz_bound(second)
    flat = nn.Sequential(first, nn.ReLU(), nn.Dropout(0.5), second)
    nested = nn.Sequential(nn.Sequential(first, nn.ReLU()), nn.Sequential(second))
    assert lipschitz_bound(flat) == pytest.approx(expected, rel=1e-14)
    assert lipschitz_bound(nested) == pytest.approx(expected, rel=1e-14)


CONVOLUTIONS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5},
    {"kernel_size": (2, 5), "padding": (1, 2)},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 5, "stride": 2, "padding": 2},
    {"kernel_size": 4, "stride": (3, 1), "padding": 1},
    {"kernel_size": 3, "dilation": 2, "stride": 2},
    {"kernel_size": 3, "stride": 3, "dilation": 2, "padding": 2},
    {"kernel_size": 3, "groups": 2, "padding": 1},
    {"kernel_size": 3, "padding": "same"},
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("signs", ["any", "positive", "one"])
def test_no_image_is_stretched_more_than_the_bound(options, signs):
    layer = seeded(lambda: nn.Conv2d(4, 6, **options))
    with torch.no_grad():
        if signs == "positive":  # the worst case of the sums of absolute values
            layer.weight.abs_()
        if signs == "one":
            layer.weight.fill_(1.0)
    shape = (4, 9, 11)
    bound, exact = lipschitz_bound(layer), exact_norm(layer, shape)
    assert exact <= bound * (1 + 1e-12)
    assert bound < 4 * exact
    assert lipschitz_bound(layer, shape) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    "options", [{"kernel_size": 1}, {"kernel_size": 3, "stride": 3}], ids=str
)
def test_kernels_that_do_not_overlap_are_exact(options):
    layer = seeded(lambda: nn.Conv2d(4, 6, **options))
    exact = exact_norm(layer, (4, 9, 9))
    assert lipschitz_bound(layer) == pytest.approx(exact, rel=1e-6)


def test_constant_kernels_are_nearly_exact():
    """All ones, on a large image: the sums of absolute values are the norm."""
    layer = nn.Conv2d(1, 1, 3, padding=1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    assert lipschitz_bound(layer) == pytest.approx(9.0, rel=1e-6)
    assert 8.5 < lipschitz_bound(layer, (1, 40, 40)) < 9


def test_large_images_fall_back_to_the_bound():
    layer = seeded(lambda: nn.Conv2d(3, 8, 3, padding=1))
    assert lipschitz_bound(layer, (3, 64, 64)) == lipschitz_bound(layer)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(affine):
    layer = nn.BatchNorm2d(3, affine=affine, eps=0.5)
    layer.running_var.copy_(torch.tensor([0.5, 3.5, 8.5]))
    if affine:
        layer.weight.data.copy_(torch.tensor([1.0, -5.0, 2.0]))
    assert lipschitz_bound(layer) == pytest.approx(2.5 if affine else 1.0)
    assert_allclose(exact_norm(layer.eval(), (3, 2, 2)), lipschitz_bound(layer))


POOLS = [
    nn.MaxPool2d(2),
    nn.MaxPool2d(3, stride=1),
    nn.MaxPool2d(3, stride=2, padding=1),
    nn.MaxPool2d(2, stride=1, dilation=2),
    nn.AvgPool2d(2),
    nn.AvgPool2d(3, stride=1, padding=1),
    nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    nn.AvgPool2d(3, stride=2, ceil_mode=True),
    nn.AvgPool2d(2, stride=1, divisor_override=1),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveMaxPool2d((1, 1)),
]


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_pools(pool):
    bound = lipschitz_bound(pool)
    for seed in range(5):
        assert jacobian_norm(pool, (2, 6, 6), seed) <= bound * (1 + 1e-12)


def test_known_pools():
    assert lipschitz_bound(nn.MaxPool2d(2)) == 1.0
    assert lipschitz_bound(nn.AvgPool2d(2)) == 0.5
    assert lipschitz_bound(nn.MaxPool2d(3, stride=1)) == 3.0


ACTIVATIONS = [
    *(nn.ReLU(), nn.ReLU6(), nn.Hardtanh(), nn.Tanh(), nn.Identity(), nn.Sigmoid()),
    *(nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU()),
    *(nn.ELU(), nn.ELU(alpha=3.0), nn.LeakyReLU(), nn.LeakyReLU(-2.5)),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations_are_no_steeper_and_nearly_as_steep(activation):
    x = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    slopes = (activation(x).diff() / x.diff()).abs().max().item()
    bound = lipschitz_bound(activation)
    assert bound * 0.99 < slopes <= bound + 1e-9


def test_a_network_of_everything():
    network = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.1),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, stride=2),
            nn.Dropout2d(0.2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6 * 9, 10),
            nn.Tanh(),
        )
    )
    loose, tight = lipschitz_bound(network), lipschitz_bound(network, (1, 14, 14))
    assert tight < loose
    steepest = max(
        jacobian_norm(network.double().eval(), (1, 14, 14), seed) for seed in range(5)
    )
    assert steepest <= tight


def test_the_module_stays_as_it_is():
    network = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    lipschitz_bound(network, (3,))
    assert network.training
    assert network[0].weight.dtype == torch.float32
    assert network[0].weight.requires_grad


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


class Shortcut(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def test_own_layers_have_constants():
    network = nn.Sequential(Doubled(), nn.ReLU())
    with pytest.raises(ValueError, match="No Lipschitz bound is known for .* Doubled"):
        lipschitz_bound(network)
    assert lipschitz_bound(network, constants={Doubled: 2}) == 2.0


@pytest.mark.parametrize(
    "module, message",
    [
        (Shortcut(nn.Linear(2, 2)), "No Lipschitz bound is known for the layer Shortc"),
        (nn.LSTM(2, 2), "LSTM"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "Got 'reflect'"),
        (nn.BatchNorm1d(2, track_running_stats=False), "track_running_stats=False"),
        (nn.AdaptiveAvgPool2d(3), "AdaptiveAvgPool2d has .* output size 1. Got 3"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_unknown_layers(module, message):
    with pytest.raises(ValueError, match=message):
        lipschitz_bound(module)


def test_inputs_of_another_shape():
    with pytest.raises(ValueError, match=r"Linear does not take inputs of shape \(4,"):
        lipschitz_bound(nn.Linear(3, 2), (4,))


def test_what_is_no_network_is_told_where_there_is_one():
    x = np.random.default_rng(0).normal(size=(30, 4))
    tiny = {"n_clusters": 2, "hidden_layer_sizes": (5,), "embedding_size": 2}
    model = DEC(**tiny, pretrain_epochs=1, max_iter=1, random_state=0).fit(x)
    for value, match in [
        (model, "Got a DEC. Its network is estimator.module_"),
        (DEC(), "Got a DEC. The network of a fitted .* is estimator.module_"),
        (LogisticRegression(), "Got a LogisticRegression"),
        (x, "Got a ndarray"),
        (None, "Got None"),
        (nn.Linear, "Got the class Linear"),
        ([nn.Linear(2, 2)], "Got a list"),
    ]:
        with pytest.raises(TypeError, match=f"must be a torch.nn.Module. {match}"):
            lipschitz_bound(value)
    assert lipschitz_bound(model.module_) == lipschitz_bound(model.module_.encoder)


def built(architecture, size=3):
    return architecture.build(64, size, torch.Generator().manual_seed(0))


class Steep(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.encoder_layers = layers

    def encode(self, x):
        return x + 10 * self.encoder_layers[0](x)

    forward = encode


class SteepOfThePackage(MLPAutoencoderModule):
    def encode(self, x):
        return 10 * super().encode(x)


def test_networks_that_may_do_anything_need_a_constant():
    steep = SteepOfThePackage((4, 2), nn.ReLU, 0.0)
    replaced = built(MLPAutoencoder((9,)))
    replaced.encode = lambda x: 10 * x
    networks = [Steep(nn.ModuleList([nn.Linear(4, 4)])), Steep(6), steep, replaced]
    for network in [*networks, *map(BoundedEmbedding, networks)]:
        name = type(network).__name__
        with pytest.raises(ValueError, match=f"the layer {name}. .*{name}: bound}}"):
            lipschitz_bound(network)
        assert lipschitz_bound(network, constants={type(network): 7}) == 7


def test_networks_of_the_package_are_those_of_encode():
    x = torch.randn(200, 64, generator=torch.Generator().manual_seed(0)).double()
    for network in (
        built(MLPAutoencoder((9, 7), dropout=0.2)),
        built(ConvAutoencoder((8, 8), (3,), (3,))),
        built(UnpoolingAutoencoder((8, 8), (3,), (3,))),
        built(IdentityArchitecture(), 64),
        BoundedEmbedding(built(MLPAutoencoder((9,))), 0.25),
        BoundedEmbedding(built(IdentityArchitecture(), 64), 20.0),
    ):
        network.double().eval()
        with torch.no_grad():
            z = network.encode(x)
        ratio = torch.pdist(z) / torch.pdist(x)
        bound = lipschitz_bound(network, (64,))
        assert 0.05 * bound < ratio.max() <= bound
    y = np.arange(200) % 2
    model = CentroidClassifier(warmup_epochs=1, max_iter=1).fit(x.numpy(), y)
    assert lipschitz_bound(model.module_) == lipschitz_bound(model.module_.layers)


def test_shapes_and_constants_that_are_none():
    layer = nn.Linear(3, 2)
    for shape in (3, "a", (0,), (2.5,), (True,)):
        with pytest.raises(ValueError, match="input_shape must be a tuple of ints"):
            lipschitz_bound(layer, shape)
    with pytest.raises(TypeError, match="constants must be a dict .* Got a list"):
        lipschitz_bound(layer, constants=[1])
    for kind, bound in [("a", 1), *((nn.Linear, b) for b in ("x", -1, math.nan, True))]:
        with pytest.raises(ValueError, match="constants must map types of layers"):
            lipschitz_bound(layer, constants={kind: bound})
