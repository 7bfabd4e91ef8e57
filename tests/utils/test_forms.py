"""Masked arrays and tensors become arrays; numbers are told from bools."""

import warnings
from numbers import Integral, Real

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from skdeepcluster.utils._forms import plain, plain_labels, plain_numbers, plain_rows
from skdeepcluster.utils._numbers import check_number

X = np.arange(6.0).reshape(3, 2)


def test_masked_values_become_nan_in_a_dtype_that_holds_it():
    for dtype, expected in {
        "f4": "f4",
        "f8": "f8",
        "i8": "f8",
        "O": "O",
        "U1": "O",
    }.items():
        masked = np.ma.masked_array(X.astype(dtype), X == 3)
        found = plain(masked)
        assert type(found) is np.ndarray and found.dtype == expected
        assert np.flatnonzero(found != found).tolist() == [3]
        assert masked.data.ravel()[3] == X.astype(dtype)[1, 1]  # as it was


def test_missing_dates_are_missing_values():
    days = np.ma.masked_array(X.astype("M8[D]"), X == 3)
    assert np.flatnonzero(np.isnat(plain(days))).tolist() == [3]
    for rows in (
        days,
        plain(days),
        pd.DataFrame(plain(days)),
        X.astype("m8[s]") * np.nan,
    ):
        with pytest.raises(ValueError, match="Input X contains NaN: missing dates"):
            plain_rows(rows)
    whole = pd.DataFrame(days.data)
    assert plain_rows(whole) is whole


def test_without_masked_values_nothing_is_copied():
    for mask in (np.ma.nomask, False, np.zeros(X.shape, bool)):
        assert np.shares_memory(plain(np.ma.masked_array(X, mask)), X)
    assert plain(X) is X
    assert plain("text") == "text"


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(X, requires_grad=True),
        torch.nn.Parameter(torch.tensor(X)),
        torch.tensor(X).bfloat16(),
        torch.tensor(X).to(torch.float8_e4m3fn),
        torch.tensor(X * 1j).conj().imag * -1,
        torch.tensor(X, dtype=torch.float32).to_mkldnn(),
        list(torch.tensor(X, requires_grad=True)),
        tuple(torch.tensor(X)),
        [list(row) for row in torch.tensor(X, requires_grad=True)],
        [torch.tensor(row).to_sparse() for row in X],
    ],
    ids=str,
)
def test_tensors(tensor):
    found = np.asarray(plain_rows(tensor))
    np.testing.assert_array_equal(found, X)


def test_quantized_tensors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch gives them up
        tensor = torch.quantize_per_tensor(torch.tensor(X).float(), 1, 0, torch.quint8)
        np.testing.assert_array_equal(plain(tensor), X)


def test_sparse_tensors():
    dense = torch.tensor(X)
    for tensor in (dense.to_sparse(), dense.to_sparse_csr(), dense.to_sparse_csc()):
        found = plain(tensor)
        assert sp.issparse(found)
        np.testing.assert_array_equal(found.toarray(), X)
    hybrid = dense.to_sparse(1)
    np.testing.assert_array_equal(plain(hybrid), X)
    twice = torch.sparse_coo_tensor([[0, 0], [1, 1]], [2.0, 3.0], (1, 2))
    np.testing.assert_array_equal(plain(twice).toarray(), [[0, 5]])


def test_a_dictionary_of_keys_is_a_sparse_matrix():
    assert sp.issparse(plain_rows(sp.dok_array(X)))


def test_labels_and_numbers_that_are_missing():
    for y in ([1.0, np.nan], np.ma.masked_equal([1, 2], 2), [1, None]):
        with pytest.raises(ValueError, match="Input y contains"):
            plain_labels(y)
    with pytest.raises(TypeError, match="y should be a 1d array, got a .*csr_array"):
        plain_labels(sp.csr_array(X))
    with pytest.raises(ValueError, match="w should be an array of numbers: .*'a'"):
        plain_numbers(["a"], "w")
    with pytest.raises(ValueError, match="w should be an array of real numbers"):
        plain_numbers([1j], "w")
    with pytest.raises(TypeError, match="w should be an array of numbers: .*'dict'"):
        plain_numbers({}, "w")


def test_a_bool_is_no_number():
    with pytest.raises(TypeError, match="n must be an int, not a bool. Got True"):
        check_number(True, "n", Integral, 1)
    with pytest.raises(TypeError, match="r must be a float, not a bool. Got False"):
        check_number(False, "r", Real, 0)
    check_number(np.int64(1), "n", Integral, 1)
