"""MatrixFactorizationKMeans: the factorization, its solvers, and what it refuses."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skdeepcluster import MatrixFactorizationKMeans
from skdeepcluster.metrics import neighborhood_score

X, _ = make_blobs(150, 4, centers=4, cluster_std=2.5, random_state=1)
HAND = np.array([[1.0, 0.0], [1.0, 2.0], [9.0, 1.0], [11.0, 1.0]])
FORMS = {"dense": np.asarray, "csr": sp.csr_matrix}
FORM = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
SOLVER = pytest.mark.parametrize("solver", ["lloyd", "hartigan", "palm"])


def fit(x=X, n_clusters=4, sample_weight=None, **params):
    settings = {"random_state": 0, "n_init": 1, **params}
    model = MatrixFactorizationKMeans(n_clusters, **settings)
    return model.fit(x, sample_weight=sample_weight)


# --- the factorization ------------------------------------------------------


@FORM
@SOLVER
def test_known_answer(form, solver):
    model = fit(form(HAND), 2, solver=solver, init=HAND[[0, 2]])
    assert model.labels_.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(model.cluster_centers_, [[1, 1], [10, 1]])
    assert model.inertia_ == pytest.approx(4)
    expected = [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert model.membership_.toarray().tolist() == expected


@SOLVER
def test_equivalent_forms_of_the_objective(solver):
    model = fit(solver=solver)
    Y, C = model.membership_.toarray(), model.cluster_centers_
    assert model.inertia_ == pytest.approx(((X - Y @ C) ** 2).sum(), rel=1e-12)
    within = 0.0  # over pairs: twice the objective
    for j in range(4):
        mine = X[model.labels_ == j]
        within += ((mine[:, None] - mine) ** 2).sum() / len(mine)
    assert within == pytest.approx(2 * model.inertia_, rel=1e-12)
    Z = Y / np.sqrt(Y.sum(0))
    trace = np.trace(Z.T @ X @ X.T @ Z)
    assert (X**2).sum() - trace == pytest.approx(model.inertia_, rel=1e-10)
    W = X @ X.T  # the graph of similarities
    graph = sum(Y[:, j] @ W @ Y[:, j] / Y[:, j].sum() for j in range(4))
    assert graph == pytest.approx(trace, rel=1e-12)


@FORM
@SOLVER
def test_fitted_attributes_belong_together(form, solver):
    data = form(X)
    model = fit(data, solver=solver)
    labels, centers = model.labels_, model.cluster_centers_
    np.testing.assert_array_equal(labels, model.predict(data))
    assert labels.dtype == np.int32
    for j in range(4):  # both closed forms hold
        np.testing.assert_allclose(centers[j], X[labels == j].mean(0), rtol=1e-10)
    distances = np.sqrt(((X[:, None] - centers) ** 2).sum(2))
    np.testing.assert_allclose(model.transform(data), distances, rtol=1e-10)
    np.testing.assert_array_equal(distances.argmin(1), labels)
    assert model.inertia_ == model.reconstruction_error(data)
    assert model.objective_history_[-1] == pytest.approx(model.inertia_, rel=1e-10)
    assert model.binary_gap_ == 0
    assert model.score(data) == neighborhood_score(data, labels)
    assert sp.issparse(model.membership_)
    assert model.membership_.format == "csr"


@SOLVER
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_dense_equals_csr(solver, init):
    dense, sparse = (fit(form(X), solver=solver, init=init) for form in FORMS.values())
    np.testing.assert_array_equal(dense.labels_, sparse.labels_)
    np.testing.assert_allclose(dense.cluster_centers_, sparse.cluster_centers_)
    assert dense.inertia_ == pytest.approx(sparse.inertia_, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_lloyd_is_that_of_scikit_learn(seed):
    start = X[np.random.RandomState(seed).choice(150, 4, replace=False)]
    theirs = KMeans(4, init=start, n_init=1, tol=0).fit(X)
    ours = fit(init=start, tol=0)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-12)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X))


@FORM
@pytest.mark.parametrize("solver", ["lloyd", "hartigan"])
@pytest.mark.parametrize("seed", range(5))
def test_the_objective_never_rises(form, solver, seed):
    model = fit(form(X), 7, solver=solver, init="random", random_state=seed, tol=0)
    history = np.array(model.objective_history_)
    assert (np.diff(history) <= 1e-12 * history[0]).all()
    assert model.n_iter_ <= len(history)


def test_hartigan_is_never_above_lloyd():
    """From random rows of digits; the moves of single rows are worth it in most."""
    digits = load_digits().data[:200]
    better = 0
    for seed in range(20):
        plain, moved = (
            fit(digits, 10, solver=solver, init="random", random_state=seed)
            for solver in ("lloyd", "hartigan")
        )
        assert moved.inertia_ <= plain.inertia_ * (1 + 1e-12)
        better += moved.inertia_ < plain.inertia_ * (1 - 1e-9)
    assert better >= 10


@FORM
def test_palm_is_near_the_best_of_twenty_lloyd_starts(form):
    digits = form(load_digits().data[:300])
    best = fit(digits, 10, n_init=20).inertia_
    model = fit(digits, 10, solver="palm", n_init="auto")
    assert model.binary_gap_ == 0
    assert model.inertia_ <= 1.01 * best


def test_palm_that_ends_early_says_how_far_it_was():
    model = fit(solver="palm", max_iter=3, penalty=1e-6)
    assert 0 < model.binary_gap_ <= 0.5
    assert model.n_iter_ == 3
    assert set(model.labels_) == {0, 1, 2, 3}


# --- inverse_transform and reconstruction_error -----------------------------


def test_inverse_transform_is_the_product_of_the_factors():
    model = fit()
    rows = model.cluster_centers_[model.labels_]
    for memberships in (
        model.labels_,
        model.labels_.tolist(),
        model.membership_,
        sp.csc_array(model.membership_),
        model.membership_.toarray(),
    ):
        np.testing.assert_array_equal(model.inverse_transform(memberships), rows)
    soft = np.full((3, 4), 0.25)
    middle = np.tile(model.cluster_centers_.mean(0), (3, 1))
    np.testing.assert_allclose(model.inverse_transform(soft), middle)
    assert fit(X.astype(np.float32)).inverse_transform([0, 1]).dtype == np.float32


@pytest.mark.parametrize(
    "wrong, match",
    [
        ([0, 4], "from 0 to n_clusters - 1 = 3, got 0 to 4"),
        ([-1, 0], "got -1 to 0"),
        ([0.5], "whole numbers"),
        (np.ones((2, 3)), "Y has 3 columns, but .* has n_clusters=4"),
        ([[np.nan] * 4], "contains NaN"),
        ([], "Found array with 0 sample"),
    ],
)
def test_memberships_that_cannot_be(wrong, match):
    with pytest.raises(ValueError, match=match):
        fit().inverse_transform(wrong)


def test_reconstruction_error_of_new_rows():
    model = fit()
    new = X[:20] + 1
    expected = ((new - model.inverse_transform(model.predict(new))) ** 2).sum()
    assert model.reconstruction_error(new) == pytest.approx(expected, rel=1e-12)


def test_before_fit():
    model = MatrixFactorizationKMeans()
    assert not hasattr(model, "membership_")
    for use in (model.inverse_transform, model.reconstruction_error, model.transform):
        with pytest.raises(NotFittedError):
            use(X)


# --- weights, types and starts ----------------------------------------------


@FORM
@SOLVER
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_integer_weights_are_repeated_rows(form, solver, init):
    weight = np.random.RandomState(0).randint(0, 4, size=150)
    copies = np.random.RandomState(1).permutation(np.repeat(np.arange(150), weight))
    params = {"solver": solver, "init": init, "precision": "float64"}
    weighted = fit(form(X), sample_weight=weight, **params)
    repeated = fit(form(X[copies]), **params)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-10)
    np.testing.assert_array_equal(weighted.labels_[copies], repeated.labels_)
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


@SOLVER
def test_the_unit_of_weights_does_not_matter(solver):
    one, ten = (fit(solver=solver, sample_weight=np.full(150, w)) for w in (1.0, 8.0))
    np.testing.assert_array_equal(one.cluster_centers_, ten.cluster_centers_)
    assert ten.inertia_ == 8 * one.inertia_


@FORM
@SOLVER
def test_float32_is_kept(form, solver):
    data = form(X.astype(np.float32))
    model = fit(data, solver=solver)
    assert model.cluster_centers_.dtype == model.transform(data).dtype == np.float32
    np.testing.assert_array_equal(model.labels_, model.predict(data))
    assert model.inertia_ == pytest.approx(fit(solver=solver).inertia_, rel=1e-3)


@SOLVER
def test_far_from_the_origin(solver):
    """The objective loses no digits to an offset of the data."""
    near, far = fit(solver=solver), fit(X + 1e6, solver=solver)
    np.testing.assert_array_equal(near.labels_, far.labels_)
    assert far.inertia_ == pytest.approx(near.inertia_, rel=1e-6)
    history = np.array(far.objective_history_)
    assert history[-1] == pytest.approx(far.inertia_, rel=1e-6)


@pytest.mark.parametrize("form", [sp.csc_matrix, sp.coo_array, sp.csr_array])
def test_sparse_data_are_never_dense(form, monkeypatch):
    data = form(sp.random(200, 5000, 0.002, random_state=0) + sp.eye(200, 5000))
    original = sp.csr_matrix.toarray

    def guarded(self, *args, **kwargs):
        assert self.shape[0] < 100, self.shape
        return original(self, *args, **kwargs)

    monkeypatch.setattr(sp.csr_matrix, "toarray", guarded)
    monkeypatch.setattr(sp.csr_array, "toarray", guarded)
    for solver in ("lloyd", "hartigan", "palm"):
        model = fit(data, 3, solver=solver)
        assert model.transform(data).shape == (200, 3)


def test_starts_can_be_given():
    start = X[[1, 2, 3, 4]]

    def function(X, n_clusters, random_state):
        assert isinstance(random_state, np.random.RandomState)
        return start[:n_clusters]

    expected = fit(init=start).labels_
    for init in (function, start.tolist(), sp.csr_matrix(start)):
        np.testing.assert_array_equal(fit(init=init).labels_, expected)
    with pytest.raises(ValueError, match=r"shape .* = \(4, 4\), got \(3, 4\)"):
        fit(init=start[:3])


def test_number_of_starts(caplog):
    for params, expected in (
        ({}, 1),
        ({"init": "random"}, 10),
        ({"init": X[:4], "n_init": 7}, 1),
        ({"solver": "palm"}, 10),
        ({"n_init": 3}, 3),
    ):
        caplog.clear()
        with caplog.at_level("INFO", logger="skdeepcluster"):
            fit(**{"n_init": "auto", **params}, verbose=1)
        assert caplog.text.count("start ") == expected


def test_more_starts_are_never_worse():
    found = [fit(n_clusters=9, n_init=n, init="random").inertia_ for n in (1, 3, 9)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("value", [1e141, -1e200])
def test_data_that_overflow(value):
    data = X.copy()
    data[3, 1] = value
    with pytest.raises(ValueError, match=r"values up to 1e.*overflow float64; scale"):
        fit(data)
    with pytest.raises(ValueError, match="overflow float64"):
        fit().predict(data)


@SOLVER
def test_fewer_distinct_rows_than_clusters(solver):
    data = np.repeat(X[:3], 4, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"clusters \(3\) .* duplicate rows"):
        model = fit(data, 5, solver=solver)
    assert model.inertia_ == 0
    assert sorted(set(model.labels_)) == [0, 1, 2]


@pytest.mark.parametrize(
    "name, value",
    [
        ("solver", "elkan"),
        ("init", "farthest"),
        ("penalty", 0.0),
        ("penalty_growth", 1.0),
        ("precision", "bfloat16"),
    ],
)
def test_wrong_parameters(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        fit(**{name: value})


def test_memberships_are_those_of_the_fit():
    model = fit(n_clusters=4).set_params(n_clusters=2)
    assert model.membership_.shape == (150, 4)
    assert model.membership_.sum(axis=0).A1.tolist() == [
        (model.labels_ == k).sum() for k in range(4)
    ]
    rows = model.inverse_transform(model.labels_)
    np.testing.assert_array_equal(rows, model.inverse_transform(model.membership_))
