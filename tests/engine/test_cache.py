"""`memory`: what is pretrained again and what is not, counted."""

import copy
import errno
import os
import pickle
import zlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from flips import altered
from interruptions import Interruptions
from joblib import Memory
from scipy.sparse import csr_array
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from stores import forms_of
from torch import nn

from skdeepcluster import DEC
from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine import Pretraining, _cache
from skdeepcluster.engine._array_file import ArrayFile, write_array_file

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


def test_a_memory_object_keeps_a_cache_in_its_own_format(make, trainings, tmp_path):
    memory = Memory(str(tmp_path), verbose=0)
    first = make(memory=memory).fit(X)
    assert bits(make(memory=memory).fit(X)) == bits(first)
    assert len(trainings) == 1
    assert not (tmp_path / "skdeepcluster").exists()
    assert bits(make().fit(X)) == bits(first)  # not from there
    assert len(trainings) == 2
    memory.clear(warn=False)
    make().fit(X)
    assert len(trainings) == 2


@pytest.mark.parametrize("sparse", [False, True])
def test_the_same_rows_in_another_form_are_the_same_entry(make, trainings, sparse):
    first, *others = forms_of(X * (X > 0), sparse)
    expected = bits(make().fit(first))
    for rows in others:
        assert bits(make().fit(rows)) == expected
        assert bits(make(memory=None).fit(rows)) == expected
    assert len(trainings) == 1 + len(others)


def test_other_zeros_orders_and_weights_are_other_entries(make, trainings):
    make().fit(X, sample_weight=np.arange(60) + 1.0)
    make().fit(X, sample_weight=list(np.arange(60) + 1.0))
    assert len(trainings) == 1
    make().fit(X, sample_weight=np.arange(60) + 2.0)
    make().fit(csr_array(X))
    assert len(trainings) == 3


def test_the_path_may_be_a_path_or_at_home(make, trainings, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for memory in (tmp_path / "cache", "~/cache", str(tmp_path / "cache"), "cache"):
        make(memory=memory).fit(X)
    assert len(trainings) == 1
    assert os.listdir(tmp_path) == ["cache"]


@pytest.mark.parametrize("memory", ["", "file", "file/below"])
def test_what_can_be_no_directory_is_named(make, trainings, memory, tmp_path):
    (tmp_path / "file").touch()
    memory = memory and str(tmp_path / memory)
    with pytest.raises(ValueError, match=f"'memory' parameter must .*{memory!r}"):
        make(memory=memory).fit(X)
    assert trainings == []


# --- entries that are not what was written ----------------------------------


@pytest.fixture
def entry(make, tmp_path):
    """File of the one entry that is kept."""
    make().fit(X)
    (path,) = (tmp_path / "skdeepcluster").iterdir()
    return path


def pretend(path, monkeypatch, error):
    """Let reading a file fail, as for somebody without the right to."""
    original = os.open

    def denied(file, *args, **kwargs):
        if Path(file) == path:
            raise OSError(error, os.strerror(error), str(file))
        return original(file, *args, **kwargs)

    monkeypatch.setattr(os, "open", denied)


def is_computed_anew(make, trainings, caplog):
    before, text = len(trainings), len(caplog.text)
    found = bits(make().fit(X))
    assert len(trainings) == before + 1
    assert "is not used, and computed anew" in caplog.text[text:]
    return found


class Malicious:
    def __reduce__(self):
        return os.mkdir, (os.environ["MALICIOUS"],)


def test_what_is_no_entry_is_computed_anew_and_replaced(
    make, trainings, entry, tmp_path, caplog, monkeypatch
):
    monkeypatch.setenv("MALICIOUS", str(tmp_path / "executed"))
    whole, expected = entry.read_bytes(), bits(make(memory=None).fit(X))
    bombs = zlib.compress(bytes(1 << 22)), pickle.dumps(Malicious())
    for content in (b"", b"other", whole[:-1], whole + b"x", whole[:20], *bombs):
        entry.write_bytes(content)
        assert is_computed_anew(make, trainings, caplog) == expected
        assert entry.read_bytes() == whole
    entry.unlink()
    os.mkfifo(entry)
    assert is_computed_anew(make, trainings, caplog) == expected
    assert entry.read_bytes() == whole
    with monkeypatch.context() as patch:
        pretend(entry, patch, errno.EACCES)
        assert is_computed_anew(make, trainings, caplog) == expected
    assert not (tmp_path / "executed").exists()


def test_a_directory_in_the_place_of_an_entry_stays(make, trainings, entry, caplog):
    entry.unlink()
    entry.mkdir()
    is_computed_anew(make, trainings, caplog)
    assert "cannot be written" in caplog.text
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]


def test_an_entry_under_the_name_of_another_is_computed_anew(
    make, trainings, entry, caplog
):
    make(random_state=1).fit(X)
    (other,) = set(entry.parent.iterdir()) - {entry}
    entry.write_bytes(other.read_bytes())
    expected = bits(make(memory=None).fit(X))
    assert is_computed_anew(make, trainings, caplog) == expected


def prepared(entry):
    """Entries of another structure, under the right key."""
    yield {"key": entry["key"], "state": entry["state"]}
    yield [entry["key"], entry["state"], entry["history"]]
    yield {**entry, "history": {"loss": ["0.5"]}}
    yield {**entry, "history": {"loss": [float("nan"), 1.0]}}
    yield {**entry, "history": {"loss": [0.5] * 3}}
    yield {**entry, "history": {"loss": [0.5], "more": [0.5]}}
    yield {**entry, "key": {**entry["key"], "seed": "7"}}
    name, value = next(iter(entry["state"].items()))
    others = (
        value.double(),
        value[:-1],
        torch.full_like(value, torch.nan),
        torch.zeros(1 << 20),
        value.tolist(),
    )
    for other in others:
        yield {**entry, "state": {**entry["state"], name: other}}
    yield {**entry, "state": {**entry["state"], "forward": value}}
    yield {**entry, "state": {name: value}}


def test_an_entry_of_another_structure_is_computed_anew(make, trainings, entry, caplog):
    with ArrayFile(entry) as file:
        good = file.load()
    expected = bits(make(memory=None).fit(X))
    for other in prepared(good):
        write_array_file(entry, other, "partial-")
        assert is_computed_anew(make, trainings, caplog) == expected


def test_a_layerwise_entry_that_lacks_a_layer(make, trainings, tmp_path, caplog):
    make(pretraining="layerwise").fit(X)
    (path,) = (tmp_path / "skdeepcluster").iterdir()
    with ArrayFile(path) as file:
        found = file.load()
    found["history"]["layer_loss"].pop()
    write_array_file(path, found, "partial-")
    make(pretraining="layerwise").fit(X)
    assert len(trainings) == 2
    assert "is not used, and computed anew" in caplog.text


def test_no_bit_of_an_entry_can_change_unseen(entry, make):
    network = make(memory=None).fit(X).module_
    with ArrayFile(entry) as file:
        key = file.value["key"]
    path, whole = entry.with_name("flipped"), entry.read_bytes()

    def read():
        return _cache.read_entry(path, key, network, {"loss": 2})

    path.write_bytes(whole)
    assert read() is not None
    for content in altered(whole):
        path.write_bytes(content)
        assert read() is None


def test_a_result_that_cannot_be_kept_is_not_lost(
    make, trainings, caplog, monkeypatch, tmp_path
):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert bits(make().fit(X)) == bits(make(memory=None).fit(X))
    assert "cannot be written: [Errno 28] No space left" in caplog.text
    assert list((tmp_path / "skdeepcluster").iterdir()) == []


def test_what_joblib_has_left_there_is_ignored(make, trainings, tmp_path):
    Memory(str(tmp_path), verbose=0).cache(len)([1])
    for _ in range(2):
        make().fit(X)
    assert len(trainings) == 1


def test_threads_that_write_the_same_entry(make, trainings, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        fits = list(pool.map(lambda _: bits(make().fit(X)), range(8)))
    assert all(found == fits[0] for found in fits)
    assert len(list((tmp_path / "skdeepcluster").iterdir())) == 1
    before = len(trainings)
    make().fit(X)
    assert len(trainings) == before


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


class Counting(Module):
    """Has a state that is neither a parameter nor a buffer."""

    def get_extra_state(self):
        return {"version": 3}

    def set_extra_state(self, state):
        assert state == {"version": 3}


def test_a_network_with_a_state_of_its_own(make, trainings):
    first = make(architecture=Counting()).fit(X)
    second = make(architecture=Counting()).fit(X)
    assert first.labels_.tobytes() == second.labels_.tobytes()
    assert len(trainings) == 1


class Learnt(Module):
    """Its state is another one after its rows, and is taken apart when it is set."""

    def __init__(self, states):
        super().__init__()
        self.states, self.now = states, states[0]
        self.register_buffer("my_extra_state", torch.ones(2, dtype=torch.uint16))

    def encode(self, x):
        self.now = self.states[1]
        return super().encode(x)

    def get_extra_state(self):
        return self.now

    def set_extra_state(self, state):
        if isinstance(state, dict):
            state = {"seen": state.pop("seen")}
        self.now = state


EXTRA_STATES = [
    (torch.zeros(2), torch.ones(3)),
    (OrderedDict(seen=0), OrderedDict(seen=1)),
    (None, {"seen": {(0, 1): 2}}),
    (1, 0.5),
    (0.0, float("nan")),
]


def test_a_state_of_its_own_may_be_of_any_type(make, trainings, tmp_path, monkeypatch):
    for number, states in enumerate(EXTRA_STATES):
        params = {"architecture": Learnt(states), "memory": tmp_path / str(number)}
        expected = make(**params).fit(X)
        found = make(**params).fit(X)
        assert len(trainings) == number + 1
        folder = tmp_path / f"checkpoint {number}"
        params.update(checkpoint_dir=folder, max_iter=2)
        with monkeypatch.context() as patch:
            interruptions = Interruptions(patch)
            assert not interruptions.ends(make(**params), X, at=2)
            assert os.listdir(folder)
            assert interruptions.ends(make(**params), X, at=100)
        assert found.labels_.tobytes() == expected.labels_.tobytes()
        assert repr(found.module_.now) == repr(make(**params).fit(X).module_.now)


def test_a_state_that_its_owner_refuses_is_computed_anew(
    make, trainings, caplog, monkeypatch
):
    make(architecture=Counting()).fit(X)
    monkeypatch.setattr(Counting, "set_extra_state", lambda self, state: 1 / 0)
    make(architecture=Counting()).fit(X)
    assert len(trainings) == 2
    assert "is not used, and computed anew" in caplog.text
