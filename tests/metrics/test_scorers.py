import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster.metrics import (
    input_silhouette_scorer,
    knn_modularity_score,
    knn_modularity_scorer,
    make_neighborhood_scorer,
    neighborhood_score,
    neighborhood_scorer,
    sample_rows,
)

SCORERS = [
    input_silhouette_scorer,
    knn_modularity_scorer,
    neighborhood_scorer,
    make_neighborhood_scorer(),
]


@pytest.fixture(scope="module", name="X")
def blobs():
    return make_blobs(450, centers=4, n_features=5, random_state=1)[0]


@pytest.fixture(scope="module")
def model(X):
    return KMeans(4, n_init=2, random_state=0).fit(X)


class Recorder(BaseEstimator):
    """Predict the sign of the first feature and remember what was asked."""

    def predict(self, X):
        self.seen = X
        values = X.toarray() if sp.issparse(X) else np.asarray(X)
        return (values[:, 0] > 0).astype(int)


class Constant(BaseEstimator):
    """Fit nothing and predict labels without looking."""

    def __init__(self, singletons=False):
        self.singletons = singletons

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return np.arange(len(X)) * self.singletons


def test_scorers_score_the_predictions(X, model):
    labels = model.predict(X)
    Q, S = knn_modularity_score(X, labels), silhouette_score(X, labels)
    assert knn_modularity_scorer(model, X) == Q
    assert input_silhouette_scorer(model, X) == pytest.approx(S)
    assert neighborhood_scorer(model, X) == neighborhood_score(X, labels)
    assert make_neighborhood_scorer()(model, X) == neighborhood_score(X, labels)


def test_settings_reach_the_score(X, model):
    settings = {"n_neighbors": 4, "resolution": 1.5, "metric": "cosine"}
    sampling = {"sample_size": 100, "random_state": 2}
    score = make_neighborhood_scorer(**settings, **sampling)(model, X)
    assert score == neighborhood_score(X, model.predict(X), **settings, **sampling)


@pytest.mark.parametrize("scorer", SCORERS)
def test_y_is_ignored(X, model, scorer):
    assert scorer(model, X, np.zeros(3)) == scorer(model, X, y=None)


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("singletons", [False, True])
def test_one_cluster_and_singletons(X, scorer, singletons):
    score = scorer(Constant(singletons), X)
    assert isinstance(score, float)
    if scorer is input_silhouette_scorer or not singletons:
        assert score == 0.0
    else:
        assert -0.01 < score < 0


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize(
    "container", [np.asarray, pd.DataFrame, sp.csr_array, sp.coo_array, list]
)
def test_only_the_sample_is_predicted(scorer, container):
    X = np.random.default_rng(0).normal(size=(2100, 2))
    estimator = Recorder()
    score = scorer(estimator, container(X))
    seen = estimator.seen.toarray() if sp.issparse(estimator.seen) else estimator.seen
    np.testing.assert_array_equal(np.asarray(seen), X[sample_rows(2100)])
    assert score == pytest.approx(scorer(Recorder(), X))


@pytest.mark.parametrize("scorer", SCORERS)
def test_grid_search_without_y(X, scorer):
    search = GridSearchCV(
        KMeans(n_init=2, random_state=0),
        {"n_clusters": [1, 2, 4, 9]},
        scoring=scorer,
        cv=KFold(3, shuffle=True, random_state=0),
        error_score="raise",
    )
    search.fit(X)
    assert search.best_params_ == {"n_clusters": 4}
    assert search.cv_results_["mean_test_score"][0] == 0.0


def test_grid_search_over_a_pipeline_compares_in_one_space(X):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), PCA(), KMeans(n_init=2, random_state=0)),
        {"pca__n_components": [1, 4], "kmeans__n_clusters": [2, 4]},
        scoring={"score": neighborhood_scorer, "silhouette": input_silhouette_scorer},
        refit="score",
        cv=3,
        error_score="raise",
    )
    search.fit(pd.DataFrame(X))
    assert search.best_params_["kmeans__n_clusters"] == 4
    labels = search.best_estimator_.predict(pd.DataFrame(X))
    assert search.score(pd.DataFrame(X)) == neighborhood_score(X, labels)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_reference_space(X, n_jobs):
    # The scorer and its reference travel to the workers.
    scaled = X * [1, 1, 1, 1, 1e5]
    reference = StandardScaler().fit(scaled)
    scorer = make_neighborhood_scorer(reference)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), KMeans(n_init=2, random_state=0)),
        {"kmeans__n_clusters": [2, 4, 6]},
        scoring=scorer,
        cv=KFold(2, shuffle=True, random_state=0),
        error_score="raise",
        n_jobs=n_jobs,
    )
    search.fit(scaled)
    assert search.best_params_ == {"kmeans__n_clusters": 4}
    labels = search.predict(scaled)
    expected = neighborhood_score(reference.transform(scaled), labels)
    assert scorer(search.best_estimator_, scaled) == expected
    assert search.score(scaled) == expected
    assert neighborhood_scorer(search.best_estimator_, scaled) != expected


def test_reference_makes_text_comparable():
    texts = ["red apple", "green apple", "apple pie", "fast car", "old car", "car"] * 4
    model = make_pipeline(TfidfVectorizer(), KMeans(2, n_init=2, random_state=0))
    reference = TfidfVectorizer().fit(texts)
    scorer = make_neighborhood_scorer(reference, metric="cosine", sample_size=20)
    assert scorer(model.fit(texts), texts) > 0.3


@pytest.mark.parametrize("scorer", SCORERS)
def test_pickle(X, model, scorer):
    assert pickle.loads(pickle.dumps(scorer))(model, X) == scorer(model, X)


def test_estimator_without_predict(X):
    with pytest.raises(TypeError, match="AgglomerativeClustering has none"):
        neighborhood_scorer(AgglomerativeClustering().fit(X), X)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"reference": object()}, TypeError, "reference must have a transform method"),
        ({"reference": StandardScaler()}, NotFittedError, "not fitted yet"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors == 0, must be >= 1"),
        ({"metric": "jaccard"}, ValueError, "metric must be one of.*'jaccard'"),
        ({"sample_size": 1}, ValueError, "sample_size == 1, must be >= 2"),
    ],
)
def test_bad_settings(arguments, error, message):
    with pytest.raises(error, match=message):
        make_neighborhood_scorer(**arguments)
