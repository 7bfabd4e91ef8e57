"""Checkpoints that are not what was written, and disks that do not take them."""

import copy
import errno
import io
import os
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from flips import altered
from interruptions import Interruptions, outcome
from sklearn.datasets import make_blobs

from skdeepcluster import DCN, DEC, MIADM, DeepClustering, SRKMeans
from skdeepcluster.engine import _checkpoints
from skdeepcluster.engine._array_file import (
    ArrayFile,
    ArrayFileError,
    write_array_file,
)

X = make_blobs(61, n_features=4, centers=3, random_state=0)[0]
STEPS = 4  # an epoch
FILE = _checkpoints.FILE_NAME
DAMAGED = "damaged, or not a checkpoint of a fit. Remove the file"
SMALL = {
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "pretrain_epochs": 3,
    "max_iter": 3,
    "n_init": 2,
    "batch_size": 16,
    "random_state": 0,
}
MODELS = {
    "DEC": DEC(3, **SMALL),
    "DCN": DCN(3, pretraining="layerwise", **SMALL),
    "SRKMeans": SRKMeans(3, warmup_epochs=1, **SMALL),
    "MIADM": MIADM(3, warmup_epochs=1, optimizer="adam", **SMALL),
    "DeepClustering": DeepClustering(
        3, clustering_loss=("classification", "locality", "balance"), **SMALL
    ),
}


def fresh(name, folder, **params):
    model = MODELS[name]
    params = {**model.get_params(deep=False), "checkpoint_dir": folder, **params}
    return type(model)(**params)


def interrupt(name, folder, monkeypatch, at=4 * STEPS + 2):
    with monkeypatch.context() as patch:
        assert not Interruptions(patch).ends(fresh(name, folder), X, at=at)
    return folder / FILE


@pytest.fixture
def checkpoint(monkeypatch, tmp_path):
    """File of a fit of DEC that was interrupted in its second phase."""
    return interrupt("DEC", tmp_path, monkeypatch)


def is_refused(folder, name="DEC"):
    model = fresh(name, folder)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=DAMAGED) as error:
        model.fit(X)
    assert vars(model) == before
    assert repr(str(folder / FILE)) in str(error.value)


# --- another file -----------------------------------------------------------


class Malicious:
    def __reduce__(self):
        return os.mkdir, (os.environ["MALICIOUS"],)


def foreign(whole):
    """Content that another program, or half a write, may leave."""
    yield from (b"", b"no checkpoint", whole[:-1], whole[:1000], whole + b"more")
    yield pickle.dumps(Malicious(), protocol=2)
    for content in ({"a": 1}, Malicious()):
        saved = io.BytesIO()
        torch.save(content, saved)
        yield saved.getvalue()
    inflating = io.BytesIO()
    with zipfile.ZipFile(inflating, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(1 << 24))
    yield inflating.getvalue()


def test_another_file_is_an_error_and_nothing_in_it_is_executed(
    checkpoint, tmp_path_factory, monkeypatch
):
    executed = tmp_path_factory.mktemp("malicious") / "executed"
    monkeypatch.setenv("MALICIOUS", str(executed))
    for content in foreign(checkpoint.read_bytes()):
        checkpoint.write_bytes(content)
        is_refused(checkpoint.parent)
        assert checkpoint.read_bytes() == content
    assert not executed.exists()


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / FILE)
    is_refused(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    is_refused(tmp_path)


def test_a_link_to_a_checkpoint_is_followed(checkpoint):
    elsewhere = checkpoint.parent / "elsewhere"
    checkpoint.rename(elsewhere)
    checkpoint.symlink_to(elsewhere)
    expected = outcome(fresh("DEC", None).fit(X))
    assert outcome(fresh("DEC", checkpoint.parent).fit(X)) == expected
    assert os.listdir(checkpoint.parent) == ["elsewhere"]


def test_a_file_larger_than_its_header_says_is_not_read(checkpoint, monkeypatch):
    with checkpoint.open("r+b") as file:
        file.truncate(3 << 30)  # without a block on the disk
    monkeypatch.setattr(ArrayFile, "load", lambda self: 1 / 0)
    is_refused(checkpoint.parent)


def test_numbers_that_the_fit_does_not_need_are_not_read(checkpoint, monkeypatch):
    """A whole file of the right fit, whose tensors are larger than all its state."""
    found = read(checkpoint)
    found["trainer"]["objectives"][0]["centers"] = torch.zeros(1 << 20, 2)
    write_array_file(checkpoint, found, "partial")
    monkeypatch.setattr(ArrayFile, "load", lambda self: 1 / 0)
    is_refused(checkpoint.parent)


# --- bits -------------------------------------------------------------------


def read(path):
    with ArrayFile(path) as file:
        return file.load()


def test_no_bit_of_a_checkpoint_can_change_unseen(checkpoint):
    path, whole = checkpoint.with_name("flipped"), checkpoint.read_bytes()
    for content in altered(whole):
        path.write_bytes(content)
        with pytest.raises(ArrayFileError):
            read(path)


# --- another state in a file that is whole ----------------------------------

OTHERS = (
    None,
    [],
    {},
    "x",
    -1,
    float("nan"),
    torch.zeros(3),
    torch.zeros(7, 1, dtype=torch.int64),
    [1, 2],
    {"a": 1},
    ("a", {}),
)


def places(value, place=()):
    """Where something is in a state, whole parts first."""
    yield place
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            yield from places(part, (*place, key))


def at(value, place):
    for key in place:
        value = value[key]
    return value


def with_other(value, place, other):
    """A copy of a state with something else at one place."""
    if not place:
        return other
    changed = list(value) if isinstance(value, tuple) else copy.copy(value)
    changed[place[0]] = with_other(changed[place[0]], place[1:], other)
    return tuple(changed) if isinstance(value, tuple) else changed


def others_of(value):
    """What is not what belongs there, in its structure or its kind of numbers."""
    if isinstance(value, torch.Tensor):
        dtype = torch.float32 if value.dtype is torch.float64 else torch.float64
        yield from (value.to(dtype), value[None])
        if value.numel() and value.ndim:
            yield value[1:].clone()
        if value.numel() and value.is_floating_point():
            yield torch.full_like(value, torch.nan)
        elif value.numel() and value.dtype is torch.int64 and value.ndim:
            yield from (torch.full_like(value, 10**9), torch.full_like(value, -1))
    plain = type(value) in (int, float, bool, str)
    yield from (o for o in OTHERS if type(o) is not type(value) and not plain)
    if plain:
        yield from (None, {}, torch.zeros(3), torch.tensor(1.0))
    if isinstance(value, dict):
        for name in ("initialise", "forward", "unknown", "a.b"):
            yield {**value, name: torch.zeros(3)}


def changed(state, n_changes):
    """States with one change each, at places all over."""
    rng = np.random.RandomState(0)
    every = [place for place in places(state) if "fingerprint" not in place[:1]]
    for number in rng.permutation(len(every))[:n_changes]:
        place = every[number]
        others = [o for o in others_of(at(state, place)) if may_not_be(o, place)]
        yield place, with_other(state, place, others[rng.randint(len(others))])


def may_not_be(other, place):
    """Not what is there at another time, or only when the fit ends sooner."""
    ends_sooner = isinstance(other, list | tuple | dict) and not len(other)
    absent = place[-1:] in [("running",), ("first_labels",), ("assignments",)]
    return not (ends_sooner or (absent and other is None))


@pytest.mark.parametrize("when", [2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_a_prepared_state_is_refused_before_anything_is_taken_over(
    name, when, monkeypatch, tmp_path
):
    path = interrupt(name, tmp_path, monkeypatch, when * STEPS + 2)
    state = read(path)
    taken = []
    monkeypatch.setattr(_checkpoints, "restore_trainer", lambda *a: taken.append(a))
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    for place, other in changed(state, 25):
        write_array_file(path, other, "partial")
        with pytest.raises(ValueError, match=DAMAGED):
            fresh(name, tmp_path).fit(X)
        assert not taken, place
    write_array_file(path, state, "partial")
    monkeypatch.undo()
    expected = outcome(fresh(name, None).fit(X))
    assert outcome(fresh(name, tmp_path).fit(X)) == expected


# --- disks and directories --------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_write_that_fails_names_parameter_and_path(
    call, error, monkeypatch, tmp_path
):
    original = getattr(os, call)

    def fail(path, *args, **kwargs):
        if call == "open" and ".partial-" not in str(path):
            return original(path, *args, **kwargs)
        raise OSError(error, os.strerror(error))

    model = fresh("DEC", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match=os.strerror(error)) as raised:
            model.fit(X)
    assert raised.value.errno == error
    assert f"checkpoint_dir={str(tmp_path)!r} cannot be saved" in str(raised.value)
    assert raised.value.filename == str(tmp_path / FILE)
    assert os.listdir(tmp_path) == []
    assert not hasattr(model, "labels_")


def test_the_old_file_stays_until_the_new_one_is_whole(checkpoint, monkeypatch):
    before = checkpoint.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            fresh("DEC", checkpoint.parent).fit(X)
    assert checkpoint.read_bytes() == before
    assert os.listdir(checkpoint.parent) == [FILE]
    expected = outcome(fresh("DEC", None).fit(X))
    assert outcome(fresh("DEC", checkpoint.parent).fit(X)) == expected


def test_a_file_that_may_not_be_read_is_named(checkpoint, monkeypatch):
    original = os.open

    def denied(path, *args, **kwargs):
        if Path(path) == checkpoint:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", denied)
        with pytest.raises(PermissionError, match="checkpoint_dir=.* cannot be read"):
            fresh("DEC", checkpoint.parent).fit(X)
    expected = outcome(fresh("DEC", None).fit(X))
    assert outcome(fresh("DEC", checkpoint.parent).fit(X)) == expected


def test_a_file_that_cannot_be_removed_does_not_lose_the_fit(
    checkpoint, monkeypatch, caplog
):
    def denied(path, missing_ok=False):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    expected = outcome(fresh("DEC", None).fit(X))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", denied)
        assert outcome(fresh("DEC", checkpoint.parent).fit(X)) == expected
    assert "cannot be removed" in caplog.text


@pytest.mark.parametrize("parameter", ["checkpoint_dir", "memory"])
def test_what_no_directory_can_be_called_is_named(parameter):
    for name in ("~nosuchuser/x", "a\0b", "~\0", "\ud800"):
        model = fresh("DEC", None, **{parameter: name})
        pattern = f"{parameter!r} parameter must be .* Got {re.escape(repr(name))}"
        with pytest.raises(ValueError, match=pattern):
            model.fit(X)


@pytest.mark.parametrize("below", ["", "/below"])
def test_checkpoint_dir_is_a_file(below, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="'checkpoint_dir'.*must be a directory.*file"):
        fresh("DEC", f"{tmp_path}/file{below}").fit(X)


def test_the_home_directory_may_be_meant(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("~/state", Path("~/state")):
        with monkeypatch.context() as patch:
            model = fresh("DEC", folder)
            assert not Interruptions(patch).ends(model, X, at=9)
        assert os.listdir(tmp_path / "state") == [FILE]
    fresh("DEC", tmp_path / "state").fit(X)
    assert os.listdir(tmp_path) == ["state"]
    assert os.listdir(tmp_path / "state") == []
