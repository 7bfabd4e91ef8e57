"""Tensors and plain values in one file of our own, of which nothing is executed.

A header says what the file holds, in JSON with dtype and shape in the place of every
tensor, whose bytes follow in this order. A digest of the header and one of everything
tell whether a bit is another one. So a file can be judged, its size included, before
memory is taken for what is in it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

_MAGIC = b"skdeepcluster 1\n"
_LENGTH_BYTES = 8
_DIGEST_BYTES = hashlib.sha256().digest_size
# A header has names, shapes and histories, of which this is millions of numbers.
_MAX_HEADER_BYTES = 1 << 26
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool,
        torch.uint8,
        torch.uint16,
        torch.uint32,
        torch.uint64,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.complex64,
        torch.complex128,
    )
}
_PLAIN = {type(None), bool, int, float, str}


class ArrayFileError(ValueError):
    """A file is damaged, or not one of ours."""


@contextmanager
def told_as_another(what: str) -> Iterator[None]:
    """Context in which what fails, on a value of another structure, says `what`."""
    try:
        yield
    except (ArrayFileError, MemoryError):
        raise
    except Exception as error:  # something else where a dict belongs, and so on
        raise ArrayFileError(what) from error


def check_plain(value: Any, parameter: str, name: str = "") -> None:
    """Refuse what could not be read back: all but tensors and plain values.

    Parameters
    ----------
    value : object
    parameter : str
        Whose files these are, for errors.
    name : str, optional
        Where the value is.
    """
    if isinstance(value, dict):
        for key, part in value.items():
            _check_key(key, parameter, name)
            check_plain(part, parameter, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            check_plain(part, parameter, f"{name}.{number}")
    elif not _is_plain_tensor(value):
        _check_key(value, parameter, name)


def _check_key(value: Any, parameter: str, name: str) -> None:
    """Refuse all but plain values that can be keys of a dict."""
    if isinstance(value, tuple):
        for part in value:
            _check_key(part, parameter, name)
    elif type(value) not in _PLAIN:
        raise TypeError(
            f"{parameter!r} can keep states of tensors, numbers, strings, lists and "
            f"dicts. Got a {_kind(value)} in {name!r}."
        )


def _kind(value: Any) -> str:
    """Type of a value, and what is special about a tensor."""
    kind = type(value).__name__
    if not isinstance(value, Tensor):
        return kind
    return f"{value.dtype} {value.layout} {kind}"


def _is_plain_tensor(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.dtype in _DTYPES.values()
    )


class ArrayFile:
    """A file that is open for reading, whose header is known to be whole.

    As a context manager it is closed where the block ends.

    Parameters
    ----------
    path : Path
        A regular file, or a link to one.

    Attributes
    ----------
    value : object
        What was written, with tensors on the device "meta", which have no memory.

    Raises
    ------
    ArrayFileError
        Where it is damaged, or something else.
    OSError
        Where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        # A pipe would be waited for until somebody writes into it.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise ArrayFileError("It is not a regular file.")
            self._file = os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise
        try:
            self._read_header(found.st_size)
        except BaseException:
            self.close()
            raise

    def _read_header(self, size: int) -> None:
        start = self._bytes(len(_MAGIC) + _LENGTH_BYTES)
        if not start.startswith(_MAGIC):
            raise ArrayFileError("It begins with other bytes.")
        length = int.from_bytes(start[len(_MAGIC) :], "little")
        if length > min(size, _MAX_HEADER_BYTES):
            raise ArrayFileError("Its header is too long.")
        header = self._bytes(length)
        digest = hashlib.sha256(start + header)
        if self._bytes(_DIGEST_BYTES) != digest.digest():
            raise ArrayFileError("Its header is not what was written.")
        self._digest = digest
        # A digest can be computed for any header.
        with told_as_another("Its header has another structure."):
            self._decode(json.loads(header))
        data = sum(_n_bytes(tensor) for tensor in self._tensors)
        if size != self._file.tell() + data + _DIGEST_BYTES:
            raise ArrayFileError("Its size is not what the header says.")

    def _decode(self, header: Any) -> None:
        if header["byteorder"] != sys.byteorder:
            raise ArrayFileError("Its numbers have another order of bytes.")
        self._value = header["value"]
        self._tensors: list[Tensor] = []
        self.value = _decoded(self._value, self._described)

    def _described(self, dtype: str, shape: list[int]) -> Tensor:
        """A tensor without memory, whose bytes are the next ones."""
        if any(type(length) is not int or length < 0 for length in shape):
            raise ArrayFileError("A shape is none.")
        self._tensors.append(torch.empty(shape, dtype=_DTYPES[dtype], device="meta"))
        return self._tensors[-1]

    def load(self) -> Any:
        """What was written, with its tensors, on the CPU."""
        loaded = [self._next_like(described) for described in self._tensors]
        if self._bytes(_DIGEST_BYTES) != self._digest.digest():
            raise ArrayFileError("Its numbers are not what was written.")
        in_turn = iter(loaded)
        return _decoded(self._value, lambda dtype, shape: next(in_turn))

    def _next_like(self, described: Tensor) -> Tensor:
        tensor = torch.empty(described.shape, dtype=described.dtype)
        place = _bytes_of(tensor)
        if self._file.readinto(place) != len(place):
            raise ArrayFileError("It is shorter than it was.")
        self._digest.update(place)
        if tensor.dtype is torch.bool and (tensor.view(torch.uint8) > 1).any():
            raise ArrayFileError("It has truth values that are none.")
        return tensor

    def _bytes(self, length: int) -> bytes:
        found = self._file.read(length)
        if len(found) != length:
            raise ArrayFileError("It is too short.")
        return found

    def close(self) -> None:
        """Close the file; its header remains."""
        self._file.close()

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def write_array_file(path: Path, value: Any, partial: str) -> None:
    """Write a file in the place of another, so that at any moment one is whole.

    Parameters
    ----------
    path : Path
    value : object
        For which `check_plain` holds.
    partial : str
        What the name of the file begins with until it is whole.
    """
    handle, temporary = tempfile.mkstemp(prefix=partial, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _write(file, value)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _write(file: Any, value: Any) -> None:
    tensors: list[Tensor] = []
    encoded = _encoded(value, tensors)
    header = json.dumps({"byteorder": sys.byteorder, "value": encoded}).encode()
    if len(header) > _MAX_HEADER_BYTES:
        raise ValueError(
            f"The names and histories of a fit take {len(header)} bytes, more than the "
            f"{_MAX_HEADER_BYTES} that can be read back."
        )
    start = _MAGIC + len(header).to_bytes(_LENGTH_BYTES, "little") + header
    digest = hashlib.sha256(start)
    file.write(start)
    file.write(digest.digest())
    for tensor in tensors:
        data = _bytes_of(tensor.detach().cpu().contiguous())
        digest.update(data)
        file.write(data)
    file.write(digest.digest())


def _encoded(value: Any, tensors: list[Tensor]) -> Any:
    """JSON for a value, whose tensors are collected."""
    if isinstance(value, Tensor):
        tensors.append(value)
        dtype = str(value.dtype).removeprefix("torch.")
        return {"tensor": [dtype, list(value.shape)]}
    if isinstance(value, dict):
        return {"dict": [_encoded([k, v], tensors) for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(v, tensors) for v in value]}
    if isinstance(value, list):
        return [_encoded(v, tensors) for v in value]
    return value


def _decoded(encoded: Any, tensor: Callable[[str, list[int]], Tensor]) -> Any:
    """The value, whose tensors are made in their order by ``tensor(dtype, shape)``."""
    if isinstance(encoded, list):
        return [_decoded(v, tensor) for v in encoded]
    if not isinstance(encoded, dict):
        return encoded
    ((kind, inner),) = encoded.items()
    if kind == "tensor":
        return tensor(*inner)
    parts = [_decoded(v, tensor) for v in inner]
    if kind == "tuple":
        return tuple(parts)
    if kind != "dict":
        raise ArrayFileError("Its header has another structure.")
    return dict(parts)


def _n_bytes(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * tensor.itemsize


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous tensor, where they lie."""
    array: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return memoryview(array)


def _sync_directory(directory: Path) -> None:
    """Make the new name last, too, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
