import numpy as np
import pytest
import torch

from skdeepcluster.engine import RandomStreams
from skdeepcluster.engine._random import borrowed_global_generator


def draws(generator):
    return torch.rand(5, generator=generator)


def test_a_stream_depends_on_seed_and_purpose_alone():
    first, second = RandomStreams(0), RandomStreams(0)
    first.generator("kmeans")
    draws(first.generator("batches"))
    weights = draws(first.generator("weights"))
    assert torch.equal(weights, draws(second.generator("weights")))
    assert torch.equal(weights, draws(first.generator("weights")))


def test_streams_differ():
    purposes = ("weights", "batches", "kmeans", "noise", "batches/clustering")
    seeds = {RandomStreams(s).seed(p) for s in range(10) for p in purposes}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_int_and_random_state_instance():
    same = RandomStreams.from_random_state(3).seed("weights")
    assert RandomStreams.from_random_state(3).seed("weights") == same
    assert RandomStreams.from_random_state(np.int64(3)).seed("weights") == same
    assert RandomStreams.from_random_state(4).seed("weights") != same
    state = np.random.RandomState(3)
    assert RandomStreams.from_random_state(state).seed("weights") == same
    assert RandomStreams.from_random_state(state).seed("weights") != same


def test_none_is_fresh_and_not_from_the_global_generators(global_rng_untouched):
    with global_rng_untouched():
        seeds = [RandomStreams.from_random_state(None).seed("x") for _ in range(5)]
    assert len(set(seeds)) == 5


def test_borrowed_generator_is_seeded_and_given_back(global_rng_untouched):
    with global_rng_untouched():
        with borrowed_global_generator(5):
            first = torch.rand(3)
        with borrowed_global_generator(5):
            assert torch.equal(first, torch.rand(3))
        with borrowed_global_generator(6):
            assert not torch.equal(first, torch.rand(3))


def test_borrowed_generator_is_given_back_after_an_error(global_rng_untouched):
    with global_rng_untouched(), pytest.raises(ZeroDivisionError):
        with borrowed_global_generator(5):
            torch.rand(3)
            raise ZeroDivisionError
