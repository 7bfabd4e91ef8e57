"""Results of pretraining that are kept, by all that decides them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray
from sklearn.utils.validation import check_memory
from torch import Tensor, nn

from skdeepcluster.engine._array_file import (
    ArrayFile,
    ArrayFileError,
    check_plain,
    told_as_another,
    write_array_file,
)
from skdeepcluster.engine._fingerprints import Fingerprint, in_words
from skdeepcluster.engine._state_checks import check_history, check_network
from skdeepcluster.utils._locks import make_directory

_LOGGER = logging.getLogger("skdeepcluster")

_FOLDER = "skdeepcluster"
_SUFFIX = ".pretraining"
_NAMES = {"key", "state", "history"}

History = dict[str, Any]
Key = dict[str, Any]


class PretrainingCache(Protocol):
    """Where results of pretraining are kept."""

    def fetch(
        self,
        key: Key,
        network: nn.Module,
        expected: Mapping[str, Any],
        train: Callable[[], History],
    ) -> tuple[History, bool]:
        """Give `network` what pretraining makes of it.

        Parameters
        ----------
        key : dict
            What decides the result beside what all fits with this cache have.
        network : nn.Module
            Changes in place.
        expected : mapping
            What a history looks like, see `check_history`.
        train : callable
            Trains `network`, where no result is kept, and gives the history.

        Returns
        -------
        history : dict
        was_kept : bool
            Whether it is from the cache.
        """


def pretraining_cache(memory: Any, key: Key) -> PretrainingCache:
    """The cache that a user's `memory` means: a directory, or an object of joblib's.

    Parameters
    ----------
    memory : str, os.PathLike or joblib.Memory
    key : dict
        Data, architecture, seed, precision, device, threads, versions.
    """
    if isinstance(memory, str | os.PathLike):
        return DirectoryCache(memory, key)
    return MemoryCache(check_memory(memory), key)


class DirectoryCache:
    """Results in files of our own, one each, named after a hash of their key.

    What cannot be read, or is not what was written, is computed anew and replaced.

    Parameters
    ----------
    directory : str or os.PathLike
        Made where there is none.
    key : dict
    """

    def __init__(self, directory: str | os.PathLike[str], key: Key) -> None:
        self.directory = make_directory(directory, "memory") / _FOLDER
        self.key = key

    def fetch(
        self,
        key: Key,
        network: nn.Module,
        expected: Mapping[str, Any],
        train: Callable[[], History],
    ) -> tuple[History, bool]:
        """See `PretrainingCache`."""
        words = {name: in_words(value) for name, value in {**self.key, **key}.items()}
        name = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
        path = self.directory / f"{name}{_SUFFIX}"
        kept = read_entry(path, words, network, expected)
        if kept is not None:
            network.load_state_dict(kept["state"])
            return kept["history"], True
        history = train()
        _write_entry(path, words, network, history)
        return history, False


def read_entry(
    path: Path, key: Fingerprint, network: nn.Module, expected: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What a file has for a key, with the state of `network`; None where it has not.

    Nothing is read but the header until it is known to be what the network needs.
    """
    try:
        with ArrayFile(path) as file:
            _check_entry(file.value, key, network, expected)
            kept = file.load()
        _check_entry(kept, key, network, expected)
    except FileNotFoundError:
        return None
    except (ArrayFileError, OSError) as error:
        _LOGGER.warning(
            "memory: the entry %s is not used, and computed anew: %s", path, error
        )
        return None
    return kept  # type: ignore[no-any-return]


def _check_entry(
    entry: Any, key: Fingerprint, network: nn.Module, expected: Mapping[str, Any]
) -> None:
    if type(entry) is not dict or entry.keys() != _NAMES or entry["key"] != key:
        raise ArrayFileError("It belongs to something else.")
    with told_as_another("It has another structure."):
        check_network(network, entry["state"])
        check_history(entry["history"], expected)


def _write_entry(
    path: Path, key: Fingerprint, network: nn.Module, history: History
) -> None:
    """Keep a result; where that fails, the fit goes on without."""
    entry = {"key": key, "state": dict(network.state_dict()), "history": history}
    try:
        check_plain(entry, "memory")
        path.parent.mkdir(exist_ok=True)
        write_array_file(path, entry, f"{path.stem}.partial-")
    except (OSError, TypeError, ValueError) as error:
        _LOGGER.warning("memory: the entry %s cannot be written: %s", path, error)


class MemoryCache:
    """Results in a `joblib.Memory`, in its format.

    Parameters
    ----------
    memory : joblib.Memory
    key : dict
    """

    def __init__(self, memory: Memory, key: Key) -> None:
        self.memory = memory
        self.key = key

    def fetch(
        self,
        key: Key,
        network: nn.Module,
        expected: Mapping[str, Any],
        train: Callable[[], History],
    ) -> tuple[History, bool]:
        """See `PretrainingCache`."""
        trained: list[History] = []

        def compute() -> tuple[dict[str, Any], History]:
            trained.append(train())
            return numpy_state(network), trained[0]

        cached = self.memory.cache(_computed, ignore=["compute"])
        state, history = cached({**self.key, **key}, compute)
        if not trained:
            load_numpy_state(network, state)
        return history, not trained


def _computed(key: Key, compute: Callable[[], Any]) -> Any:
    return compute()


def numpy_state(network: nn.Module) -> dict[str, Any]:
    """Weights and buffers as numpy arrays on the host."""
    return {
        k: v.detach().cpu().numpy().copy() if isinstance(v, Tensor) else v
        for k, v in network.state_dict().items()
    }


def load_numpy_state(network: nn.Module, state: dict[str, NDArray]) -> None:
    """Undo `numpy_state`."""
    network.load_state_dict(
        {
            k: torch.as_tensor(np.array(v)) if isinstance(v, np.ndarray) else v
            for k, v in state.items()
        }
    )
