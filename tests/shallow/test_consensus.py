"""What several clusterers agree on, as an estimator."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.model_selection import GridSearchCV

from skdeepcluster import ConsensusClustering, SphericalKMeans
from skdeepcluster.metrics import neighborhood_score

X, Y = make_blobs(240, centers=4, random_state=0, cluster_std=1.5)
MEMBERS = [("a", KMeans(4, n_init=2)), ("b", KMeans(6, n_init=2))]


def test_digits():
    digits, y = load_digits(return_X_y=True)
    model = ConsensusClustering(10, random_state=0).fit(digits)
    assert normalized_mutual_info_score(y, model.labels_) > 0.86  # k-means 0.74
    best = max(model.modularities_, key=model.modularities_.get)
    assert model.chosen_ == best
    assert set(model.modularities_) == {"consensus", "k-means", "graph"}
    wrong = [
        adjusted_rand_score(y[a], model.labels_[a])
        for a in np.array_split(np.argsort(model.agreement_), 2)
    ]
    assert wrong[0] < wrong[1]  # rows that are surer are right more often


def test_where_graphs_fail_kmeans_is_taken():
    """Two round clusters in noise of many features, where neighbours tell nothing."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3)) @ np.diag([1, 1, 1])
    y = (rows[:, 0] > 0).astype(int)
    rows[:, 0] *= 3
    model = ConsensusClustering(2, random_state=0).fit(rows)
    kmeans = dict(model.estimators_)["k-means"]
    assert model.modularities_[model.chosen_] >= model.modularities_["k-means"]
    assert adjusted_rand_score(y, model.labels_) > 0.9 * adjusted_rand_score(
        y, kmeans.labels_
    )


def test_moons_and_new_rows():
    moons, y = make_moons(500, noise=0.05, random_state=0)
    model = ConsensusClustering(2, random_state=0).fit(moons[:400])
    assert adjusted_rand_score(y[400:], model.predict(moons[400:])) == 1
    proba = model.predict_proba(moons[400:])
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.predict(moons[400:]))


def test_sparse_rows_take_the_cosine():
    rows = sp.random_array((120, 40), density=0.3, rng=np.random.default_rng(0)).tocsr()
    model = ConsensusClustering(3, random_state=0).fit(rows)
    assert isinstance(dict(model.estimators_)["k-means"], SphericalKMeans)
    expected = neighborhood_score(rows, model.labels_, metric="cosine")
    assert model.score(rows) == expected
    np.testing.assert_array_equal(model.predict(rows), model.labels_)


def test_members_of_the_user():
    model = ConsensusClustering(4, estimators=MEMBERS, random_state=0).fit(X)
    assert model.chosen_ == "consensus"
    assert model.member_labels_.shape == (240, 2)
    assert not hasattr(MEMBERS[0][1], "labels_")
    seeds = {member.random_state for _, member in model.estimators_}
    assert len(seeds) == 2 and None not in seeds
    again = ConsensusClustering(4, estimators=MEMBERS, random_state=0, n_jobs=2).fit(X)
    np.testing.assert_array_equal(again.labels_, model.labels_)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_parameters_of_members():
    model = ConsensusClustering(4, estimators=MEMBERS)
    assert model.get_params()["b__n_clusters"] == 6
    changed = clone(model).set_params(b__n_clusters=5, a=KMeans(3))
    assert changed.get_params()["b__n_clusters"] == 5
    assert changed.get_params()["a"].n_clusters == 3
    search = GridSearchCV(model, {"b__n_clusters": [3, 6]}, cv=2).fit(X)
    assert search.best_params_["b__n_clusters"] in (3, 6)


def test_members_without_predict_and_with_noise():
    members = [
        ("noise", DBSCAN(eps=0.6)),
        ("tree", AgglomerativeClustering(4)),
        *MEMBERS,
    ]
    model = ConsensusClustering(4, estimators=members, random_state=0).fit(X)
    assert (model.member_labels_[:, 0] == -1).any()
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert adjusted_rand_score(model.labels_, Y) > 0.5


def test_a_frozen_member_is_taken_as_it_is():
    fitted = KMeans(4, n_init=2, random_state=0).fit(X)
    model = ConsensusClustering(4, estimators=[("a", FrozenEstimator(fitted))]).fit(X)
    assert adjusted_rand_score(model.labels_, fitted.labels_) == 1
    fewer = ConsensusClustering(4, estimators=[("a", FrozenEstimator(fitted))]).fit(
        X[:99]
    )
    assert adjusted_rand_score(fewer.labels_, fitted.labels_[:99]) == 1


def test_a_weight_is_so_many_rows():
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    weighted = ConsensusClustering(4, random_state=0).fit(X, sample_weight=weight)
    repeated = ConsensusClustering(4, random_state=0).fit(np.repeat(X, weight, axis=0))
    assert weighted.chosen_ == repeated.chosen_
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))
    np.testing.assert_array_equal(weighted.labels_, weighted.predict(X))


@pytest.mark.parametrize(
    "members, error, match",
    [
        ([], ValueError, "at least one"),
        ([("a", 3)], TypeError, "must be a clusterer. Got 3 for 'a'"),
        ([("n_clusters", KMeans())], ValueError, "conflict"),
        ([("tree", AgglomerativeClustering(4))], ValueError, "does not"),
    ],
)
def test_refused(members, error, match):
    with pytest.raises(error, match=match):
        ConsensusClustering(4, estimators=members).fit(X, sample_weight=np.ones(240))
