import copy
import math
import pickle

import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.nn.functional import max_pool2d

from skdeepcluster.architectures import AutoencoderModule, UnpoolingAutoencoder
from skdeepcluster.architectures._unpooling_module import unpool

SHAPES = [(8, 8), (16, 16), (28, 28), (3, 32, 32), (2, 13, 21), (27, 30), (7, 7)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def build(shape=(8, 8), size=3, **params):
    return UnpoolingAutoencoder(shape, **params).build(math.prod(shape), size, seeded())


def rows(n, d):
    return torch.randn(n, d, generator=seeded())


def layer_shapes(module, x):
    """Shapes of what each convolution, pooling and linear stage takes and gives."""
    shapes = []
    stages = [*module.encoder, module.embedding, module.expansion, *module.decoder]
    for stage in stages:
        stage.register_forward_hook(
            lambda _, inputs, out: shapes.extend(
                (*t.shape[1:], 1, 1)[:3] for t in (inputs[0], out)
            )
        )
    module.decode(module.encode(x))
    return [s for i, s in enumerate(shapes) if i == 0 or s != shapes[i - 1]]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_come_back_in_their_shape(shape, training):
    d = math.prod(shape)
    module, x = build(shape).train(training), rows(2, d)
    z = module.encode(x)
    assert z.shape == (2, 3)
    assert module.decode(z).shape == (2, d)


@pytest.mark.parametrize(
    ("side", "sides", "channels"),
    [
        (28, [28, 24, 12, 8, 4, 1], [1, 50, 50, 120]),
        (
            128,
            [128, 120, 60, 56, 28, 24, 12, 8, 4, 1],
            [1, 20, 20, 20, 40, 320],
        ),
    ],
)
def test_networks_of_the_paper(side, sides, channels):
    recipe = UnpoolingAutoencoder((side, side))
    size = recipe.default_embedding_size(side**2)
    module = recipe.build(side**2, size, seeded())
    shapes = layer_shapes(module, rows(2, side**2))
    assert [s[1] for s in shapes] == [*sides, *sides[-2::-1]]
    inward = [c for i, c in enumerate(channels) for _ in range(2 if i else 1)][:-1]
    assert [s[0] for s in shapes] == [*inward, *inward[-2::-1]]


@pytest.mark.parametrize(
    ("shape", "size"), [((16, 16), 120), ((3, 32, 32), 120), ((64, 70), 320)]
)
def test_default_embedding_size(shape, size):
    recipe = UnpoolingAutoencoder(shape)
    assert recipe.default_embedding_size(math.prod(shape)) == size


@pytest.mark.parametrize(
    ("params", "shapes"),
    [
        ({}, [(1, 28, 28), (50, 12, 12), (50, 4, 4)]),
        ({"channels": (6,)}, [(1, 28, 28), (6, 12, 12)]),
        ({"kernel_sizes": (7,)}, [(1, 28, 28), (50, 11, 11)]),
        ({"pool_size": 3}, [(1, 28, 28), (50, 8, 8)]),
    ],
    ids=str,
)
def test_stages(params, shapes):
    assert build((28, 28), **params).shapes == shapes


def test_normalisation_after_all_convolutions_but_the_last():
    module = build((28, 28))
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    convolutions = [m for m in module.modules() if isinstance(m, kinds)]
    normalisations = [m for m in module.modules() if isinstance(m, norms)]
    assert (len(convolutions), len(normalisations)) == (6, 5)
    assert [c.bias is None for c in convolutions] == [True] * 5 + [False]
    assert len(module.decoder[-1]) == 1
    plain = build((28, 28), batch_normalisation=False)
    assert not any(isinstance(m, norms) for m in plain.modules())


def test_values_go_back_to_their_places():
    x = torch.tensor([[1.0, 5, 2, 0, 7], [3, 4, 9, 8, 6], [1, 2, 0, 3, 4]])[None, None]
    values, where = max_pool2d(x, 2, ceil_mode=True, return_indices=True)
    assert values.tolist() == [[[[5, 9, 7], [2, 3, 4]]]]
    expected = [[0, 5, 0, 0, 7], [0, 0, 9, 0, 0], [0, 2, 0, 3, 4]]
    assert unpool(values, 2, (3, 5), where).tolist() == [[expected]]


def test_values_spread_evenly_without_places():
    values = torch.tensor([[[[4.0, 8, 12], [16, 20, 24]]]])
    expected = [[1, 1, 2, 2, 3], [1, 1, 2, 2, 3], [4, 4, 5, 5, 6]]
    assert unpool(values, 2, (3, 5)).tolist() == [[expected]]


def linear_module():
    """One stage of 1 x 1 kernels that are one: pooling and its inverse alone."""
    module = build(
        (4, 4), 4, channels=(1,), kernel_sizes=(1,), batch_normalisation=False
    )
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
        module.encoder[0][0].weight.fill_(1.0)
        module.embedding[1].weight.copy_(torch.eye(4))
        module.expansion[0].weight.copy_(torch.eye(4))
        module.decoder[0][0].weight.fill_(1.0)
    return module


MAXIMA = torch.tensor([[0.0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 3, 0, 0, 4, 0, 0]])
SPREAD = [[1, 1, 2, 2], [1, 1, 2, 2], [4, 4, 3, 3], [4, 4, 3, 3]]


def test_training_decodes_to_the_places_of_the_maxima():
    module = linear_module()
    z = module.encode(MAXIMA)
    assert z.tolist() == [[1, 2, 4, 3]]
    for _ in range(2):
        assert torch.equal(module.decode(z), MAXIMA)
    assert torch.equal(module.decode(z.double().float()), MAXIMA)


def test_bfloat16_keeps_the_places():
    module = linear_module()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = module.encode(MAXIMA).float()
        assert torch.equal(module.decode(z).float(), MAXIMA)


def test_evaluation_spreads():
    module = linear_module().eval()
    spread = torch.tensor(SPREAD).flatten() / 4
    assert torch.equal(module.decode(module.encode(MAXIMA))[0], spread)


@pytest.mark.parametrize(
    "between",
    [
        lambda module, z: z + 1,
        lambda module, z: z[:0],
        lambda module, z: torch.cat([z, z]),
        lambda module, z: (module.encode(MAXIMA.flip(1)), z)[1],
        lambda module, z: (module.eval(), module.train(), z)[2],
    ],
    ids=["other rows", "no rows", "more rows", "encoded twice", "left training"],
)
def test_other_rows_have_no_places(between):
    module = linear_module()
    z = between(module, module.encode(MAXIMA))
    trained = module.decode(z)
    assert torch.equal(trained, module.eval().decode(z))


def test_the_last_encoded_of_two_has_its_places():
    module = linear_module()
    module.encode(MAXIMA)
    flipped = MAXIMA.flip(1)
    assert torch.equal(module.decode(module.encode(flipped)), flipped)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_have_no_places(duplicate):
    module = build()
    z = module.encode(rows(5, 64))
    assert set(module.state_dict()) == set(build().state_dict())
    other = duplicate(module)
    assert other._switches is None
    assert module._switches is not None
    assert other.decode(z).shape == (5, 64)
    module.eval()
    assert module._switches is None
    assert torch.equal(other.eval().encode(rows(5, 64)), module.encode(rows(5, 64)))


@pytest.mark.parametrize("normalises", [True, False])
def test_gradients_reach_every_parameter(normalises):
    module = build((28, 28), activation="tanh", batch_normalisation=normalises)
    target = rows(6, 784)
    (module.decode(module.encode(target)) - target).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())


def test_is_an_architecture():
    assert isinstance(build(), AutoencoderModule)
    copied = clone(UnpoolingAutoencoder((8, 8))).set_params(channels=(4,))
    assert copied.get_params()["channels"] == (4,)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"image_shape": (8,)}, r"'image_shape'.*\(8,\)"),
        ({"image_shape": (28, 28)}, r"\(28, 28\) makes 784 features.* 64 features"),
        ({"channels": "many"}, "'channels'.*many"),
        ({"channels": (8, 0)}, "'channels'.*8, 0"),
        ({"kernel_sizes": "small"}, "'kernel_sizes'.*small"),
        ({"kernel_sizes": 5}, "'kernel_sizes'.*5"),
        ({"channels": (8, 8), "kernel_sizes": (3,)}, "same length"),
        ({"kernel_sizes": (9,)}, r"too small.*\(9,\)"),
        ({"pool_size": 0}, "'pool_size'.*0"),
        ({"batch_normalisation": 1}, "'batch_normalisation'.*bool.*1"),
        ({"activation": "swish"}, "'activation'.*UnpoolingAutoencoder.*swish"),
        ({"initialisation": "zeros"}, "'initialisation'.*zeros"),
    ],
    ids=str,
)
def test_wrong_parameters_are_named(params, match):
    with pytest.raises(ValueError, match=match):
        UnpoolingAutoencoder(**{"image_shape": (8, 8), **params}).build(64, 2)


def test_batches_of_one_row():
    module = UnpoolingAutoencoder((8, 8)).build(64, 3, seeded()).train()
    with pytest.raises(ValueError, match="batch_size=1.*batch_normalisation=False"):
        module.encode(torch.zeros(1, 64))
    assert module.eval().encode(torch.zeros(1, 64)).shape == (1, 3)
    plain = UnpoolingAutoencoder((8, 8), batch_normalisation=False)
    assert plain.build(64, 3, seeded()).train().encode(torch.zeros(1, 64)).shape
