"""Every estimator: ``score`` rates the predicted partition of any rows."""

import copy

import numpy as np
import pytest
import torch
from estimators import (
    N_SAMPLES,
    SHALLOW,
    X,
    Y,
    each_clusterer,
    each_deep,
    each_unsupervised,
    fitted,
    fresh,
)

from skdeepcluster.metrics import neighborhood_score


@each_clusterer
def test_a_single_row_has_no_neighbours(estimator):
    for n_rows, least in [(0, "1 is required"), (1, "2 is required by the score")]:
        match = f"Found array with {n_rows} sample.* minimum of {least}"
        with pytest.raises(ValueError, match=match):
            fitted(estimator).score(X[:n_rows])
    assert np.isfinite(fitted(estimator).score(X[:2]))


def metric_of(estimator):
    return "cosine" if estimator in SHALLOW else "euclidean"


@each_clusterer
def test_score_is_that_of_the_predicted_partition(estimator):
    model = fitted(estimator)
    score = model.score(X)
    assert type(score) is float
    metric = metric_of(estimator)
    assert score == neighborhood_score(X, model.predict(X), metric=metric)
    renamed = neighborhood_score(X, 7 - 3 * model.labels_, metric=metric)
    assert score == pytest.approx(renamed, rel=1e-12)


@pytest.mark.parametrize("y", [Y, Y.astype(str), Y[:3], None])
@each_unsupervised
def test_score_ignores_y(estimator, y):
    model = fitted(estimator)
    assert model.score(X, y) == model.score(X)


@each_clusterer
def test_score_of_one_cluster_is_zero(estimator):
    assert fresh(estimator, n_clusters=1).fit(X).score(X) == 0.0


@each_unsupervised
def test_score_does_not_depend_on_the_order(estimator):
    model = fitted(estimator)
    order = np.random.RandomState(0).permutation(N_SAMPLES)
    assert model.score(X[order]) == pytest.approx(model.score(X), abs=1e-12)


@each_deep
def test_score_is_higher_for_a_better_partition(estimator):
    model = fresh(estimator, pretrain_epochs=100).fit(X)
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    for parameter in shuffled.module_.parameters():
        parameter.normal_(generator=generator)
    assert model.score(X) > shuffled.score(X)


@pytest.mark.parametrize("n", [2000, 2001, 5000])
@each_clusterer
def test_score_predicts_a_sample_only(estimator, n, monkeypatch):
    rows = []
    original = type(estimator)._label

    def spy(self, X, *args):
        rows.append(len(X))
        return original(self, X, *args)

    model = fitted(estimator)
    data = np.random.RandomState(0).normal(size=(n, 4))
    monkeypatch.setattr(type(estimator), "_label", spy)
    assert model.score(data) == model.score(data)
    assert rows == [2000, 2000]
