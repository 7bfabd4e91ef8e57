import pytest
import torch

from skdeepcluster.engine import Compute, _devices
from skdeepcluster.engine._devices import available_devices, resolve_device


def pretend(monkeypatch, *names, count=1):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)


@pytest.mark.parametrize(
    "present, best",
    [(("cuda", "mps"), "cuda"), (("mps",), "mps"), (("cuda",), "cuda"), ((), "cpu")],
)
def test_auto_takes_the_best(monkeypatch, present, best):
    pretend(monkeypatch, *present)
    assert resolve_device("auto").type == best
    assert available_devices() == [*present, "cpu"]


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "gpu", "", "cpu:x", "xpu"])
def test_devices_that_do_not_exist(monkeypatch, device):
    pretend(monkeypatch)
    with pytest.raises(ValueError, match="'device' parameter.*\\['cpu'\\]") as error:
        resolve_device(device)
    assert f"Got {device!r}" in str(error.value)


def test_index_of_a_device(monkeypatch):
    pretend(monkeypatch, "cuda", count=2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match="cuda:2"):
        resolve_device("cuda:2")


@pytest.mark.parametrize(
    "precision, dtype",
    [
        ("float32", torch.float32),
        ("bfloat16", torch.float32),
        ("float64", torch.float64),
    ],
)
def test_precision(precision, dtype):
    compute = Compute.resolve("cpu", precision)
    assert compute.dtype == dtype
    x = torch.ones(2, 2, dtype=dtype)
    with compute.autocast():
        product = x @ x
    assert product.dtype == (torch.bfloat16 if precision == "bfloat16" else dtype)


def test_autocast_may_be_entered_again():
    compute = Compute.resolve("cpu", "bfloat16")
    x = torch.ones(2, 2)
    for _ in range(2):
        with compute.autocast():
            assert (x @ x).dtype == torch.bfloat16
        assert (x @ x).dtype == torch.float32


def test_float64_where_the_device_has_none(monkeypatch):
    monkeypatch.setattr(_devices, "resolve_device", lambda *_: torch.device("mps"))
    with pytest.raises(ValueError, match="precision='float64'.*mps"):
        Compute.resolve("mps", "float64")


def test_auto_takes_a_device_that_has_the_precision(monkeypatch):
    monkeypatch.setattr(_devices, "available_devices", lambda: ["mps", "cpu"])
    assert resolve_device("auto").type == "mps"
    assert resolve_device("auto", "float64").type == "cpu"


def test_unknown_precision():
    with pytest.raises(ValueError, match="'precision'.*Got 'half'"):
        Compute.resolve("cpu", "half")


def test_out_of_memory_gives_advice():
    with (
        pytest.raises(MemoryError, match="reduce batch_size"),
        _devices.memory_errors("reduce batch_size"),
    ):
        raise torch.cuda.OutOfMemoryError("no memory")
