"""Every estimator: a fit is whole, or it changes nothing."""

import copy

import numpy as np
import pytest
from estimators import X, bits, each_deep, each_estimator, each_network, fitted, fresh
from sklearn.exceptions import NotFittedError

from skdeepcluster.engine import TrainingDivergedError
from skdeepcluster.engine._progress import PhaseProgress


def raise_at_step(monkeypatch, error, step):
    original = PhaseProgress.after_step
    steps = []

    def after_step(self, *args):
        steps.append(args)
        if len(steps) == step:
            raise error
        return original(self, *args)

    monkeypatch.setattr(PhaseProgress, "after_step", after_step)


def raise_at_the_end(monkeypatch, error, estimator):
    def answer(self, *args):
        assert hasattr(self, "module_")  # half of the attributes are written
        raise error

    name = "_scores" if hasattr(estimator, "_scores") else "_label"
    monkeypatch.setattr(type(estimator), name, answer)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ValueError()])
@pytest.mark.parametrize("when", [1, 4, "end"])
@pytest.mark.parametrize("first", [False, True], ids=["unfitted", "fitted"])
@each_network
def test_a_fit_that_fails_leaves_the_estimator(
    estimator, first, when, error, monkeypatch
):
    model = copy.deepcopy(fitted(estimator)) if first else fresh(estimator)
    answers = bits(model) if first else None
    before = dict(vars(model))
    with monkeypatch.context() as patch:
        if when == "end":
            raise_at_the_end(patch, error, estimator)
        else:
            raise_at_step(patch, error, when)
        with pytest.raises(type(error)) as caught:
            model.fit(X[:40] * 7)
    assert caught.value is error
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    if first:
        assert bits(model) == answers


@each_estimator
def test_invalid_input_leaves_a_fitted_estimator(estimator):
    model = copy.deepcopy(fitted(estimator))
    before = dict(vars(model))
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(np.full((20, 2), np.nan))
    assert vars(model) == before
    assert bits(model) == bits(fitted(estimator))


@pytest.mark.parametrize(
    "phase, params",
    [
        ("pretraining", {"pretrain_learning_rate": 1e9}),
        # "sgd" is limited to stable rates beside a reconstruction.
        ("clustering", {"learning_rate": 1e38, "optimizer": "adam"}),
    ],
)
@each_deep
def test_divergence_names_phase_epoch_and_rate(estimator, phase, params):
    model = fresh(estimator, **params, pretrain_epochs=9, max_iter=9)
    before = dict(vars(model))
    pattern = f"phase '{phase}' is not finite in epoch \\d+ .*learning rate"
    with pytest.raises(TrainingDivergedError, match=pattern):
        model.fit(X)
    assert vars(model) == before
    with pytest.raises(NotFittedError):
        model.predict(X)
