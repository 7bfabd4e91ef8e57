"""Mutual information and soft regularised k-means: what holds, to the last digits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from skdeepcluster.theory import (
    auxiliary_assignments,
    critical_temperature,
    equivalence_gap,
    mutual_information_loss,
    posteriors_of_assignments,
    softmax_from_centers,
    softmax_posteriors,
    sr_kmeans_assignments,
    sr_kmeans_centers,
    sr_kmeans_loss,
    sr_kmeans_loss_of_coef,
)

LINE = np.array([[0.0], [1.0], [4.0]])
HARD = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
POSTERIORS = [[0.8, 0.2], [0.6, 0.4]]
# n_samples, n_clusters, n_features, reg: warm, cold, large and small numbers of each.
SIZES = [(40, 4, 3, 0.3), (7, 2, 1, 2.0), (200, 10, 5, 0.02), (30, 6, 20, 5.0)]


def random_case(n, k, m, seed=0):
    rng = np.random.default_rng([seed, n, k, m])
    q = rng.dirichlet(np.full(k, 0.7), size=n)
    return q, rng.normal(size=(n, m)), rng.normal(size=(k, m))


def tight(value):
    return pytest.approx(value, rel=1e-10, abs=1e-10)


# --- known answers ----------------------------------------------------------


def test_three_points_by_hand():
    centers = sr_kmeans_centers(HARD, LINE)
    assert_allclose(centers, [[0.5], [4.0]])
    assert sr_kmeans_loss(HARD, LINE, centers, reg=0.5) == -5.5
    q = sr_kmeans_assignments(LINE, centers, reg=0.5)
    expected = [[1, 0], [0.999842, 0.000158], [0.000005, 0.999995]]
    assert_allclose(q, expected, atol=5e-7)


def test_the_entropy_of_soft_assignments_counts():
    q = np.full((3, 2), 0.5)
    at_zero = sr_kmeans_loss(q, LINE, np.zeros((2, 1)), reg=0.5)
    assert at_zero == tight(-np.log(2))


def test_auxiliary_assignments_by_hand():
    expected = [[0.877382, 0.122618], [0.501553, 0.498447]]
    assert_allclose(auxiliary_assignments(POSTERIORS), expected, atol=5e-7)
    expected = [[0.723651, 0.276349], [0.495454, 0.504546]]
    assert_allclose(auxiliary_assignments(POSTERIORS, power=1), expected, atol=5e-7)


def test_mutual_information_of_known_rows():
    certain = mutual_information_loss(None, [[-1.0], [1.0]], [[-60], [60]], [0, 0], 1.0)
    assert certain == tight(7200 - np.log(2))
    nothing = mutual_information_loss(None, [[-1.0], [1.0]], [[0], [0]], [0, 3], 1.0)
    assert nothing == tight(0.0)


@pytest.mark.parametrize("n, k, m, reg", SIZES)
def test_without_q_it_is_the_regularised_mutual_information(n, k, m, reg):
    _, z, coef = random_case(n, k, m)
    intercept = np.random.default_rng(1).normal(size=k)
    p = softmax(z @ coef.T + intercept, axis=1)
    mean = p.mean(axis=0)
    expected = (mean * np.log(mean)).sum() - (p * np.log(p)).sum() / n
    expected += reg * (coef**2).sum()
    assert mutual_information_loss(None, z, coef, intercept, reg) == tight(expected)
    assert_allclose(softmax_posteriors(z, coef, intercept), p, atol=1e-14)


# --- E1 to E4 -----------------------------------------------------------------


@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize("n, k, m, reg", SIZES)
def test_e1_the_loss_in_the_weights_of_a_softmax(n, k, m, reg, means):
    q, z, centers = random_case(n, k, m)
    centers = sr_kmeans_centers(q, z) if means else centers
    squared = ((z[:, None] - centers) ** 2).sum(axis=2)
    by_definition = ((q * squared).sum(axis=1) - (z**2).sum(axis=1)).mean() / (reg * k)
    by_definition += (q * np.log(q)).sum() / n
    loss = sr_kmeans_loss(q, z, centers, reg)
    assert loss == tight(by_definition)
    assert sr_kmeans_loss_of_coef(q, z, centers / (reg * k), reg) == tight(loss)


@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize("n, k, m, reg", SIZES)
def test_e2_the_gap_is_log_partition_and_balance(n, k, m, reg, means):
    q, z, centers = random_case(n, k, m)
    centers = sr_kmeans_centers(q, z) if means else centers
    gap = equivalence_gap(q, z, centers, reg)
    coef, intercept = centers / (reg * k), np.log(q.mean(axis=0)) / 2
    log_p = log_softmax(z @ coef.T + intercept, axis=1)
    mean = q.mean(axis=0)
    f = (q * (np.log(q) - 2 * log_p)).sum() / n + (mean * np.log(mean)).sum()
    f += reg * (coef**2).sum()
    assert gap.mutual_information == tight(f)
    assert gap.sr_kmeans == tight(sr_kmeans_loss(q, z, centers, reg))
    partition = logsumexp(z @ coef.T + intercept, axis=1)
    assert gap.log_partition == tight(2 * partition.mean())
    assert gap.total == tight(gap.mutual_information - gap.sr_kmeans)
    assert abs(gap.balance) > 1e-6


@pytest.mark.parametrize("n, k, m, reg", SIZES)
def test_e2_balance_vanishes_for_equal_weights_or_norms(n, k, m, reg):
    q, z, centers = random_case(n, k, m)
    circulant = np.array([np.roll(row, i) for row in q for i in range(k)])
    rows = np.repeat(z, k, axis=0)
    assert_allclose(circulant.mean(axis=0), 1 / k)
    assert equivalence_gap(circulant, rows, centers, reg).balance == tight(0.0)
    unit = centers / np.linalg.norm(centers, axis=1, keepdims=True)
    assert equivalence_gap(q, z, unit, reg).balance == tight(0.0)


@pytest.mark.parametrize("n, k, m, reg", SIZES)
def test_e3_the_assignments_are_the_best_ones(n, k, m, reg):
    other, z, centers = random_case(n, k, m)
    q = sr_kmeans_assignments(z, centers, reg)
    squared = ((z[:, None] - centers) ** 2).sum(axis=2)
    assert_allclose(q, softmax(-squared / (reg * k), axis=1), atol=1e-10)
    theta = centers / (reg * k)
    logits = 2 * z @ theta.T - reg * k * (theta**2).sum(axis=1)
    assert_allclose(q, softmax(logits, axis=1), atol=1e-10)
    least = sr_kmeans_loss(q, z, centers, reg)
    # The minimum has a closed form too, and convexity makes every other q worse.
    constant = (z**2).sum() / (n * reg * k)
    by_logsumexp = -logsumexp(-squared / (reg * k), axis=1).mean() - constant
    assert least == tight(by_logsumexp)
    for share in (1e-3, 0.1, 1.0):
        mixed = (1 - share) * q + share * other
        assert sr_kmeans_loss(mixed, z, centers, reg) > least


@pytest.mark.parametrize("n, k, m, reg", SIZES)
def test_e4_posteriors_of_the_best_assignments(n, k, m, reg):
    _, z, centers = random_case(n, k, m)
    q = sr_kmeans_assignments(z, centers, reg)
    weights = q.mean(axis=0)
    coef, intercept = softmax_from_centers(centers, weights, reg, norms=True)
    p = softmax_posteriors(z, coef, intercept)
    assert_allclose(posteriors_of_assignments(q), p, atol=1e-10)
    assert_allclose(posteriors_of_assignments(q, weights), p, atol=1e-10)
    without = softmax_from_centers(centers, weights, reg)[1]
    dropped = (centers**2).sum(axis=1) / (2 * reg * k)
    assert_allclose(without - intercept, dropped, atol=1e-10)


def test_the_conditions_make_all_labels_agree():
    """A balanced, regular simplex: softmax, assignments and nearest centre are one."""
    corners = 3 * np.eye(4)
    offsets = np.random.default_rng(0).normal(size=(50, 4))
    turns = np.concatenate([np.roll(offsets, i, axis=1) for i in range(4)])
    z = np.repeat(corners, 50, axis=0) + turns
    reg = 0.2
    q = sr_kmeans_assignments(z, corners, reg)
    assert_allclose(q.mean(axis=0), 0.25)
    centers = sr_kmeans_centers(q, z)
    assert_allclose((centers**2).sum(axis=1), (centers**2).sum(axis=1)[0])
    q = sr_kmeans_assignments(z, centers, reg)
    p = softmax_posteriors(z, *softmax_from_centers(centers, q.mean(axis=0), reg))
    nearest = ((z[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    assert_array_equal(p.argmax(axis=1), nearest)
    assert_array_equal(q.argmax(axis=1), nearest)
    gap = equivalence_gap(q, z, centers, reg)
    assert gap.balance == tight(0.0)
    assert gap.total == tight(gap.log_partition)


def test_without_the_conditions_they_need_not():
    z = np.array([[0.0], [1.4], [10.0]])
    centers, reg = np.array([[0.0], [4.0]]), 0.5
    q = sr_kmeans_assignments(z, centers, reg)
    p = softmax_posteriors(z, *softmax_from_centers(centers, [0.5, 0.5], reg))
    assert q[1].argmax() == 0 and p[1].argmax() == 1


# --- properties ---------------------------------------------------------------


@pytest.mark.parametrize("n, k, m, reg", SIZES)
def test_alternating_never_raises_the_loss(n, k, m, reg):
    q, z, _ = random_case(n, k, m)
    before = np.inf
    for _ in range(30):
        centers = sr_kmeans_centers(q, z)
        middle = sr_kmeans_loss(q, z, centers, reg)
        q = sr_kmeans_assignments(z, centers, reg)
        after = sr_kmeans_loss(q, z, centers, reg)
        assert middle <= before + 1e-12 and after <= middle + 1e-12
        before = after


def test_cold_is_kmeans():
    z, _ = make_blobs(90, centers=3, random_state=4)
    start = z[:3]
    kmeans = KMeans(n_clusters=3, init=start, n_init=1, tol=0).fit(z)
    reg, centers = 1e-6, start
    for _ in range(100):
        q = sr_kmeans_assignments(z, centers, reg)
        centers = sr_kmeans_centers(q, z)
    assert np.isfinite(q).all()
    assert_array_equal(q.argmax(axis=1), kmeans.labels_)
    assert_allclose(centers, kmeans.cluster_centers_)
    loss = 3 * reg * sr_kmeans_loss(q, z, centers, reg) + (z**2).sum() / 90
    assert loss == pytest.approx(kmeans.inertia_ / 90, rel=1e-9)


@pytest.mark.parametrize("factor, merged", [(1.05, True), (0.95, False)])
def test_phase_transition(factor, merged):
    z, _ = make_blobs(200, centers=4, n_features=3, random_state=0)
    reg = factor * critical_temperature(z) / 4
    centers = z.mean(axis=0) + np.random.default_rng(0).normal(size=(4, 3))
    for _ in range(2000):
        centers = sr_kmeans_centers(sr_kmeans_assignments(z, centers, reg), z)
    spread = np.abs(centers - z.mean(axis=0)).max()
    assert spread < 1e-5 if merged else spread > 0.1


def outlying():
    """A point in twenty is far away."""
    return np.repeat([[0.0], [10.0]], [95, 5], axis=0)


@pytest.mark.parametrize("factor", [0.95, 1.05])
@pytest.mark.parametrize("data", ["blobs", "outliers"])
def test_centres_near_the_mean_part_below_and_meet_above(data, factor):
    z = make_blobs(200, centers=4, random_state=0)[0] if data == "blobs" else outlying()
    reg = factor * critical_temperature(z) / 3
    offsets = 1e-6 * np.random.default_rng(0).normal(size=(3, z.shape[1]))
    centers = z.mean(axis=0) + offsets
    before = np.ptp(centers, axis=0).max()
    for _ in range(30):
        centers = sr_kmeans_centers(sr_kmeans_assignments(z, centers, reg), z)
    assert (np.ptp(centers, axis=0).max() > before) == (factor < 1)


def test_centres_on_outliers_stay_above_the_critical_temperature():
    z = outlying()
    reg = 1.5 * critical_temperature(z) / 2
    centers = np.array([[0.0], [10.0]])
    for _ in range(1000):
        centers = sr_kmeans_centers(sr_kmeans_assignments(z, centers, reg), z)
    assert_allclose(centers, [[0.0], [10.0]], atol=0.5)


def test_critical_temperature():
    z = np.random.default_rng(0).normal(size=(50, 4)) * [1, 2, 3, 4] + 100
    expected = 2 * np.linalg.eigvalsh(np.cov(z.T, bias=True))[-1]
    assert critical_temperature(z) == tight(expected)
    assert critical_temperature([[1.0, 2.0], [1.0, 2.0]]) == 0.0


def test_translation():
    q, z, centers = random_case(40, 4, 3)
    moved = z + 1e6, centers + 1e6
    assert_allclose(
        sr_kmeans_assignments(*moved, 0.3),
        sr_kmeans_assignments(z, centers, 0.3),
        atol=1e-8,
    )
    # What is not invariant: the posteriors, and the loss by its term |z|^2.
    weights = q.mean(axis=0)
    here = softmax_posteriors(z, *softmax_from_centers(centers, weights, 0.3))
    there = softmax_posteriors(z + 5, *softmax_from_centers(centers + 5, weights, 0.3))
    assert np.abs(here - there).max() > 0.1
    change = sr_kmeans_loss(q, z + 5, centers + 5, 0.3) - sr_kmeans_loss(
        q, z, centers, 0.3
    )
    expected = -((z + 5) ** 2 - z**2).sum() / (40 * 1.2)
    assert change == tight(expected)


def test_order_of_clusters():
    q, z, centers = random_case(40, 4, 3)
    order = [2, 0, 3, 1]
    gap = equivalence_gap(q, z, centers, 0.3)
    turned = equivalence_gap(q[:, order], z, centers[order], 0.3)
    assert turned.total == tight(gap.total)
    assert turned.balance == tight(gap.balance)
    assert_allclose(
        sr_kmeans_assignments(z, centers[order], 0.3),
        sr_kmeans_assignments(z, centers, 0.3)[:, order],
    )


@pytest.mark.parametrize("power", [1, 2])
def test_auxiliary_assignments_are_near_the_exact_ones(power):
    """Exact ones: the stationary q, by damped fixed-point iteration."""
    rng = np.random.default_rng(0)
    z, coef = rng.normal(size=(200, 3)), rng.normal(size=(4, 3))
    intercept = np.zeros(4)
    p = softmax_posteriors(z, coef, intercept)
    mean = p.mean(axis=0)
    for _ in range(300):
        exact = p**power / mean
        exact /= exact.sum(axis=1, keepdims=True)
        mean = (mean + exact.mean(axis=0)) / 2
    assert_allclose(exact.mean(axis=0), mean, rtol=1e-12)

    def loss(q):
        return mutual_information_loss(q, z, coef, intercept, 1.0, power=power)

    near = loss(auxiliary_assignments(p, power=power))
    assert loss(exact) <= near <= loss(exact) + 1e-3
    assert near < loss(p)


def test_certain_posteriors_and_empty_clusters():
    p = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    assert_allclose(auxiliary_assignments(p), p)
    z, coef = np.eye(3), np.eye(3)
    assert np.isfinite(mutual_information_loss(p, z, coef, np.zeros(3), 1.0))
    far = sr_kmeans_assignments([[0.0], [1.0]], [[0.0], [1.0]], 1e-9)
    assert_array_equal(far, np.eye(2))


def test_single_precision_assignments_are_taken_to_sum_to_one():
    q, z, centers = random_case(40, 4, 3)
    gap = equivalence_gap(q.astype(np.float32), z, centers, 0.3)
    assert gap.total == tight(gap.mutual_information - gap.sr_kmeans)


# --- bad input ----------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        ({"q": HARD[:2]}, "q has 2 rows, but there are 3 of z"),
        ({"q": np.ones((3, 3)) / 3}, "q has 3 features, but 2 are expected"),
        ({"q": 2 * HARD}, r"rows of q must be non-negative and sum to 1.*from 2 to 2"),
        ({"q": [[2, -1], [1, 0], [0, 1]]}, "least value of -1"),
        ({"q": [[np.nan, 1], [1, 0], [0, 1]]}, "q contains NaN"),
        ({"q": [[1, 0]] * 3}, "weights must be positive.* Got 0 for cluster 1"),
        ({"z": [0.0, 1.0, 4.0]}, "Expected 2D array"),
        ({"centers": np.eye(2)}, "centers has 2 features, but 1 are expected"),
        ({"centers": [[np.inf], [0]]}, "centers contains infinity"),
        ({"reg": 0.0}, r"reg must be a float in the range \(0, inf\). Got 0.0"),
        ({"reg": np.inf}, "Got inf"),
        ({"reg": "small"}, "Got 'small'"),
        ({"reg": True}, "Got True"),
    ],
)
def test_bad_input(change, message):
    arguments = {"q": HARD, "z": LINE, "centers": [[0.5], [4.0]], "reg": 0.5, **change}
    with pytest.raises(ValueError, match=message):
        equivalence_gap(**arguments)


def test_more_bad_input():
    with pytest.raises(ValueError, match=r"clusters without: \[1\]"):
        sr_kmeans_centers([[1, 0]] * 3, LINE)
    with pytest.raises(ValueError, match=r"weights must have shape \(2,\)"):
        softmax_from_centers([[0.5], [4.0]], [0.2, 0.3, 0.5], 0.5)
    with pytest.raises(ValueError, match=r"power must be a float in the range"):
        auxiliary_assignments(POSTERIORS, power=0)
    with pytest.raises(ValueError, match=r"intercept must have shape \(2,\)"):
        softmax_posteriors(LINE, [[0.0], [1.0]], [0.0])
