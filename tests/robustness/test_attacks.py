"""fgsm and pgd: known answers, and what no attack may do."""

from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skdeepcluster import DCN, DEC, CentroidClassifier, DeepKMeans, SphericalKMeans
from skdeepcluster.architectures import ConvAutoencoder, IdentityArchitecture
from skdeepcluster.robustness import attack_report, fgsm, pgd

X, Y = make_blobs(90, n_features=16, centers=3, cluster_std=4.0, random_state=0)
SHORT = {"warmup_epochs": 30, "max_iter": 30, "random_state": 0}
TINY = {
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "pretrain_epochs": 5,
    "max_iter": 2,
    "random_state": 0,
}
LOSSES = ("ga", "ct", "bce", "softmax")


@cache
def fitted(loss="ga", **params):
    return CentroidClassifier(loss=loss, **{**SHORT, **params}).fit(X, Y)


def attacks(model, data, y, epsilon, **options):
    """Every kind of attack: its norm, and the rows that it makes."""
    yield "linf", fgsm(model, data, y, epsilon, **options)
    for norm in ("linf", "l2"):
        for goal in ("class", "confidence"):
            params = {"norm": norm, "goal": goal, "n_steps": 4, "random_state": 0}
            yield norm, pgd(model, data, y, epsilon, **params, **options)


# --- known answers ------------------------------------------------------------


@pytest.mark.parametrize("loss", ["ga", "softmax"])
def test_steps_follow_the_gradient(loss):
    """Without a network, by hand: the gradient of the cross-entropy of the logits."""
    model = CentroidClassifier(
        loss=loss, architecture=IdentityArchitecture(), precision="float64", **SHORT
    ).fit(X, Y)
    head, z = model.objective_, torch.from_numpy(model.transform(X)).requires_grad_()
    torch.nn.functional.cross_entropy(head.logits(z), torch.from_numpy(Y)).backward()
    direction = z.grad.numpy()
    expected = X + 0.3 * np.sign(direction)
    np.testing.assert_allclose(fgsm(model, X, Y, 0.3), expected, rtol=1e-12)
    params = {"n_steps": 1, "step_size": 0.2, "random_start": False}
    moved = pgd(model, X, Y, 0.3, **params)
    np.testing.assert_allclose(moved, X + 0.2 * np.sign(direction), rtol=1e-12)
    unit = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    moved = pgd(model, X, Y, 0.3, norm="l2", **params)
    np.testing.assert_allclose(moved, X + 0.2 * unit, rtol=1e-9)
    long = {**params, "step_size": 0.5}
    moved = pgd(model, X, Y, 0.3, norm="l2", **long)
    np.testing.assert_allclose(moved, X + 0.3 * unit, rtol=1e-9)


def test_goal_of_confidence():
    """Two classes: straight to the centroid of the other one."""
    two = Y < 2
    model = CentroidClassifier(
        architecture=IdentityArchitecture(), precision="float64", **SHORT
    ).fit(X[two], Y[two])
    z = model.transform(X[two])
    way = model.centroids_[1 - Y[two]] - z
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    params = {"norm": "l2", "n_steps": 1, "step_size": 0.1, "random_start": False}
    moved = pgd(model, X[two], Y[two], 0.3, goal="confidence", **params)
    np.testing.assert_allclose(moved, X[two] + 0.1 * way, rtol=1e-9)
    other = pgd(model, X[two], Y[two], 0.3, **params)
    assert not np.allclose(moved, other)


@pytest.mark.parametrize("loss", LOSSES)
def test_attacks_change_classes_that_random_steps_do_not(loss):
    model, epsilon = fitted(loss), 6.0
    signs = np.random.RandomState(0).choice([-1.0, 1.0], size=X.shape)
    random = attack_report(model, X, Y, X + epsilon * signs)
    one = attack_report(model, X, Y, fgsm(model, X, Y, epsilon))
    many = attack_report(model, X, Y, pgd(model, X, Y, epsilon, random_state=0))
    assert random.n_changed < 0.5 * one.n_changed
    assert one.n_changed > 0.8 * one.n_correct
    assert many.n_changed >= one.n_changed


@pytest.mark.parametrize("loss", LOSSES)
def test_sure_estimators_have_gradients_as_well(loss):
    """Where the probability of the class is 1 in float64, its gradient is 0."""
    model = CentroidClassifier(loss=loss, hidden_layer_sizes=(), **SHORT).fit(X, Y)
    with torch.no_grad():
        for parameter in model.module_.parameters():
            parameter.mul_(1e4)
    rows = (model.predict_proba(X).max(axis=1) == 1.0).nonzero()[0]
    assert len(rows) > 40
    labels = model.predict(X[rows])
    assert (fgsm(model, X[rows], labels, 1.0) != X[rows]).all()


def test_gradients_go_through_the_scaling():
    """Epsilon is in the units of X, whatever these are."""
    for factor in (1e-4, 1024.0):
        data = X * factor + 3
        model = CentroidClassifier(**SHORT).fit(data, Y)
        plain = attack_report(fitted(), X, Y, fgsm(fitted(), X, Y, 2.0))
        found = fgsm(model, data, Y, 2.0 * factor)
        assert np.abs(found - data).max() == pytest.approx(2.0 * factor)
        report = attack_report(model, data, Y, found)
        assert abs(report.n_changed - plain.n_changed) <= 2


@pytest.mark.parametrize(
    "clusterer",
    [DEC(3, **TINY), DeepKMeans(3, **TINY)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_clusterers(clusterer):
    clusterer.fit(X)
    for _, moved in attacks(clusterer, X, clusterer.labels_, 6.0):
        report = attack_report(clusterer, X, clusterer.labels_, moved)
        assert report.n_correct == 90
        assert report.n_changed > 10


def test_convolutional_networks_and_names():
    data, y = load_digits(return_X_y=True)
    data, y = data[:300], np.array([f"digit {label}" for label in y[:300]])
    network = ConvAutoencoder((8, 8), (4, 8), (3, 3))
    model = CentroidClassifier(architecture=network, **SHORT).fit(data, y)
    moved = pgd(model, data, y, 3.0, clip=(0, 16), n_steps=10, random_state=0)
    report = attack_report(model, data, y, moved)
    assert report.n_changed > 0.5 * report.n_correct > 100


# --- what no attack may do ----------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    epsilon=st.floats(0, 1e3) | st.sampled_from([1e-9, 0.1, 0.3]),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    dtype=st.sampled_from([np.float32, np.float64]),
    loss=st.sampled_from(["ga", "softmax"]),
    clipped=st.booleans(),
)
def test_rows_stay_in_the_ball_and_in_the_range(epsilon, offset, dtype, loss, clipped):
    model = fitted(loss)
    data = (X[:20] + offset).astype(dtype)
    low, high = data.min(axis=0), data.max(axis=0)
    options = {"clip": (low, high)} if clipped else {}
    for norm, moved in attacks(model, data, Y[:20], epsilon, **options):
        assert moved.dtype == dtype
        change = moved.astype(np.float64) - data.astype(np.float64)
        if norm == "linf":
            assert np.abs(change).max() <= epsilon
        else:
            assert np.linalg.norm(change, axis=1).max() <= epsilon
        if clipped:
            assert (moved >= low).all()
            assert (moved <= high).all()


def test_no_epsilon_no_change():
    for _, moved in attacks(fitted(), X, Y, 0.0):
        np.testing.assert_array_equal(moved, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_moves_alone_as_in_company(dtype):
    data = np.tile(X, (4, 1)).astype(dtype) + np.arange(4).repeat(90)[:, None]
    y = np.tile(Y, 4)
    order = np.random.RandomState(0).permutation(360)
    params = {"random_start": False, "n_steps": 3}
    for attack in (
        lambda X, y: fgsm(fitted(), X, y, 0.5),
        lambda X, y: pgd(fitted(), X, y, 0.5, **params),
        lambda X, y: pgd(fitted(), X, y, 0.5, norm="l2", **params),
    ):
        together = attack(data, y)
        np.testing.assert_array_equal(attack(data[order], y[order]), together[order])
        for part in (slice(0, 1), slice(255, 257), slice(359, 360)):
            np.testing.assert_array_equal(attack(data[part], y[part]), together[part])


def test_seeds_of_random_starts(global_rng_untouched):
    def attack(seed, **options):
        return pgd(fitted(), X, Y, 0.5, n_steps=2, random_state=seed, **options)

    with global_rng_untouched():
        first = attack(0)
        attack(np.random.RandomState(3))
    np.testing.assert_array_equal(attack(0), first)
    assert not np.array_equal(attack(1), first)
    fixed = attack(0, random_start=False)
    np.testing.assert_array_equal(attack(1, random_start=False), fixed)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_fill_the_ball(norm):
    data, y = np.tile(X[:1], (4000, 1)), np.tile(Y[:1], 4000)
    change = pgd(fitted(), data, y, 2.0, norm=norm, n_steps=0, random_state=0) - data
    np.testing.assert_allclose(change.mean(axis=0), 0, atol=0.1)
    size = np.abs(change) if norm == "linf" else np.linalg.norm(change, axis=1)
    assert size.max() <= 2.0
    # A uniform entry; the length of a uniform point of a ball in 16 dimensions.
    assert size.mean() == pytest.approx(
        1.0 if norm == "linf" else 2 * 16 / 17, rel=0.02
    )


def test_the_estimator_is_left_as_it_is():
    model = fitted()
    before = model.predict_proba(X)
    for _ in attacks(model, X, Y, 1.0):
        pass
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert all(p.grad is None for p in model.module_.parameters())


# --- the report ---------------------------------------------------------------


class Answers:
    """An estimator whose rows say what it answers: class, then confidences."""

    def predict(self, X):
        return X[:, 0].astype(int)

    def predict_proba(self, X):
        return X[:, 1:]


def test_report_by_hand():
    y = np.array([0, 0, 1, 1, 1])
    before = np.array([[0, 1, 0], [1, 0, 1], [1, 0, 1], [1, 0, 1], [1, 0, 1.0]])
    after = np.array(
        [[1, 0.2, 0.7], [0, 1, 0], [0, 0.05, 0.02], [1, 0, 1], [0, 0.3, 0.1]]
    )
    report = attack_report(Answers(), before, y, after)
    # Correct: all but the second; changed: 0, 2, 4; sure of it: 0 and 4.
    counts = report.n_samples, report.n_correct, report.n_changed, report.n_successes
    assert counts == (5, 4, 3, 2)
    assert report.mean_confidence == pytest.approx(0.5)
    strict = attack_report(Answers(), before, y, after, threshold=0.9)
    assert strict.n_successes == 0
    assert np.isnan(strict.mean_confidence)
    assert attack_report(Answers(), before, y, after, threshold=0).n_successes == 3


def test_report_takes_the_confidence_of_a_classifier():
    model = fitted()
    moved = X + 1e4  # far away: sure of nothing, though probabilities sum to 1
    report = attack_report(model, X, Y, moved)
    assert report.n_changed > 20
    assert report.n_successes == 0


# --- errors -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("epsilon=-1 should be a float in \\[0, inf\\)", {"epsilon": -1}),
        ("epsilon=inf should", {"epsilon": np.inf}),
        ("epsilon='a' should", {"epsilon": "a"}),
        ("step_size=nan should", {"step_size": np.nan}),
        ("norm='l1' should be 'linf' or 'l2'", {"norm": "l1"}),
        ("goal='win' should be 'class' or 'confidence'", {"goal": "win"}),
        ("n_steps=-1 should be an int", {"n_steps": -1}),
        ("n_steps=2.0 should be an int", {"n_steps": 2.0}),
        ("outside of clip=\\(0, 1\\)", {"clip": (0, 1)}),
        ("labels that the estimator does not know: \\[7\\]", {"y": np.full(90, 7)}),
        ("inconsistent numbers of samples", {"y": Y[:5]}),
        ("X has 3 features", {"X": X[:, :3]}),
        ("contains NaN", {"X": np.full((90, 16), np.nan)}),
    ],
)
def test_bad_arguments(match, options):
    arguments = {"X": X, "y": Y, "epsilon": 0.1, **options}
    with pytest.raises(ValueError, match=match):
        pgd(fitted(), **arguments)


@pytest.mark.parametrize(
    "estimator",
    [
        DCN(3, **TINY),
        SphericalKMeans(3, random_state=0),
        LogisticRegression(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_without_gradients(estimator):
    with pytest.raises(NotFittedError):
        fgsm(estimator, X, Y, 0.1)
    estimator.fit(X, Y)
    with pytest.raises(TypeError, match=f"a gradient. Got {type(estimator).__name__}"):
        fgsm(estimator, X, Y, 0.1)


def test_one_cluster():
    model = DEC(1, **TINY).fit(X)
    with pytest.raises(ValueError, match="two classes to choose from"):
        fgsm(model, X, model.labels_, 0.1)


def test_sparse_rows_are_refused():
    with pytest.raises(TypeError, match="changes every entry: pass dense rows"):
        fgsm(fitted(), sp.csr_array(X), Y, 0.1)


def test_bounds_may_be_open():
    model, rows = fitted("ga"), X - X.min()
    moved = fgsm(model, rows, Y, 0.5, clip=(0, None))
    np.testing.assert_array_equal(moved, fgsm(model, rows, Y, 0.5).clip(0, None))


DEEP_BOUNDS = [(np.full((2, 1, 1), -99.0), 99), (-99, np.full((1, 1, 1), 99.0))]


@pytest.mark.parametrize("clip", [1.0, (0,), (0, np.nan), (2, 1), *DEEP_BOUNDS])
def test_bounds_that_are_none(clip):
    with pytest.raises(ValueError, match="clip should be"):
        fgsm(fitted("ga"), X, Y, 0.5, clip=clip)


def test_report_of_labels_that_nobody_knows():
    model = fitted("ga")
    with pytest.raises(ValueError, match=r"does not know: \['a', 'b', 'c'\]"):
        attack_report(model, X, np.array(list("abc"))[Y % 3], X)
