"""SphericalKMeans: what it answers, and what it refuses."""

import numpy as np
import pytest
import scipy.sparse as sp
from cosine_cases import (
    FORMS,
    HAND,
    HAND_CENTERS,
    HAND_CRITERION,
    blobs,
    criterion,
    text,
    unit,
)
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import SphericalKMeans
from skdeepcluster.metrics import neighborhood_score

FORM = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
X = blobs()
ORIGIN = pytest.mark.filterwarnings("ignore:X has .* rows of zeros:UserWarning")


def fit(x=X, n_clusters=4, sample_weight=None, **params):
    model = SphericalKMeans(n_clusters, **{"random_state": 0, **params})
    return model.fit(x, sample_weight=sample_weight)


SETTINGS = [
    {},
    {"init": "random"},
    {"init": "farthest"},
    {"init": X[:4]},
    {"fuzziness": 1.5},
    {"batch_size": 50},
    {"precision": "float64"},
    {"precision": "bfloat16"},
    {"algorithm": "lloyd"},
    {"n_init": 3},
]
each_setting = pytest.mark.parametrize("params", SETTINGS, ids=str)


@FORM
def test_known_answer(form):
    model = fit(form(HAND), 2, init=HAND[[0, 2]])
    assert model.labels_.tolist() == [0, 0, 1, 1]
    assert model.inertia_ == pytest.approx(HAND_CRITERION, abs=1e-6)
    np.testing.assert_allclose(model.cluster_centers_, HAND_CENTERS, atol=1e-6)
    assert model.n_iter_ == 2


@FORM
@each_setting
def test_fitted_attributes_belong_together(form, params):
    data = form(X)
    model = fit(data, **params)
    labels, centers = model.labels_, model.cluster_centers_
    np.testing.assert_array_equal(labels, model.predict(data))
    assert labels.dtype == np.int32
    assert set(labels) == {0, 1, 2, 3}
    np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 1, rtol=1e-12)
    distances = 1 - unit(X) @ centers.T
    np.testing.assert_allclose(model.transform(data), distances, atol=1e-12)
    if "fuzziness" not in params:
        expected = criterion(X, labels, centers)
        assert model.inertia_ == pytest.approx(expected, rel=1e-12)
    assert adjusted_rand_score(labels, fit().labels_) > 0.9
    assert model.score(data) == neighborhood_score(data, labels, metric="cosine")


@each_setting
def test_dense_equals_csr(params):
    dense, sparse = fit(X, **params), fit(sp.csr_matrix(X), **params)
    if params.get("precision") == "bfloat16":
        return  # sparse products have no such arithmetic
    np.testing.assert_array_equal(dense.labels_, sparse.labels_)
    np.testing.assert_allclose(
        dense.cluster_centers_, sparse.cluster_centers_, atol=1e-6
    )
    assert dense.inertia_ == pytest.approx(sparse.inertia_, rel=1e-6)
    assert dense.score(X) == pytest.approx(sparse.score(sp.csr_matrix(X)), rel=1e-12)


@FORM
@pytest.mark.parametrize(
    "init", ["k-means++", "random", "farthest", "given", "callable"]
)
def test_integer_weights_equal_repetition(form, init):
    counts = np.random.RandomState(0).randint(0, 4, 300)
    order = np.random.RandomState(1).permutation(np.repeat(np.arange(300), counts))
    start = {"given": X[5:9], "callable": lambda X, k, random_state: blobs()[5:9]}
    params = {"init": start.get(init, init), "n_init": 2}
    weighted = fit(form(X), sample_weight=counts, **params)
    repeated = fit(form(X[order]), **params)
    np.testing.assert_allclose(
        weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-12
    )
    np.testing.assert_array_equal(weighted.labels_[order], repeated.labels_)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-11)


@pytest.mark.parametrize(
    "params", [{}, {"fuzziness": 1.5}, {"batch_size": 64}], ids=str
)
def test_the_unit_of_weights_does_not_matter(params):
    one = fit(sample_weight=np.ones(300), **params)
    for weight in (1e-60, 1e60):
        other = fit(sample_weight=np.full(300, weight), **params)
        np.testing.assert_array_equal(one.labels_, other.labels_)
        assert other.inertia_ == pytest.approx(one.inertia_ * weight, rel=1e-9)


@FORM
@pytest.mark.parametrize(
    "params", [{}, {"fuzziness": 1.5}, {"batch_size": 64}], ids=str
)
@pytest.mark.parametrize("factor", [1e-310, 1e-200, 1e-40, 4.0, 1e40, 1e200, 1e300])
def test_the_length_of_rows_does_not_matter(form, params, factor):
    model, data = fit(**params), form(X * factor)
    other = fit(data, **params)
    np.testing.assert_array_equal(other.labels_, model.labels_)
    assert other.inertia_ == pytest.approx(model.inertia_, rel=1e-9)
    np.testing.assert_allclose(other.transform(data), model.transform(X), atol=1e-12)
    np.testing.assert_array_equal(model.predict(data), model.labels_)


def test_normalised_rows_in_kmeans_are_something_else():
    x = text()
    theirs = KMeans(6, n_init=1, random_state=0).fit(unit(x))
    ours = fit(x, 6, init=theirs.cluster_centers_)
    assert not (ours.labels_ == theirs.labels_).all()
    assert ours.inertia_ < criterion(x, theirs.labels_, theirs.cluster_centers_)


@pytest.mark.parametrize("batch_size", [50, 200, 10_000])
def test_mini_batches_are_nearly_as_good(batch_size):
    x = blobs(1000, 8, k=6)
    start = x[[0, 1, 3, 4, 6, 7]]
    full, model = fit(x, 6, init=start), fit(x, 6, init=start, batch_size=batch_size)
    assert full.inertia_ * (1 - 1e-9) <= model.inertia_ < 1.02 * full.inertia_
    assert 1 < model.n_iter_ < 40


@ORIGIN
def test_mini_batches_where_few_rows_count():
    x = np.zeros((1000, 5))
    x[[17, 500, 900]] = X[:3]
    for params in ({}, {"init": "random"}, {"init": "farthest"}):
        model = fit(x, 2, batch_size=10, **params)
        assert np.isfinite(model.cluster_centers_).all()
        assert model.inertia_ < 5


# --- memberships ------------------------------------------------------------


@FORM
@pytest.mark.parametrize("m", [1.0001, 1.5, 3.0])
def test_memberships(form, m):
    data = form(X)
    model = fit(data, fuzziness=m)
    proba, distances = model.predict_proba(data), model.transform(data)
    u = distances ** (-1 / (m - 1)) if m > 1.1 else None
    if u is not None:
        np.testing.assert_allclose(proba, u / u.sum(axis=1, keepdims=True), rtol=1e-7)
        assert model.inertia_ == pytest.approx((proba**m * distances).sum(), rel=1e-9)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.predict(data))
    assert model.inertia_ <= fit(data).inertia_ * (1 + 1e-9)


def test_memberships_only_where_fuzzy():
    assert not hasattr(fit(), "predict_proba")
    assert not hasattr(SphericalKMeans(), "predict_proba")
    assert hasattr(SphericalKMeans(fuzziness=2), "predict_proba")
    assert not hasattr(SphericalKMeans(fuzziness=2), "partial_fit")


# --- rows without a direction, clusters without rows ------------------------


@FORM
def test_rows_of_zeros(form):
    x = np.vstack([X, np.zeros((3, 5))])
    with pytest.warns(UserWarning, match="X has 3 rows of zeros only"):
        model = fit(form(x))
    np.testing.assert_array_equal(model.labels_[:-3], fit().labels_)
    assert model.labels_[-3:].tolist() == [0, 0, 0]
    assert model.inertia_ == pytest.approx(fit().inertia_, rel=1e-12)
    assert (model.transform(form(x))[-3:] == 1).all()
    fuzzy = fit(fuzziness=2.0)
    np.testing.assert_array_equal(fuzzy.predict_proba(form(x))[-3:], 0.25)
    with pytest.raises(ValueError, match=r"3 rows of zeros only.*first is row 300"):
        fit(form(x), zero_rows="error")


@FORM
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"init": np.array([[-1.0, -1.0], [1.0, 0.0], [1.0, 0.9], [0.2, 1.0]])},
        {"fuzziness": 2.0},
        {"batch_size": 5},
    ],
    ids=str,
)
def test_fewer_directions_than_clusters(form, params):
    x = np.tile([[1.0, 0.0], [1.0, 1.0]], (6, 1)) * np.arange(1, 13)[:, None]
    match = r"distinct clusters \(2\) found smaller than n_clusters \(4\)"
    with pytest.warns(ConvergenceWarning, match=match):
        model = fit(form(x), **params)
    assert set(model.labels_) == {0, 1}
    assert model.inertia_ == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(np.linalg.norm(model.cluster_centers_, axis=1), 1)


@FORM
@pytest.mark.parametrize("params", [{}, {"fuzziness": 2.0}, {"batch_size": 2}], ids=str)
def test_rows_that_cancel(form, params):
    model = fit(form(np.array([[1.0, 2.0], [-1.0, -2.0]])), 1, **params)
    assert model.inertia_ == pytest.approx(2)
    np.testing.assert_allclose(np.linalg.norm(model.cluster_centers_), 1)


# --- what is refused --------------------------------------------------------


@pytest.mark.parametrize(
    "params, match",
    [
        ({"init": X[:3]}, r"shape \(n_clusters, n_features\) = \(4, 5\), got \(3, 5\)"),
        ({"init": X[:4, :3]}, r"= \(4, 5\), got \(4, 3\)"),
        ({"init": np.eye(4, 5) * [[1], [1], [0], [1]]}, "row of zeros at 2"),
        ({"init": np.full((4, 5), np.nan)}, "contains NaN"),
        ({"init": lambda X, k, random_state: X[:2]}, r"got \(2, 5\)"),
        ({"init": "nearest"}, "'init' parameter"),
        ({"fuzziness": 2.0, "batch_size": 10}, "no mini-batches.*batch_size=10"),
        ({"fuzziness": 2.0, "local_search": 3}, "no local search.*local_search=3"),
        ({"batch_size": 10, "n_init": 2}, "one start.*batch_size=10 with n_init=2"),
        ({"batch_size": 10, "local_search": 3}, "no local search.*local_search=3"),
        ({"fuzziness": 0.9}, "'fuzziness' parameter.*Got 0.9"),
        ({"fuzziness": np.inf}, "'fuzziness' parameter.*Got inf"),
        ({"n_clusters": 301}, "n_samples=300 should be >= n_clusters=301"),
        ({"tol": -1.0}, "'tol' parameter"),
        ({"n_init": "some"}, "'n_init' parameter"),
        ({"algorithm": "fast"}, "'algorithm' parameter"),
        ({"zero_rows": "drop"}, "'zero_rows' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"sample_weight": np.r_[-1.0, np.ones(299)]}, "[Nn]egative"),
        ({"sample_weight": np.zeros(300)}, "at least one non-zero"),
        ({"sample_weight": np.ones(299)}, r"sample_weight.shape == \(299,\)"),
        ({"sample_weight": np.full(300, np.nan)}, "contains NaN"),
        ({"sample_weight": np.full(300, 1e-300)}, "from 1e-100 to 1e.100, got 1e-300"),
        ({"x": X * 0}, "a row that is not zero.*300 rows of zeros of 300"),
        ({"x": sp.csr_matrix((9, 5))}, "a row that is not zero"),
        ({"x": X * np.nan}, "Input X contains NaN"),
        ({"x": sp.csr_matrix(X * np.inf)}, "Input X contains infinity"),
    ],
)
def test_errors_name_the_rule(params, match):
    with pytest.raises(ValueError, match=match):
        fit(**params)


def test_zero_weight_leaves_only_zero_rows():
    x = np.vstack([X[:5], np.zeros((3, 5))])
    weight = np.r_[np.zeros(5), np.ones(3)]
    with pytest.raises(ValueError, match="not zero and has a positive weight"):
        fit(x, 2, sample_weight=weight)


@FORM
@pytest.mark.parametrize("height", [1e5, 1e6, 1e7])
def test_inertia_keeps_its_digits_in_a_narrow_cone(form, height):
    plane = np.random.default_rng(0).normal(size=(150, 2)) * 0.1
    plane += np.repeat([[0.0, 0], [3, 0], [6, 0]], 50, axis=0)
    x = np.column_stack([plane, np.full(150, height)])
    model = fit(form(x), 3, init=x[[0, 50, 100]])
    middle = plane.reshape(3, 50, 2).mean(axis=1, keepdims=True)
    flat = ((plane.reshape(3, 50, 2) - middle) ** 2).sum() / 2 / height**2
    assert model.inertia_ == pytest.approx(flat, rel=1e-6, abs=0)
