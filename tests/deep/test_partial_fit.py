"""Centres that follow new rows, in every clusterer that takes the nearest one."""

import numpy as np
import pytest
import torch
from estimators import DEEP, X, each, each_deep, fitted, fresh
from interruptions import outcome
from scipy.sparse import csr_array

from skdeepcluster import DEC, MIADM, DeepClustering, DeepKMeans
from skdeepcluster.deep import _partial_fit
from skdeepcluster.objectives import MutualInformation, SoftKMeans

FOLLOWING = [estimator for estimator in DEEP if hasattr(estimator, "partial_fit")]
each_following = each(FOLLOWING)
NEW = X[:20] + 0.1
WEIGHT = np.arange(len(NEW)) % 3 * 0.7


def following(estimator, **params):
    return fresh(estimator, **params).fit(X)


def expected_centers(model, rows, weight, counted):
    """The formula, by numpy."""
    labels, z = model.predict(rows), model.transform(rows)
    centers = model.cluster_centers_.copy()
    for k in set(labels[weight > 0]):
        own = labels == k
        total = counted[k] + weight[own].sum()
        centers[k] = (counted[k] * centers[k] + weight[own] @ z[own]) / total
    return centers


def test_methods_with_a_softmax_layer_have_none():
    names = {type(estimator).__name__ for estimator in FOLLOWING}
    assert names == {"DEC", "IDEC", "DCN", "DeepKMeans", "DEKM", "DCJC"}
    for loss, has in [
        ("hardening", True),
        ("running_kmeans", True),
        (None, True),
        ("balance", True),
        ("classification", False),
        (("mutual_information", "group_sparsity"), False),
        (SoftKMeans(3), True),
        (MutualInformation(3), False),
    ]:
        assert hasattr(DeepClustering(clustering_loss=loss), "partial_fit") == has
    assert not hasattr(MIADM(), "partial_fit")


@each_deep
def test_has_it_fitted_where_it_has_it_unfitted(estimator):
    assert hasattr(fitted(estimator), "partial_fit") == (estimator in FOLLOWING)


@each_following
def test_the_nearest_centre_is_the_one_that_is_predicted(estimator):
    model = fitted(estimator)
    apart = model.transform(X)[:, None] - model.cluster_centers_
    nearest = np.square(apart).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, model.predict(X))


@each_following
def test_the_first_call_is_fit(estimator):
    weight = np.arange(len(X)) % 3
    found = fresh(estimator).partial_fit(X, sample_weight=weight)
    assert outcome(found) == outcome(fresh(estimator).fit(X, sample_weight=weight))


@pytest.mark.parametrize("weight", [None, WEIGHT])
@each_following
def test_centres_become_means_of_all_rows(estimator, weight):
    model = following(estimator)
    counted = np.bincount(model.labels_, minlength=3)
    for _ in range(2):
        plain = np.ones(len(NEW)) if weight is None else weight
        labels = model.predict(NEW)
        expected = expected_centers(model, NEW, plain, counted)
        counted = counted + np.bincount(labels, plain, minlength=3)
        assert model.partial_fit(NEW, sample_weight=weight) is model
        np.testing.assert_allclose(model.cluster_centers_, expected, rtol=1e-5)
        assert model.cluster_centers_.dtype == np.float64
        np.testing.assert_array_equal(model.labels_, model.predict(NEW))


@pytest.mark.parametrize("kind", ["varying", "equal", "equal or zero"])
def test_weights_of_fit_count(kind):
    weight = np.arange(len(X)) % 4 * 1.5
    if kind != "varying":
        weight = np.where(weight > 0, 5.0, 0.0 if kind == "equal or zero" else 5.0)
    model = DEC(3, random_state=0, **small()).fit(X, sample_weight=weight)
    counted = np.bincount(model.labels_, weight, minlength=3)
    expected = expected_centers(model, NEW, np.ones(len(NEW)), counted)
    model.partial_fit(NEW)
    np.testing.assert_allclose(model.cluster_centers_, expected, rtol=1e-5)


def test_rows_that_repeat_count_as_often():
    rows = np.repeat(X, 3, axis=0)
    model = DEC(3, random_state=0, **small()).fit(rows)
    counted = np.bincount(model.labels_, minlength=3)
    expected = expected_centers(model, NEW, np.ones(len(NEW)), counted)
    model.partial_fit(NEW)
    np.testing.assert_allclose(model.cluster_centers_, expected, rtol=1e-5)


def test_a_weight_is_a_repetition_and_zero_is_none():
    weight = np.arange(len(NEW)) % 3
    weighted = DEC(3, random_state=0, **small()).fit(X)
    repeated = DEC(3, random_state=0, **small()).fit(X)
    weighted.partial_fit(NEW, sample_weight=weight)
    repeated.partial_fit(np.repeat(NEW, weight, axis=0))
    np.testing.assert_allclose(
        weighted.cluster_centers_, repeated.cluster_centers_, rtol=1e-6
    )


def test_equal_rows_with_equal_weights():
    rows, weight = np.repeat(X, 2, axis=0), np.full(2 * len(X), 3.0)
    model = DEC(3, random_state=0, **small()).fit(rows, sample_weight=weight)
    counted = 3.0 * np.bincount(model.labels_, minlength=3)
    np.testing.assert_allclose(model._cluster_weights, counted)


def test_many_small_steps_add_up():
    rows = X.astype(np.float32)
    model = DEC(3, random_state=0, **small()).fit(rows, sample_weight=np.full(61, 1e7))
    before, row = model.cluster_centers_, rows[:1]
    (k,) = model.predict(row)
    towards = model.transform(row)[0] - before[k]
    for _ in range(50):
        model.partial_fit(row)
    counted = 1e7 * (fitted_labels(rows) == k).sum()
    moved = model._running_centers[k].numpy() - before[k]
    np.testing.assert_allclose(moved, 50 / (counted + 50) * towards, rtol=1e-2)


def fitted_labels(rows):
    return DEC(3, random_state=0, **small()).fit(rows).labels_


def test_clusters_without_new_rows_stay():
    model = DEC(3, random_state=0, **small()).fit(X)
    before, row = model.cluster_centers_, X[:1]
    (k,) = model.predict(row)
    model.partial_fit(row)
    moved = (model.cluster_centers_ != before).any(axis=1)
    np.testing.assert_array_equal(moved, np.arange(3) == k)


@each_following
def test_the_network_stays(estimator):
    model = following(estimator)
    module, objective, z = model.module_, model.objective_, model.transform(X)
    centers = objective.centers.clone()
    model.partial_fit(NEW)
    assert model.module_ is module
    np.testing.assert_array_equal(model.transform(X), z)
    assert torch.equal(objective.centers, centers)  # of a copy that somebody has


def test_sparse_rows_are_dense_rows():
    dense = DEC(3, random_state=0, **small()).fit(X)
    sparse = DEC(3, random_state=0, **small()).fit(X)
    dense.partial_fit(NEW)
    sparse.partial_fit(csr_array(NEW))
    np.testing.assert_allclose(dense.cluster_centers_, sparse.cluster_centers_)


def test_a_warm_start_goes_on_from_the_moved_centres():
    model = DEC(3, random_state=0, warm_start=True, **small()).fit(X)
    centers = model.partial_fit(NEW).cluster_centers_
    model.set_params(learning_rate=1e-30, max_iter=1).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, centers)


@pytest.mark.parametrize(
    "rows, weight, message",
    [
        (NEW[:, :3], None, "X has 3 features"),
        (np.full_like(NEW, np.nan), None, "contains NaN"),
        (NEW * 1e300, None, "overflow"),
        (NEW, -np.ones(len(NEW)), "sample_weight"),
        (NEW, np.ones(3), "sample_weight"),
    ],
)
def test_bad_rows_change_nothing(rows, weight, message):
    model = DeepKMeans(3, random_state=0, **small()).fit(X)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.partial_fit(rows, sample_weight=weight)
    assert vars(model) == before


def test_several_processes_are_refused(monkeypatch):
    model = DEC(3, random_state=0, shard="auto", **small()).fit(X)
    model.partial_fit(NEW)  # of one process
    monkeypatch.setattr(_partial_fit, "group_of", lambda shard: Pair)
    with pytest.raises(ValueError, match="needs shard=None. Got shard='auto'"):
        model.partial_fit(NEW)


class Pair:
    """Stands for a group of two processes."""

    size = 2


def small():
    return {
        "hidden_layer_sizes": (8,),
        "embedding_size": 2,
        "pretrain_epochs": 5,
        "max_iter": 2,
        "n_init": 2,
    }
