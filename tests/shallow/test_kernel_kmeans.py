"""KernelKMeans: k-means of what a kernel is the product of."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.sparse.csgraph import laplacian
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, make_blobs, make_circles
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

from skdeepcluster import KernelKMeans, MatrixFactorizationKMeans
from skdeepcluster.kmeans.means import content_rank
from skdeepcluster.kmeans.means._symmetry import Products, kernel_rank

X, _ = make_blobs(120, 4, centers=4, cluster_std=2.5, random_state=1)
START = np.resize([0, 1, 2, 3], 120)
SOLVER = pytest.mark.parametrize("solver", ["lloyd", "hartigan"])


def fit(x=X, n_clusters=4, sample_weight=None, **params):
    model = KernelKMeans(n_clusters, **{"random_state": 0, **params})
    return model.fit(x, sample_weight=sample_weight)


def squared_distances(K, K_new, own, labels, weight, n_clusters):
    """As the formula is written."""
    out = np.empty((len(K_new), n_clusters))
    for j in range(n_clusters):
        w = weight * (labels == j)
        m = w.sum()
        out[:, j] = own - 2 / m * K_new @ w + w @ K @ w / m**2
    return out


@SOLVER
@pytest.mark.parametrize("weighted", [False, True])
def test_a_linear_kernel_is_plain_k_means(solver, weighted):
    """From the same labels: same labels, objective and distances."""
    weight = np.random.RandomState(0).randint(1, 4, size=120) if weighted else None
    w = np.ones(120) if weight is None else weight
    means = [np.average(X[START == j], 0, w[START == j]) for j in range(4)]
    kernel = fit(solver=solver, init=START, sample_weight=weight)
    plain = MatrixFactorizationKMeans(4, solver=solver, init=np.array(means))
    plain.fit(X, sample_weight=weight)
    np.testing.assert_array_equal(kernel.labels_, plain.labels_)
    assert kernel.inertia_ == pytest.approx(plain.inertia_, rel=1e-10)
    new = X[:30] + 0.3
    np.testing.assert_array_equal(kernel.predict(new), plain.predict(new))
    np.testing.assert_allclose(kernel.transform(new), plain.transform(new), rtol=1e-8)
    np.testing.assert_allclose(kernel.dual_coef_ @ X, plain.cluster_centers_)


def test_a_linear_kernel_is_k_means_of_scikit_learn():
    means = [X[START == j].mean(0) for j in range(4)]
    theirs = KMeans(4, init=np.array(means), n_init=1, tol=0).fit(X)
    np.testing.assert_array_equal(fit(init=START, tol=0).labels_, theirs.labels_)


KERNELS = {
    "rbf": {"kernel": "rbf", "gamma": 0.05},
    "poly": {"kernel": "poly", "degree": 2, "coef0": 0.5, "gamma": 0.1},
    "cosine": {"kernel": "cosine"},
    "laplacian": {"kernel": "laplacian"},
    "callable": {"kernel": lambda a, b, power: (1 + a @ b) ** power},
}
KERNELS["callable"]["kernel_params"] = {"power": 2}
each_kernel = pytest.mark.parametrize("params", KERNELS.values(), ids=KERNELS)


def kernel_of(a, b, params):
    settings = dict(params)
    metric = settings.pop("kernel")
    settings.update(settings.pop("kernel_params", {}))
    return pairwise_kernels(a, b, metric=metric, filter_params=True, **settings)


@each_kernel
@SOLVER
def test_distances_are_those_of_the_formula(params, solver):
    model = fit(solver=solver, **params)
    new = X[:40] + 0.2
    K, K_new = kernel_of(X, X, params), kernel_of(new, X, params)
    own = np.diag(kernel_of(new, new, params))
    labels, one = model.labels_, np.ones(120)
    expected = squared_distances(K, K_new, own, labels, one, 4)
    np.testing.assert_allclose(model.transform(new) ** 2, expected, rtol=1e-8)
    np.testing.assert_array_equal(model.predict(new), expected.argmin(1))
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    inside = squared_distances(K, K, np.diag(K), labels, one, 4)
    np.testing.assert_array_equal(inside.argmin(1), labels)
    assert model.inertia_ == pytest.approx(inside.min(1).sum(), rel=1e-8)
    Z = model.membership_.toarray() / np.sqrt(np.bincount(labels))
    trace = np.trace(K) - np.trace(Z.T @ K @ Z)
    assert model.inertia_ == pytest.approx(trace, rel=1e-8)
    history = np.array(model.objective_history_)
    assert (np.diff(history) <= 1e-9 * history[0]).all()


@each_kernel
def test_precomputed_is_the_kernel_itself(params):
    K = kernel_of(X, X, params)
    given = fit(K, kernel="precomputed")
    named = fit(**params)
    np.testing.assert_array_equal(given.labels_, named.labels_)
    new = X[:30] + 0.3
    K_new = kernel_of(new, X, params)
    np.testing.assert_array_equal(given.predict(K_new), named.predict(new))
    assert given.X_fit_ is None
    sparse = fit(sp.csr_matrix(K), kernel="precomputed")
    np.testing.assert_array_equal(sparse.labels_, given.labels_)


@SOLVER
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_integer_weights_are_repeated_rows(solver, init):
    weight = np.random.RandomState(0).randint(0, 4, size=120)
    copies = np.random.RandomState(1).permutation(np.repeat(np.arange(120), weight))
    params = {"kernel": "rbf", "gamma": 0.02, "solver": solver, "init": init}
    params["n_init"] = 1
    weighted = fit(sample_weight=weight, **params)
    repeated = fit(X[copies], **params)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-10)
    np.testing.assert_array_equal(weighted.labels_[copies], repeated.labels_)
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


def test_sparse_equals_dense():
    params = {"kernel": "rbf", "gamma": 0.02}
    dense, sparse = fit(**params), fit(sp.csr_matrix(X), **params)
    np.testing.assert_array_equal(dense.labels_, sparse.labels_)
    np.testing.assert_allclose(dense.transform(X), sparse.transform(sp.csr_array(X)))


def test_float32_halves_the_kernel_and_keeps_the_labels():
    params = {"kernel": "rbf", "gamma": 0.02, "init": START}
    wide, narrow = (fit(precision=p, **params) for p in ("float64", "float32"))
    np.testing.assert_array_equal(wide.labels_, narrow.labels_)
    np.testing.assert_array_equal(narrow.labels_, narrow.predict(X))


@pytest.mark.parametrize("seed", range(20))
def test_hartigan_is_never_above_lloyd(seed):
    start = np.random.RandomState(seed).randint(4, size=120)
    params = {"kernel": "rbf", "gamma": 0.1, "init": start}
    plain, moved = (fit(solver=s, **params).inertia_ for s in ("lloyd", "hartigan"))
    assert moved <= plain * (1 + 1e-12)


def test_rings_that_plain_k_means_cannot_tell_apart():
    rings, y = make_circles(200, factor=0.3, noise=0.03, random_state=0)
    params = {"kernel": "rbf", "gamma": 4, "solver": "hartigan", "n_init": 5}
    labels = fit(rings, 2, **params).labels_
    assert abs((labels == y).mean() - 0.5) == 0.5


# --- graphs -----------------------------------------------------------------


def two_blocks():
    """A graph of two dense blocks of unequal size with few edges between them."""
    random = np.random.RandomState(0)
    y = np.repeat([0, 1], [15, 25])
    share = np.where(y[:, None] == y, 0.7, 0.05)
    upper = np.triu(random.rand(40, 40) < share, 1) * 1.0
    return upper + upper.T, y


def test_ratio_cut_is_k_means():
    """tr(Z'LZ), the cut over the sizes, is k-means of lambda_max I - L, shifted."""
    W, y = two_blocks()
    L = laplacian(W)
    largest = np.linalg.eigvalsh(L)[-1]
    model = fit(largest * np.eye(40) - L, 2, kernel="precomputed", solver="hartigan")
    assert abs((model.labels_ == y).mean() - 0.5) == 0.5
    Y = model.membership_.toarray()
    cut = sum(Y[:, j] @ W @ (1 - Y[:, j]) / Y[:, j].sum() for j in range(2))
    # tr K - tr Z'KZ, with tr K = n lambda_max - tr L
    expected = (40 - 2) * largest - np.trace(L) + cut
    assert model.inertia_ == pytest.approx(expected, rel=1e-10)


def test_normalised_cut_is_weighted_k_means():
    W, y = two_blocks()
    degree = W.sum(0)
    K = np.diag(1 / degree) + W / np.outer(degree, degree)
    model = fit(K, 2, sample_weight=degree, kernel="precomputed", solver="hartigan")
    assert abs((model.labels_ == y).mean() - 0.5) == 0.5
    Y = model.membership_.toarray()
    cut = sum(Y[:, j] @ W @ (1 - Y[:, j]) / (Y[:, j] @ degree) for j in range(2))
    # Every cluster keeps 1 - its cut, and 1 of the diagonal.
    assert model.inertia_ == pytest.approx(40 - 2 - (2 - cut), rel=1e-10)


# --- use --------------------------------------------------------------------


def test_pairwise_data_are_split_both_ways():
    assert get_tags(KernelKMeans(kernel="precomputed")).input_tags.pairwise
    assert not get_tags(KernelKMeans()).input_tags.pairwise
    iris = load_iris().data
    search = GridSearchCV(
        KernelKMeans(kernel="precomputed", random_state=0), {"n_clusters": [2, 3]}, cv=2
    )
    search.fit(iris @ iris.T)
    assert search.best_estimator_.labels_.shape == (150,)


def test_the_model_does_not_follow_later_changes_of_the_data():
    data = X.copy()
    model = fit(data, kernel="rbf")
    before = model.predict(X)
    data[:] = 0
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize(
    "x, params, match",
    [
        (X, {"kernel": "precomputed"}, r"\(n_samples, n_samples\) .* got \(120, 4\)"),
        (np.triu(X @ X.T), {"kernel": "precomputed"}, "should be symmetric"),
        (X * 1e200, {}, "kernel should be finite"),
        (X, {"init": START[:5]}, r"labels should have shape .* \(120,\), got \(5,\)"),
        (X, {"init": START + 1}, "from 0 to n_clusters - 1 = 3, got 1 to 4"),
        (X, {"kernel": "unknown"}, "'kernel' parameter"),
        (X, {"gamma": -1.0}, "'gamma' parameter"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_what_is_refused(x, params, match):
    with pytest.raises(ValueError, match=match):
        fit(x, **params)


def test_a_precomputed_kernel_has_no_distances():
    K = X @ X.T
    with pytest.raises(ValueError, match="products of rows with themselves"):
        fit(K, kernel="precomputed").transform(K)


@SOLVER
def test_fewer_distinct_rows_than_clusters(solver):
    data = np.repeat(X[:3], 4, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"clusters \(3\)"):
        model = fit(data, 5, kernel="rbf", solver=solver)
    assert sorted(set(model.labels_)) == [0, 1, 2]
    assert np.isfinite(model.transform(data)).all()
    assert (model.transform(data).argmin(1) == model.labels_).all()


def test_clusters_that_the_last_means_lose_come_last():
    base = np.array([[-3.0, 2, -3], [3, 0, -1], [0, -3, -1]])
    rows = np.concatenate([base * factor for factor in (1, 2, 3, 5, 7, 0.1)])
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        model = fit(rows, 5, kernel="cosine")
    assert np.unique(model.labels_).tolist() == list(range(model.labels_.max() + 1))
    np.testing.assert_array_equal(model.predict(rows), model.labels_)


@SOLVER
def test_zeros_that_are_stored_are_zeros(solver):
    rows = np.random.RandomState(0).poisson(0.7, size=(30, 4)).astype(float)
    rows = np.repeat(rows, 2, axis=0)
    sparse, stored = sp.csr_array(rows), sp.csr_array(np.ones_like(rows))
    stored.data = rows.ravel().copy()
    mixed = sp.vstack(
        [(stored if i % 2 else sparse)[[i]] for i in range(60)], format="csr"
    )
    expected, entries = fit(sparse, solver=solver), mixed.nnz
    found = fit(mixed, solver=solver)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert mixed.nnz == entries > sparse.nnz


def test_a_kernel_of_ones_own_of_sparse_rows():
    def product(a, b):
        return float(a.multiply(b).sum())

    rows = sp.csr_array(X[:40])
    found = fit(rows, kernel=product)
    expected = fit(rows, kernel="linear").transform(rows)
    np.testing.assert_allclose(found.transform(rows), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "precision", "kernel"),
    [
        (5e152, "float64", "linear"),
        (1e18, "float32", "linear"),
        (1e19, "float32", "linear"),
        (3e5, "float32", "poly"),
    ],
)
def test_sums_that_overflow_are_an_error(size, precision, kernel):
    with pytest.raises(ValueError, match="(overflow float|should be finite).*scale X"):
        fit(size * X, precision=precision, kernel=kernel)


@SOLVER
@pytest.mark.parametrize("max_iter", [1, 2, 300])
def test_inertia_is_that_of_the_labels(solver, max_iter):
    """Also where the run ends before its last labels have moved the means."""
    rows = np.random.RandomState(0).normal(size=(200, 2))
    weight = np.random.RandomState(1).randint(1, 4, size=200)
    settings = {"init": "random", "n_init": 1, "max_iter": max_iter, "solver": solver}
    model = fit(rows, 5, sample_weight=weight, **settings)
    own = model.transform(rows)[np.arange(200), model.labels_]
    assert model.inertia_ == pytest.approx((weight * own**2).sum(), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-310, 1e-290])
def test_kernels_of_tiny_numbers(unit):
    rows = np.random.RandomState(0).normal(size=(20, 3)) + np.repeat([[0], [9]], 10, 0)
    model = KernelKMeans(2, kernel="precomputed", random_state=0)
    labels = model.fit(rows @ rows.T * unit).labels_
    assert len(set(labels[:10])) == len(set(labels[10:])) == 1


def test_a_chain_of_points_takes_few_rounds(monkeypatch):
    """Refinement tells one pair of a chain apart in every round."""
    sums, calls = Products.sums, []
    monkeypatch.setattr(Products, "sums", lambda *args: calls.append(1) or sums(*args))
    place, weight = np.arange(400), torch.ones(400).double()
    chain = torch.from_numpy((abs(place[:, None] - place) <= 1) * 1.0)
    every = torch.arange(400)
    assert sorted(kernel_rank(chain, weight, every, every).tolist()) == list(range(400))
    assert len(calls) < 20


def test_wide_rows_of_zeros_are_not_made_dense():
    """They are equal, and so need no order."""
    rows = sp.csr_matrix(([1.0, 2.0], ([50, 51], [7, 7])), shape=(52, 2**22))
    rank = content_rank(rows)
    assert sorted(rank.tolist()) == list(range(52))
    assert np.ptp(rank[:50].numpy()) == 49
