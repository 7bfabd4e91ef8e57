"""What decides the result of a fit, as words that can be kept and compared."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Mapping
from functools import partial
from inspect import isroutine
from numbers import Integral, Real
from typing import Any

import joblib
import numpy as np
import scipy
import scipy.sparse as sp
import sklearn
import torch
from numpy.typing import NDArray
from torch import nn

from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine._devices import Compute
from skdeepcluster.engine._functions import described_function
from skdeepcluster.engine._random import RandomStreams
from skdeepcluster.utils._stored import StoredRows, row_blocks

#: Name -> what it was, in words; long things are a hash.
Fingerprint = dict[str, str]

# Part of the key of cached pretraining; raised when training gives other weights.
_CACHE_FORMAT = 5
# Parameters that do not change the result; of `device` its type counts, noted apart.
_WITHOUT_EFFECT = {"verbose", "memory", "checkpoint_dir", "device"}
_HASHED = "hash "
_MODULE_PARTS = {"_parameters", "_buffers", "_modules"}


def circumstances(compute: Compute) -> Fingerprint:
    """What decides the last bits beside data and parameters."""
    own = sys.modules[__name__.partition(".")[0]]
    versions = {
        module.__name__: str(module.__version__)
        for module in (own, torch, np, scipy, sklearn)
    }
    return {
        "device": compute.device.type,
        "default dtype of torch": str(torch.get_default_dtype()),
        "number of threads": str(torch.get_num_threads()),
        **{f"version of {name}": version for name, version in versions.items()},
    }


def cache_key(
    X: Any,
    architecture: Any,
    hidden_layer_sizes: tuple[int, ...],
    embedding_size: int | None,
    batch_size: int,
    streams: RandomStreams,
    compute: Compute,
) -> dict[str, Any]:
    """Everything that decides the result of pretraining, but its own parameters."""
    if not isinstance(architecture, nn.Module):
        architecture = architecture or MLPAutoencoder(hidden_layer_sizes)
    return {
        "format": _CACHE_FORMAT,
        "data": data_hash(X),
        "architecture": in_words(architecture),
        "embedding_size": embedding_size,
        "batch_size": batch_size,
        "seed": streams.seed("weights"),
        "precision": compute.precision,
        "device": compute.device.type,
        "default_dtype": str(torch.get_default_dtype()),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def in_words(value: Any) -> str:
    """A parameter's value: plain ones as they are written, others as a hash.

    Equal values give equal words, in another process as well.
    """
    try:
        described = _described(value)
    except RecursionError:  # something that refers to itself
        described = (class_path(value),)
    if isinstance(described, str):
        return described
    plain = isinstance(value, tuple | list) and all(
        isinstance(part, str) for part in described
    )
    if plain:
        return f"({', '.join(described)})"
    return _HASHED + hashlib.md5(repr(described).encode()).hexdigest()


def parameters_in_words(estimator: Any) -> Fingerprint:
    """Parameters that decide the result of a fit."""
    return {
        name: in_words(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in _WITHOUT_EFFECT
    }


def is_plain(words: str) -> bool:
    """Whether a value is told by its words, not by a hash."""
    return not words.startswith(_HASHED)


def data_in_words(*data: Any) -> str:
    """Hash of everything that a fit learns from."""
    return _HASHED + data_hash(data)


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """What differs, in words; of another estimator's, that alone."""
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    if "estimator" in names:
        names = ["estimator"]
    return [_difference(name, there.get(name), here.get(name)) for name in names]


def _difference(name: str, there: str | None, here: str | None) -> str:
    if any(value is None or not is_plain(value) for value in (there, here)):
        return f"{name} is not the same"
    return f"{name} was {there}, now {here}"


def _described(value: Any) -> Any:
    """Nested tuples of strings that say all there is to say about a value.

    Not a pickle, which also tells whether two equal parts are one and the same object.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str | bytes | complex):
        return repr(value)
    if isinstance(value, Integral):
        return repr(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, tuple | list):
        return tuple(map(_described, value))
    if isinstance(value, set | frozenset):
        return "set", tuple(sorted(map(repr, map(_described, value))))
    if isinstance(value, Mapping):
        return _described_items(value)
    return _described_object(value)


def _described_object(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.requires_grad, joblib.hash(value.detach().cpu().numpy())
    if isinstance(value, nn.Module):
        return _described_module(value)
    if isroutine(value) or isinstance(value, type):
        return described_function(value, _described)
    if isinstance(value, partial):
        return "partial", _described((value.func, value.args, value.keywords))
    if vars_of(value):
        return class_path(value), _described_items(vars_of(value))
    try:
        return class_path(value), joblib.hash(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return class_path(value), ""


def vars_of(value: Any) -> dict[str, Any]:
    """Attributes of an instance; none where it has no dictionary of them."""
    return getattr(value, "__dict__", {})


def _described_items(items: Mapping) -> Any:
    described = [(repr(_described(k)), _described(v)) for k, v in items.items()]
    return "dict", tuple(sorted(described, key=lambda item: item[0]))


def _described_module(module: nn.Module) -> Any:
    """Layers with their settings, and tensors; not the hooks, which come and go."""
    layers = []
    for name, part in module.named_modules():
        settings = {
            key: value
            for key, value in vars(part).items()
            if key not in _MODULE_PARTS and "_hooks" not in key
        }
        layers.append((name, class_path(part), _described_items(settings)))
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return tuple(layers), tuple((name, _described(t)) for name, t in tensors)


def data_hash(X: Any) -> str:
    """Hash of rows, or of a tuple of arrays, by what they hold.

    Not by how that lies in memory, how wide the indices of sparse rows are, which of
    their zeros are stored, or the signs of zeros. Sparse rows without duplicates may
    differ from dense ones, and stored rows from those in memory, as fits do.
    """
    digest = hashlib.sha256()
    _update(digest, X)
    return digest.hexdigest()


def _update(digest: Any, X: Any) -> None:
    if isinstance(X, tuple):
        _note(digest, "tuple", len(X))
        for part in X:
            _update(digest, part)
    elif isinstance(X, StoredRows):
        _note(digest, "stored", X.shape)
        for block in X.blocks():
            _update(digest, block)
    elif sp.issparse(X):
        _note(digest, "sparse", X.shape)
        for part in _parts_of(X):
            _update(digest, part)
    elif isinstance(X, np.ndarray) and not X.dtype.hasobject:
        _note(digest, X.dtype.newbyteorder("="), X.shape)
        for block in row_blocks(np.atleast_1d(X)):
            digest.update(_in_order(block))
    else:
        _note(digest, "object", joblib.hash(X))


def _parts_of(X: Any) -> tuple[NDArray, NDArray, NDArray]:
    """Values and places of CSR rows, sorted within each row; others are left alone."""
    if not X.has_sorted_indices:
        X = X.sorted_indices()
    if not X.data.all():
        X = X.copy()
        X.eliminate_zeros()
    return X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)


def _in_order(block: NDArray) -> memoryview:
    """Bytes of an array row by row, in the order of bytes of this machine."""
    native = block.dtype.newbyteorder("=")
    array: Any = np.ascontiguousarray(block, dtype=native)
    if array.dtype.kind == "f":
        array = array + array.dtype.type(0)  # no negative zeros
    return memoryview(array.reshape(-1).view(np.uint8))


def _note(digest: Any, *words: Any) -> None:
    digest.update(f"{words!r};".encode())


def class_path(instance: Any) -> str:
    """Where the class of an instance is."""
    return f"{type(instance).__module__}.{type(instance).__qualname__}"
