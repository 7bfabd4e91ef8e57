import copy
import math
import pickle

import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from skdeepcluster import DEC
from skdeepcluster.architectures import (
    Architecture,
    AutoencoderModule,
    ConvAutoencoder,
    UnpoolingAutoencoder,
)
from skdeepcluster.engine import map_blocks, position_free

SHAPES = [
    (8, 8),
    (16, 16),
    (28, 28),
    (1, 28, 28),
    (3, 32, 32),
    (128, 128),
    (2, 13, 21),
    (27, 30),
    (7, 7),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def build(shape=(8, 8), size=3, seed=0, **params):
    return ConvAutoencoder(shape, **params).build(math.prod(shape), size, seeded(seed))


def rows(n, d, dtype=torch.float32):
    return torch.randn(n, d, generator=seeded(), dtype=dtype)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_come_back_in_their_shape(shape):
    d = math.prod(shape)
    module, x = build(shape), rows(2, d)
    z = module.encode(x)
    assert z.shape == (2, 3)
    assert module.decode(z).shape == (2, d)


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((28, 28), [(28, 28), (14, 14), (7, 7), (3, 3)]),
        ((16, 16), [(16, 16), (8, 8), (4, 4), (2, 2)]),
        ((32, 32), [(32, 32), (16, 16), (8, 8), (4, 4)]),
        ((13, 28), [(13, 28), (7, 14), (4, 7), (1, 3)]),
        ((7, 7), [(7, 7), (4, 4), (2, 2), (1, 1)]),
    ],
    ids=str,
)
def test_stages_halve_the_image(shape, sides):
    assert [shape[1:] for shape in build(shape).shapes] == sides


def test_number_of_parameters_of_the_papers_network():
    encoder = (25 * 32 + 32) + (32 * 25 * 64 + 64) + (64 * 9 * 128 + 128)
    code = 128 * 3 * 3
    linear = (code * 10 + 10) + (10 * code + code)
    decoder = (128 * 9 * 64 + 64) + (64 * 25 * 32 + 32) + (32 * 25 + 1)
    assert encoder + linear + decoder == 275_979
    assert len(weights(build((28, 28), 10))) == 275_979


def test_is_an_architecture():
    architecture = ConvAutoencoder((8, 8))
    assert isinstance(architecture, Architecture)
    assert isinstance(build(), AutoencoderModule)
    assert architecture.default_embedding_size(64) == 10
    copied = clone(architecture).set_params(channels=(4,), kernel_sizes=(3,))
    assert copied.get_params()["channels"] == (4,)
    assert copied.get_params()["image_shape"] == (8, 8)


def test_layers_by_hand():
    module = build((2, 5, 6), channels=(3,), kernel_sizes=(3,))
    w, b, v, c, u, a, t, s = module.parameters()
    x = rows(4, 60)
    h = conv2d(x.reshape(4, 2, 5, 6), w, b, stride=2).relu()
    assert h.shape == (4, 3, 2, 2)
    z = h.flatten(1) @ v.T + c
    torch.testing.assert_close(module.encode(x), z)
    h = (z @ u.T + a).relu().reshape(4, 3, 2, 2)
    image = conv_transpose2d(h, t, s, stride=2, output_padding=(0, 1))
    torch.testing.assert_close(module.decode(z), image.flatten(1))


def test_padded_layers_by_hand():
    module = build((5, 8), channels=(3, 4), kernel_sizes=(5, 3), activation="tanh")
    first, second = (stage[0] for stage in module.encoder)
    x = rows(4, 40)
    h = conv2d(x.reshape(4, 1, 5, 8), first.weight, first.bias, stride=2, padding=2)
    h = conv2d(h.tanh(), second.weight, second.bias, stride=2).tanh()
    assert h.shape == (4, 4, 1, 1)
    torch.testing.assert_close(module.encode(x), module.embedding(h.flatten(1)))


@pytest.mark.parametrize("architecture", [ConvAutoencoder, UnpoolingAutoencoder])
@pytest.mark.parametrize("scheme", ["uniform", "normal", "glorot", "he"])
def test_weights_come_from_the_generator_alone(
    architecture, scheme, global_rng_untouched
):
    recipe = architecture((8, 8), initialisation=scheme)
    with global_rng_untouched():
        first = weights(recipe.build(64, 3, seeded()))
        assert torch.equal(first, weights(recipe.build(64, 3, seeded())))
        assert not torch.equal(first, weights(recipe.build(64, 3, seeded(1))))
        fresh = [weights(recipe.build(64, 3)) for _ in range(2)]
    assert not torch.equal(*fresh)


def test_limits_of_the_initial_weights():
    down, up = (
        part[i][0].weight
        for part, i in [(build((28, 28)).encoder, 1), (build((28, 28)).decoder, 1)]
    )
    # An output of the transposed convolution sums a quarter of its kernel.
    for weight, fan_in in [(down, 32 * 25), (up, 64 * 25 / 4)]:
        limit = 1 / math.sqrt(fan_in)
        assert 0.99 * limit < weight.abs().max().item() <= limit


def test_memory_order_changes_rounding_alone():
    last, first = (build(channels_last=order) for order in (True, False))
    kernel = last.encoder[1][0].weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    for a, b in zip(last.parameters(), first.parameters(), strict=True):
        assert torch.equal(a, b)
    x = rows(5, 64)
    torch.testing.assert_close(last.encode(x), first.encode(x))


@pytest.mark.parametrize("channels_last", [True, False])
def test_copies_give_the_same_bits(channels_last):
    module, x = build(channels_last=channels_last), rows(5, 64)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other.encode(x), module.encode(x))


def test_gradients_reach_every_parameter():
    module = build(activation="tanh")
    module.decode(module.encode(rows(6, 64))).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())


@pytest.mark.parametrize("shape", [(8, 8), (2, 9, 12)], ids=str)
def test_layer_pairs_undo_each_other(shape):
    module = build(shape)
    first = x = rows(2, math.prod(shape))
    pairs = module.layer_pairs()
    assert len(pairs) == 4
    outputs = []
    for encoder, decoder in pairs:
        h = encoder(x)
        assert h.ndim == 2
        assert decoder(h).shape == x.shape
        outputs.append(x := h)
    assert torch.equal(x, module.encode(first))
    for _, decoder in reversed(pairs):
        x = decoder(x)
    assert torch.equal(x, module.decode(outputs[-1]))
    layers = {id(p) for pair in pairs for part in pair for p in part.parameters()}
    assert layers == {id(p) for p in module.parameters()}


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"image_shape": (8,)}, r"'image_shape'.*\(8,\)"),
        ({"image_shape": (8, 0)}, r"'image_shape'.*\(8, 0\)"),
        ({"image_shape": "8x8"}, "'image_shape'.*8x8"),
        ({"image_shape": (1, 1, 8, 8)}, r"'image_shape'.*\(1, 1, 8, 8\)"),
        ({"image_shape": (28, 28)}, r"\(28, 28\) makes 784 features.* 64 features"),
        ({"channels": (8, 0, 8)}, "'channels'.*8, 0"),
        ({"channels": 8}, "'channels'.*8"),
        ({"kernel_sizes": (3, 2.5, 3)}, "'kernel_sizes'.*2.5"),
        ({"channels": (8, 8)}, r"same length.*\(8, 8\) and \(5, 5, 3\)"),
        ({"channels": (), "kernel_sizes": ()}, "at least 1"),
        ({"channels": (2,) * 4, "kernel_sizes": (2,) * 4}, "too small"),
        ({"activation": "swish"}, "'activation' .*ConvAutoencoder.*swish"),
        ({"initialisation": "zeros"}, "'initialisation'.*zeros"),
        ({"channels_last": "auto"}, "'channels_last'.*bool.*auto"),
    ],
    ids=str,
)
def test_wrong_parameters_are_named(params, match):
    with pytest.raises(ValueError, match=match):
        ConvAutoencoder(**{"image_shape": (8, 8), **params}).build(64, 2, seeded())


def mapped(function, x):
    return map_blocks(function, x)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("side", [16, 28, 32])
@pytest.mark.parametrize("architecture", [ConvAutoencoder, UnpoolingAutoencoder])
def test_a_row_has_the_same_bits_in_any_company(architecture, side, dtype, threads):
    params = {}  # the paper's
    if dtype == torch.float64:
        params = {"channels": (8, 8), "kernel_sizes": (5, 3)}  # faster
    recipe = architecture((side, side), **params)
    network = recipe.build(side**2, 10, seeded()).to(dtype).eval()
    network = position_free(network)
    x = rows(300, side**2, dtype)
    together = mapped(network.encode, x)
    order = torch.randperm(300, generator=seeded())
    assert torch.equal(mapped(network.encode, x[order]), together[order])
    for row in (0, 299):
        assert torch.equal(mapped(network.encode, x[row : row + 1])[0], together[row])
    assert torch.equal(mapped(network.encode, x[100:137]), together[100:137])
    decoded = mapped(network.decode, together)
    assert torch.equal(mapped(network.decode, together[290:]), decoded[290:])


@pytest.mark.parametrize("pretraining", ["end_to_end", "layerwise"])
def test_clusters_images(pretraining):
    X = load_digits().data[:300]
    dec = DEC(
        n_clusters=10,
        architecture=ConvAutoencoder((8, 8), (8, 8), (3, 3)),
        pretraining=pretraining,
        pretrain_epochs=3,
        max_iter=2,
        n_init=1,
        random_state=0,
    ).fit(X)
    assert isinstance(dec.module_, nn.Module)
    assert dec.inverse_transform(dec.transform(X)).shape == X.shape
    assert (dec.predict(X[:3]) == dec.predict(X)[:3]).all()


@pytest.mark.parametrize("shape", [(9, 9), (12, 13), (3, 7, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_odd_sizes_have_the_same_bits_in_any_company_too(shape, dtype, threads):
    n_features = torch.Size(shape).numel()
    recipe = ConvAutoencoder(shape, channels=(5, 7), kernel_sizes=(5, 3))
    plain = recipe.build(n_features, 3, seeded()).to(dtype).eval()
    network = position_free(plain)
    x = rows(300, n_features, dtype)
    together = mapped(network.encode, x)
    torch.testing.assert_close(together, plain.encode(x))
    decoded = mapped(network.decode, together)
    torch.testing.assert_close(decoded, plain.decode(together))
    for row in (0, 1, 7, 255, 299):
        assert torch.equal(mapped(network.encode, x[row : row + 1])[0], together[row])
        alone = mapped(network.decode, together[row : row + 1])[0]
        assert torch.equal(alone, decoded[row])


def test_dropout_is_on_the_input_and_after_the_stages_that_have_a_rate():
    net = ConvAutoencoder((8, 8), (3, 2), (4, 5), dropout=(0.1, 0.2)).build(64, 5)
    kinds = [[type(layer).__name__ for layer in stage] for stage in net.encoder]
    assert kinds == [
        ["GeneratorDropout", "Conv2d", "ReLU", "GeneratorDropout"],
        ["Conv2d", "ReLU"],
    ]
    assert [net.encoder[0][0].p, net.encoder[0][3].p] == [0.1, 0.2]
    assert "Dropout" not in str(net.decoder)


@pytest.mark.parametrize("dropout", [0.1, (0.1,) * 4, (1.0,), (-0.1,), ("a",)])
def test_wrong_dropout(dropout):
    architecture = ConvAutoencoder((8, 8), (3, 2), (4, 5), dropout=dropout)
    message = r"'dropout' parameter must be a tuple of at most 3 floats in .*\[0, 1\)"
    with pytest.raises(ValueError, match=message):
        architecture.build(64, 5)
