"""`checkpoint_dir`: what is written, what is refused, what a resumed fit does."""

import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from interruptions import Interruptions, outcome, state_bytes
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from stores import forms_of

from skdeepcluster import DEC, IDEC, CentroidClassifier, DeepClustering
from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine import (
    TrainingDivergedError,
    _checkpoints,
    _fingerprints,
)
from skdeepcluster.engine._array_file import ArrayFile, write_array_file
from skdeepcluster.engine._progress import PhaseProgress
from skdeepcluster.engine._states import restore_module
from skdeepcluster.objectives import Hardening, MutualInformation

X, Y = make_blobs(61, n_features=4, centers=3, random_state=0)
STEPS = 4  # an epoch
FILE = _checkpoints.FILE_NAME


def make(cls=DEC, **params):
    settings = {
        "n_clusters": 3,
        "hidden_layer_sizes": (8,),
        "embedding_size": 2,
        "pretrain_epochs": 3,
        "max_iter": 3,
        "tol": 0.0,
        "n_init": 2,
        "batch_size": 16,
        "random_state": 0,
    }
    return cls(**{**settings, **params})


@pytest.fixture
def interrupted(monkeypatch, tmp_path):
    """Folder with the checkpoint of a fit, interrupted in its second phase."""
    with monkeypatch.context() as patch:
        dec = make(checkpoint_dir=tmp_path)
        assert not Interruptions(patch).ends(dec, X, at=4 * STEPS + 2)
    return tmp_path


# --- the file ---------------------------------------------------------------


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_fit_that_ends_removes_its_checkpoint(as_path, tmp_path, monkeypatch):
    written = []
    replace = _checkpoints._replace
    monkeypatch.setattr(
        _checkpoints, "_replace", lambda *args: written.append(replace(*args))
    )
    folder = tmp_path / "made" / "here"
    dec = make(checkpoint_dir=as_path(folder)).fit(X)
    assert os.listdir(folder) == []
    assert len(written) == 3  # pretraining, the same in the cache's place, clustering
    assert outcome(dec) == outcome(make().fit(X))


def test_epochs_are_kept_when_it_is_time(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        _checkpoints, "_replace", lambda path, state: kept.append(state["running"])
    )
    monkeypatch.setattr(_checkpoints, "SECONDS_BETWEEN", 0.0)
    make(checkpoint_dir=tmp_path).fit(X)
    names = [None if running is None else running[0] for running in kept]
    assert names == [*["pretraining"] * 3, None, None, *["clustering"] * 3, None]


def test_leftovers_of_killed_writes_are_removed(interrupted):
    leftover = interrupted / f"{_checkpoints._PARTIAL}abc"
    leftover.write_bytes(b"half of it")
    make(checkpoint_dir=interrupted).fit(X)
    assert os.listdir(interrupted) == []


def test_a_fit_that_diverges_leaves_no_checkpoint(tmp_path):
    dec = make(IDEC, checkpoint_dir=tmp_path, learning_rate=1e38, optimizer="adam")
    with pytest.raises(TrainingDivergedError):
        dec.fit(X)
    assert os.listdir(tmp_path) == []


def test_any_other_error_leaves_it(tmp_path, monkeypatch):
    monkeypatch.setattr(PhaseProgress, "refresh", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(checkpoint_dir=tmp_path).fit(X)
    assert os.listdir(tmp_path) == [FILE]


class Noted(Hardening):
    """Has a state that is no plain value."""

    def get_extra_state(self):
        return {"seen": np.float64(1.0)}


def test_a_state_that_could_not_be_read_is_refused_when_it_is_written(tmp_path):
    loss = DeepClustering(3, clustering_loss=Noted(3), pretrain_epochs=1)
    loss.set_params(checkpoint_dir=tmp_path, hidden_layer_sizes=(8,))
    pattern = "'checkpoint_dir' can keep.*float64 in 'trainer.objectives.0._extra.*seen"
    with pytest.raises(TypeError, match=pattern):
        loss.fit(X)


# --- what is refused --------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "pattern"),
    [
        ({"n_clusters": 4}, "fit: n_clusters was 3, now 4. Remove the file"),
        ({"alpha": 2.0}, "alpha was 1.0, now 2.0"),
        ({"hidden_layer_sizes": (9,)}, r"hidden_layer_sizes was \(8\), now \(9\)"),
        ({"random_state": 1}, "random_state was 0, now 1"),
        ({"random_state": None}, "random_state was 0, now None"),
        (
            {"random_state": np.random.RandomState(0)},
            "random_state was 0, now a RandomState that drew 209652396",
        ),
        ({"precision": "float64"}, "precision was 'float32', now 'float64'"),
        ({"architecture": MLPAutoencoder((8,))}, "architecture is not the same"),
        ({"init": KMeans()}, "init is not the same"),
        ({"tol": 0.5, "n_init": 3}, "n_init was 2, now 3; tol was 0.0, now 0.5"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "named",
)
def test_another_parameter_is_named(interrupted, params, pattern):
    with pytest.raises(ValueError, match=pattern) as error:
        make(checkpoint_dir=interrupted, **params).fit(X)
    assert f"checkpoint_dir={str(interrupted)!r}" in str(error.value)
    assert (interrupted / FILE).exists()


@pytest.mark.parametrize(
    ("rows", "weight"),
    [
        (X + 1e-9, None),
        (X[::-1], None),
        (X[:-1], None),
        (X.astype(np.float32), None),
        (X, np.arange(61) + 1.0),
    ],
)
def test_other_data_are_named(interrupted, rows, weight):
    with pytest.raises(
        ValueError, match="data .X, y or sample_weight. is not the same"
    ):
        make(checkpoint_dir=interrupted).fit(rows, sample_weight=weight)


class Waiting(KMeans):
    """First clusters that take until they may end."""

    began, may_end = Event(), Event()

    def fit_predict(self, X, y=None, sample_weight=None):
        self.began.set()
        assert self.may_end.wait(60)
        return super().fit_predict(X, y, sample_weight)


def test_a_directory_in_use_is_refused(tmp_path):
    slow = make(init=Waiting(3, n_init=1), checkpoint_dir=tmp_path)
    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(slow.fit, X)
        assert Waiting.began.wait(60)
        with pytest.raises(ValueError, match="in use by another fit.*directory of its"):
            make(checkpoint_dir=tmp_path).fit(X)
        Waiting.may_end.set()
        fit.result()
    make(checkpoint_dir=tmp_path).fit(X)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_free_after_an_error(interrupted):
    with pytest.raises(ValueError, match="n_clusters was 3") as first:
        make(checkpoint_dir=interrupted, n_clusters=4).fit(X)
    make(checkpoint_dir=interrupted).fit(X)
    assert first.tb is not None  # which holds the frames of the fit that failed


def test_an_empty_name_is_refused():
    with pytest.raises(ValueError, match="'checkpoint_dir' parameter.*Got ''.*'.'"):
        make(checkpoint_dir="").fit(X)


def test_other_classes_are_named(monkeypatch, tmp_path):
    head = CentroidClassifier(
        hidden_layer_sizes=(8,),
        warmup_epochs=2,
        checkpoint_dir=tmp_path,
        random_state=0,
    )
    assert not Interruptions(monkeypatch).ends(head, X, Y, at=2)
    with pytest.raises(ValueError, match="fit: data .X, y or sample_weight. is not"):
        head.fit(X, Y[::-1])


def test_another_estimator_is_named(interrupted):
    pattern = r"fit: estimator was skdeep\S*\.DEC, now skdeep\S*\.IDEC\. Remove"
    with pytest.raises(ValueError, match=pattern):
        make(IDEC, checkpoint_dir=interrupted).fit(X)


@pytest.mark.parametrize("library", ["torch", "np", "scipy", "sklearn"])
def test_another_version_is_named(interrupted, library, monkeypatch):
    module = getattr(_fingerprints, library)
    pattern = f"version of {module.__name__} was {module.__version__}".replace("+", ".")
    monkeypatch.setattr(module, "__version__", "9.9")
    with pytest.raises(ValueError, match=f"{pattern}, now 9.9"):
        make(checkpoint_dir=interrupted).fit(X)


def test_another_number_of_threads_is_named(interrupted, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    with pytest.raises(ValueError, match="number of threads was 1, now 7"):
        make(checkpoint_dir=interrupted).fit(X)


def test_what_does_not_change_the_result_may_change(interrupted, tmp_path):
    memory = str(tmp_path / "cache")
    same = {"hidden_layer_sizes": [np.int64(8)], "tol": np.float64(0), "device": "cpu"}
    dec = make(checkpoint_dir=interrupted, memory=memory, verbose=1, **same)
    assert outcome(dec.fit(X.tolist())) == outcome(make().fit(X))


@pytest.mark.parametrize("sparse", [False, True])
def test_the_same_rows_in_another_form_go_on(sparse, monkeypatch, tmp_path):
    rows = forms_of(X * (X > 0), sparse)
    expected = {**outcome(make().fit(rows[0])), "attributes": "with names or without"}
    interruptions = Interruptions(monkeypatch)
    for form in rows[1:]:
        assert not interruptions.ends(make(checkpoint_dir=tmp_path), rows[0], at=9)
        model = make(checkpoint_dir=tmp_path)
        assert interruptions.ends(model, form, at=5 * STEPS)  # of 6: it goes on
        assert {**outcome(model), "attributes": expected["attributes"]} == expected


# --- states -----------------------------------------------------------------


def test_a_module_takes_tensors_of_any_shape_and_none():
    z = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    begun = MutualInformation(3)
    before = begun.state_dict()
    begun.initialise(z, None, rng)
    other = MutualInformation(3)
    restore_module(other, begun.state_dict())
    assert state_bytes(other) == state_bytes(begun)
    assert isinstance(other.weight, torch.nn.Parameter)
    assert other.weight.requires_grad
    restore_module(other, before)
    assert other.first_labels is None
    assert other.centers.numel() == 0


# --- going on ---------------------------------------------------------------


def test_what_had_been_done_is_not_done_again(interrupted, monkeypatch, caplog):
    trained = Interruptions(monkeypatch)
    with caplog.at_level(logging.DEBUG, "skdeepcluster"):
        make(checkpoint_dir=interrupted, verbose=2).fit(X)
    assert trained.calls == 2 * STEPS  # of 6
    assert "going on from the checkpoint" in caplog.text
    assert "epoch" not in caplog.text.partition("clustering: epoch 2")[0]
    assert "clustering: epoch 3" in caplog.text


def test_a_rate_is_that_of_the_weights_with_which_the_phase_began(
    monkeypatch, tmp_path
):
    """A softmax layer limits the rate, by a steepness that grows in training."""
    rows = make_blobs(100, 4, centers=3, cluster_std=1.8, random_state=0)[0]

    def model(folder=None):
        return make(
            DeepClustering,
            clustering_loss="classification",
            clustering_weight=1.0,
            pretrain_epochs=20,
            max_iter=30,
            batch_size=50,
            learning_rate=0.5,
            update_interval=1,
            checkpoint_dir=folder,
        )

    interruptions = Interruptions(monkeypatch)
    assert not interruptions.ends(model(tmp_path), rows, at=2 * (20 + 30) - 3)
    resumed = model(tmp_path)
    assert interruptions.ends(resumed, rows, at=10)
    assert outcome(resumed) == outcome(model().fit(rows))


def test_a_fit_leaves_the_global_generators(
    monkeypatch, tmp_path, global_rng_untouched
):
    dec = make(checkpoint_dir=tmp_path)
    with global_rng_untouched():
        Interruptions(monkeypatch).fit_to_the_end(dec, X, at=7)


def test_an_interrupted_fit_leaves_the_estimator(monkeypatch, tmp_path):
    dec = make(checkpoint_dir=tmp_path)
    before = dict(vars(dec))
    assert not Interruptions(monkeypatch).ends(dec, X, at=7)
    assert vars(dec) == before


CHILD = """
import sys
import torch
torch.set_num_threads(1)
from skdeepcluster.engine import _checkpoints
sys.path.insert(0, sys.argv[1])
from test_checkpoints import make_long, X
_checkpoints.SECONDS_BETWEEN = 0.0
make_long(checkpoint_dir=sys.argv[2], max_iter=10**6).fit(X)
"""


def make_long(**params):
    return make(
        architecture=MLPAutoencoder((8,), dropout=0.1),
        init=KMeans(n_init=1),
        pretrain_epochs=10,
        **{"max_iter": 30, **params},
    )


def test_killed(tmp_path):
    """SIGKILL in another process, whose fit goes on in this one."""
    helpers = str(Path(__file__).parents[1] / "helpers")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([helpers, *sys.path])},
    )
    limit = time.monotonic() + 120
    while not (tmp_path / FILE).exists():
        assert child.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.01)
    time.sleep(0.2)
    child.kill()
    child.wait()
    # Only the number of epochs is another one.
    with ArrayFile(tmp_path / FILE) as file:
        found = file.load()
    assert found["fingerprint"].pop("max_iter") == str(10**6)
    running = found["running"]
    done = len(running[1]["net"]["losses"]) if running else 0
    found["fingerprint"]["max_iter"] = str(done + 5)
    write_array_file(tmp_path / FILE, found, "partial")
    resumed = make_long(checkpoint_dir=tmp_path, max_iter=done + 5).fit(X)
    assert outcome(resumed) == outcome(make_long(max_iter=done + 5).fit(X))
