"""What users pass as an array, as one that numpy and scikit-learn take."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from numbers import Number
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite
from torch.utils.data import DataLoader, Dataset

# None of them is rows, though some have a length and items.
_NO_ROWS = (
    type(None),
    str,
    bytes,
    os.PathLike,
    Mapping,
    Set,
    Iterator,
    BaseEstimator,
    torch.nn.Module,
    type,
)


def plain(x: Any, name: str = "X") -> Any:
    """An array-like without masks and tensors: NaN where a value is masked.

    Parameters
    ----------
    x : object
        What a user passed.
    name : str, default="X"
        Of the argument, for errors.

    Returns
    -------
    x : object
        An array for a masked array, for a tensor (on the host, without gradient), and
        for a list of these; a CSR matrix for a sparse tensor; all else as it is.
    """
    if isinstance(x, np.ma.MaskedArray):
        return _unmasked(x)
    if isinstance(x, torch.Tensor):
        return _on_host(x, name)
    if isinstance(x, list | tuple):
        if _holds(x, torch.Tensor):
            return [plain(_dense(part), name) for part in x]
        if any(part is np.ma.masked for part in x):
            missing = [np.nan if part is np.ma.masked else part for part in x]
            return np.array(missing, dtype=object)
        if _holds(x, np.ma.MaskedArray):
            return _unmasked(np.ma.array(x))
    return x


def plain_rows(x: Any) -> Any:
    """`plain`, of what is to be the rows of X; refuses what is no rows of any kind.

    Parameters
    ----------
    x : object
        What a user passed as X.

    Returns
    -------
    x : object
    """
    if isinstance(x, Dataset | DataLoader):
        raise TypeError(
            f"X should be rows in an array, not a {type(x).__name__} of torch. Collect "
            "them first: torch.stack([row for row, *_ in dataset])."
        )
    if not _is_array_like(x):
        raise TypeError(
            "X should be an array-like or a sparse matrix of shape (n_samples, "
            f"n_features), got {_described(x)}."
        )
    x = plain(x)
    _check_dates(x)
    return x


def _check_dates(x: Any) -> None:
    """Refuse missing dates and durations, which would become numbers like others."""
    kinds = getattr(x, "dtypes", getattr(x, "dtype", ()))
    kinds = np.ravel(np.array(kinds, dtype=object))  # one, or one a column
    if not any(getattr(kind, "kind", "") in ("m", "M") for kind in kinds):
        return
    values = np.asarray(x)
    if values.dtype.kind in "mM" and np.isnat(values).any():
        raise ValueError("Input X contains NaN: missing dates or durations, NaT.")


def plain_labels(y: Any, name: str = "y") -> Any:
    """`plain`, of labels or classes; refuses missing ones.

    Parameters
    ----------
    y : object
        What a user passed.
    name : str, default="y"

    Returns
    -------
    y : object
    """
    y = plain(y, name)
    if sp.issparse(y):
        raise TypeError(
            f"{name} should be a 1d array, got a sparse {type(y).__name__}."
        )
    values = np.asarray(y)
    assert_all_finite(values, input_name=name)
    if values.dtype == object and any(value is None for value in values.flat):
        raise ValueError(f"Input {name} contains None, a missing value.")
    return y


def plain_numbers(values: Any, name: str) -> NDArray:
    """`plain`, as float64.

    Parameters
    ----------
    values : object
        What a user passed.
    name : str
        Of the argument.

    Returns
    -------
    values : ndarray
    """
    try:
        array = np.asarray(plain(values, name))
        if array.dtype.kind != "c":
            return array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} should be an array of numbers: {error}") from error
    raise ValueError(f"{name} should be an array of real numbers, got {array.dtype}.")


def _holds(x: Sequence[Any], kind: type) -> bool:
    """Whether one of the parts is of a kind, or a part of the first one."""
    first = x[0] if len(x) and isinstance(x[0], list | tuple) else ()
    return any(isinstance(part, kind) for part in (*x, *first))


def _dense(x: Any) -> Any:
    return x.to_dense() if isinstance(x, torch.Tensor) else x


def _is_array_like(x: Any) -> bool:
    if isinstance(x, Number) or sp.issparse(x):  # a dictionary of keys, too
        return True
    if isinstance(x, _NO_ROWS):
        return False
    known = ("__array__", "__array_interface__", "__getitem__", "shape")
    return any(hasattr(x, name) for name in known)


def _described(x: Any) -> str:
    if x is None:
        return "None"
    if isinstance(x, type):
        return f"the class {x.__name__}"
    if isinstance(x, str | bytes | os.PathLike):
        return f"{x!r}: read the file, or make numbers of the text, first"
    if isinstance(x, Mapping) and "data" in x:  # what load_iris() returns
        return f"a {type(x).__name__}: pass its entry 'data'"
    if isinstance(x, Mapping):
        return f"a {type(x).__name__}: pass its columns as a pandas.DataFrame"
    if isinstance(x, Set | Iterator):
        return f"a {type(x).__name__}: pass its rows as a list"
    return f"a {type(x).__name__}"


def _unmasked(x: np.ma.MaskedArray) -> NDArray:
    """The data where nothing is masked, without a copy; else NaN for masked values."""
    data: NDArray = np.ma.getdata(x)
    mask = np.ma.getmask(x)
    if mask is np.ma.nomask or mask.dtype.names or not mask.any():
        return data
    if data.dtype.kind in "mM":
        return np.where(mask, data.dtype.type("NaT"), data)
    holds_nan = np.result_type(data, np.float16) if data.dtype.kind in "biufc" else "O"
    data = data.astype(holds_nan)
    data[mask] = np.nan
    return data


def _on_host(x: torch.Tensor, name: str) -> Any:
    """Values of a tensor of any device, with or without a gradient."""
    if x.is_meta or x.is_nested:
        kind = "on the device 'meta', without values" if x.is_meta else "nested"
        raise TypeError(
            f"{name} should be an array, a dense or a sparse tensor, got a tensor that "
            f"is {kind}."
        )
    x = x.detach().cpu()
    if x.is_quantized:
        x = x.dequantize()
    if x.is_mkldnn:
        x = x.to_dense()
    if x.layout is not torch.strided:
        return _sparse(x)
    if x.dtype.is_floating_point and x.dtype not in _FLOATS:
        x = x.float()  # numpy has no bfloat16, and no smaller ones
    array: NDArray = x.resolve_conj().resolve_neg().numpy()
    return array


_FLOATS = (torch.float16, torch.float32, torch.float64)


def _sparse(x: torch.Tensor) -> Any:
    """A sparse tensor as one of scipy."""
    x = x.to_sparse_coo().coalesce()
    if x.dense_dim() or x.dtype in (torch.bfloat16, torch.float16):
        return _on_host(x.to_dense(), "X")
    return sp.coo_array(
        (x.values().numpy(), tuple(x.indices().numpy())), tuple(x.shape)
    )
