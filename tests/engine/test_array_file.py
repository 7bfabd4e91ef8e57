"""The one file format: what goes in comes out, and nothing else does."""

import hashlib
import json
import os
import sys

import pytest
import torch

from skdeepcluster.engine._array_file import (
    _DTYPES,
    _MAGIC,
    ArrayFile,
    ArrayFileError,
    check_plain,
    write_array_file,
)

NUMBERS = torch.Generator().manual_seed(0)
VALUES = [
    None,
    [True, False, 0, -(10**40), 0.1, -0.0, float("inf"), "ä\ud800\n", ""],
    {"a": (1, [2.5, None], ()), 3: {}, None: [], "tensor": ["float32", [2]]},
    {(0, 1): "a", ("b", (None, 2.5)): {(): torch.ones(2)}, True: 1},
    [torch.empty(0), torch.empty(2, 0, 3), torch.tensor(3.0), torch.ones(2, 3).T],
    [(100 * torch.randn(5, 2, generator=NUMBERS)).to(d) for d in _DTYPES.values()],
    {"twice": [torch.ones(2)] * 2, "nan": torch.tensor([torch.nan, -0.0])},
]


def written(path, value):
    check_plain(value, "memory")
    write_array_file(path, value, "partial")
    with ArrayFile(path) as file:
        return file.value, file.load()


def equal(a, b):
    """The same to the bit, and of the same types."""
    if isinstance(a, torch.Tensor):
        one, other = (t.contiguous().reshape(-1).view(torch.uint8) for t in (a, b))
        return (a.dtype, a.shape) == (b.dtype, b.shape) and torch.equal(one, other)
    if isinstance(a, dict):
        return list(a) == list(b) and equal(list(a.values()), list(b.values()))
    if isinstance(a, list | tuple):
        return type(a) is type(b) and all(map(equal, a, b)) and len(a) == len(b)
    return type(a) is type(b) and repr(a) == repr(b)


def test_what_goes_in_comes_out(tmp_path):
    for value in VALUES:
        described, found = written(tmp_path / "file", value)
        assert equal(found, value)
        assert str(described).count("device='meta'") == str(value).count("tensor(")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"a": [1, {2}]}, "set in 'a.1'"),
        ({"a": {b"b": 1}}, "bytes in 'a'"),
        ({"a": torch.ones(2).to_sparse()}, "torch.sparse_coo Tensor in 'a'"),
        ({"a": torch.ones(2).to(torch.float8_e5m2)}, "torch.float8_e5m2 .* in 'a'"),
        ({"a": {(1, torch.ones(2)): 1}}, "Tensor in 'a'"),
        ({"a": {frozenset(): 1}}, "frozenset in 'a'"),
        ([lambda: 1], "function in '.0'"),
    ],
)
def test_what_could_not_be_read_back_is_refused(value, what):
    with pytest.raises(TypeError, match=f"'memory' can keep .*{what}"):
        check_plain(value, "memory")


def with_header(header, data=b""):
    """A file with any header, and the right digests."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    start = _MAGIC + len(header).to_bytes(8, "little") + header
    digest = hashlib.sha256(start)
    first = digest.digest()
    digest.update(data)
    return start + first + data + digest.digest()


def tensor(dtype, shape):
    return {"byteorder": sys.byteorder, "value": {"tensor": [dtype, shape]}}


def test_headers_that_nobody_has_written(tmp_path):
    path, order = tmp_path / "file", {"byteorder": sys.byteorder}
    path.write_bytes(with_header(tensor("float32", [1]), bytes(4)))
    with ArrayFile(path) as file:
        assert file.load() == 0
    headers = [
        b"",
        b"[",
        b"\xff",
        b"[" * 100_000,
        [],
        order,
        {**order, "value": {"unknown": []}},
        {**order, "value": {"dict": [["a"]]}},
        {**order, "value": {"dict": [[[], 1]]}},
        {**order, "value": {"tensor": ["float32", [1]], "dict": []}},
        {"byteorder": "middle", "value": None},
        tensor("object", [1]),
        tensor("float32", [-1]),
        tensor("float32", [1.0]),
        tensor("float32", [True]),
        tensor("float32", [[1]]),
        tensor("float32", 1),
        tensor("float32", [1 << 62, 1 << 62]),
        tensor("float32", [0, 1 << 70]),
        tensor("float32", [1 << 33]),
        tensor("float64", [1]),
    ]
    for header in headers:
        path.write_bytes(with_header(header, bytes(4)))
        with pytest.raises(ArrayFileError):
            ArrayFile(path)
    path.write_bytes(with_header(tensor("bool", [4]), b"\0\1\2\0"))
    with ArrayFile(path) as file, pytest.raises(ArrayFileError, match="truth values"):
        file.load()


def test_a_length_that_is_not_there_takes_no_memory(tmp_path):
    path = tmp_path / "file"
    for length in (1 << 20, 1 << 40, (1 << 64) - 1):
        path.write_bytes(_MAGIC + length.to_bytes(8, "little") + b"{}")
        with pytest.raises(ArrayFileError):
            ArrayFile(path)
    with path.open("r+b") as file:
        file.truncate(3 << 30)
    with pytest.raises(ArrayFileError, match="too long"):
        ArrayFile(path)


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = tmp_path / "file"
    write_array_file(path, torch.ones(1 << 16), "partial")
    with ArrayFile(path) as file:
        os.truncate(path, 1000)
        with pytest.raises(ArrayFileError):
            file.load()
