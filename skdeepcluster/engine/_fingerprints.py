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
import sklearn
import torch
from torch import nn

from skdeepcluster.engine._devices import Compute
from skdeepcluster.engine._network import class_path, data_hash

#: Name -> what it was, in words; long things are a hash.
Fingerprint = dict[str, str]

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
        "number of threads": str(torch.get_num_threads()),
        **{f"version of {name}": version for name, version in versions.items()},
    }


def in_words(value: Any) -> str:
    """A parameter's value: plain ones as they are written, others as a hash.

    Equal values give equal words, in another process as well.
    """
    described = _described(value)
    if isinstance(described, str):
        return described
    plain = isinstance(value, tuple | list) and all(
        isinstance(part, str) for part in described
    )
    if plain:
        return f"({', '.join(described)})"
    return _HASHED + hashlib.md5(repr(described).encode()).hexdigest()


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
    if any(value is None or value.startswith(_HASHED) for value in (there, here)):
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
        return _described_function(value)
    if vars_of(value) and not isinstance(value, partial):
        return class_path(value), _described_items(vars_of(value))
    try:
        return class_path(value), joblib.hash(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return class_path(value), ""


def _described_function(value: Any) -> Any:
    """Name of a function or class; of a function, its numbers and strings as well."""
    name = f"{value.__module__}.{value.__qualname__}"
    constants = getattr(getattr(value, "__code__", None), "co_consts", None)
    if constants is None:
        return name
    plain = [c for c in constants if isinstance(c, int | float | str | None)]
    return name, _described(plain)


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
