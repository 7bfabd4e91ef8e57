"""Where the first clusters come from, in every deep clusterer."""

import numpy as np
import pytest
import torch
from dec_cases import X, Y
from sklearn.base import clone
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score

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
