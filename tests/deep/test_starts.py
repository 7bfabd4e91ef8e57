"""Where the first clusters come from, in every deep clusterer."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dec_cases import X, Y
from sklearn.base import clone
from sklearn.cluster import (
    DBSCAN,
    HDBSCAN,
    AffinityPropagation,
    KMeans,
    SpectralClustering,
)
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdeepcluster
from skdeepcluster import DeepClustering
from skdeepcluster.architectures import IdentityArchitecture
from skdeepcluster.engine import Budget
from skdeepcluster.graphs import path_integral_partition
from skdeepcluster.objectives import HardKMeans

NAMES = ["DEC", "IDEC", "DCN", "DeepKMeans", "DEKM", "DCJC", "MIADM", "SRKMeans",
         "DeepClustering"]  # fmt: skip
SMALL = {
    "n_clusters": 3,
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "max_iter": 2,
    "batch_size": 40,
    "n_init": 3,
    "random_state": 0,
}
each_clusterer = pytest.mark.parametrize("name", NAMES)


def make(name, **params):
    model = getattr(skdeepcluster, name)(**{**SMALL, **params})
    if "pretrain_epochs" in model.get_params():
        model.set_params(pretrain_epochs=20)
    if "warmup_epochs" in model.get_params():
        model.set_params(warmup_epochs=1)
    return model


class Recorded(SpectralClustering):
    """Notes what it was given."""

    seen = []

    def fit_predict(self, X, y=None):
        Recorded.seen.append((X, self.n_clusters, self.random_state))
        return super().fit_predict(X)


class Thirds:
    """Labels that no k-means would find: 0, 1, 2, 0, 1, 2, ..."""

    def __init__(self, used=3):
        self.used = used

    def get_params(self, deep=True):
        return {"used": self.used}

    def set_params(self, **params):
        return self

    def fit_predict(self, X, y=None):
        return np.arange(len(X)) % self.used


@each_clusterer
def test_a_clusterer_is_cloned_and_told(name):
    init = Recorded(n_clusters=7)
    model = make(name, init=init).fit(X)
    z, n_clusters, seed = Recorded.seen[-1]
    assert z.shape == (len(X), 2) and n_clusters == 3 and isinstance(seed, int)
    assert init.n_clusters == 7 and not hasattr(init, "labels_")
    assert make(name, init=init).fit(X).labels_.tobytes() == model.labels_.tobytes()
    assert Recorded.seen[-1][2] == seed


@each_clusterer
def test_labels_without_all_clusters_are_refused(name):
    with pytest.raises(ValueError, match="rows in all 3 clusters, got rows in 2"):
        make(name, init=Thirds(2)).fit(X)


class Given(Thirds):
    """Labels that a test gives."""

    def __init__(self, labels=None):
        self.labels = labels

    def get_params(self, deep=True):
        return {"labels": self.labels}

    def fit_predict(self, X, y=None):
        return self.labels


def test_noise_and_other_counts_are_named_with_the_clusterer():
    noise = r"-1, the label of noise, is not accepted. Got it for \d+ of 120 rows"
    for init, match in [
        (HDBSCAN(min_cluster_size=41, copy=True), f"=3 .*{noise}, and 0 .* HDBSCAN"),
        (DBSCAN(eps=1e-9), f"{noise}, and 0 clusters, from DBSCAN"),
        (
            AffinityPropagation(preference=-1e-3),
            r"Propagation, found \d+ clusters where n_clusters=3",
        ),
        (make_pipeline(StandardScaler(), KMeans()), "Pipeline, found 8 clusters where"),
    ]:
        with pytest.raises(ValueError, match=match):
            make("DEC", init=init).fit(X)


def test_labels_that_are_none():
    thirds = np.arange(len(X)) % 3
    for labels in (
        thirds[1:],
        thirds + 0.5,
        np.where(thirds == 1, np.nan, thirds),
        np.ma.masked_equal(thirds, 1),
        np.eye(3)[thirds],
        thirds.astype(str),
        thirds == 1,
        None,
    ):
        with pytest.raises(ValueError, match="an integer for each of the 120 rows.*"):
            make("DEC", init=Given(labels)).fit(X)
    with pytest.raises(TypeError, match="can be cloned, with get_params"):
        make("DEC", init=SimpleNamespace(fit_predict=len)).fit(X)


def test_any_numbers_of_clusters():
    expected = make("DEC", init=Given(Y)).fit(X)
    for labels in (Y * 7 + 2, Y.astype(np.uint8), torch.tensor(Y)):
        model = make("DEC", init=Given(labels)).fit(X)
        assert model.labels_.tobytes() == expected.labels_.tobytes()


def test_components_of_a_mixture_are_clusters():
    model = make("DEC", init=GaussianMixture(random_state=0)).fit(X)
    assert adjusted_rand_score(Y, model.initial_labels_) == 1


@each_clusterer
def test_the_loss_gets_it(name):
    clustering = list(make(name, init=Thirds())._phases(Budget(120, 40)))[-1].clustering
    z = torch.randn(120, 2, generator=torch.Generator().manual_seed(0))
    clustering.initialise(z, None, torch.Generator().manual_seed(0))
    means = torch.stack([z[k::3].mean(dim=0) for k in range(3)])
    torch.testing.assert_close(clustering.centers.detach().float(), means)


@each_clusterer
def test_graph(name):
    model = make(name, init="graph").fit(X)
    assert adjusted_rand_score(Y, model.initial_labels_) == 1
    assert (model.labels_ == model.predict(X)).all()
    assert clone(model).fit(X).labels_.tobytes() == model.labels_.tobytes()


def test_graph_of_the_embedding():
    model = DeepClustering(3, clustering_loss=None, reconstruction_weight=0.0,
                           init="graph", random_state=0, hidden_layer_sizes=(8,),
                           pretrain_epochs=20).fit(X)  # fmt: skip
    expected = path_integral_partition(model.transform(X), 3)
    assert adjusted_rand_score(expected, model.labels_) == 1


def test_a_loss_with_a_start_keeps_it():
    loss = HardKMeans(3)
    loss.start = lambda z, seed: np.arange(len(z)) % 3
    with_start = make("DeepClustering", clustering_loss=loss, max_iter=1).fit(X)
    without = make("DeepClustering", clustering_loss=HardKMeans(3), max_iter=1).fit(X)
    assert adjusted_rand_score(Y, without.initial_labels_) == 1
    assert adjusted_rand_score(Y, with_start.initial_labels_) < 1


@pytest.mark.parametrize("init", ["kmeans", 3, None])
def test_other_values_are_refused(init):
    with pytest.raises(ValueError, match="The 'init' parameter of DEC must be"):
        make("DEC", init=init).fit(X)


def test_a_clusterer_sees_every_row_as_often_as_it_is_there():
    rows = np.repeat([[0.0], [1.0], [1.9]], [1, 100, 100], axis=0)
    init = KMeans(2, n_init=20, random_state=0)
    model = DeepClustering(
        2,
        architecture=IdentityArchitecture(),
        clustering_loss=None,
        reconstruction_weight=0,
        init=init,
        random_state=0,
    ).fit(rows)
    expected = clone(init).fit_predict(rows)
    assert adjusted_rand_score(expected, model.initial_labels_) == 1.0
