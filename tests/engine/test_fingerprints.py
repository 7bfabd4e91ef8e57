"""Parameters and data in words: equal values have equal ones, others other ones."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.cluster import KMeans

from skdeepcluster import DEC
from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine import data_in_words, in_words
from skdeepcluster.objectives import Hardening


def test_equal_values_have_equal_words():
    def values():
        network = MLPAutoencoder((6,)).build(4, 2, torch.Generator().manual_seed(0))
        yield from (1, 2.5, "auto", None, True, (3, "a"), {"a": {1, 2}})
        yield from (MLPAutoencoder((6,)), KMeans(3), network, Hardening(3))
        yield from (DEC(3), lambda x: x + 1, np.arange(3), torch.arange(3))

    first, second = map(in_words, values()), map(in_words, values())
    words = list(first)
    assert words == list(second)
    assert len(set(words)) == len(words)
    copies = [in_words(pickle.loads(pickle.dumps(v))) for v in list(values())[:11]]
    assert copies == words[:11]


def test_small_changes_have_other_words():
    network = MLPAutoencoder((6,)).build(4, 2)
    before = in_words(network)
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] += 1e-3
    assert in_words(network) != before
    assert in_words(lambda x: x + 1) != in_words(lambda x: x + 2)
    assert in_words(MLPAutoencoder((6,))) != in_words(MLPAutoencoder((7,)))
    assert in_words(Hardening(3)) != in_words(Hardening(3, alpha=2.0))
    assert in_words(1) != in_words(1.0) != in_words("1.0")


def scaled_by(factor, shift=0.0):
    def augmentation(x, generator, power=shift):
        return factor * x**power

    return augmentation


class Noise:
    def __init__(self, level):
        self.level = level

    def add(self, x):
        return x + self.level


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (scaled_by(0.1), scaled_by(10.0)),
        (scaled_by(0.1), scaled_by(0.1, 1.0)),
        (lambda x: x.sin(), lambda x: x.cos()),
        (lambda x: x + 1, lambda x: x - 1),
        (partial(scaled_by(1.0), power=2), partial(scaled_by(1.0), power=3)),
        (partial(scaled_by(1.0), 2), partial(scaled_by(2.0), 2)),
        (Noise(0.1).add, Noise(10.0).add),
        (lambda x: [lambda y: y + 1], lambda x: [lambda y: y + 2]),
    ],
)
def test_functions_are_what_they_compute(first, second):
    assert in_words(first) != in_words(second)
    assert in_words(first) == in_words(copy.deepcopy(first))


LEVEL, POWERS, NAMES = 1.0, (1, 2), {"shift": np.zeros(2)}


def noisy(x):
    return x + 0.1


def scaled(x):
    return LEVEL * noisy(x)


def augmented(x):
    return [scaled(x) ** power for power in POWERS], (lambda: NAMES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEVEL", 2.0),
        ("POWERS", (1, 3)),
        ("NAMES", {"shift": np.ones(2)}),
        ("noisy", lambda x: x + 3.0),
    ],
)
def test_what_a_function_finds_around_it(name, value, monkeypatch):
    before = in_words(augmented), in_words(lambda x: augmented(x))
    monkeypatch.setitem(globals(), name, value)
    assert in_words(augmented) != before[0]
    assert in_words(lambda x: augmented(x)) != before[1]


def test_data_are_what_they_hold():
    rows = np.arange(24.0).reshape(4, 6)
    assert data_in_words(rows[:, ::2]) == data_in_words(rows[:, ::2].copy())
    assert data_in_words(rows[:, ::2]) != data_in_words(rows[:, 1::2])


def test_zeros_are_zeros_however_they_are_stored():
    dense = np.array([[1.0, 0.0], [-2.0, 0.0]], dtype=np.float32)
    for dtype in (np.float16, np.float32, np.float64):
        x = dense.astype(dtype)
        assert data_in_words(np.where(x == 0, -x, x)) == data_in_words(x)
        assert data_in_words(x) != data_in_words(x[:, ::-1])
    plain = sp.csr_array(dense)
    stored = sp.csr_array(np.full((2, 2), 1.0, np.float32))
    stored.data[:] = [1.0, 0.0, -2.0, -0.0]
    assert data_in_words(stored) == data_in_words(plain)
    assert stored.nnz == 4


def test_what_refers_to_itself_has_words():
    def recursive(n):
        return n and other(n - 1)

    def other(n):
        return n and recursive(n - 1)

    noise = Noise(0.1)
    noise.own = noise
    assert in_words(recursive) == in_words(recursive)
    assert in_words(noise) == in_words(noise)
