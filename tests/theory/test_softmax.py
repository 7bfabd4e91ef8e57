"""Softmax decisions are assignments to the nearest centroid."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import train_test_split

from skdeepcluster import SphericalKMeans
from skdeepcluster.theory import softmax_to_centroids

TRIANGLE = np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
GRID = [(k, m) for k in range(2, 9) for m in range(1, 12)]


def random_softmax(k, m, *, with_bias, seed=0):
    rng = np.random.default_rng([seed, k, m, with_bias])
    coef = rng.normal(size=(k, m))
    intercept = rng.normal(size=k) if with_bias else None
    return coef, intercept, rng.normal(scale=3, size=(500, m))


def decision(coef, intercept, Z):
    logits = Z @ coef.T
    return (logits if intercept is None else logits + intercept).argmax(axis=1)


def constants(found):
    """What the theorem wants to be the same for all classes."""
    return (found.centroids**2).sum(axis=1) + 2 * found.scale * found.intercept


# --- known answers ----------------------------------------------------------


def test_without_bias_all_centroids_are_on_one_sphere():
    found = softmax_to_centroids(TRIANGLE)
    assert_allclose(found.shift, [-0.5, 0.5], atol=1e-14)
    assert_allclose(found.centroids, [[1.5, 0.5], [-0.5, 1.5], [-1.5, -0.5]])
    assert_allclose((found.centroids**2).sum(axis=1), 2.5)
    assert not found.lifted
    assert found.friendliness is None


def test_with_bias_the_constant_has_twice_the_bias():
    found = softmax_to_centroids(TRIANGLE, [0.0, 1.0, -1.0])
    assert_allclose(found.shift, [-0.5, -0.5], atol=1e-14)
    assert_allclose(constants(found), 2.5)


def test_lifted_by_hand():
    found = softmax_to_centroids([[1.0], [0.0], [-2.0]], [2.0, 0.0, 0.0], lift=True)
    assert found.lifted
    assert_allclose(found.centroids, [[1, 2, 0], [0, 0, 5**0.5], [-2, 0, 1]])
    assert_allclose(found.lift([[7.0]]), [[7, 1, 0]])


@pytest.mark.parametrize("bias", [0.0, 0.7])
def test_a_single_row_means_two_classes(bias):
    w = np.array([[3.0, -1.0]])
    found = softmax_to_centroids(w, [bias])
    Z = np.random.default_rng(0).normal(size=(200, 2))
    assert_array_equal(found.assign(Z), (Z @ w[0] + bias > 0).astype(int))
    if not bias:  # halves of the row, on either side of the origin
        assert_allclose(found.centroids, np.vstack([-w, w]) / 2)


# --- the theorems -----------------------------------------------------------


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("k, m", GRID)
def test_every_decision_is_the_nearest_centroid(k, m, with_bias):
    coef, intercept, Z = random_softmax(k, m, with_bias=with_bias)
    expected = decision(coef, intercept, Z)
    found = softmax_to_centroids(coef, intercept)
    assert found.lifted == (k > m + 1)
    assert_array_equal(found.assign(Z), expected)
    distances = euclidean_distances(found.lift(Z), found.centroids)
    assert_array_equal(distances.argmin(axis=1), expected)
    if not found.lifted:
        assert_allclose(found.centroids, coef + found.shift, atol=1e-12)
        assert_allclose(constants(found), constants(found)[0], rtol=1e-9)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("k, m", GRID)
def test_lifted_centroids_are_on_one_sphere(k, m, with_bias):
    coef, intercept, Z = random_softmax(k, m, with_bias=with_bias)
    found = softmax_to_centroids(coef, intercept, lift=True)
    assert found.lifted and found.centroids.shape == (k, m + 2)
    assert_allclose((found.centroids**2).sum(axis=1), (found.centroids**2)[0].sum())
    assert_array_equal(found.assign(Z), decision(coef, intercept, Z))


@pytest.mark.parametrize("k, m", [(3, 2), (4, 9), (8, 2)])
def test_cones_without_bias(k, m):
    coef, _, Z = random_softmax(k, m, with_bias=False)
    found = softmax_to_centroids(coef)
    labels = found.assign(Z)
    for factor in (1e-3, 0.5, 7.0, 1e4):
        assert_array_equal(found.assign(factor * Z), labels)
    shifted = softmax_to_centroids(coef, np.arange(k))
    assert (shifted.assign(1e-3 * Z) != shifted.assign(1e3 * Z)).any()


@pytest.mark.parametrize("k, m", [(3, 2), (5, 8), (8, 3)])
def test_equal_norms_without_bias_are_spherical_kmeans(k, m):
    coef, _, Z = random_softmax(k, m, with_bias=False)
    coef /= np.linalg.norm(coef, axis=1, keepdims=True)
    kmeans = SphericalKMeans(n_clusters=k, random_state=0).fit(Z)
    kmeans.cluster_centers_ = coef
    found = softmax_to_centroids(2.5 * coef)
    assert not found.lifted  # the weights themselves are on a sphere
    assert_allclose(found.centroids, 2.5 * coef, atol=1e-12)
    assert_array_equal(found.assign(Z), kmeans.predict(Z))


@pytest.mark.parametrize("k, m", [(2, 1), (3, 2), (12, 2), (30, 5)])
def test_centroids_come_back_from_their_own_softmax(k, m):
    centroids = np.random.default_rng(k).normal(size=(k, m))
    found = softmax_to_centroids(centroids, -(centroids**2).sum(axis=1) / 2)
    assert not found.lifted
    assert_allclose(found.centroids, centroids, atol=1e-12)
    assert_allclose(found.shift, 0, atol=1e-12)


def test_the_shift_without_rows_is_the_shortest():
    coef, intercept, Z = random_softmax(4, 9, with_bias=True)
    shortest = np.linalg.norm(softmax_to_centroids(coef, intercept).shift)
    by_lstsq = np.linalg.lstsq(
        2 * (coef[1:] - coef[0]),
        (coef[0] ** 2).sum()
        - (coef[1:] ** 2).sum(axis=1)
        + 2 * (intercept[0] - intercept[1:]),
    )[0]
    assert shortest == pytest.approx(np.linalg.norm(by_lstsq), rel=1e-10)
    assert shortest < np.linalg.norm(softmax_to_centroids(coef, intercept, Z).shift)


def test_logistic_regression_on_digits():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, _ = train_test_split(X / 16, y, random_state=0)
    model = LogisticRegression().fit(X_train, y_train)
    expected = model.predict(X_test)
    for lift in (False, True):
        found = softmax_to_centroids(model.coef_, model.intercept_, lift=lift)
        assert found.lifted == lift
        assert_array_equal(model.classes_[found.assign(X_test)], expected)


# --- rows: the best of all centroids ----------------------------------------


def inertia(Z, centroids, y):
    return ((Z - centroids[y]) ** 2).sum()


@pytest.mark.parametrize("with_bias", [False, True])
def test_rows_choose_the_nearest_of_all_centroids(with_bias):
    coef, intercept, Z = random_softmax(4, 9, with_bias=with_bias)
    Z += 5
    y = decision(coef, intercept, Z)
    found = softmax_to_centroids(coef, intercept, Z)
    assert_array_equal(found.assign(Z), y)
    scatter = ((Z - Z.mean(axis=0)) ** 2).sum()
    best = inertia(Z, found.centroids, y)
    assert found.friendliness == pytest.approx(best / scatter, rel=1e-12)
    # The other solutions differ by what is orthogonal to all differences of weights.
    free = np.linalg.svd(coef[1:] - coef[0])[2][3:]
    assert free.shape == (6, 9)
    wanted = (Z - coef[y]).mean(axis=0)
    assert_allclose(free @ (found.shift - wanted), 0, atol=1e-10)
    for step in np.random.default_rng(0).normal(size=(20, 6)):
        assert inertia(Z, found.centroids + step @ free, y) > best


@pytest.mark.parametrize("k, m, lift", [(3, 2, False), (4, 9, False), (6, 2, True)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_the_best_scale_is_the_best(k, m, lift, with_bias):
    coef, intercept, Z = random_softmax(k, m, with_bias=with_bias)
    best = softmax_to_centroids(coef, intercept, Z, scale="best")
    assert best.lifted == lift
    assert_array_equal(best.assign(Z), decision(coef, intercept, Z))
    for factor in (0.2, 0.9, 0.999, 1.001, 1.1, 4.0):
        scale = factor * best.scale
        other = softmax_to_centroids(coef, intercept, Z, scale=scale)
        assert_array_equal(other.assign(Z), best.assign(Z))
        assert other.friendliness > best.friendliness
    again = softmax_to_centroids(coef, intercept, Z, scale=best.scale)
    assert_allclose(again.centroids, best.centroids, atol=1e-10)
    assert best.friendliness < 1.0 + 1e-9 or lift


def test_a_scale_acts_on_weights_and_biases():
    coef, intercept, _ = random_softmax(4, 5, with_bias=True)
    found = softmax_to_centroids(coef, intercept, scale=3.0)
    same = softmax_to_centroids(3 * coef, 3 * intercept)
    assert_allclose(found.centroids, same.centroids, atol=1e-12)
    assert_allclose(found.centroids, 3 * coef + found.shift, atol=1e-12)


def test_rows_at_their_centroids_are_most_friendly():
    centroids = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    found = softmax_to_centroids(centroids, None, np.repeat(centroids, 4, axis=0))
    assert found.friendliness == pytest.approx(0, abs=1e-25)
    assert_allclose(found.centroids, centroids, atol=1e-14)


def test_labels_enter_friendliness_but_not_the_shift():
    coef, intercept, Z = random_softmax(3, 6, with_bias=True)
    y = np.random.default_rng(0).integers(0, 3, size=len(Z))
    own = softmax_to_centroids(coef, intercept, Z)
    given = softmax_to_centroids(coef, intercept, Z, y)
    assert_allclose(given.centroids, own.centroids, atol=1e-12)
    scatter = ((Z - Z.mean(axis=0)) ** 2).sum()
    expected = inertia(Z, given.centroids, y) / scatter
    assert given.friendliness == pytest.approx(expected, rel=1e-12)
    assert own.friendliness < given.friendliness


def test_rows_all_the_same_have_no_scatter():
    found = softmax_to_centroids(TRIANGLE, None, np.ones((5, 2)))
    assert np.isnan(found.friendliness)


# --- invariances and hard numbers -------------------------------------------


@pytest.mark.parametrize("lift", [False, True])
def test_order_of_classes(lift):
    coef, intercept, _ = random_softmax(5, 7, with_bias=True)
    order = np.array([3, 1, 4, 0, 2])
    found = softmax_to_centroids(coef, intercept, lift=lift)
    turned = softmax_to_centroids(coef[order], intercept[order], lift=lift)
    assert_allclose(turned.centroids, found.centroids[order], atol=1e-12)


def test_a_common_part_of_the_weights_is_no_decision():
    coef, intercept, Z = random_softmax(4, 6, with_bias=True)
    found = softmax_to_centroids(coef + 1e5, intercept + 1e5, Z)
    plain = softmax_to_centroids(coef, intercept, Z)
    assert not found.lifted
    assert_allclose(found.centroids, plain.centroids, atol=1e-7)


def test_nearly_dependent_weights_are_lifted():
    """A shift of 1e9 would be one, and cost the distances nine digits."""
    coef = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 1e-9]])
    Z = np.random.default_rng(0).normal(size=(500, 2))
    found = softmax_to_centroids(coef)
    assert found.lifted
    assert_array_equal(found.assign(Z), decision(coef, None, Z))


def test_classes_with_the_same_weights():
    coef = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    Z = np.random.default_rng(0).normal(size=(100, 2))
    assert_array_equal(
        softmax_to_centroids(coef, [0.0, 1.0, 0.0]).assign(Z),
        decision(coef, [0.0, 1.0, 0.0], Z),
    )
    nothing = softmax_to_centroids(np.zeros((3, 2)), [0.0, 2.0, 1.0])
    assert nothing.lifted
    assert_array_equal(nothing.assign(Z), 1)


@pytest.mark.parametrize("factor", [1e-100, 1e-8, 1e8])
def test_any_size_of_weights(factor):
    coef, _, Z = random_softmax(4, 6, with_bias=False)
    found = softmax_to_centroids(factor * coef)
    assert_array_equal(found.assign(Z), decision(coef, None, Z))


@pytest.mark.parametrize("scale", [1e-100, "best"])
def test_a_scale_brings_far_centroids_near(scale):
    """Seen from centroids at 1e100, all rows are one."""
    coef, _, Z = random_softmax(4, 6, with_bias=False)
    found = softmax_to_centroids(1e100 * coef, None, Z, scale=scale)
    assert np.abs(found.centroids).max() < 100
    assert_array_equal(found.assign(Z), decision(coef, None, Z))


def test_lists_and_integers():
    found = softmax_to_centroids([[2, 0], [0, 1], [-1, -1]], [0, 0, 0], [[3, 1]], [0])
    assert found.centroids.dtype == found.intercept.dtype == np.float64
    assert_array_equal(found.assign([[3, 1], [-2, 7]]), [0, 1])


def test_inputs_stay_as_they_are():
    coef, intercept, Z = random_softmax(4, 6, with_bias=True)
    copies = coef.copy(), intercept.copy(), Z.copy()
    softmax_to_centroids(coef, intercept, Z, scale="best").assign(Z)
    for array, copy in zip((coef, intercept, Z), copies, strict=True):
        assert_array_equal(array, copy)


# --- bad input --------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"coef": [1.0, 2.0]}, "Expected 2D array"),
        ({"coef": [[np.nan, 0.0], [0.0, 1.0]]}, "coef contains NaN"),
        ({"coef": TRIANGLE * 1e200}, r"coef has values up to 2e\+200.*scale it first"),
        ({"intercept": [0.0, 1.0]}, r"intercept must have shape \(3,\). Got \(2,\)"),
        ({"Z": np.ones((4, 3))}, "Z has 3 features, but 2 are expected"),
        ({"Z": [[np.inf, 0.0]]}, "Z contains infinity"),
        ({"Z": np.eye(2), "y": [0, 3]}, r"y must hold integers in the range \[0, 3\)"),
        (
            {"Z": np.eye(2), "y": [0.5, 1]},
            r"y must hold integers in the range \[0, 3\)",
        ),
        ({"Z": np.eye(2), "y": [0]}, r"y must have shape \(2,\). Got \(1,\)"),
        ({"scale": 0}, r"scale must be a float in the range \(0, inf\). Got 0"),
        ({"scale": "good"}, r"scale must be a float in the range .*Got 'good'"),
        ({"scale": "best"}, "scale='best' needs rows to be near to. Got Z=None"),
        ({"Z": -TRIANGLE, "y": [0, 1, 2], "scale": "best"}, "no positive scale"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        softmax_to_centroids(**{"coef": TRIANGLE, **arguments})


def test_bad_rows_to_assign():
    with pytest.raises(ValueError, match="Z has 5 features, but 2 are expected"):
        softmax_to_centroids(TRIANGLE).assign(np.ones((1, 5)))
