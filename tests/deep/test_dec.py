"""Deep Embedded Clustering: known answers, edge cases, real data."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import nn

from skdeepcluster import DEC
from skdeepcluster.architectures import IdentityArchitecture, MLPAutoencoder
from skdeepcluster.engine import Budget, Pretraining
from skdeepcluster.objectives import Hardening

X, Y = make_blobs(120, n_features=5, centers=3, cluster_std=0.2, random_state=2)


def make_dec(**params):
    settings = {
        "n_clusters": 3,
        "hidden_layer_sizes": (8,),
        "embedding_size": 2,
        "pretrain_epochs": 20,
        "max_iter": 5,
        "batch_size": 40,
        "n_init": 3,
        "random_state": 0,
    }
    return DEC(**{**settings, **params})


def weights(dec):
    state = dec.module_.state_dict()
    return {name: value.numpy().tobytes() for name, value in state.items()}


def layers(dec, prefix):
    return {k: v for k, v in weights(dec).items() if k.startswith(prefix)}


class Module(nn.Module):
    """A user's module: another bottleneck than ours, with batch statistics."""

    def __init__(self, d=5, k=3, norm=True):
        super().__init__()
        middle = [nn.BatchNorm1d(8)] if norm else []
        self.down = nn.Sequential(nn.Linear(d, 8), *middle, nn.ReLU(), nn.Linear(8, k))
        self.up = nn.Linear(k, d)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


# --- known answers ----------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("pretraining", ["end_to_end", "layerwise"])
def test_separated_blobs_are_found(pretraining, alpha):
    dec = make_dec(pretraining=pretraining, alpha=alpha).fit(X)
    assert adjusted_rand_score(Y, dec.labels_) == 1.0
    assert adjusted_rand_score(Y, dec.initial_labels_) == 1.0
    assert dec.cluster_centers_.shape == (3, 2)


def test_probabilities_are_student_t_of_the_embedding():
    dec = make_dec(alpha=2.0).fit(X)
    difference = dec.transform(X)[:, None] - dec.cluster_centers_
    kernel = (1 + np.square(difference).sum(axis=2) / 2.0) ** -1.5
    expected = kernel / kernel.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(dec.predict_proba(X), expected, rtol=1e-5)


def test_clustering_hardens_the_assignments():
    before = make_dec(learning_rate=1e-9, max_iter=1).fit(X)
    after = make_dec(learning_rate=0.1, max_iter=60, tol=0).fit(X)
    hardness = [
        np.square(d.predict_proba(X)).sum(axis=1).mean() for d in (before, after)
    ]
    assert hardness[1] > hardness[0] + 0.01
    assert weights(before).keys() == weights(after).keys()


def test_loss_goes_down_while_the_target_stays():
    dec = make_dec(update_interval=10**6, max_iter=30, learning_rate=0.1).fit(X)
    losses = dec.history_["clustering"]["loss"]
    assert losses[-1] < losses[0]
    assert dec.history_["clustering"]["update_step"] == []


@pytest.mark.parametrize("n_samples", [119, 120, 101])
def test_target_in_a_fit_is_that_of_all_rows(monkeypatch, n_samples):
    targets, gathered = [], []
    refresh, loss = Hardening.refresh, Hardening.loss

    def spy_refresh(self, z, weight=None):
        q = self.soft_assign(z)
        p = q.square() / q.sum(dim=0)
        expected = p / p.sum(dim=1, keepdim=True)
        targets.append(refresh(self, z, weight))
        torch.testing.assert_close(targets[-1].double(), expected, rtol=1e-5, atol=1e-8)
        return targets[-1]

    def spy_loss(self, batch):
        gathered.append(len(batch.index))
        assert torch.equal(batch.target, targets[-1][batch.index])
        return loss(self, batch)

    monkeypatch.setattr(Hardening, "refresh", spy_refresh)
    monkeypatch.setattr(Hardening, "loss", spy_loss)
    make_dec(max_iter=4, tol=0, update_interval=5).fit(X[:n_samples])
    assert sum(gathered) == 4 * n_samples
    assert max(gathered) <= 41
    assert all(len(target) == n_samples for target in targets)
    assert len(targets) == 1 + 12 // 5


# --- phases and budgets -----------------------------------------------------


def test_phases_can_be_read_without_training():
    pretraining, clustering = DEC(4, alpha=2.0, n_init=7)._phases(Budget(1000, 256))
    assert isinstance(pretraining, Pretraining)
    assert clustering.name == "clustering"
    (objective, factor), *others = clustering.objectives.items()
    assert others == []
    assert isinstance(objective, Hardening)
    assert (objective.n_clusters, objective.alpha, objective.n_init) == (4, 2.0, 7)
    assert factor == 1.0
    assert not clustering.needs_reconstruction
    assert clustering.refresh_every == min(140, 4)
    assert clustering.stop is not None


def test_asked_lengths_reach_the_phases():
    dec = make_dec(update_interval=7, tol=0.25, optimizer="adam", learning_rate=0.5)
    pretraining, clustering = dec._phases(Budget(1000, 40))
    assert (pretraining.epochs, clustering.epochs) == (20, 5)
    assert clustering.refresh_every == 7
    assert clustering.stop.tol == 0.25
    assert clustering.optimizer.name == pretraining.optimizer.name == "adam"
    assert clustering.optimizer.learning_rate == 0.5


@pytest.mark.parametrize("n, interval", [(100, 1), (1000, 4), (100_000, 140)])
def test_auto_update_interval(n, interval):
    *_, clustering = DEC()._phases(Budget(n, 256))
    assert clustering.refresh_every == interval


def test_auto_budgets_are_whole_and_positive():
    for n in (10, 1000, 10**6):
        budget = Budget(n, 256)
        pretraining, clustering = DEC()._phases(budget)
        assert pretraining.epochs == budget.pretrain_epochs("auto") >= 1
        assert clustering.epochs == budget.max_iter("auto") >= 1


@pytest.mark.parametrize("max_iter", [1, 4])
def test_max_iter_and_update_interval(max_iter):
    dec = make_dec(max_iter=max_iter, update_interval=2, tol=0).fit(X)
    assert dec.n_iter_ == max_iter
    clustering = dec.history_["clustering"]
    assert len(clustering["loss"]) == max_iter
    assert clustering["update_step"] == list(range(2, 3 * max_iter + 1, 2))
    assert len(dec.history_["pretraining"]["loss"]) == 20


def test_tol_ends_the_phase_early_but_not_in_the_first_epoch():
    dec = make_dec(max_iter=200, tol=1.0).fit(X)
    assert 1 <= dec.n_iter_ < 200
    assert len(dec.history_["clustering"]["update_step"]) >= 1


def test_history_is_plain_lists():
    dec = make_dec().fit(X)
    for phase in dec.history_.values():
        for values in phase.values():
            assert type(values) is list
            assert {type(value) for value in values} <= {float, int}


def test_no_pretraining():
    dec = make_dec(pretrain_epochs=0).fit(X)
    assert dec.history_["pretraining"]["loss"] == []


def test_decoder_stays_as_pretrained():
    short = make_dec(max_iter=1, learning_rate=0.01).fit(X)
    long = make_dec(max_iter=20, learning_rate=0.5, tol=0).fit(X)
    assert layers(short, "decoder") == layers(long, "decoder")
    assert layers(short, "encoder") != layers(long, "encoder")


@pytest.mark.parametrize("pretraining", ["end_to_end", "layerwise"])
def test_number_of_clusters_does_not_change_the_pretraining(pretraining):
    fits = [
        make_dec(n_clusters=k, n_init=n, pretraining=pretraining).fit(X)
        for k, n in ((2, 1), (3, 1), (3, 9))
    ]
    assert len({str(dec.history_["pretraining"]) for dec in fits}) == 1
    assert layers(fits[0], "decoder") == layers(fits[1], "decoder")
    assert layers(fits[0], "decoder") == layers(fits[2], "decoder")


# --- edge cases -------------------------------------------------------------


@pytest.mark.parametrize("n", [80, 81, 119, 120, 39, 4])
def test_any_size_of_the_last_batch(n):
    rows = np.random.RandomState(0).permutation(120)[:n]
    dec = make_dec().fit(X[rows])
    assert adjusted_rand_score(Y[rows], dec.labels_) == 1.0
    np.testing.assert_array_equal(dec.labels_, dec.predict(X[rows]))


def test_sorted_and_shuffled_data_give_similar_clusters():
    data, y = make_blobs(300, n_features=5, centers=4, cluster_std=2.0, random_state=3)
    order = np.argsort(y, kind="stable")
    shuffled = make_dec(n_clusters=4, pretrain_epochs=60).fit(data)
    ordered = make_dec(n_clusters=4, pretrain_epochs=60).fit(data[order])
    scores = [
        normalized_mutual_info_score(y, shuffled.labels_),
        normalized_mutual_info_score(y[order], ordered.labels_),
    ]
    assert min(scores) > 0.8
    assert abs(scores[0] - scores[1]) < 0.15


def test_one_cluster():
    dec = make_dec(n_clusters=1).fit(X)
    assert not dec.labels_.any()
    assert (dec.predict_proba(X) == 1).all()
    assert dec.score(X) == 0.0


def test_duplicate_rows():
    dec = make_dec().fit(np.repeat(X[:30], 4, axis=0))
    labels = dec.labels_.reshape(30, 4)
    assert (labels == labels[:, :1]).all()
    assert adjusted_rand_score(Y[:30], labels[:, 0]) == 1.0


def test_as_many_clusters_as_rows():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        dec = make_dec(n_clusters=12).fit(X[:12])
    assert np.isfinite(dec.predict_proba(X[:12])).all()


def test_empty_clusters_are_reported_with_counts_and_come_last():
    data = np.repeat(X[:2], 30, axis=0)
    with pytest.warns(ConvergenceWarning) as caught:
        dec = make_dec(n_clusters=5, max_iter=3).fit(data)
    (warning,) = caught
    assert "distinct clusters (2) found smaller than n_clusters (5)" in str(
        warning.message
    )
    assert "Rows per cluster: [30, 30, 0, 0, 0]" in str(warning.message)
    assert set(dec.labels_) == {0, 1}
    assert dec.cluster_centers_.shape == (5, 2)
    assert np.isfinite(dec.cluster_centers_).all()
    assert np.isfinite(dec.predict_proba(X)).all()
    np.testing.assert_array_equal(dec.labels_, dec.predict(data))
    np.testing.assert_allclose(dec.objective_.centers, dec.cluster_centers_)


def test_no_warning_without_empty_clusters():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_dec().fit(X)


# --- networks ---------------------------------------------------------------


@pytest.mark.parametrize("norm", [False, True])
def test_a_module_is_copied_and_not_trained_in_place(norm):
    module = Module(norm=norm)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    dec = make_dec(architecture=module, embedding_size=None).fit(X)
    assert all(torch.equal(module.state_dict()[k], v) for k, v in before.items())
    assert module.training
    assert dec.module_ is not module
    assert not torch.equal(dec.module_.up.weight, before["up.weight"])
    assert dec.transform(X).shape == (120, 3)
    assert adjusted_rand_score(Y, dec.labels_) == 1.0


def test_weights_of_a_module_are_the_start():
    module = Module(norm=False)
    dec = make_dec(architecture=module, embedding_size=None, pretrain_epochs=0).fit(X)
    assert torch.equal(dec.module_.up.weight, module.up.weight)


@pytest.mark.parametrize("n", [81, 80, 40, 1 + 40])
def test_batch_statistics_never_see_a_single_row(n):
    dec = make_dec(architecture=Module(), embedding_size=None).fit(X[:n])
    together = dec.predict_proba(X)
    alone = dec.predict_proba(X[3:4])[0]
    np.testing.assert_allclose(alone, together[3], rtol=1e-6)


def test_float64_module_computes_in_the_precision():
    module = Module().double()
    dec = make_dec(architecture=module, embedding_size=None).fit(X)
    assert dec.module_.up.weight.dtype == torch.float32
    assert module.up.weight.dtype == torch.float64


def test_conflicting_embedding_size():
    with pytest.raises(ValueError, match="embedding_size=2 conflicts .* 3 columns"):
        make_dec(architecture=Module()).fit(X)


def test_architecture_object():
    architecture = MLPAutoencoder((6, 4), activation="tanh")
    dec = make_dec(architecture=architecture).fit(X)
    assert dec.get_params()["architecture__activation"] == "tanh"
    assert dec.architecture is architecture
    assert isinstance(dec.module_.encoder[0][1], nn.Tanh)


def test_without_a_network_only_centers_learn():
    dec = make_dec(architecture=IdentityArchitecture(), embedding_size=None).fit(X)
    centred = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0).mean())
    np.testing.assert_allclose(dec.transform(X), centred, atol=1e-6)
    np.testing.assert_allclose(dec.inverse_transform(dec.transform(X)), X, atol=1e-4)
    assert adjusted_rand_score(Y, dec.labels_) == 1.0
    start = [centred[dec.initial_labels_ == j].mean(axis=0) for j in range(3)]
    assert not np.allclose(
        np.sort(start, axis=0), np.sort(dec.cluster_centers_, axis=0)
    )


def test_layerwise_needs_an_architecture_with_pairs():
    dec = make_dec(architecture=Module(), embedding_size=None, pretraining="layerwise")
    with pytest.raises(ValueError, match="'layer_pairs'"):
        dec.fit(X)


# --- pretrained -------------------------------------------------------------


@pytest.fixture(scope="module")
def source():
    """Pretrained as usual, its encoder not moved by clustering."""
    return make_dec(learning_rate=1e-30, max_iter=1).fit(X)


def test_pretrained_equals_pretraining_in_one_go(source):
    whole = make_dec().fit(X)
    continued = make_dec(pretrained=source, pretrain_epochs=7).fit(X)
    assert weights(continued) == weights(whole)
    assert continued.labels_.tobytes() == whole.labels_.tobytes()
    assert list(continued.history_) == ["clustering"]


def test_pretrained_estimator_is_left_as_it_is(source):
    before = weights(source), source.predict_proba(X).tobytes()
    make_dec(pretrained=source, n_clusters=2, learning_rate=0.5).fit(X)
    assert (weights(source), source.predict_proba(X).tobytes()) == before
    assert not any(p.requires_grad for p in source.module_.parameters())


def test_pretrained_takes_scaling_and_network_but_no_architecture(source):
    other = make_dec(pretrained=source, hidden_layer_sizes=(99,), embedding_size=None)
    other.fit(X[:60] + 3)
    assert other._n_features_out == 2
    Z = np.zeros((1, 2))
    expected = source.inverse_transform(Z)
    np.testing.assert_array_equal(other.inverse_transform(Z), expected)


def test_pretrained_from_another_number_of_clusters(source):
    dec = make_dec(pretrained=source, n_clusters=2).fit(X)
    assert set(dec.labels_) == {0, 1}


def test_pretrained_conflicts(source):
    with pytest.raises(ValueError, match="embedding_size=3 conflicts .* 2 columns"):
        make_dec(pretrained=source, embedding_size=3).fit(X)
    with pytest.raises(ValueError, match="X has 4 features, but 'pretrained' .* 5"):
        make_dec(pretrained=source).fit(X[:, :4])
    with pytest.raises(ValueError, match="not fitted"):
        make_dec(pretrained=make_dec()).fit(X)
    with pytest.raises(TypeError, match="'pretrained' parameter.*Got PCA"):
        from sklearn.decomposition import PCA

        make_dec(pretrained=PCA().fit(X)).fit(X)


# --- transform and back -----------------------------------------------------


@pytest.mark.parametrize("scale, shift", [(1.0, 0.0), (1000.0, -500.0)])
def test_inverse_transform_comes_back_in_the_scale_of_the_data(scale, shift):
    data = X * scale + shift
    dec = make_dec(
        embedding_size=5, hidden_layer_sizes=(), pretrain_epochs=200, max_iter=1
    ).fit(data)
    decoded = dec.inverse_transform(dec.transform(data))
    error = np.square(decoded - data).mean() / data.var(axis=0).mean()
    assert decoded.shape == data.shape
    assert error < 0.05


def test_feature_names_out():
    dec = make_dec().fit(X)
    assert dec.get_feature_names_out().tolist() == ["dec0", "dec1"]
    frame = copy.deepcopy(dec).set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == ["dec0", "dec1"]
    np.testing.assert_array_equal(frame, dec.transform(X))


@pytest.mark.parametrize("precision, rtol", [("float64", 1e-3), ("bfloat16", 0.2)])
def test_precisions_agree(precision, rtol):
    reference = make_dec().fit(X)
    other = make_dec(precision=precision).fit(X)
    assert adjusted_rand_score(reference.labels_, other.labels_) == 1.0
    expected = torch.float64 if precision == "float64" else torch.float32
    assert {p.dtype for p in other.module_.parameters()} == {expected}
    first, second = (d.history_["pretraining"]["loss"][-1] for d in (reference, other))
    assert second == pytest.approx(first, rel=rtol)


# --- real data --------------------------------------------------------------


def test_digits():
    data, y = load_digits(return_X_y=True)
    dec = DEC(
        10,
        hidden_layer_sizes=(100, 100),
        pretrain_epochs=60,
        max_iter=40,
        n_init=5,
        random_state=0,
    ).fit(data)
    assert normalized_mutual_info_score(y, dec.labels_) > 0.70
    assert dec.score(data) > 0
    np.testing.assert_array_equal(np.unique(dec.labels_), np.arange(10))
