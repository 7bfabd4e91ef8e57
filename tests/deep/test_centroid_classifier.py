"""CentroidClassifier: phases, answers, weights, rejection, certified radii."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import DEC, CentroidClassifier
from skdeepcluster.architectures import (
    ConvAutoencoder,
    IdentityArchitecture,
    MLPAutoencoder,
    UnpoolingAutoencoder,
)
from skdeepcluster.engine import Budget, TrainingDivergedError

X, Y = make_blobs(120, n_features=4, centers=3, cluster_std=2.0, random_state=0)
TINY = {"hidden_layer_sizes": (8,), "embedding_size": 2, "random_state": 0}
SHORT = {**TINY, "warmup_epochs": 20, "max_iter": 9}
LOSSES = ("ga", "ct", "bce", "softmax")
CENTROID_LOSSES = LOSSES[:3]
each_loss = pytest.mark.parametrize("loss", LOSSES)


def fitted(loss="ga", X=X, y=Y, **params):
    return CentroidClassifier(**{**SHORT, "loss": loss, **params}).fit(X, y)


# --- the recipe -----------------------------------------------------------------


def phases_of(**params):
    model = CentroidClassifier(**{**SHORT, **params})
    model.classes_, model._codes = np.arange(3), None
    return list(model._phases(Budget(6000, 128)))


@pytest.mark.parametrize("loss", CENTROID_LOSSES)
def test_phases(loss):
    warm_up, centroids, refinement = phases_of(
        loss=loss, learning_rate=0.5, warmup_epochs=4, max_iter=10, weight_decay=0.1
    )
    assert [warm_up.name, centroids.name] == ["warm_up", "centroids"]
    assert [warm_up.epochs, centroids.epochs, refinement.epochs] == [4, 7, 3]
    rates = [p.optimizer.learning_rate for p in (warm_up, centroids, refinement)]
    np.testing.assert_allclose(rates, [0.5, 0.1, 0.02])
    assert {p.optimizer.weight_decay for p in (warm_up, centroids)} == {0.1}
    assert centroids.model is refinement.model is not warm_up.model
    assert centroids.model.kind == loss


def test_phases_of_the_twin():
    phases = phases_of(loss="softmax", learning_rate=0.5, warmup_epochs=4, max_iter=10)
    assert [phase.name for phase in phases] == ["warm_up", "softmax", "refinement"]
    assert [phase.epochs for phase in phases] == [4, 7, 3]
    rates = [phase.optimizer.learning_rate for phase in phases]
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.05])
    assert len({phase.model for phase in phases}) == 1


def test_automatic_budgets():
    warm_up, centroids, refinement = phases_of(warmup_epochs="auto", max_iter="auto")
    assert warm_up.epochs == 11  # 500 steps of 47 batches
    assert centroids.epochs + refinement.epochs == 150


@pytest.mark.parametrize("loss", CENTROID_LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_without_epochs_centroids_are_class_means(loss, weighted):
    weight = np.arange(120) % 4 if weighted else None
    model = CentroidClassifier(**{**SHORT, "loss": loss, "max_iter": 0})
    Z = model.fit(X, Y, weight).transform(X)
    for k, centroid in enumerate(model.centroids_):
        chosen = None if weight is None else weight[Y == k]
        mean = np.average(Z[Y == k], axis=0, weights=chosen)
        np.testing.assert_allclose(centroid, mean, rtol=1e-6, atol=1e-6)
    squared = np.square(Z - model.centroids_[Y]).sum(axis=1)
    gamma = 1 / max(1, np.average(squared, weights=weight))
    np.testing.assert_allclose(model.gamma_, [gamma] * 3, rtol=1e-5)
    assert model.history_["centroids"]["loss"] == []


@pytest.mark.parametrize("loss", CENTROID_LOSSES)
def test_training_moves_centroids_and_lowers_the_loss(loss):
    model = fitted(loss, max_iter=60)
    still = fitted(loss, max_iter=0)
    assert not np.allclose(model.centroids_, still.centroids_, atol=1e-3)
    losses = model.history_["centroids"]["loss"]
    assert losses[-1] < losses[0]
    assert model.history_["refinement"]["loss"][-1] < losses[0]


def test_gammas_stay_in_their_bounds():
    free = fitted(max_iter=60)
    assert 0.9 < free.gamma_.min() < free.gamma_.max() < 1.5
    for low, high in [(0.5, 0.75), (2.0, 3.0)]:
        model = fitted(gamma_bounds=(low, high), max_iter=60)
        assert (low <= model.gamma_).all()
        assert (model.gamma_ <= high).all()
    delta = free.objective_.delta
    assert delta.min() >= 0.001
    assert delta.max() <= np.float32(0.9)


def test_weight_decay_shrinks_the_network_alone():
    params = {"max_iter": 0, "warmup_epochs": 200, "loss": "softmax"}
    light, heavy = (fitted(weight_decay=decay, **params) for decay in (0.0, 0.1))

    def size(module):
        return sum(float(p.square().sum()) for p in module.parameters())

    assert size(heavy.module_) < 0.5 * size(light.module_)
    assert size(heavy.objective_) > size(light.objective_)


@each_loss
def test_epochs_are_counted(loss):
    model = fitted(loss)
    assert model.n_iter_ == 29
    assert [len(h["loss"]) for h in model.history_.values()] == [20, 6, 3]
    assert fitted(loss, warmup_epochs=0, max_iter=0).n_iter_ == 1


def test_the_twin_has_no_centroids():
    model = fitted("softmax")
    assert not hasattr(model, "centroids_")
    assert not hasattr(model, "gamma_")
    assert not hasattr(fitted(), "inverse_transform")


# --- answers ----------------------------------------------------------------------


@each_loss
def test_answers_follow_from_the_embedding(loss):
    model = fitted(loss, precision="float64")
    Z, logits = model.transform(X), model.decision_function(X)
    if loss == "softmax":
        head = model.objective_
        expected = Z @ head.weight.numpy().T + head.bias.numpy()
    else:
        squared = np.square(Z[:, None] - model.centroids_).sum(axis=2)
        expected = -model.gamma_ * squared
        np.testing.assert_allclose(model.confidence(X), np.exp(expected), rtol=1e-9)
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-12)
    proba = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), proba, rtol=1e-9)
    if loss == "softmax":
        np.testing.assert_array_equal(model.confidence(X), model.predict_proba(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_loss
def test_dtypes_of_answers(loss, dtype):
    data = X.astype(dtype)
    model = fitted(loss, X=data)
    for method in ("predict_proba", "decision_function", "confidence", "margin"):
        assert getattr(model, method)(data).dtype == dtype
    assert model.certified_radius(data).dtype == dtype
    if loss != "softmax":
        assert model.centroids_.dtype == model.gamma_.dtype == dtype


@each_loss
def test_two_classes(loss):
    """As scikit-learn has it: one column of scores, positive for the second class."""
    y = np.where(Y == 0, "yes", "no")
    model = fitted(loss, y=y)
    scores = model.decision_function(X)
    assert scores.shape == (120,)
    assert model.predict_proba(X).shape == model.confidence(X).shape == (120, 2)
    np.testing.assert_array_equal(np.where(scores > 0, "yes", "no"), model.predict(X))
    proba = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], proba, rtol=1e-5)


@pytest.mark.parametrize("names", [["a", "b", "c"], [7, -3, 10**9], [0.0, 1.0, 2.0]])
def test_any_labels(names):
    y = np.asarray(names)[Y]
    model = fitted(y=y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert model.predict(X).dtype == y.dtype
    order = np.argsort(names)
    plain = fitted(y=np.argsort(order)[Y])
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


def test_labels_as_objects_and_categories():
    names = np.array(["a", "b", "c"], dtype=object)[Y]
    expected = fitted(y=names.astype(str)).predict(X)
    np.testing.assert_array_equal(fitted(y=names).predict(X), expected)
    frame = pd.Series(names, dtype="category")
    np.testing.assert_array_equal(fitted(y=frame).predict(X), expected)


@each_loss
def test_far_rows(loss):
    model = fitted(loss, max_iter=60)
    confidence = model.confidence(1e3 * X).max(axis=1)
    if loss == "softmax":
        assert np.median(confidence) > 0.99
    else:
        assert confidence.max() < 1e-6
        assert model.confidence(X).max() > 0.3


@each_loss
def test_a_class_of_one_row(loss):
    y = Y.copy()
    y[7] = 3
    model = fitted(loss, y=y)
    assert model.predict_proba(X).shape == (120, 4)
    if loss != "softmax":
        alone = fitted(loss, y=y, max_iter=0)
        np.testing.assert_allclose(
            alone.centroids_[3], alone.transform(X[7:8])[0], rtol=1e-5, atol=1e-6
        )


def test_learns_digits():
    data, labels = load_digits(return_X_y=True)
    train, test, y, y_test = train_test_split(
        data, labels, test_size=1 / 3, random_state=0, stratify=labels
    )
    params = {"warmup_epochs": 10, "max_iter": 10, "random_state": 0}
    model = CentroidClassifier(**params).fit(train, y)
    assert model.score(test, y_test) > 0.95
    noise = np.random.RandomState(0).uniform(0, 16, size=test.shape)
    ours = model.confidence(noise).max(axis=1).mean()
    twin = CentroidClassifier(loss="softmax", **params).fit(train, y)
    assert ours < 0.2 < 0.6 < twin.confidence(noise).max(axis=1).mean()
    assert model.transform(test).shape == (len(test), 10)


def test_embedding_size():
    params = {**SHORT, "embedding_size": None, "max_iter": 1, "warmup_epochs": 1}
    assert CentroidClassifier(**params).fit(X, Y).transform(X).shape[1] == 10
    many = CentroidClassifier(**params).fit(X, np.arange(120) % 12)
    assert many.centroids_.shape == (12, 12)


# --- in company -------------------------------------------------------------------


def test_grid_search_and_pipeline():
    pipeline = make_pipeline(StandardScaler(), CentroidClassifier(**SHORT))
    grid = {"centroidclassifier__loss": ["ga", "softmax"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.8
    assert search.score(X, Y) == np.mean(search.predict(X) == Y)


def test_callbacks_see_a_model_in_training():
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    CentroidClassifier(**SHORT).set_callbacks(monitor).fit(X, Y)
    log = monitor.get_logs()
    assert log


def images():
    rng = np.random.RandomState(0)
    data = rng.uniform(size=(40, 64))
    data[:20, :32] += 1
    return data, np.repeat([0, 1], 20)


@pytest.mark.parametrize(
    "architecture",
    [
        MLPAutoencoder((8,), dropout=0.2),
        ConvAutoencoder((8, 8), (4, 8), (3, 3)),
        UnpoolingAutoencoder((8, 8), (4,), (3,)),
        IdentityArchitecture(),
        MLPAutoencoder((8,)).build(64, 3),
    ],
    ids=lambda architecture: type(architecture).__name__,
)
def test_architectures(architecture):
    data, y = images()
    before = copy.deepcopy(architecture)
    model = CentroidClassifier(
        architecture=architecture, warmup_epochs=30, max_iter=10, random_state=0
    ).fit(data, y)
    assert model.score(data, y) > 0.9
    if hasattr(before, "state_dict"):
        for ours, theirs in zip(
            before.parameters(), architecture.parameters(), strict=True
        ):
            assert (ours == theirs).all()


def test_the_decoder_is_not_kept():
    model = fitted()
    names = [name for name, _ in model.module_.named_parameters()]
    assert len(names) == 4
    assert not hasattr(model.module_, "decode")


def test_pretrained_clusterer():
    dec = DEC(
        3,
        hidden_layer_sizes=(8,),
        embedding_size=2,
        pretrain_epochs=2,
        max_iter=1,
        random_state=0,
    ).fit(X)
    model = CentroidClassifier(
        pretrained=dec, warmup_epochs=0, max_iter=0, random_state=0
    ).fit(X, Y)
    np.testing.assert_allclose(model.transform(X), dec.transform(X), rtol=1e-6)
    again = CentroidClassifier(pretrained=model, warmup_epochs=0, max_iter=0)
    np.testing.assert_array_equal(again.fit(X, Y).transform(X), model.transform(X))
    with pytest.raises(TypeError, match="has a decoder. Got CentroidClassifier"):
        dec.set_params(pretrained=model).fit(X)


# --- weights ----------------------------------------------------------------------


@each_loss
def test_weights_are_repetitions_where_one_batch_holds_all(loss):
    weight = np.arange(120) % 4
    order = np.random.RandomState(0).permutation(weight.sum())
    repeated = X.repeat(weight, axis=0)[order], Y.repeat(weight)[order]
    model = CentroidClassifier(**{**SHORT, "loss": loss})
    weighted = clone(model).fit(X, Y, weight).predict_proba(X)
    np.testing.assert_array_equal(
        clone(model).fit(*repeated).predict_proba(X), weighted
    )
    scaled = clone(model).fit(X, Y, weight / 8)
    np.testing.assert_array_equal(scaled.predict_proba(X), weighted)
    assert not np.array_equal(model.fit(X, Y).predict_proba(X), weighted)


def test_equal_weights_are_none():
    expected = fitted(batch_size=32).predict_proba(X)
    model = CentroidClassifier(**SHORT, batch_size=32).fit(X, Y, np.full(120, 2.5))
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_rows_without_weight_are_left_out():
    weight = np.where(np.arange(120) < 90, 1.0, 0.0)
    model = CentroidClassifier(**SHORT, batch_size=32)
    expected = clone(model).fit(X[:90], Y[:90]).predict_proba(X)
    spoiled = X.copy()
    spoiled[90:] *= 1e6
    found = model.fit(spoiled, Y, weight).predict_proba(X)
    np.testing.assert_array_equal(found, expected)
    one_class = CentroidClassifier(**SHORT)
    with pytest.raises(ValueError, match="number of classes .* got 1 class"):
        one_class.fit(X, Y, Y == 1)


def test_a_heavy_class_wins_in_mini_batches():
    data = np.random.RandomState(0).normal(size=(200, 2))
    y = np.arange(200) % 2  # unlearnable
    weight = np.where(y == 1, 9.0, 1.0)
    model = CentroidClassifier(**SHORT, loss="softmax", batch_size=2)
    share = model.fit(data, y, weight).predict_proba(data)[:, 1].mean()
    assert share == pytest.approx(0.9, abs=0.06)


def test_nothing_stays_of_an_earlier_fit():
    model = fitted()
    assert hasattr(model, "centroids_") and hasattr(model, "gamma_")
    model.set_params(loss="softmax").fit(X[:, :3], Y)
    assert not hasattr(model, "centroids_") and not hasattr(model, "gamma_")


# --- rejection --------------------------------------------------------------------


@each_loss
def test_rejection_follows_the_confidence(loss):
    model = fitted(loss, max_iter=60)
    data = np.vstack([X, 30 * X])
    confidence = model.confidence(data).max(axis=1)
    for threshold in (0.0, 0.3, 0.7, 1.0):
        labels = model.predict_with_reject(data, threshold=threshold)
        np.testing.assert_array_equal(labels == -1, confidence < threshold)
        kept = labels != -1
        np.testing.assert_array_equal(labels[kept], model.predict(data)[kept])
    assert labels.dtype == Y.dtype


@pytest.mark.parametrize(
    ("names", "label", "dtype", "expected"),
    [
        ([0, 1, 2], -1, np.int64, -1),
        ([0.0, 1.0, 2.0], np.nan, np.float64, np.nan),
        ([0, 1, 2], "far", object, "far"),
        ([0, 1, 2], None, object, None),
        (["a", "b", "c"], "rejected", "<U8", "rejected"),
        (["a", "b", "c"], -1, object, -1),
        ([0, 1, 2], None, object, None),
    ],
)
def test_labels_of_rejected_rows(names, label, dtype, expected):
    model = fitted(y=np.asarray(names)[Y])
    far = model.predict_with_reject(1e3 * X[:2], reject_label=label)
    assert far.dtype == dtype
    assert far[0] == expected or (far[0] != far[0] and expected != expected)
    near = model.predict_with_reject(X, threshold=0.0, reject_label=label)
    np.testing.assert_array_equal(near, model.predict(X))


def test_a_label_that_unsigned_classes_cannot_hold():
    model = fitted(y=Y.astype(np.uint8))
    assert model.predict_with_reject(1e3 * X[:2]).tolist() == [-1, -1]


def frame(X):
    return pd.DataFrame(X, columns=list("abcd"))


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix, frame])
def test_rejection_takes_what_fit_takes(kind):
    rows = np.round(X)
    model, same = fitted(X=rows), fitted(X=kind(rows))
    for name in ("confidence", "predict_with_reject", "margin", "certified_radius"):
        expected, got = getattr(model, name)(rows), getattr(same, name)(kind(rows))
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)


def test_bad_arguments_of_rejection():
    model = fitted()
    with pytest.raises(ValueError, match="reject_label=1 is one of the classes"):
        model.predict_with_reject(X, reject_label=1)
    for label in ([1], (), np.array([-1, -2])):
        with pytest.raises(ValueError, match="reject_label=.* should be one label"):
            model.predict_with_reject(X, reject_label=label)
    for lipschitz in ("a", -1.0, np.ones(2)):
        with pytest.raises(ValueError, match="lipschitz=.* should be a float > 0"):
            model.certified_radius(X, lipschitz=lipschitz)
    for threshold in (-0.1, 1.1, "a", None):
        with pytest.raises(ValueError, match="threshold=.* float in \\[0, 1\\]"):
            model.predict_with_reject(X, threshold=threshold)


# --- errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "bounds", [(1.0,), (0.0, 1.0), (2.0, 1.0), (-1, 1), (1, np.inf), (1, "a")]
)
def test_wrong_bounds(bounds):
    with pytest.raises(ValueError, match=r"'gamma_bounds' parameter .*Got \("):
        CentroidClassifier(gamma_bounds=bounds).fit(X, Y)


def test_classes_that_cannot_be_learnt():
    with pytest.raises(ValueError, match="greater than one; got 1 class"):
        fitted(y=np.ones(120))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        fitted(y=X[:, 0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted(y=Y[:-1])
    with pytest.raises(ValueError, match="Negative values"):
        CentroidClassifier(**SHORT).fit(X, Y, -np.ones(120))


@pytest.mark.parametrize(
    ("phase", "params"),
    [
        ("warm_up", {}),
        ("centroids", {"warmup_epochs": 0}),
        ("softmax", {"warmup_epochs": 0, "loss": "softmax"}),
    ],
)
def test_divergence_names_the_phase(phase, params):
    model = CentroidClassifier(**{**SHORT, "learning_rate": 1e38, **params})
    with pytest.raises(TrainingDivergedError, match=f"phase '{phase}' is not finite"):
        model.fit(X, Y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not hasattr(model, "_codes")
