"""Every estimator with a network: an interrupted fit goes on to the same bits."""

import os
import pickle

import numpy as np
import pytest
import torch
from estimators import N_SAMPLES, X, each_deep, each_network, fresh, known
from interruptions import Interruptions, outcome
from scipy.sparse import csr_array
from sklearn.cluster import KMeans

from skdeepcluster import DEC, DeepClustering
from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine import RandomStreams, Trainer, _checkpoints
from skdeepcluster.engine._array_file import ArrayFile
from skdeepcluster.objectives import Hardening

SHORT = {"batch_size": 16, "warmup_epochs": 6}  # four steps an epoch
WEIGHT = np.random.RandomState(0).randint(0, 4, N_SAMPLES)


def uninterrupted(estimator, *args, **params):
    return outcome(fresh(estimator, **known(estimator, SHORT), **params).fit(*args))


def resumed(estimator, folder, **params):
    params = {**known(estimator, SHORT), **params}
    return fresh(estimator, checkpoint_dir=folder, **params)


@pytest.mark.parametrize("at", [6, 15])
@each_network
def test_interrupted_in_an_epoch(estimator, at, monkeypatch, tmp_path):
    expected = uninterrupted(estimator, X)
    model = resumed(estimator, tmp_path)
    interruptions = Interruptions(monkeypatch)
    assert interruptions.fit_to_the_end(model, X, at=at) >= (3 if at == 6 else 1)
    assert outcome(model) == expected
    assert os.listdir(tmp_path) == []
    assert outcome(pickle.loads(pickle.dumps(model))) == expected


@pytest.mark.parametrize("name", ["replace", "fsync"])
@each_network
def test_interrupted_in_a_write(estimator, name, monkeypatch, tmp_path):
    expected = uninterrupted(estimator, X)
    model = resumed(estimator, tmp_path)
    interruptions = Interruptions(monkeypatch, _checkpoints.os, name)
    assert interruptions.fit_to_the_end(model, X, at=5) >= 1
    assert outcome(model) == expected


@pytest.mark.parametrize("name", ["embed", "initialise", "recluster", "finish"])
@each_network
def test_interrupted_between_epochs(estimator, name, monkeypatch, tmp_path):
    expected = uninterrupted(estimator, X)
    model = resumed(estimator, tmp_path)
    interruptions = Interruptions(monkeypatch, Trainer, name)
    model.fit(X)
    called = interruptions.calls > 0
    assert interruptions.ends(model, X, at=1) != called
    for at in (2, 3):
        interruptions.ends(model, X, at=at)
    model.fit(X)
    assert outcome(model) == expected


@each_deep
def test_layers_weights_and_dropout(estimator, monkeypatch, tmp_path):
    params = {
        "pretraining": "layerwise",
        "architecture": MLPAutoencoder((8, 6), dropout=0.2),
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "pretrain_epochs": 4,
    }
    expected = uninterrupted(estimator, X, None, WEIGHT, **params)
    model = resumed(estimator, tmp_path, **params)
    interruptions = Interruptions(monkeypatch)
    assert interruptions.fit_to_the_end(model, X, None, WEIGHT, at=6) > 4
    assert outcome(model) == expected
    assert len(model.history_["pretraining"]["layer_loss"]) == 3


SMALL = {"hidden_layer_sizes": (5,), "max_iter": 2, "pretrain_epochs": 2}
NETWORK = MLPAutoencoder((6,)).build(4, 2, torch.Generator().manual_seed(0))
SETTINGS = [
    {"precision": "float64"},
    {"precision": "bfloat16"},
    {"init": KMeans(3, n_init=1)},
    {"architecture": NETWORK},
    {"pretrained": DEC(3, random_state=0, **SMALL)},
    {"random_state": np.random.RandomState(3)},
    {"update_interval": 3, "tol": 0.5},
    {"memory": "cache"},
]


@pytest.mark.parametrize("params", SETTINGS, ids=lambda params: next(iter(params)))
def test_settings(params, monkeypatch, tmp_path):
    dec = DEC(3, hidden_layer_sizes=(8,), pretrain_epochs=3, max_iter=9, random_state=0)
    params = {**params, "batch_size": 16}
    if "pretrained" in params:
        params["pretrained"].fit(X)
    if "memory" in params:
        params["memory"] = str(tmp_path / "cache")

    def model(**more):
        seed = params.get("random_state", 0)
        copied = pickle.loads(pickle.dumps(seed))
        return dec.__class__(
            **{**dec.get_params(), **params, "random_state": copied, **more}
        )

    expected = outcome(model(memory=None).fit(X))
    interruptions = Interruptions(monkeypatch)
    for _ in range(4):
        resuming = model(checkpoint_dir=tmp_path / "state")
        assert not interruptions.ends(resuming, X, at=7)
    assert outcome(model(checkpoint_dir=tmp_path / "state").fit(X)) == expected


def test_sparse_rows(monkeypatch, tmp_path):
    rows = csr_array(X * (X > 0))
    dec = DEC(3, hidden_layer_sizes=(8,), pretrain_epochs=3, max_iter=3)
    expected = uninterrupted(dec, rows)
    model = resumed(dec, tmp_path)
    Interruptions(monkeypatch).fit_to_the_end(model, rows, at=7)
    assert outcome(model) == expected


def test_losses_of_ones_own(monkeypatch, tmp_path):
    loss = Hardening(3, alpha=2.0)
    estimator = DeepClustering(
        3, clustering_loss=(loss, "balance"), schedule="alternating", max_iter=4
    )
    params = {"hidden_layer_sizes": (8,), "pretrain_epochs": 2}
    expected = uninterrupted(estimator, X, **params)
    model = resumed(estimator, tmp_path, **params)
    Interruptions(monkeypatch).fit_to_the_end(model, X, at=7)
    assert outcome(model) == expected
    assert loss.centers.numel() == 0


def test_without_a_seed_the_drawn_one_is_kept(monkeypatch, tmp_path):
    dec = DEC(3, hidden_layer_sizes=(8,), pretrain_epochs=3, max_iter=3, batch_size=16)
    model = fresh(dec, random_state=None, checkpoint_dir=tmp_path)
    interruptions = Interruptions(monkeypatch)
    assert not interruptions.ends(model, X, at=7)
    with ArrayFile(tmp_path / _checkpoints.FILE_NAME) as file:
        found = file.load()
    interruptions.fit_to_the_end(model, X, at=7)
    streams = RandomStreams(found["entropy"])
    monkeypatch.setattr(RandomStreams, "from_random_state", lambda seed: streams)
    assert outcome(model) == outcome(fresh(dec).fit(X))


@pytest.mark.parametrize("cached_by", ["nobody", "another", "itself"])
@pytest.mark.parametrize("at", [6, 14])
def test_with_a_cache_of_pretraining(at, cached_by, monkeypatch, tmp_path):
    dec = DEC(3, hidden_layer_sizes=(8,), pretrain_epochs=3, max_iter=3, batch_size=16)
    expected = outcome(fresh(dec).fit(X))
    memory = str(tmp_path / "cache")
    first = None if cached_by == "another" else memory
    model = fresh(dec, checkpoint_dir=tmp_path / "state", memory=first)
    assert not Interruptions(monkeypatch).ends(model, X, at=at)
    if cached_by == "another":
        fresh(dec, memory=memory).fit(X)
    model.set_params(memory=None if cached_by == "nobody" else memory).fit(X)
    assert outcome(model) == expected


def test_the_stop_rule_goes_on(monkeypatch, tmp_path):
    params = {"tol": 0.99, "max_iter": 60, "update_interval": 7, "batch_size": 16}
    dec = DEC(3, hidden_layer_sizes=(8,), pretrain_epochs=2, **params)
    expected = fresh(dec).fit(X)
    assert 30 < expected.n_iter_ < 40  # after 140 steps
    model = fresh(dec, checkpoint_dir=tmp_path)
    assert Interruptions(monkeypatch).fit_to_the_end(model, X, at=50) == 3
    assert outcome(model) == outcome(expected)
