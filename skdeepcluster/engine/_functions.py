"""What a function does, as words that can be kept and compared."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch

# Kinds of global values that are described; modules and classes change with versions.
_CONSTANT = bool | int | float | complex | str | bytes | tuple | list | dict
_CONSTANT |= set | frozenset | np.ndarray | torch.Tensor
_PATHS = "stdlib", "platstdlib", "purelib", "platlib"
_INSTALLED = tuple(sysconfig.get_paths()[path] for path in _PATHS)


def described_function(value: Any, described: Callable[[Any], Any]) -> Any:
    """Name of a function or class; of a function all that it computes with as well.

    That is its code, defaults, enclosed and global values, and the same of functions
    that it calls by their names, but for those of installed packages.

    Parameters
    ----------
    value : function, method or class
    described : callable
        Describes every other value.
    """
    if isinstance(value, MethodType):
        return "method", described((value.__func__, value.__self__))
    if not isinstance(value, FunctionType):
        return _name(value)
    return tuple(_described_alone(part, described) for part in _with_called(value))


def _with_called(function: FunctionType) -> list[FunctionType]:
    """A function and those that it calls, each once."""
    found = [function]
    for known in found:  # which grows
        values = [*_globals(known).values(), *_enclosed(known)]
        for value in values:
            if isinstance(value, FunctionType) and value not in found:
                found += [] if _is_installed(value) else [value]
    return found


def _described_alone(function: FunctionType, described: Callable[[Any], Any]) -> Any:
    """A function without those that it calls, of which it has the names."""
    given = function.__defaults__, function.__kwdefaults__
    values = [*_globals(function).items(), *enumerate(_enclosed(function))]
    known = tuple(
        (str(key), _name(v) if isinstance(v, FunctionType) else described(v))
        for key, v in values
    )
    code = _described_code(function.__code__, described)
    return _name(function), code, described(given), known


def _described_code(code: CodeType, described: Callable[[Any], Any]) -> Any:
    """What a function does; not where it is written."""
    constants = tuple(
        _described_code(c, described) if isinstance(c, CodeType) else described(c)
        for c in code.co_consts
    )
    return code.co_code.hex(), code.co_names, constants


def _globals(function: FunctionType) -> dict[str, Any]:
    """Global constants and functions by the names that a function reads."""
    values = function.__globals__
    return {
        name: values[name]
        for name in sorted(_names(function.__code__))
        if isinstance(values.get(name), _CONSTANT | FunctionType)
    }


def _names(code: CodeType) -> set[str]:
    """Names in a function, and in those written inside it."""
    inside = [_names(c) for c in code.co_consts if isinstance(c, CodeType)]
    return set(code.co_names).union(*inside)


def _enclosed(function: FunctionType) -> list[Any]:
    """What a function has from the functions around it."""
    values = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # not yet set
            values.append(None)
    return values


def _is_installed(function: FunctionType) -> bool:
    return function.__code__.co_filename.startswith(_INSTALLED)


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
