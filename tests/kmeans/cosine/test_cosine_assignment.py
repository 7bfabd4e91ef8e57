from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from cosine_cases import FORMS, blobs, centers_of, setting, text, unit

from skdeepcluster.kmeans import as_matrix, label_block, nearest_by_cosine

FORM = pytest.mark.parametrize("form", FORMS)
PRECISION = pytest.mark.parametrize("precision", ["float32", "float64"])


def labels_of(x, directions, form="dense", precision="float32"):
    return nearest_by_cosine(*setting(x, directions, form, precision))[0].numpy()


def assert_nearest(x, directions, labels, tie=4e-15):
    """Labels are the nearest by float64 products, but for what these round."""
    cosines = unit(x) @ unit(directions).T
    chosen = np.take_along_axis(cosines, labels[:, None].astype(int), 1)[:, 0]
    assert (chosen >= cosines.max(axis=1) - tie).all()


def near_ties():
    """Rows whose two nearest centres differ by 1e-8, 1e-9, ... in the cosine."""
    random = np.random.RandomState(0)
    directions = unit(random.normal(size=(7, 30)))
    middle = directions[random.randint(7, size=2000)] + directions[0]
    return middle + 10.0 ** -random.randint(7, 13, 2000)[:, None] * random.normal(
        size=(2000, 30)
    ), directions


def offset(by):
    x = blobs(500, 6) + by
    return x, x[::60]


def denormal():
    x = (blobs(500, 6) * 1e-40).astype(np.float32)
    assert np.abs(x).max() < np.finfo(np.float32).tiny
    return x, x[::60].astype(np.float64)


def of_all_lengths():
    x = blobs(500, 6) * 10.0 ** np.linspace(-200, 200, 500)[:, None]
    return x, blobs(500, 6)[::60]


ADVERSARIES = {
    "near ties": near_ties,
    "offset 1e3": lambda: offset(1e3),
    "offset 1e6": lambda: offset(1e6),
    "norms 1e-40": lambda: (blobs() * 1e-40, blobs()[:6]),
    "norms 1e200": lambda: (blobs() * 1e200, blobs()[:6]),
    "norms of all sizes": of_all_lengths,
    "denormal": denormal,
    "duplicate centres": lambda: (blobs(), np.repeat(blobs()[:3], 2, axis=0)),
    "one feature": lambda: (blobs(400, 1), np.array([[1.0], [-1.0], [2.0]])),
    "two blocks": lambda: (blobs(4096 + 300, 3), blobs(10, 3, seed=1)),
    "wide": lambda: (blobs(60, 5000), blobs(9, 5000, seed=1)),
    "opposite": lambda: (np.vstack([blobs(), -blobs()]), blobs()[:5]),
    "one centre": lambda: (blobs(), blobs()[:1]),
}


@FORM
@PRECISION
@pytest.mark.parametrize("case", ADVERSARIES.values(), ids=ADVERSARIES)
def test_labels_are_exact(case, precision, form):
    x, directions = case()
    labels = labels_of(x, directions, form, precision)
    assert_nearest(x, directions, labels)
    np.testing.assert_array_equal(labels, labels_of(x, directions))


@pytest.mark.parametrize("setting", ["medium", "high"])
def test_labels_are_exact_where_products_round_more(setting):
    x, directions = near_ties()
    expected = labels_of(x, directions)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(setting)
        np.testing.assert_array_equal(labels_of(x, directions), expected)
        more = np.tile(x, (20, 1))  # enough for the kernels that round
        np.testing.assert_array_equal(
            labels_of(more, directions), np.tile(expected, 20)
        )
    finally:
        torch.set_float32_matmul_precision(before)


@FORM
@pytest.mark.parametrize("seed", range(5))
def test_of_centres_equally_near_the_lowest_is_taken(form, seed):
    """Counts of 0 and 1 have many exact ties, which float64 products do not see."""
    x = (text(seed=seed) > 0).astype(float)
    directions = x[:12]
    overlap, sizes = (x @ directions.T).astype(int), directions.sum(axis=1).astype(int)
    cosines = [
        [Fraction(int(a) ** 2, int(b)) for a, b in zip(row, sizes, strict=True)]
        for row in overlap
    ]
    expected = [row.index(max(row)) for row in cosines]
    ties = sum(row.count(max(row)) > 1 for row in cosines)
    assert ties > 10
    assert labels_of(x, directions, form).tolist() == expected


@FORM
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float64"])
def test_equal_centres_and_zero_rows_get_the_lowest_label(form, precision):
    x = np.vstack([blobs(), np.zeros((3, 5))])
    directions = np.repeat([[0.0] * 4 + [1.0], [1.0] + [0.0] * 4], 3, axis=0)
    labels = labels_of(x, directions, form, precision)
    assert set(labels) == {0, 3}
    assert labels[-3:].tolist() == [0, 0, 0]


@FORM
@pytest.mark.parametrize("k", [3, 40])
def test_bfloat16_is_near(form, k):
    x = blobs(2000, 16)
    labels = labels_of(x, x[:k], form, "bfloat16")
    assert labels.max() < k
    assert_nearest(x, x[:k], labels, tie=0.03)


@FORM
def test_products(form):
    x = blobs()
    matrix, centers = setting(x, x[:6], form)
    labels, products = nearest_by_cosine(matrix, centers)
    expected = (x * unit(x[:6])[labels]).sum(axis=1)
    np.testing.assert_allclose(products, expected, rtol=1e-5, atol=1e-5)
    assert products.dtype == torch.float32
    assert labels.dtype == torch.int64


@FORM
def test_a_label_depends_on_its_row_alone(form):
    x, directions = near_ties()
    expected = labels_of(x, directions, form)
    order = np.random.RandomState(0).permutation(len(x))
    np.testing.assert_array_equal(
        labels_of(x[order], directions, form), expected[order]
    )
    for part in (slice(0, 1), slice(1999, 2000), slice(77, 400)):
        np.testing.assert_array_equal(
            labels_of(x[part], directions, form), expected[part]
        )
    matrix, centers = setting(x, directions, form)
    index = torch.from_numpy(order[:50])
    labels, _ = label_block(matrix, index, matrix.take(index), centers)
    np.testing.assert_array_equal(labels, expected[order[:50]])


def test_two_threads_give_the_same_labels():
    x, directions = near_ties()
    alone = labels_of(x, directions)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        np.testing.assert_array_equal(labels_of(x, directions), alone)
    finally:
        torch.set_num_threads(before)


def test_empty_rows_and_columns_of_csr():
    matrix = as_matrix(sp.csr_matrix(([-2.0], ([2], [3])), shape=(5, 4)))
    labels, _ = nearest_by_cosine(matrix, centers_of(matrix, np.eye(4)))
    assert labels.tolist() == [0, 0, 0, 0, 0]
    labels, _ = nearest_by_cosine(matrix, centers_of(matrix, -np.eye(4)))
    assert labels.tolist() == [0, 0, 3, 0, 0]
