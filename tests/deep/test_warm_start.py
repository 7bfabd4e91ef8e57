"""A fit that goes on from the one before, in every deep clusterer."""

import pickle

import numpy as np
import pytest
import torch
from estimators import X, answers, each_deep, fresh
from interruptions import Interruptions, outcome
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from stores import Store

from skdeepcluster import DCJC, DEC, IDEC, MIADM, DeepClustering, DeepKMeans
from skdeepcluster.architectures import IdentityArchitecture
from skdeepcluster.objectives import HardKMeans, MutualInformation, SoftKMeans, _base
from skdeepcluster.utils import _stored

SMALL = {
    "n_clusters": 3,
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "pretrain_epochs": 2,
    "max_iter": 2,
    "n_init": 2,
    "random_state": 0,
    "warm_start": True,
}
# A rate at which nothing moves.
STILL = 1e-30


class Starts:
    """Notes the first labels of every objective, and whether they were found anew."""

    def __init__(self, monkeypatch):
        self.labels, self.given = [], []
        self.original = _base.first_partition
        monkeypatch.setattr(_base, "first_partition", self)

    def __call__(self, *args):
        labels, centers = self.original(*args)
        self.labels.append(labels.numpy())
        self.given.append(args[-1] is not None)
        return labels, centers


def test_off_by_default():
    assert DEC().warm_start is False


@each_deep
def test_without_it_a_fit_begins_anew(estimator):
    model = fresh(estimator)
    model.fit(X[::2]).fit(X)
    assert outcome(model) == outcome(fresh(estimator).fit(X))


@each_deep
def test_goes_on_where_the_last_fit_ended(estimator):
    model = fresh(estimator, warm_start=True).fit(X)
    labels = model.labels_
    model.set_params(random_state=1).fit(X)
    np.testing.assert_array_equal(model.initial_labels_, labels)
    assert model.history_.get("pretraining", {"loss": []})["loss"] == []
    assert len(model.history_["clustering"]["loss"]) == model.n_iter_


@pytest.mark.parametrize("estimator", [DEC, IDEC])
def test_an_idle_fit_changes_nothing(estimator):
    model = estimator(**SMALL).fit(X)
    expected = answers(model)
    model.set_params(learning_rate=STILL, random_state=1).fit(X)
    for name, found in answers(model).items():
        np.testing.assert_array_equal(found, expected[name])


def test_centres_are_those_that_were_learnt_not_means():
    model = DEC(**SMALL).set_params(learning_rate=0.5, max_iter=20).fit(X)
    centers, z = model.cluster_centers_, model.transform(X)
    means = [z[model.labels_ == k].mean(axis=0) for k in range(3)]
    assert np.abs(means - centers).max() > 1e-3
    model.set_params(learning_rate=STILL, max_iter=1).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, centers)


@each_deep
def test_the_last_fit_is_left_as_it_was(estimator):
    model = fresh(estimator, warm_start=True).fit(X)
    network, objective = model.module_, model.objective_
    before = pickle.dumps((network.state_dict(), objective.state_dict()))
    model.set_params(pretrain_epochs=3).fit(X)
    after = pickle.dumps((network.state_dict(), objective.state_dict()))
    assert before == after
    assert not any(p.requires_grad for p in model.module_.parameters())
    assert not any(p.requires_grad for p in model.objective_.parameters())


def test_pretraining_goes_on_to_what_is_asked_for():
    model = DEC(**SMALL).fit(X)
    lengths = []
    for epochs in (5, 5, 3, 6):
        model.set_params(pretrain_epochs=epochs).fit(X)
        lengths.append(len(model.history_["pretraining"]["loss"]))
    assert lengths == [3, 0, 0, 1]


# By default 1,000 steps are pretrained, which are more epochs of fewer rows.
@pytest.mark.parametrize("rows", [X, X[:20]])
def test_auto_pretrains_once(rows):
    model = DEC(**SMALL).set_params(pretrain_epochs="auto", batch_size=16)
    assert len(model.fit(X).history_["pretraining"]["loss"]) == 250
    assert model.fit(rows).history_["pretraining"]["loss"] == []


def test_auto_pretrains_a_network_that_was_not():
    model = DEC(**SMALL).set_params(pretrain_epochs=0).fit(X)
    model.set_params(pretrain_epochs="auto").fit(X)
    assert len(model.history_["pretraining"]["loss"]) == 1000


def test_without_a_network_the_centres_go_on():
    model = DEC(
        **{**SMALL, "embedding_size": None}, architecture=IdentityArchitecture()
    )
    model.set_params(learning_rate=0.5, max_iter=20).fit(X)
    centers = model.cluster_centers_
    model.set_params(learning_rate=STILL, max_iter=1, pretrain_epochs=9).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, centers)


class Frozen(torch.nn.Module):
    """The first layer does not learn."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)
        self.decoder = torch.nn.Linear(2, 4)
        for p in self.parameters():
            torch.nn.init.normal_(p, std=0.5, generator=generator)
        self.first.requires_grad_(False)

    def encode(self, x):
        return self.second(self.first(x).relu())

    def decode(self, z):
        return self.decoder(z)


def test_what_was_frozen_stays_frozen():
    network = Frozen()
    model = DeepClustering(**{**SMALL, "embedding_size": None}, architecture=network)
    learnt = model.fit(X).module_.second.weight.clone()
    model.set_params(pretrain_epochs=5).fit(X)
    assert torch.equal(model.module_.first.weight, network.first.weight)
    assert not torch.equal(model.module_.second.weight, learnt)


def test_concatenated_layers_go_on():
    model = DeepClustering(**SMALL, embedding_layers=(-2, -1)).fit(X)
    labels = model.labels_
    model.fit(X)
    np.testing.assert_array_equal(model.initial_labels_, labels)
    assert model.transform(X).shape == (len(X), 10)


@pytest.mark.parametrize("schedule", ["joint", "ramp", "alternating"])
def test_schedules_may_change(schedule):
    model = DeepClustering(**SMALL).fit(X)
    labels = model.labels_
    model.set_params(schedule=schedule).fit(X)
    np.testing.assert_array_equal(model.initial_labels_, labels)


@pytest.mark.parametrize("kind", [csr_array, Store])
def test_other_kinds_of_rows(kind, monkeypatch):
    monkeypatch.setattr(_stored, "_READ_AT_ONCE", 0)
    model = IDEC(**SMALL).fit(X)
    labels = model.labels_
    model.fit(kind(X))
    np.testing.assert_array_equal(model.initial_labels_, labels)


class Weighted(HardKMeans):
    """Looks at the rows themselves, before it sees an embedding."""

    def prepare(self, x):
        self.register_buffer("norms", x.square().mean(dim=1))

    def loss(self, batch):
        return self.norms[batch.index] * super().loss(batch)


def test_a_loss_that_looks_at_the_rows_looks_at_the_new_ones():
    model = DeepClustering(**SMALL, clustering_loss=Weighted(3)).fit(X)
    model.fit(X[:40])
    assert model.objective_.norms.shape == (40,)


def test_more_pretraining_keeps_the_rows_with_annealing_as_well(monkeypatch):
    loss = SoftKMeans(3, annealing_epochs=2)
    model = DeepClustering(**SMALL, clustering_loss=loss, recluster=True).fit(X)
    labels = model.labels_
    starts = Starts(monkeypatch)
    model.set_params(pretrain_epochs=4).fit(X)
    np.testing.assert_array_equal(starts.labels[0], labels)
    assert starts.given == [True, False]


@pytest.mark.parametrize("epochs, warms", [(2, False), (4, True)])
def test_a_softmax_layer_that_starts_anew_warms_up(epochs, warms, monkeypatch):
    seen = []
    on_epoch = MutualInformation.on_epoch
    monkeypatch.setattr(
        MutualInformation,
        "on_epoch",
        lambda o, k: (on_epoch(o, k), seen.append(bool(o.warming))),
    )
    model = MIADM(**SMALL, warmup_epochs=1).fit(X)
    assert seen == [True, False]
    model.set_params(pretrain_epochs=epochs).fit(X)
    assert seen[2:] == [warms, False]


@pytest.mark.parametrize("before, layers", [(0, True), (2, False)])
def test_layers_are_not_pretrained_twice(before, layers):
    model = DEC(**SMALL).set_params(pretraining="layerwise", pretrain_epochs=before)
    model.fit(X).set_params(pretrain_epochs=4).fit(X)
    assert ("layer_loss" in model.history_["pretraining"]) == layers
    assert len(model.history_["pretraining"]["loss"]) == 4 - before


@each_deep
def test_more_pretraining_keeps_the_rows_of_the_clusters(estimator, monkeypatch):
    model = fresh(estimator, warm_start=True).fit(X)
    labels = model.labels_
    starts = Starts(monkeypatch)
    model.set_params(pretrain_epochs=4).fit(X)
    np.testing.assert_array_equal(starts.labels[0], labels)
    assert model.objective_.start is None or estimator.init == "graph"


def test_the_last_k_means_is_not_given_the_first_labels(monkeypatch):
    model = DCJC(**SMALL).fit(X)
    starts = Starts(monkeypatch)
    model.set_params(pretrain_epochs=4).fit(X)
    assert starts.given == [True, False]


def test_after_lost_clusters_more_pretraining_starts_as_init_says(monkeypatch):
    model = DEC(**SMALL).fit(X)
    with torch.no_grad():
        model.objective_.centers[1] = 1e6
    starts = Starts(monkeypatch)
    model.set_params(pretrain_epochs=4).fit(X)
    assert starts.given == [False]
    assert len(set(model.labels_)) == 3


def test_lost_clusters_stay_lost_where_nothing_starts_anew():
    model = DEC(**SMALL).fit(X)
    with torch.no_grad():
        model.objective_.centers[1] = 1e6
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        model.fit(X)


def test_other_rows_are_scaled_as_the_first_ones():
    model = IDEC(**SMALL).fit(X)
    mean, factor = model._scaling.mean, model._scaling.factor
    model.fit(1.1 * X[:40])
    np.testing.assert_array_equal(model._scaling.mean, mean)
    assert model._scaling.factor == factor
    assert model.labels_.shape == (40,)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_annealing_begins_again(monkeypatch):
    model = DeepKMeans(**SMALL).set_params(alpha="annealing", max_iter=3).fit(X)
    labels, alphas = model.labels_, []
    on_epoch = SoftKMeans.on_epoch
    monkeypatch.setattr(
        SoftKMeans, "on_epoch", lambda o, k: (on_epoch(o, k), alphas.append(o.alpha))
    )
    model.fit(X)
    np.testing.assert_array_equal(model.initial_labels_, labels)
    assert alphas[0] == 0.1
    assert alphas[2] == pytest.approx(28.13, abs=0.01)


def test_a_parameter_of_the_loss_is_that_of_the_new_fit():
    model = DeepKMeans(**SMALL).set_params(alpha=1000.0).fit(X)
    model.set_params(alpha=10.0).fit(X)
    assert model.objective_.alpha == 10.0


def test_goes_on_after_a_pickle():
    model = DEC(**SMALL).fit(X)
    copy = pickle.loads(pickle.dumps(model))
    assert outcome(copy.fit(X)) == outcome(model.fit(X))


def test_in_other_precisions():
    model = IDEC(**SMALL).fit(X)
    model.set_params(precision="float64").fit(X)
    assert model.module_.encode(torch.zeros(1, 4).double()).dtype == torch.float64
    assert model.objective_.centers.dtype == torch.float64


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_clusters": 4}, "n_clusters=3. Got n_clusters=4"),
        ({"embedding_size": 3}, "embedding_size=3 conflicts with warm_start=True"),
        ({"clustering_loss": "hard_kmeans"}, "Hardening. Got HardKMeans"),
        ({"embedding_layers": (-2, -1)}, "which has 2 columns. Got 10, by other 'emb"),
        ({"warm_start": "yes"}, "'warm_start' parameter of DeepClustering must be"),
    ],
)
def test_what_cannot_go_on(params, message):
    model = DeepClustering(**SMALL).fit(X)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(X)
    before.update(params)
    assert vars(model) == before


def test_other_features_are_refused():
    model = DEC(**SMALL).fit(X)
    with pytest.raises(ValueError, match="X has 3 features, but DEC is expecting 4"):
        model.fit(X[:, :3])
    assert model.labels_.shape == (len(X),)


@pytest.mark.parametrize("epochs", [2, 4])
def test_an_interrupted_fit_goes_on(epochs, monkeypatch, tmp_path):
    first = DEC(**SMALL).set_params(batch_size=16, max_iter=5).fit(X)
    first.set_params(pretrain_epochs=epochs)
    expected = outcome(pickle.loads(pickle.dumps(first)).fit(X))
    first.set_params(checkpoint_dir=tmp_path)
    interruptions = Interruptions(monkeypatch)
    assert interruptions.fit_to_the_end(first, X, at=6) >= 1
    assert outcome(first) == expected


def test_a_checkpoint_of_another_last_fit_is_refused(monkeypatch, tmp_path):
    model = DEC(**SMALL).set_params(batch_size=16, max_iter=5).fit(X)
    other = DEC(**SMALL).set_params(batch_size=16, max_iter=5).fit(X[::-1])
    interruptions = Interruptions(monkeypatch)
    interruptions.at = 6
    model.set_params(checkpoint_dir=tmp_path)
    other.set_params(checkpoint_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    interruptions.at = None
    with pytest.raises(ValueError, match=r"warm_start\) is not the same"):
        other.fit(X)
