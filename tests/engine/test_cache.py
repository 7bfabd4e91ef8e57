"""`memory`: what is pretrained again and what is not, counted."""

import copy

import numpy as np
import pytest
import torch
from joblib import Memory
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from torch import nn

from skdeepcluster import DEC
from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine import Pretraining

X = make_blobs(60, n_features=4, centers=3, random_state=0)[0]


@pytest.fixture
def trainings(monkeypatch):
    """Pretrainings that were really run."""
    run = []
    original = Pretraining._train

    def spy(self, trainer):
        run.append(self)
        return original(self, trainer)

    monkeypatch.setattr(Pretraining, "_train", spy)
    return run


@pytest.fixture
def make(tmp_path):
    def dec(**params):
        settings = {
            "n_clusters": 3,
            "hidden_layer_sizes": (8,),
            "embedding_size": 2,
            "pretrain_epochs": 2,
            "max_iter": 1,
            "n_init": 2,
            "memory": str(tmp_path),
            "random_state": 0,
        }
        return DEC(**{**settings, **params})

    return dec


def bits(dec):
    state = {k: v.numpy().tobytes() for k, v in dec.module_.state_dict().items()}
    return state, dec.labels_.tobytes(), dec.cluster_centers_.tobytes()


def test_second_fit_takes_the_first_ones_network(make, trainings):
    first = make().fit(X)
    second = make().fit(X)
    assert len(trainings) == 1
    assert bits(first) == bits(second)
    assert first.history_ == second.history_


@pytest.mark.parametrize("pretraining", ["end_to_end", "layerwise"])
def test_cached_and_uncached_fits_give_the_same_bits(make, trainings, pretraining):
    uncached = make(memory=None, pretraining=pretraining).fit(X)
    make(pretraining=pretraining).fit(X)
    cached = make(pretraining=pretraining).fit(X)
    assert len(trainings) == 2
    assert bits(cached) == bits(uncached)
    assert cached.history_ == uncached.history_


@pytest.mark.parametrize(
    "change",
    [
        {"n_clusters": 4},
        {"alpha": 2.0},
        {"max_iter": 2},
        {"update_interval": 1},
        {"tol": 0.1},
        {"learning_rate": 0.1},
        {"n_init": 1},
        {"architecture": MLPAutoencoder((8,))},
        {"random_state": np.int64(0)},
    ],
    ids=lambda change: "-".join(change),
)
def test_what_does_not_pretrain_again(make, trainings, change):
    make().fit(X)
    make(**change).fit(X)
    assert len(trainings) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"random_state": 1},
        {"hidden_layer_sizes": (7,)},
        {"embedding_size": 3},
        {"architecture": MLPAutoencoder((8,), activation="tanh")},
        {"pretrain_epochs": 3},
        {"pretrain_learning_rate": 1e-3},
        {"pretraining": "layerwise"},
        {"pretrain_optimizer": "adam"},
        {"batch_size": 20},
        {"precision": "float64"},
        {"precision": "bfloat16"},
    ],
    ids=lambda change: "-".join(str(value) for value in change.values()),
)
def test_what_pretrains_again(make, trainings, change):
    make().fit(X)
    make(**change).fit(X)
    assert len(trainings) == 2


@pytest.mark.parametrize("other", [X[::-1], X[:-1], X + 1, X.astype(np.float32)])
def test_other_data_pretrain_again(make, trainings, other):
    make().fit(X)
    make().fit(np.ascontiguousarray(other))
    assert len(trainings) == 2


def test_without_a_seed_nothing_is_cached(make, trainings, tmp_path):
    make(random_state=None).fit(X)
    make(random_state=None).fit(X)
    assert len(trainings) == 2
    assert list(tmp_path.iterdir()) == []


def test_memory_object_and_path_share_a_cache(make, trainings, tmp_path):
    make().fit(X)
    make(memory=Memory(str(tmp_path), verbose=0)).fit(X)
    assert len(trainings) == 1


class Module(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(4, 2), nn.Linear(2, 4)
        for i, parameter in enumerate(self.parameters()):
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(i))

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


def test_a_module_is_known_by_its_weights(make, trainings):
    module = Module()
    first = make(architecture=module).fit(X)
    second = make(architecture=copy.deepcopy(module)).fit(X)
    assert len(trainings) == 1
    assert bits(first) == bits(second)
    with torch.no_grad():
        module.down.bias.add_(1)
    make(architecture=module).fit(X)
    assert len(trainings) == 2


def test_grid_search_pretrains_once_for_all_n_clusters(make, trainings):
    grid = {"embedding_size": [2, 3], "n_clusters": [2, 3, 4]}
    search = GridSearchCV(make(), grid, cv=3).fit(X)
    assert len(trainings) == 3 * 2 + 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert bits(search.best_estimator_) == bits(
        make(**search.best_params_, memory=None).fit(X)
    )


def test_grid_reaches_the_parameters_of_the_architecture(make, trainings):
    dec = make(architecture=MLPAutoencoder((8,)))
    grid = {"architecture__activation": ["relu", "tanh"], "n_clusters": [2, 3]}
    search = GridSearchCV(dec, grid, cv=2, refit=False).fit(X)
    assert len(trainings) == 2 * 2
    assert len(search.cv_results_["params"]) == 4


def test_cached_pretraining_is_logged(make, caplog):
    make().fit(X)
    with caplog.at_level("INFO", logger="skdeepcluster"):
        make(n_clusters=2).fit(X)
    assert "pretraining: taken from the cache" in caplog.text


def test_nothing_of_the_cache_stays_on_the_estimator(make):
    dec = make().fit(X)
    assert not any("cache" in name.lower() for name in vars(dec))
    assert isinstance(dec.memory, str)


class Activated(nn.Module):
    """Its activation is neither in its repr nor in its weights."""

    def __init__(self, activation):
        super().__init__()
        self.activation = activation
        self.down, self.up = nn.Linear(4, 2), nn.Linear(2, 4)

    def encode(self, x):
        return self.activation(self.down(x))

    def decode(self, z):
        return self.up(z)


def activated(activation, frozen=False):
    module = Activated(activation)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(0.1)
    module.down.requires_grad_(not frozen)
    return module


def test_modules_that_differ_in_an_attribute_only(make, trainings):
    params = {"embedding_size": None}
    make(architecture=activated(torch.relu), **params).fit(X)
    make(architecture=activated(torch.tanh), **params).fit(X)
    make(architecture=activated(torch.relu, frozen=True), **params).fit(X)
    assert len(trainings) == 3
    make(architecture=activated(torch.relu), **params).fit(X)
    assert len(trainings) == 3


def test_modules_that_hold_functions_of_their_own(make, trainings):
    for _ in range(2):
        for factor in (0.5, 2.0):
            module = activated(lambda z, by=factor: by * z)
            make(architecture=module, embedding_size=None).fit(X)
    assert len(trainings) == 2


def test_nothing_is_looked_up_for_a_pretrained_network(make, trainings):
    make(pretrained=make().fit(X)).fit(X)
    assert len(trainings) == 1
