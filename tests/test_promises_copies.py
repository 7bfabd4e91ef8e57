"""Every estimator: copies answer the same, and no more is kept than needed."""

import copy
import gc
import pickle
from dataclasses import fields, is_dataclass

import joblib
import numpy as np
import pytest
import torch
from estimators import (
    GRAPHS,
    N_SAMPLES,
    X,
    bits,
    each_estimator,
    each_kind,
    each_network,
    fitted,
    fresh,
)
from sklearn.base import clone
from weakly import kept_of

from skdeepcluster.engine import Trainer


def through_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


@pytest.mark.parametrize(
    "copied",
    [
        lambda model, _: pickle.loads(pickle.dumps(model)),
        lambda model, _: copy.deepcopy(model),
        through_joblib,
    ],
    ids=["pickle", "deepcopy", "joblib"],
)
@each_estimator
def test_copies_answer_with_the_same_bits(estimator, copied, tmp_path):
    model = fitted(estimator)
    other = copied(model, tmp_path)
    assert other is not model
    assert bits(other) == bits(model)
    assert other.get_params().keys() == model.get_params().keys()
    assert bits(other.fit(X)) == bits(model)


@pytest.fixture
def every_warning():
    """Torch warns of arrays that are not writable, but only once in a process."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


def read_only(array):
    array = np.array(array)
    array.flags.writeable = False
    return array


@each_kind
def test_arrays_that_are_mapped_or_read_only(estimator, tmp_path, every_warning):
    model = fitted(estimator)
    joblib.dump(model, tmp_path / "model")

    def mapped():
        return joblib.load(tmp_path / "model", mmap_mode="r")

    assert bits(mapped()) == bits(model)
    assert mapped().score(X) == model.score(X)
    assert bits(pickle.loads(pickle.dumps(mapped()))) == bits(model)
    assert bits(copy.deepcopy(mapped())) == bits(model)
    assert bits(clone(mapped()).fit(X)) == bits(model)
    if hasattr(model, "inverse_transform"):
        rows = model.transform(X) if hasattr(model, "module_") else model.predict(X)
        same = mapped().inverse_transform(rows) == model.inverse_transform(rows)
        assert same.all()
    if hasattr(model, "sample"):
        mapped().sample(3)
    rows, weight = read_only(X), read_only(np.arange(N_SAMPLES) + 1.0)
    if hasattr(model, "partial_fit"):
        mapped().partial_fit(rows, sample_weight=weight)
    if hasattr(model, "warm_start"):
        mapped().set_params(warm_start=True).fit(rows)
    fresh(estimator).fit(rows, sample_weight=weight)


@each_estimator
def test_clone_is_unfitted_and_fits_to_the_same_bits(estimator):
    model = fitted(estimator)
    other = clone(model)
    assert vars(other).keys() == vars(clone(estimator)).keys()
    assert bits(other.fit(X)) == bits(model)


def parts_of(value, path):
    """Every (path, object) inside of a fitted estimator."""
    yield path, value
    if isinstance(value, torch.nn.Module):
        inner = {**vars(value), **value.state_dict()}
    elif isinstance(value, dict):
        inner = value
    elif isinstance(value, (list, tuple)):
        inner = dict(enumerate(value))
    elif is_dataclass(value):
        inner = {f.name: getattr(value, f.name) for f in fields(value)}
    else:
        return
    for name, part in inner.items():
        yield from parts_of(part, f"{path}.{name}")


@each_estimator
def test_no_training_data_is_kept(estimator):
    if estimator in GRAPHS:
        pytest.skip("keeps what it needs to place new rows")
    kept = []
    for name, value in vars(fitted(estimator)).items():
        for path, part in parts_of(value, name):
            if np.ndim(part) if isinstance(part, np.ndarray) else False:
                kept += [path] if N_SAMPLES in part.shape else []
            elif isinstance(part, torch.Tensor):
                kept += [path] if N_SAMPLES in part.shape else []
            elif isinstance(part, (list, tuple)) and len(part) == N_SAMPLES:
                kept.append(path)
    # A kernel has no other means than combinations of training rows.
    rows = {"X_fit_"} if hasattr(estimator, "kernel") else set()
    assert set(kept) <= {"labels_", "initial_labels_"} | rows


@each_estimator
def test_nothing_of_the_training_is_kept(estimator):
    forbidden = (torch.optim.Optimizer, torch.Generator, torch.utils.data.DataLoader)
    for name, value in vars(fitted(estimator)).items():
        for path, part in parts_of(value, name):
            assert not isinstance(part, forbidden), path
            if isinstance(part, torch.Tensor):
                assert not part.requires_grad, path
                assert part.grad is None, path
                assert part.device.type == "cpu", path
    if hasattr(fitted(estimator), "module_"):
        assert not fitted(estimator).module_.training


@each_estimator
def test_a_pickle_grows_by_the_labels_only(estimator):
    def size(repeats):
        return len(pickle.dumps(fresh(estimator).fit(np.tile(X, (repeats, 1)))))

    if hasattr(estimator, "kernel") or estimator in GRAPHS:
        pytest.skip("new rows are compared with the training rows")
    small, large = size(1), size(4)
    assert small < 20_000
    assert large - small < 3 * N_SAMPLES * (4 + 4) + 500


@each_network
def test_the_rows_of_a_fit_go_with_it(estimator, monkeypatch):
    """At once, not when Python next looks for garbage: they may be gigabytes."""
    kept = kept_of(monkeypatch, Trainer)
    fitted(estimator)  # torch keeps frames of the first optimizer that it makes
    model = fresh(estimator)
    gc.collect()
    gc.disable()
    try:
        model.fit(X)
        assert kept and all(trainer() is None for trainer in kept)
    finally:
        gc.enable()
