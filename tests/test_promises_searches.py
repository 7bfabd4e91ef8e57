"""Every estimator: scores take weights, also those of searches over pipelines."""

import warnings

import numpy as np
import pytest
import sklearn
from estimators import (
    CLASSIFIERS,
    DEEP,
    MEANS,
    MIXTURES,
    SHALLOW,
    X,
    Y,
    each_estimator,
    each_unsupervised,
    fitted,
)
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import CentroidClassifier, KernelKMeans
from skdeepcluster.metrics import (
    input_silhouette_scorer,
    knn_modularity_scorer,
    make_neighborhood_scorer,
    neighborhood_scorer,
)

ROWS, CLASSES = make_blobs(90, n_features=4, centers=4, random_state=3)
WEIGHT = np.random.RandomState(0).randint(0, 4, size=len(ROWS))
FOLDS = [np.flatnonzero(np.arange(len(ROWS)) % 2 == i) for i in range(2)]
OWNERS = np.repeat(np.arange(len(ROWS)), WEIGHT)
# One of every kind that a search over numbers of clusters tells apart.
SEARCHED = [DEEP[0], DEEP[5], DEEP[8], SHALLOW[0], SHALLOW[1], *MEANS[:3], *MIXTURES]
SEARCHED.append(KernelKMeans(kernel="rbf"))


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def splits(owners):
    """The two folds, by the rows that those of X come from."""
    places = [np.flatnonzero(np.isin(owners, fold)) for fold in FOLDS]
    return [(places[0], places[1]), (places[1], places[0])]


def search_over(estimator, owners, scoring=None):
    name = "n_components" if hasattr(estimator, "n_components") else "n_clusters"
    model = Pipeline([("scale", StandardScaler()), ("cluster", clone(estimator))])
    model.set_params(cluster__random_state=0)
    grid = {f"cluster__{name}": [2, 3, 4, 5]}
    return GridSearchCV(
        model, grid, cv=splits(owners), scoring=scoring, error_score="raise"
    )


def asks_for_weights(search):
    for step in search.estimator.named_steps.values():
        step.set_fit_request(sample_weight=True)
        if hasattr(step, "set_score_request"):
            step.set_score_request(sample_weight=True)
    return search


@each_estimator
def test_a_weight_in_the_score_is_repetition(estimator):
    model, n = fitted(estimator), len(X)
    weight = np.random.RandomState(1).randint(0, 4, size=n)
    rows, classes = X.repeat(weight, axis=0), Y.repeat(weight)
    repeated, weighted = model.score(rows, classes), model.score(X, Y, weight)
    assert type(weighted) is float
    assert weighted == pytest.approx(repeated, abs=1e-12)
    assert 0 < abs(weighted - model.score(X, Y)) or estimator in CLASSIFIERS
    keep = np.arange(n) % 3 > 0
    few = model.score(X[keep], Y[keep])
    assert model.score(X, Y, sample_weight=keep) == pytest.approx(few, abs=1e-12)
    assert model.score(X, Y, sample_weight=np.ones(n)) == model.score(X, Y)


@pytest.mark.parametrize("weight", [np.full(61, -1.0), np.zeros(61), np.ones(60)])
@each_unsupervised
def test_weights_of_a_score_are_checked(estimator, weight):
    with pytest.raises(ValueError, match=r"[Nn]egative|non-zero|sample_weight.shape"):
        fitted(estimator).score(X, Y, sample_weight=weight)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.filterwarnings("ignore:.* components are at the limit")
@pytest.mark.parametrize("estimator", SEARCHED, ids=lambda e: type(e).__name__)
def test_a_weighted_search_picks_what_one_on_repeated_rows_picks(estimator, routing):
    weighted = asks_for_weights(search_over(estimator, np.arange(len(ROWS))))
    weighted.fit(ROWS, sample_weight=WEIGHT)
    repeated = search_over(estimator, OWNERS).fit(ROWS[OWNERS])
    found, expected = (s.cv_results_["mean_test_score"] for s in (weighted, repeated))
    assert np.isfinite(found).all()
    assert weighted.best_params_ == repeated.best_params_
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_weighted_search_of_a_classifier(routing):
    model = CentroidClassifier(
        hidden_layer_sizes=(8,), embedding_size=2, warmup_epochs=5, max_iter=2
    )
    model.set_params(random_state=0)
    found = []
    for owners, weight in ((np.arange(len(ROWS)), WEIGHT), (OWNERS, None)):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), clone(model)),
            {"centroidclassifier__max_iter": [1, 2]},
            cv=splits(owners),
            error_score="raise",
        )
        asks_for_weights(search)
        search.fit(ROWS[owners], CLASSES[owners], sample_weight=weight)
        found.append(search.cv_results_["mean_test_score"])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(*found, atol=1e-12)


SCORERS = [
    neighborhood_scorer,
    knn_modularity_scorer,
    input_silhouette_scorer,
    make_neighborhood_scorer(n_neighbors=5),
]


@pytest.mark.parametrize("scorer", SCORERS)
def test_scorers_ask_for_weights(scorer, routing):
    scoring = scorer.set_score_request(sample_weight=True)
    weighted = search_over(SHALLOW[0], np.arange(len(ROWS)), scoring)
    asks_for_weights(weighted).fit(ROWS, sample_weight=WEIGHT)
    repeated = search_over(SHALLOW[0], OWNERS, scorer).fit(ROWS[OWNERS])
    found, expected = (s.cv_results_["mean_test_score"] for s in (weighted, repeated))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # Who has not said whether to use them is asked, as by scikit-learn's scorers.
    undecided = asks_for_weights(search_over(SHALLOW[0], OWNERS, scorer))
    with pytest.raises(ValueError, match=r"sample_weight.* not explicitly set"):
        undecided.fit(ROWS[OWNERS], sample_weight=np.ones(len(OWNERS)))
    undecided.set_params(scoring=scorer.set_score_request(sample_weight=False))
    undecided.fit(ROWS[OWNERS], sample_weight=np.ones(len(OWNERS)))


@pytest.mark.parametrize("estimator", [DEEP[0], SHALLOW[0], MEANS[0], MIXTURES[0]])
def test_searches_without_routing(estimator):
    search = search_over(estimator, np.arange(len(ROWS))).fit(ROWS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    alone = GridSearchCV(clone(estimator), {"random_state": [0, 1]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone.fit(ROWS, sample_weight=WEIGHT)
    assert np.isfinite(alone.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("estimator", [DEEP[0], SHALLOW[0], MEANS[0], MIXTURES[0]])
def test_pipelines_pass_weights_on(estimator, routing):
    model = clone(estimator).set_params(random_state=0)
    pipeline = make_pipeline(StandardScaler(), model).fit(ROWS)
    scaled = pipeline[0].transform(ROWS)
    assert pipeline.score(ROWS) == model.score(scaled)
    assert pipeline.score(ROWS, sample_weight=None) == model.score(scaled)
    model.set_score_request(sample_weight=True)
    expected = model.score(scaled, sample_weight=WEIGHT)
    assert pipeline.score(ROWS, sample_weight=WEIGHT) == expected


def test_a_weighted_sample_of_many_rows():
    """The rows that are scored are those of repeated rows."""
    rows = np.random.RandomState(0).normal(size=(1500, 4))
    weight = np.random.RandomState(1).randint(0, 5, size=1500)
    model = fitted(SHALLOW[0])
    repeated = model.score(rows.repeat(weight, axis=0))
    weighted = model.score(rows, sample_weight=weight)
    assert weighted == pytest.approx(repeated, abs=1e-12)
    for factor in (0.37, 1e-300, 1e300):
        other = model.score(rows, sample_weight=np.sqrt(weight) * factor)
        expected = model.score(rows, sample_weight=np.sqrt(weight) * 0.37)
        assert other == pytest.approx(expected, abs=1e-9)
    scores = [model.score(rows[:300], sample_weight=np.full(300, 1e9)), weighted]
    assert np.isfinite(scores).all()


def test_too_few_rows_with_a_weight():
    weight = np.eye(1, len(X))[0]
    for model in (fitted(SHALLOW[0]), fitted(DEEP[0])):
        with pytest.raises(ValueError, match=r"1 sample.*minimum of 2 is"):
            model.score(X, sample_weight=weight)
        assert model.score(X, sample_weight=2 * weight) == 0.0
