import mmap

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from cosine_cases import FORMS, blobs, centers_of, text, unit

from skdeepcluster.kmeans import as_matrix
from skdeepcluster.kmeans.cosine._assignment import cosine_blocks, nearest_by_cosine
from skdeepcluster.kmeans.matrices._dense import product_error
from skdeepcluster.kmeans.matrices._unit_blocks import _block_rows
from skdeepcluster.kmeans.matrices._whole import (
    LARGEST_BLOCK_ROWS,
    rows_of_product,
    rows_to_read,
)
from skdeepcluster.utils._stored import is_mapped

X = text()


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def frozen(x):
    for part in (x.data, x.indices, x.indptr) if sp.issparse(x) else (x,):
        part.flags.writeable = False
    return x


def with_long_indices(x):
    x = sp.csr_matrix(x)
    x.indices, x.indptr = x.indices.astype(np.int64), x.indptr.astype(np.int64)
    return x


def unsorted(x):
    x = sp.csr_matrix(x)
    for start, stop in zip(x.indptr, x.indptr[1:], strict=False):
        x.indices[start:stop] = x.indices[start:stop][::-1]
        x.data[start:stop] = x.data[start:stop][::-1]
    x.has_sorted_indices = False
    return x


def unaligned(x):
    records = np.zeros(len(x), dtype=[("flag", "i1"), ("row", "f4", (x.shape[1],))])
    records["row"] = x
    return records["row"]


LAYOUTS = {
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "fortran": np.asfortranarray,
    "reversed": lambda x: x[::-1].copy()[::-1],
    "mirrored": lambda x: x[:, ::-1].copy()[:, ::-1],
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "read-only": lambda x: frozen(x.copy()),
    "unaligned": unaligned,
    "csr": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csr float32": lambda x: sp.csr_matrix(x.astype(np.float32)),
    "csr int64": with_long_indices,
    "csr read-only": lambda x: frozen(sp.csr_matrix(x)),
    "csr unsorted": unsorted,
}


def content(x):
    return x.toarray() if sp.issparse(x) else np.array(x)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_answer_for_every_layout(layout):
    x = layout(X)
    before = content(x)
    matrix = as_matrix(x)
    centers = centers_of(matrix, X[:3] + 1)
    index = torch.tensor([299, 0, 7, 7])
    labels = torch.arange(300) % 3
    scale = torch.rand(300, generator=torch.Generator().manual_seed(0)).double()
    expected = X @ unit(X[:3] + 1).T
    expected_sums = np.eye(3)[labels].T @ (X * scale.numpy()[:, None])

    products = torch.cat([matrix.products(b, centers) for _, b in matrix.blocks()])
    np.testing.assert_allclose(products, expected, atol=1e-4)
    taken = matrix.products(matrix.take(index), centers)
    np.testing.assert_allclose(taken, expected[index], atol=1e-4)
    exact = matrix.exact_products(index, labels[index], centers)
    np.testing.assert_allclose(exact, expected[index, labels[index]], rtol=1e-12)
    np.testing.assert_array_equal(matrix.gather(index), X[index])
    np.testing.assert_allclose(matrix.norms, np.linalg.norm(X, axis=1), rtol=1e-14)
    np.testing.assert_allclose(matrix.sums(labels, scale, 3), expected_sums)
    few = matrix.sums_of(index, labels[index], scale[index], 3)
    of_few = np.eye(3)[labels[index]].T @ (X[index] * scale[index].numpy()[:, None])
    np.testing.assert_allclose(few, of_few, atol=1e-14)
    mixed = matrix.mixed_sums(slice(5, 9), torch.ones(4, 2).double())
    np.testing.assert_allclose(mixed, [X[5:9].sum(axis=0)] * 2)
    np.testing.assert_array_equal(content(x), before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_mapped_files_are_read_in_order(dtype, tmp_path):
    np.save(tmp_path / "x.npy", blobs(600, 3000).astype(dtype))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert is_mapped(x)
    assert is_mapped(x[5:])
    matrix = as_matrix(x)
    slices = [rows for rows, _ in matrix.blocks()]
    assert [rows.start for rows in slices] == list(range(0, 600, matrix.block_rows))
    assert matrix.block_rows < 600
    read = torch.cat([block for _, block in matrix.blocks()])
    np.testing.assert_array_equal(read, x.astype(np.float32))


def test_what_is_mapped():
    assert not is_mapped(np.ones(3))
    assert not is_mapped([1.0])
    memory = mmap.mmap(-1, 64)
    assert is_mapped(np.ndarray((4, 2), buffer=memory)[1:])


@pytest.mark.parametrize("factor", [1e-310, 1e-200, 1e-40, 1e40, 1e200, 1e306])
def test_rows_beyond_the_range_of_float32(form, factor):
    x = X * 1.0
    x[::3] *= factor  # rows differ in length by as much
    before = content(form(x))
    matrix = as_matrix(form(x))
    centers = centers_of(matrix, X[:3] + 1)
    products = torch.cat([matrix.products(b, centers) for _, b in matrix.blocks()])
    norms = matrix.norms.clamp(min=5e-324)
    cosines = products / norms[:, None]
    # The smallest numbers have few digits.
    atol = 1e-6 if factor > 1e-300 else 1e-5
    np.testing.assert_allclose(cosines, unit(X) @ unit(X[:3] + 1).T, atol=atol)
    rows = matrix.gather(torch.arange(300)) / norms[:, None]
    np.testing.assert_allclose(rows, unit(X), atol=1e-7 if atol == 1e-6 else 1e-5)
    np.testing.assert_array_equal(content(form(x)), before)


def test_rows_of_zeros_have_norm_zero(form):
    x = X * (np.arange(300) % 4 > 0)[:, None]
    zero = as_matrix(form(x)).norms == 0
    assert zero.sum() == 75
    assert torch.equal(zero, torch.arange(300) % 4 == 0)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("d", [1, 3, 64, 1000])
def test_errors_stay_within_their_bound(form, precision, d):
    x = blobs(500, d) + 1e3
    matrix = as_matrix(form(x), precision=precision)
    centers = centers_of(matrix, x[:9] * (-1) ** np.arange(9)[:, None])
    every = torch.arange(500).repeat_interleave(9)
    exact = matrix.exact_products(every, torch.arange(9).repeat(500), centers)
    for rows, block in matrix.blocks():
        off = matrix.products(block, centers).double() - exact.view(500, 9)[rows]
        off = off.abs() / matrix.norms[rows, None]
        assert float(off.max()) <= matrix.error(block)


def test_error_follows_the_settings_of_the_process():
    before = torch.get_float32_matmul_precision()
    errors = []
    try:
        for setting in ("highest", "high", "medium"):
            torch.set_float32_matmul_precision(setting)
            errors.append(product_error(10, "float32"))
    finally:
        torch.set_float32_matmul_precision(before)
    assert errors == sorted(errors)
    assert errors[1] > 1e-3
    assert product_error(10, "bfloat16") == 0
    assert product_error(10, "float64") < 1e-14


@pytest.mark.parametrize(
    ("width", "read", "of_product"), [(1, 4096, 1 << 14), (2048, 512, 8192)]
)
def test_an_accelerator_takes_more_rows_at_a_time(width, read, of_product):
    assert rows_to_read(width) == read
    assert rows_of_product(width, torch.device("cpu")) == read
    assert rows_of_product(width, torch.device("cuda")) == of_product


def test_blocks_of_products_are_read_in_parts(form):
    """As on an accelerator, whose memory holds dense rows."""
    expected, matrix = as_matrix(form(X)), as_matrix(form(X))
    matrix.read_rows, matrix.block_rows = 20, 50
    if not sp.issparse(matrix.x):
        matrix._resident = torch.from_numpy(X.astype(np.float32))
    n, centers = len(X), centers_of(expected, X[:3])
    starts = [rows.start for rows, _ in matrix.blocks()]
    assert starts == list(range(0, n, 50)) and n > 100
    parts = list(cosine_blocks(matrix, centers))
    assert all(rows.stop - rows.start <= 20 for rows, _ in parts)
    assert [row for rows, _ in parts for row in range(n)[rows]] == list(range(n))
    whole = torch.cat([cosines for _, cosines in cosine_blocks(expected, centers)])
    np.testing.assert_allclose(
        torch.cat([cosines for _, cosines in parts]), whole, atol=1e-6
    )
    labels, _ = nearest_by_cosine(matrix, centers)
    assert torch.equal(labels, nearest_by_cosine(expected, centers)[0])
    scale = torch.rand(n, dtype=torch.float64)
    for found, of_all in zip(
        (matrix.sums(labels, scale, 3), matrix.norms),
        (expected.sums(labels, scale, 3), expected.norms),
        strict=True,
    ):
        np.testing.assert_allclose(found, of_all, rtol=1e-12, atol=1e-12)


def test_unit_blocks_of_an_accelerator_are_larger():
    for width, rows in [(1, 1024), (784, 1024), (5000, 128)]:
        assert _block_rows(width, on_host=True) == rows
        assert _block_rows(width, on_host=False) == 4 * rows


def test_more_rows_than_a_block(form):
    x = np.random.RandomState(0).normal(size=(LARGEST_BLOCK_ROWS + 7, 2))
    matrix = as_matrix(form(x))
    assert [rows.stop for rows, _ in matrix.blocks()] == [4096, 4103]
    labels = torch.arange(len(x)) % 2
    sums = matrix.sums(labels, torch.ones(len(x)).double(), 2)
    np.testing.assert_allclose(sums, [x[::2].sum(axis=0), x[1::2].sum(axis=0)])
