"""SphericalKMeans: in the places where KMeans is used."""

import copy
import logging
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from cosine_cases import blobs, text
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdeepcluster import SphericalKMeans
from skdeepcluster.kmeans.cosine import _partition

X = blobs()
TEXTS = [
    "the cat sat on the mat with a cat",
    "a dog and a cat are pets",
    "my dog chased the cat",
    "stocks fell as markets closed",
    "the market for stocks and bonds rose",
    "bonds and stocks in the markets",
]


def model(n_clusters=4, **params):
    return SphericalKMeans(n_clusters, **{"random_state": 0, **params})


# --- one batch after the other ----------------------------------------------


def test_partial_fit_chooses_centres_and_moves_them():
    found = model().partial_fit(X)
    assert found.n_iter_ == 1
    np.testing.assert_array_equal(found.labels_, found.predict(X))
    np.testing.assert_allclose(np.linalg.norm(found.cluster_centers_, axis=1), 1)
    before = found.inertia_
    for _ in range(20):
        found.partial_fit(X)
    assert found.n_iter_ == 21
    assert found.inertia_ < before
    assert adjusted_rand_score(found.labels_, model().fit(X).labels_) > 0.9


def test_partial_fit_on_all_rows_is_one_iteration():
    start = X[:4]
    one = model(init=start, max_iter=1).fit(X)
    batch = model(init=start).partial_fit(X)
    np.testing.assert_allclose(batch.cluster_centers_, one.cluster_centers_)
    assert batch.inertia_ == pytest.approx(one.inertia_)


def test_partial_fit_after_fit_goes_on_with_its_weight():
    found = model().fit(X)
    centers = found.cluster_centers_.copy()
    found.partial_fit(X[:1])
    moved = np.abs(found.cluster_centers_ - centers).max(axis=1)
    assert (moved > 1e-12).sum() == 1
    assert moved.max() < 0.1
    assert found.labels_.shape == (1,)


def test_order_and_division_of_batches_hardly_matter():
    centers = model().fit(X).cluster_centers_
    order = np.random.RandomState(0).permutation(300)
    found = []
    for batches in (np.split(X, 6), np.split(X[order], 6), np.split(X[order], 3)):
        batched = model(init=centers)
        for batch in batches:
            batched.partial_fit(batch)
        found.append(batched.predict(X))
    for labels in found:
        assert adjusted_rand_score(labels, found[0]) > 0.9


def test_weights_in_partial_fit():
    counts = np.arange(300) % 3
    weighted = model(init=X[:4]).partial_fit(X, sample_weight=counts)
    repeated = model(init=X[:4]).partial_fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_)


def test_a_batch_that_is_refused_changes_nothing():
    found = model().partial_fit(X)
    before = dict(vars(found))
    for bad in (X[:, :3], X * np.nan, X * 0):
        with pytest.raises(ValueError):
            found.partial_fit(bad)
        assert vars(found).keys() == before.keys()
        assert all(vars(found)[name] is value for name, value in before.items())
    with pytest.raises(ValueError, match="n_samples=3 should be >= n_clusters=4"):
        model().partial_fit(X[:3])


# --- data of any form -------------------------------------------------------


@pytest.mark.parametrize(
    "params", [{}, {"batch_size": 40}, {"fuzziness": 2.0}], ids=str
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_mapped_files(dtype, params, tmp_path):
    np.save(tmp_path / "x.npy", X.astype(dtype))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    found = model(**params).fit(mapped)
    np.testing.assert_array_equal(found.labels_, found.predict(mapped))
    expected = np.float64 if dtype == np.float64 else np.float32
    assert found.cluster_centers_.dtype == found.transform(mapped).dtype == expected
    np.testing.assert_array_equal(mapped, X.astype(dtype))
    if not params:
        in_memory = model().fit(X.astype(dtype))
        np.testing.assert_array_equal(found.labels_, in_memory.labels_)


def test_csr_with_long_indices_or_repeated_entries():
    x = sp.csr_matrix(text())
    expected = model().fit(x)
    long = x.copy()
    long.indices, long.indptr = x.indices.astype(np.int64), x.indptr.astype(np.int64)
    parts = (np.repeat(x.data / 2, 2), np.repeat(x.indices, 2), x.indptr * 2)
    repeated = sp.csr_matrix(parts, shape=x.shape)
    for data in (long, repeated, x.tocsc(), x.tocoo(), sp.csr_array(x)):
        before = data.copy()
        found = model().fit(data)
        np.testing.assert_array_equal(found.labels_, expected.labels_)
        assert found.inertia_ == pytest.approx(expected.inertia_, rel=1e-12)
        np.testing.assert_allclose(
            found.transform(data), expected.transform(x), atol=1e-12
        )
        assert data.nnz == before.nnz
        np.testing.assert_array_equal(data.data, before.data)
    assert long.indices.dtype == np.int64


def test_output_as_frames():
    frame = pd.DataFrame(X, columns=list("abcde"))
    found = model().set_output(transform="pandas").fit(frame)
    out = found.transform(frame)
    assert out.columns.tolist() == [f"sphericalkmeans{i}" for i in range(4)]
    assert found.feature_names_in_.tolist() == list("abcde")
    assert isinstance(found.predict(frame), np.ndarray)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_go_on_alike(copied):
    found = model().fit(X)
    other = copied(found)
    np.testing.assert_array_equal(other.transform(X), found.transform(X))
    one, two = (m.partial_fit(X[:50]).cluster_centers_ for m in (found, other))
    np.testing.assert_array_equal(one, two)
    assert not hasattr(clone(found), "labels_")


# --- in place of KMeans -----------------------------------------------------


def test_parameters_of_kmeans_are_understood():
    settings = KMeans(3, n_init=2, random_state=0).get_params()
    del settings["algorithm"], settings["tol"]
    labels = SphericalKMeans(**settings, algorithm="lloyd", tol=1e-4).fit_predict(X)
    assert set(labels) == {0, 1, 2}


def test_pipeline_of_texts():
    pipeline = make_pipeline(TfidfVectorizer(stop_words="english"), model(2))
    labels = pipeline.fit_predict(TEXTS)
    assert len({*labels[:3]}) == len({*labels[3:]}) == 1
    assert labels[0] != labels[3]
    assert pipeline.predict(["a cat and a dog"])[0] == labels[0]
    assert pipeline.transform(TEXTS).shape == (6, 2)


def test_grid_search_needs_no_y_and_no_scoring():
    x = np.repeat(np.eye(4), 40, axis=0) + 0.1 * np.abs(blobs(160, 4, k=1) % 1)
    search = GridSearchCV(model(), {"n_clusters": [2, 4, 12]}, cv=3).fit(x)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_ == {"n_clusters": 4}


def test_callable_init_is_called_as_kmeans_calls_it():
    calls = []

    def init(X, n_clusters, random_state):
        calls.append((X.shape, n_clusters, random_state.randint(10**6)))
        return X[random_state.permutation(len(X))[:n_clusters]]

    model(init=init, n_init=3).fit(X)
    assert [call[:2] for call in calls] == [((300, 5), 4)] * 3
    assert len({call[2] for call in calls}) == 3
    again = list(calls)
    calls.clear()
    model(init=init).fit(X)  # "auto": 10 starts
    assert len(calls) == 10
    assert calls[:3] == again


def test_as_the_clusterer_of_a_topic_model():
    """BERTopic fits embeddings, reads labels_, and predicts new embeddings later."""
    embeddings = blobs(200, 32).astype(np.float32)
    clusterer = model()
    clusterer.fit(embeddings)
    topics = pd.DataFrame({"topic": clusterer.labels_.tolist()}).groupby("topic").size()
    assert topics.index.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(
        clusterer.predict(embeddings[:5]), clusterer.labels_[:5]
    )
    loaded = pickle.loads(pickle.dumps(clusterer))
    assert loaded.predict(embeddings[:1]).shape == (1,)


# --- while it runs ----------------------------------------------------------


@pytest.mark.parametrize("params", [{"n_init": 2}, {"batch_size": 100}], ids=str)
def test_verbose_logs(caplog, params):
    caplog.set_level(logging.INFO, logger="skdeepcluster")
    found = model(verbose=1, max_iter=2, **params).fit(X)
    assert len(caplog.messages) == 2
    assert "criterion" in caplog.messages[0]
    assert found.n_iter_ <= 2


@pytest.mark.parametrize("first", [False, True], ids=["unfitted", "fitted"])
def test_an_interrupted_fit_changes_nothing(first, monkeypatch):
    found = model().fit(X) if first else model()
    before = dict(vars(found))

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_partition.Partition, "relabel", interrupt)
    with pytest.raises(KeyboardInterrupt):
        found.fit(blobs(50, 3))
    assert vars(found).keys() == before.keys()
    assert all(vars(found)[name] is value for name, value in before.items())


@pytest.mark.parametrize(
    "params", [{}, {"init": "random"}, {"batch_size": 50}, {"fuzziness": 2.0}], ids=str
)
def test_global_generators(params, global_rng_untouched):
    with global_rng_untouched():
        for seed in (0, None):
            model(random_state=seed, **params).fit(X).score(X)


def test_partial_fit_goes_on_with_as_many_centres():
    found = model().partial_fit(X)
    found.set_params(n_clusters=found.n_clusters + 1)
    with pytest.raises(ValueError, match="partial_fit goes on with . centres, got"):
        found.partial_fit(X)
