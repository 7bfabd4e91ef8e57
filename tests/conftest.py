"""Shared fixtures: one thread, seeded generators, no network, data from a folder."""

import os
import random
import socket
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1", ""}


@pytest.fixture(scope="session", autouse=True)
def single_thread():
    """One thread each for torch and for the BLAS and OpenMP pools."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded_global_generators():
    """A network that a test builds without a generator is the same in every run."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Refuse every connection that leaves this machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse_remote(address):
        if isinstance(address, tuple) and address[0] not in LOCAL_HOSTS:
            raise RuntimeError(f"A test tried to connect to {address!r}.")

    def guarded_connect(self, address):
        refuse_remote(address)
        return connect(self, address)

    def guarded_connect_ex(self, address):
        refuse_remote(address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield


@pytest.fixture(scope="session")
def data_dir():
    """Folder of published data sets; the test is skipped where there is none."""
    folder = os.environ.get("SKDEEPCLUSTER_DATA")
    if not folder:
        pytest.skip("SKDEEPCLUSTER_DATA does not name a folder of data sets")
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"SKDEEPCLUSTER_DATA={folder!r} is not a folder.")
    return path


def _global_rng_state():
    algorithm, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (algorithm, keys.tobytes(), position, has_gauss, gauss),
        "random": random.getstate(),
    }


@pytest.fixture
def global_rng_untouched():
    """Context manager: the block leaves every global random state as it was."""

    @contextmanager
    def guard():
        before = _global_rng_state()
        yield
        after = _global_rng_state()
        changed = [name for name in before if before[name] != after[name]]
        assert not changed, f"global random state changed: {', '.join(changed)}"

    return guard
