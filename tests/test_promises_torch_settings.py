"""Every estimator: what a program sets for all of torch does not change a fit."""

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from estimators import X, bits, each_estimator, fitted, fresh
from interruptions import outcome
from scipy.sparse import csr_array

from skdeepcluster import DEC, MIADM


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SETTINGS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "device": lambda: torch.device("meta"),
    "dtype": lambda: default_dtype(torch.float64),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
}
each_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


@each_setting
@each_estimator
def test_fits_and_answers(estimator, setting):
    with setting():
        model = fresh(estimator).fit(X)
        found = bits(model)
    assert found == bits(fitted(estimator))
    with setting():
        assert bits(fitted(estimator)) == found


@pytest.mark.parametrize("setting", ["autocast", "device", "dtype"])
@each_estimator
def test_float32_and_sparse_rows(estimator, setting):
    rows = X.astype(np.float32)
    expected = bits(fresh(estimator).fit(rows), rows)
    sparse = csr_array(rows)
    expected_of_sparse = bits(fresh(estimator).fit(sparse), sparse)
    with SETTINGS[setting]():
        assert bits(fresh(estimator).fit(rows), rows) == expected
        assert bits(fresh(estimator).fit(sparse), sparse) == expected_of_sparse


@pytest.mark.parametrize("setting", ["autocast", "device"])
@pytest.mark.parametrize("estimator", [DEC(3), MIADM(3)], ids=["DEC", "MIADM"])
def test_bfloat16(estimator, setting):
    params = {"hidden_layer_sizes": (8,), "pretrain_epochs": 3, "max_iter": 3}
    model = fresh(estimator, precision="bfloat16", **params)
    expected = outcome(model.fit(X))
    with SETTINGS[setting]():
        assert outcome(fresh(model).fit(X)) == expected


def test_settings_stay_as_they_were():
    with torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
        DEC(3, hidden_layer_sizes=(8,), pretrain_epochs=1, max_iter=1).fit(X)
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_default_device().type == "meta"
    assert not torch.is_autocast_enabled("cpu")
    assert torch.get_default_device().type == "cpu"


def test_answers_of_a_copy():
    model = pickle.loads(pickle.dumps(fitted(DEC_ESTIMATOR)))
    with torch.autocast("cpu", torch.bfloat16):
        z = model.transform(X)
        back = model.inverse_transform(z)
    assert back.tobytes() == model.inverse_transform(model.transform(X)).tobytes()


DEC_ESTIMATOR = DEC(3, hidden_layer_sizes=(8,), pretrain_epochs=2, max_iter=2)
