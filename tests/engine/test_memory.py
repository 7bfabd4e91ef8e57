"""Networks that cannot fit are refused before anything of them is there."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from estimators import TINY, X, each_network, fresh
from sklearn.base import is_classifier

from skdeepcluster import DEC
from skdeepcluster.architectures import ConvAutoencoder, MLPAutoencoder
from skdeepcluster.engine import Compute, _memory, check_room

CPU = Compute.resolve("cpu", "float32")


def free(monkeypatch, size):
    monkeypatch.setattr(_memory, "available_memory", lambda device: size)


def test_what_is_counted(monkeypatch):
    """Weights, gradients and moments; of a batch four copies."""
    needed = 3 * 1000 * 4 + 4 * 8 * 50 * 4
    free(monkeypatch, needed)
    check_room(1000, (8, 50), ("sgd", "sgd"), CPU)
    free(monkeypatch, needed - 1)
    with pytest.raises(
        MemoryError, match="a network of 1,000 parameters on rows of 50"
    ):
        check_room(1000, (8, 50), ("sgd", "sgd"), CPU)
    for options in ({"optimizers": ("sgd", "adam")}, {"n_parameters": 1001}):
        known = {"n_parameters": 1000, "optimizers": ("sgd",), "batch_shape": (8, 50)}
        with pytest.raises(MemoryError):
            check_room(**{**known, **options}, compute=CPU)
    free(monkeypatch, needed)
    with pytest.raises(MemoryError):
        check_room(1000, (8, 50), ("sgd",), Compute.resolve("cpu", "float64"))
    free(monkeypatch, 3 * 500 * 4 + 8 * 50 * 4)
    check_room(1000, (8, 50), ("sgd",), CPU, decodes=False)
    free(monkeypatch, None)
    check_room(10**15, (8, 50), ("sgd",), CPU)


def test_parameters_are_known_from_the_shapes():
    for hidden in ((), (5,), (5, 3, 8)):
        architecture = MLPAutoencoder(hidden)
        module = architecture.build(7, 2)
        expected = sum(p.numel() for p in module.parameters())
        assert architecture.n_parameters(7, 2) == expected


@each_network
def test_every_network_is_refused_before_it_is_there(estimator, monkeypatch):
    free(monkeypatch, 1000)
    model = fresh(estimator)
    with pytest.raises(MemoryError, match="TruncatedSVD"):
        model.fit(X)
    assert not hasattr(model, "module_")


@pytest.mark.parametrize("module", [False, True])
def test_other_architectures_are_counted(monkeypatch, module):
    architecture = ConvAutoencoder((8, 8))
    if module:
        architecture = architecture.build(64, 2)
    free(monkeypatch, 10_000)
    rows = np.random.RandomState(0).rand(20, 64)
    with pytest.raises(MemoryError):
        DEC(2, **TINY).set_params(architecture=architecture).fit(rows)


@each_network
def test_a_billion_columns_are_refused_at_once(estimator):
    n = 12
    rows = sp.csr_array((np.ones(n), (np.arange(n), np.arange(n))), (n, 2**31 - 9))
    y = [np.arange(n) % 2] if is_classifier(estimator) else []
    with pytest.raises(MemoryError, match=r"2,147,483,639 features takes at least"):
        fresh(estimator).fit(rows, *y)


def test_what_this_host_has_left():
    size = _memory.available_memory(torch.device("cpu"))
    assert size is None or 1e6 < size < 1e15
    assert _memory.available_memory(torch.device("meta")) is None


def test_a_container_and_other_systems(monkeypatch, tmp_path):
    monkeypatch.setattr(_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(_memory, "_CGROUP", tmp_path)
    built_in = _memory.available_memory(torch.device("cpu"))
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\nMemAvailable:  7000 kB\n")
    assert _memory.available_memory(torch.device("cpu")) == 7_168_000
    (tmp_path / "memory.max").write_text("max\n")
    assert _memory.available_memory(torch.device("cpu")) == 7_168_000
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.stat").write_text("anon 2000000\nfile 9\n")
    assert _memory.available_memory(torch.device("cpu")) == 3_000_000
    assert built_in is None or built_in > 7_168_000
