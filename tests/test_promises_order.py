"""Clusterers of weighted rows: what belongs to the rows alone, and to their scale.

The data are as symmetric as can be: distances, objectives and products with the sum of
all rows are equal wherever they could be.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris, make_blobs
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
)

from skdeepcluster import (
    KernelKMeans,
    MatrixFactorizationKMeans,
    SphericalKMeans,
    VonMisesFisherMixture,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:X has .* of zeros only:UserWarning",
)

KERNELS = ["linear", "poly", "rbf", "cosine", "laplacian", "chi2", "additive_chi2"]
CONTAINERS = [np.asfortranarray, sp.csr_matrix, sp.csc_array, pd.DataFrame]
seeds = st.integers(0, 1000)
generous = settings(max_examples=70, deadline=None, derandomize=True)


@st.composite
def symmetric_rows(draw):
    random = np.random.RandomState(draw(seeds))
    n, d = draw(st.integers(4, 12)), draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["grid", "steps", "mirror", "one-hot", "ring", "any"]))
    if kind == "grid":
        return np.array(list(itertools.product([-0.1, 0.1, 0.3], repeat=2)))
    if kind == "steps":
        return random.randint(-2, 3, size=(n, d)).astype(float)
    if kind == "mirror":
        half = random.randint(1, 4, size=(n // 2, d)) * 0.1
        return np.concatenate([half, -half])
    if kind == "one-hot":
        return np.eye(4)[np.resize(np.arange(4), n)]
    if kind == "ring":
        turn = np.arange(n) * 2 * np.pi / n
        return np.c_[np.cos(turn), np.sin(turn)]
    rows = random.normal(size=(n, d))
    return rows - rows.mean(0)


def kernel_settings(draw, solver, init):
    kernel = draw(st.sampled_from(KERNELS))
    precision = draw(st.sampled_from(["float32", "float64"]))
    return {"kernel": kernel, "precision": precision, "solver": solver, "init": init}


@st.composite
def clusterers(draw, kind):
    k, seed = draw(st.integers(2, 6)), draw(seeds)
    solver = draw(st.sampled_from(["lloyd", "hartigan"]))
    init = draw(st.sampled_from(["k-means++", "random"]))
    n_init = draw(st.sampled_from([1, 3]))
    if kind is KernelKMeans:
        params = kernel_settings(draw, solver, init)
    else:
        params = {"init": init}
        if kind is MatrixFactorizationKMeans:
            params["solver"] = solver
    return kind(k, n_init=n_init, random_state=seed, **params)


def labels_of(model, rows, weight=None):
    return model.fit(rows, sample_weight=weight).predict(rows)


def check_order_containers_and_copies(model, rows, seed):
    rows = np.abs(rows) if "chi2" in getattr(model, "kernel", "") else rows
    rows = rows[: max(len(rows), model.n_clusters)]
    if len(rows) < model.n_clusters:
        model.set_params(n_clusters=len(rows))
    random = np.random.RandomState(seed)
    labels, order = labels_of(model, rows), random.permutation(len(rows))
    np.testing.assert_array_equal(labels_of(model, rows[order]), labels[order])
    container = CONTAINERS[seed % len(CONTAINERS)]
    if not ("chi2" in getattr(model, "kernel", "") and seed % 4 in (1, 2)):
        np.testing.assert_array_equal(labels_of(model, container(rows)), labels)
    weight = random.randint(1, 4, size=len(rows))
    copies = random.permutation(np.repeat(np.arange(len(rows)), weight))
    weighted = labels_of(model, rows, weight)
    np.testing.assert_array_equal(labels_of(model, rows[copies]), weighted[copies])


@generous
@given(clusterers(KernelKMeans), symmetric_rows(), seeds)
def test_kernel_k_means_sees_a_measure(model, rows, seed):
    check_order_containers_and_copies(model, rows, seed)


@generous
@given(clusterers(MatrixFactorizationKMeans), symmetric_rows(), seeds)
def test_factorization_sees_a_measure(model, rows, seed):
    check_order_containers_and_copies(model, rows, seed)


@generous
@given(clusterers(KernelKMeans), symmetric_rows(), seeds)
def test_precomputed_kernels_up_to_symmetry(model, rows, seed):
    """Where a symmetry of the kernel exchanges points, so may the labels."""
    kernel = rows @ rows.T
    model.set_params(kernel="precomputed", n_clusters=min(4, len(rows)))
    order = np.random.RandomState(seed).permutation(len(rows))
    plain = model.fit(kernel)
    objective, sizes = plain.inertia_, np.sort(np.bincount(plain.labels_))
    shuffled = model.fit(kernel[np.ix_(order, order)])
    np.testing.assert_allclose(shuffled.inertia_, objective, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(np.sort(np.bincount(shuffled.labels_)), sizes)


@pytest.mark.parametrize("solver", ["lloyd", "hartigan"])
def test_points_of_a_line_in_any_order(solver):
    rows = np.array([[-3.0], [-1.0], [1.0], [3.0]])
    for seed, order in itertools.product([0, 1], itertools.permutations(range(4))):
        model = KernelKMeans(3, solver=solver, random_state=seed)
        labels = labels_of(model, rows)
        np.testing.assert_array_equal(
            labels_of(model, rows[list(order)]), labels[list(order)]
        )


def test_centred_data_in_any_order_and_rounding():
    rows = StandardScaler().fit_transform(load_iris().data)
    order = np.random.RandomState(1).permutation(150)
    frame = StandardScaler().fit_transform(np.asfortranarray(load_iris().data))
    for kernel in ("linear", "rbf"):
        model = KernelKMeans(6, kernel=kernel, random_state=0)
        labels = labels_of(model, rows)
        np.testing.assert_array_equal(labels_of(model, rows[order]), labels[order])
        np.testing.assert_array_equal(labels_of(model, frame), labels)
        np.testing.assert_array_equal(labels_of(model, sp.csr_array(rows)), labels)


def test_a_regular_graph_without_symmetry():
    """All rows of the kernel have one sum: only classes of classes tell them apart."""
    # The graph of R. Frucht, the smallest of three edges a point that has none.
    chords = [-5, -2, -4, 2, 5, -2, 2, 5, -2, -5, 4, 2]
    graph = np.zeros((12, 12))
    for point, chord in enumerate(chords):
        graph[point, [(point + 1) % 12, (point + chord) % 12]] = 1
    kernel = np.maximum(graph, graph.T) + 3 * np.eye(12)
    assert set(kernel.sum(0)) == {6}
    for seed in range(20):
        model = KernelKMeans(3, kernel="precomputed", random_state=seed)
        order = np.random.RandomState(seed).permutation(12)
        labels = model.fit(kernel).labels_
        shuffled = model.fit(kernel[np.ix_(order, order)]).labels_
        np.testing.assert_array_equal(shuffled, labels[order])


@pytest.mark.parametrize("n_clusters", range(2, 11))
def test_weights_are_copies_as_scikit_learn_checks_it(n_clusters):
    name, model = "KernelKMeans", KernelKMeans(n_clusters)
    check_sample_weight_equivalence_on_dense_data(name, model)
    check_sample_weight_equivalence_on_sparse_data(name, model)


# --- scales -----------------------------------------------------------------

BLOBS, _ = make_blobs(24, 3, centers=4, random_state=0)
PALM = {"solver": "palm", "n_init": 1, "penalty_growth": 2}
SCALED = [
    KernelKMeans(4, random_state=0),
    KernelKMeans(4, kernel="linear", solver="hartigan", random_state=0),
    KernelKMeans(4, kernel="cosine", random_state=0),
    KernelKMeans(4, kernel="poly", coef0=0, gamma=1, random_state=0),
    MatrixFactorizationKMeans(4, random_state=0),
    MatrixFactorizationKMeans(4, solver="hartigan", random_state=0),
    MatrixFactorizationKMeans(
        4, solver="palm", n_init=1, penalty_growth=2, random_state=0
    ),
    SphericalKMeans(4, random_state=0),
    VonMisesFisherMixture(4, max_iter=5, random_state=0),
]
OF_DIRECTIONS = SphericalKMeans, VonMisesFisherMixture


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(SCALED), st.integers(-1000, 1000), st.booleans())
def test_powers_of_two_change_no_label(model, exponent, sparse):
    free = isinstance(model, OF_DIRECTIONS) or getattr(model, "kernel", "") == "cosine"
    # Above, squares or cubes of rows overflow, which is an error: see below.
    exponent = exponent if free else min(exponent, 150)
    plain = sp.csr_array(BLOBS) if sparse else BLOBS
    expected = labels_of(model, plain)
    scaled = plain * 2.0**exponent
    np.testing.assert_array_equal(labels_of(model, scaled), expected)
    if not free and exponent < -500 and hasattr(model, "transform"):
        distances = model.transform(scaled)
        again = model.fit(plain).transform(plain)
        factor = exponent * (3 if getattr(model, "kernel", "") == "poly" else 1)
        if factor > -1000:
            np.testing.assert_allclose(distances, again * 2.0**factor, rtol=1e-9)


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly"])
def test_what_overflows_is_one_clear_error(kernel):
    for scale in (1e160, 1e200, 1e300):
        with pytest.raises(ValueError, match="kernel should be finite.*scale X"):
            KernelKMeans(4, kernel=kernel).fit(BLOBS * scale)
    model = KernelKMeans(4, kernel=kernel).fit(BLOBS)
    if kernel != "linear":
        with pytest.raises(ValueError, match="kernel should be finite"):
            model.predict(BLOBS * 1e300)


def test_far_rows_of_a_small_model():
    """Rows to which all centres are equally near belong to the first."""
    model = MatrixFactorizationKMeans(4, random_state=0).fit(BLOBS * 1e-200)
    rows = np.concatenate([BLOBS[:3] * 1e-200, BLOBS[3:6] * 1e100])
    np.testing.assert_array_equal(model.predict(rows)[:3], model.labels_[:3])
    np.testing.assert_array_equal(model.predict(rows)[3:], 0)
    lengths = np.linalg.norm(BLOBS[3:6], axis=1)[:, None] * 1e100
    np.testing.assert_allclose(model.transform(rows)[3:], lengths * np.ones(4))


@pytest.mark.filterwarnings("error")
def test_products_that_leave_float32_are_float64():
    rows = (BLOBS / np.abs(BLOBS).max()).astype(np.float32)
    for size in (1e25, 3.4e38):
        model = MatrixFactorizationKMeans(4, random_state=0).fit(rows * size)
        small = MatrixFactorizationKMeans(4, random_state=0)
        small.fit(rows * np.float32(size))
        for memberships in (small.membership_, small.transform(rows)):
            found = small.inverse_transform(memberships)
            assert np.isfinite(found).all()
        hard = small.inverse_transform(small.membership_)
        assert hard.dtype == np.float32
        np.testing.assert_array_equal(hard, small.cluster_centers_[small.labels_])
        assert np.isfinite(model.inverse_transform(model.transform(rows))).all()
