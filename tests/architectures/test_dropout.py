import pickle

import pytest
import torch

from skdeepcluster.architectures import GeneratorDropout


def dropout(p, seed=0):
    layer = GeneratorDropout(p)
    layer.generator = torch.Generator().manual_seed(seed)
    return layer.train()


def test_rate_and_scale():
    out = dropout(0.2)(torch.ones(200, 200))
    zero = out == 0
    assert zero.double().mean().item() == pytest.approx(0.2, abs=0.01)
    torch.testing.assert_close(out[~zero], torch.full_like(out[~zero], 1 / 0.8))
    assert out.mean().item() == pytest.approx(1.0, abs=0.01)


def test_identity_when_not_training_or_without_a_rate():
    x = torch.ones(3, 3)
    assert dropout(0.5).eval()(x) is x
    assert dropout(0.0)(x) is x


def test_draws_from_its_generator_alone():
    x = torch.ones(20, 20)
    before = torch.get_rng_state()
    first = dropout(0.5)(x)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert torch.equal(first, dropout(0.5)(x))
    assert not torch.equal(first, dropout(0.5, seed=1)(x))


def test_a_new_mask_each_time():
    layer, x = dropout(0.5), torch.ones(20, 20)
    assert not torch.equal(layer(x), layer(x))


def test_gradient_is_masked_like_the_output():
    x = torch.full((10, 10), 3.0, requires_grad=True)
    out = dropout(0.5)(x)
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach() / 3.0)


def test_dtype_is_kept():
    assert dropout(0.5)(torch.ones(3, 3, dtype=torch.float64)).dtype == torch.float64


def test_shows_its_rate_and_pickles():
    layer = GeneratorDropout(0.25)
    assert repr(layer) == "GeneratorDropout(p=0.25)"
    assert pickle.loads(pickle.dumps(layer)).p == 0.25
