"""MIADM and SRKMeans: phases, starts, networks, and their shallow versions."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from dec_cases import X, Y
from estimators import expected_failed_checks
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import DEC, MIADM, SRKMeans
from skdeepcluster.architectures import (
    BoundedEmbedding,
    ConvAutoencoder,
    IdentityArchitecture,
)
from skdeepcluster.deep._discriminative import far_rows_scale
from skdeepcluster.engine import Budget, Pretraining, Scaling
from skdeepcluster.kmeans import kmeans
from skdeepcluster.objectives import (
    LayerwiseReconstruction,
    MutualInformation,
    SoftRegularizedKMeans,
)
from skdeepcluster.utils._group import ALONE

SMALL = {
    "n_clusters": 3,
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "pretrain_epochs": 20,
    "warmup_epochs": 2,
    "max_iter": 3,
    "batch_size": 40,
    "n_init": 3,
    "random_state": 0,
}
BOTH = [MIADM(**SMALL), SRKMeans(**SMALL)]
SHALLOW = [
    MIADM(3, architecture=IdentityArchitecture(), warmup_epochs=1, max_iter=2),
    SRKMeans(3, architecture=IdentityArchitecture(), reg=0.01),
]
each_method = pytest.mark.parametrize("method", BOTH, ids=lambda m: type(m).__name__)
each_shallow = pytest.mark.parametrize(
    "method", SHALLOW, ids=lambda m: type(m).__name__
)


def fit(method, **params):
    return clone(method).set_params(**params).fit(X)


def clustering_phase(estimator, n_samples=10_000):
    return list(estimator._phases(Budget(n_samples, 256)))[-1]


@parametrize_with_checks(
    SHALLOW, expected_failed_checks=expected_failed_checks, xfail_strict=True
)
def test_sklearn_checks_without_a_network(estimator, check):
    check(estimator)


def mixture(sizes, means, n_features=10):
    noise = np.random.RandomState(0).normal(size=(sum(sizes), n_features))
    y = np.repeat(np.arange(len(sizes)), sizes)
    return noise + np.array(means)[y, None], y


@pytest.mark.parametrize("method", [MIADM, SRKMeans])
@pytest.mark.parametrize(
    "sizes, means, n_features",
    [
        ([1000, 20, 10], [0, 12, -12], 10),
        ([500, 20], [0, 4], 5),
    ],
)
def test_rare_clusters_are_not_lost_in_the_bounds(method, sizes, means, n_features):
    rows, y = mixture(sizes, means, n_features)
    model = method(len(sizes), hidden_layer_sizes=(16,), pretrain_epochs=60)
    model.set_params(warmup_epochs=0)
    model.set_params(max_iter=1, n_init=3, random_state=0).fit(rows)
    assert adjusted_rand_score(y, model.initial_labels_) > 0.98


def scale_of(rows, weight=None):
    scaling = Scaling(np.zeros(rows.shape[1]), 1.0)
    return far_rows_scale(rows, weight, scaling, ALONE)


def test_the_scale_of_the_bounds():
    rows = np.array([3.0, -3.0] * 10 + [30.0, 31.0, 32.0])[:, None]
    for data in (rows, sp.csr_array(rows)):
        assert scale_of(data) == 20.0  # 30 is the third farthest, and 3 the median
        assert scale_of(data, np.where(rows[:, 0] > 3, 100.0, 0.1)) == 1.0
    assert scale_of(rows[:-1]) == scale_of(rows[:20]) == 1.0
    assert scale_of(rows * 0) == 1.0
    network = fit(BOTH[0], n_clusters=3).module_
    assert network.stretch.factor >= 1.0


@pytest.mark.parametrize("unit", [1.0, 1e-170, 1e20])
@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_the_scale_of_the_bounds_is_of_the_scaled_rows(unit, shift):
    """Whatever the unit, the origin, a constant column or the container."""
    rows, _ = mixture([1000, 20, 10], [0, 12, -12])
    expected = far_rows_scale(rows, None, Scaling.fit(rows), ALONE)
    assert expected > 10
    rows = np.column_stack([(rows + shift) * unit, np.full(1030, 1e9 * unit)])
    for data in (rows, sp.csr_array(rows)):
        found = far_rows_scale(data, None, Scaling.fit(data), ALONE)
        assert found == pytest.approx(expected, rel=0.01)


def test_a_single_far_row_is_no_cluster():
    rows, _ = mixture([200, 100], [0, 5])
    far = np.vstack([rows, np.full(10, 300.0)])
    assert far_rows_scale(far, None, Scaling.fit(far), ALONE) == 1.0


@pytest.mark.parametrize(
    "estimator, objective",
    [(MIADM(reg=0.3), MutualInformation), (SRKMeans(reg=0.3), SoftRegularizedKMeans)],
)
def test_losses_and_weights(estimator, objective):
    estimator.set_params(reconstruction_weight=0.7, layer_weight=0.2)
    pretraining, phase = estimator._phases(Budget(10_000, 256))
    first, second = phase.objectives
    assert isinstance(first, objective) and first.reg == 0.3
    assert isinstance(second, LayerwiseReconstruction) and second.layer_weight == 0.2
    assert list(phase.objectives.values()) == [1.0, 0.7]
    assert isinstance(pretraining, Pretraining) and pretraining.loss.layer_weight == 0.2


@each_method
def test_no_weight_means_no_reconstruction(method):
    phase = clustering_phase(clone(method).set_params(reconstruction_weight=0.0))
    assert len(phase.objectives) == 1 and not phase.needs_reconstruction


def test_objectives_by_name():
    powers = [
        next(iter(clustering_phase(MIADM(objective=name)).objectives)).power
        for name in ("mi", "kl")
    ]
    assert powers == [2, 1]


@pytest.mark.parametrize(
    "warmup, max_iter, epochs", [("auto", 40, 13), ("auto", 7, 3), (4, 7, 4), (0, 7, 0)]
)
@each_method
def test_warm_up_is_the_beginning_and_does_not_stop(method, warmup, max_iter, epochs):
    phase = clustering_phase(
        clone(method).set_params(
            warmup_epochs=warmup, batch_size=256, max_iter=max_iter
        )
    )
    objective = next(iter(phase.objectives))
    assert objective.warmup_epochs == epochs
    assert phase.epochs == max_iter
    assert phase.stop.min_epochs == epochs + 1


@each_method
def test_assignments_move_once_per_epoch(method):
    auto = clustering_phase(clone(method))
    every_5 = clustering_phase(clone(method).set_params(update_interval=5))
    assert (auto.refresh_every, every_5.refresh_every) == (40, 5)


@each_method
def test_a_fit_finds_the_clusters(method):
    model = fit(method, pretrain_epochs=100)
    assert adjusted_rand_score(Y, model.labels_) > 0.9
    assert len(model.history_["clustering"]["loss"]) == model.n_iter_ == 3
    assert np.abs(model.transform(X)).max() <= 1


@each_method
def test_posteriors_are_those_of_the_layer(method):
    model = fit(method)
    scores = model.transform(X) @ model.coef_.T + model.intercept_
    scores -= scores.max(axis=1, keepdims=True)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), p, atol=1e-3)
    assert model.coef_.shape == model.cluster_centers_.shape == (3, 2)
    assert model.intercept_.shape == (3,)
    assert model.coef_.dtype == X.dtype


def test_soft_assignments_are_of_the_nearest_centre():
    model = fit(SRKMeans(**SMALL), reg=0.05)
    q = model.soft_assign(X)
    z = model.transform(X)
    squared = ((z[:, None] - model.cluster_centers_) ** 2).sum(axis=2)
    expected = np.exp(-squared / 0.15)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(q, expected, atol=1e-5)
    np.testing.assert_allclose(model.soft_assign(X[:1]), q[:1], rtol=0)


@each_method
def test_no_rows_of_the_training_data_are_kept(method):
    objective = fit(method).objective_
    assert max(t.numel() for t in objective.state_dict().values()) < len(X)


@each_method
def test_a_pretrained_network_without_bounds_starts_almost_linear(method):
    source = DEC(n_clusters=3, hidden_layer_sizes=(8,), embedding_size=2,
                 pretrain_epochs=30, max_iter=1, random_state=0).fit(X)  # fmt: skip
    model = fit(method, pretrained=source, embedding_size=None)
    assert isinstance(model.module_, BoundedEmbedding)
    largest = np.abs(source.transform(X)).max()
    assert model.module_.stretch.factor == pytest.approx(2 * largest)
    again = fit(method, pretrained=FrozenEstimator(model), embedding_size=None)
    assert not isinstance(again.module_.network, BoundedEmbedding)
    assert adjusted_rand_score(Y, model.labels_) > 0.5


@each_method
def test_the_noisy_network_of_the_paper(method):
    architecture = ConvAutoencoder(
        (1, 5), (3,), (3,), "leaky_relu", "glorot", dropout=(0.1, 0.1)
    )
    one, other = (
        fit(method, architecture=architecture, embedding_size=None) for _ in range(2)
    )
    assert one.module_.network.embedding.out_features == 3
    assert one.labels_.tobytes() == other.labels_.tobytes()
    assert one.transform(X).tobytes() == other.transform(X).tobytes()


@each_shallow
def test_without_a_network_the_embedding_is_x(method):
    model = clone(method).set_params(random_state=0).fit(X)
    scaled = model.transform(X)
    np.testing.assert_allclose(scaled, (X - X.mean(0)) / X.std(0).mean(), atol=2)
    assert adjusted_rand_score(Y, model.labels_) > 0.9


def test_a_low_temperature_is_kmeans():
    model = SRKMeans(3, architecture=IdentityArchitecture(), random_state=0).fit(X)
    rows = torch.as_tensor(model.transform(X))
    found = kmeans(rows, 3, generator=torch.Generator().manual_seed(0))
    assert adjusted_rand_score(found.labels, model.labels_) == 1.0


def test_a_high_temperature_merges_the_centres():
    model = SRKMeans(3, architecture=IdentityArchitecture(), random_state=0)
    with pytest.warns(UserWarning, match="clusters"):
        model.set_params(reg=100.0).fit(X)
    assert np.ptp(model.cluster_centers_, axis=0).max() < 1e-5


@each_method
def test_the_bound_of_a_network_with_names_and_in_other_containers(method):
    """No warning of names that are missing; sparse and frozen as well."""
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    settings = {"hidden_layer_sizes": (8,), "embedding_size": 2, "random_state": 0}
    source = DEC(3, pretrain_epochs=5, max_iter=1, **settings).fit(frame)
    named = clone(method).set_params(pretrained=source).fit(frame)
    source = DEC(3, pretrain_epochs=5, max_iter=1, **settings).fit(X)
    for rows, given in ((X, source), (sp.csr_array(X), FrozenEstimator(source))):
        other = clone(method).set_params(pretrained=given).fit(rows)
        assert other.module_.stretch.factor == pytest.approx(
            named.module_.stretch.factor, rel=1e-6
        )
    assert named.module_.stretch.factor != 1
