"""Deep Embedded Clustering: known answers, edge cases, real data."""

import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from dec_cases import X, Y, make_dec
from estimators import weights
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from skdeepcluster import DEC
from skdeepcluster.deep._training_rows import TrainingRows
from skdeepcluster.objectives import Hardening
from skdeepcluster.utils._group import Shard

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


class Two:
    """Two processes with the same rows."""

    rank, size = 0, 2

    def each(self, value):
        return [value, value]

    def concat(self, rows):
        return torch.cat([rows, rows])


def test_duplicates_in_each_of_two_processes_are_not_blamed():
    some = np.repeat(X[:2], 30, axis=0)
    rows = replace(TrainingRows.of(some, None), shard=Shard(60, Two()))
    with pytest.warns(ConvergenceWarning, match="The others of the 4 .* have died"):
        make_dec()._warn_of_collapse(np.array([60, 40, 20, 0]), np.arange(4), rows)
    with pytest.warns(ConvergenceWarning, match="Due to duplicate rows of X: only 2 d"):
        alone = TrainingRows.of(some, None)
        make_dec()._warn_of_collapse(np.array([60, 40, 20, 0]), np.arange(4), alone)


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
