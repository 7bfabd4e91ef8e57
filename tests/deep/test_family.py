"""The methods of the autoencoder family, fitted."""

import numpy as np
import pytest
import torch
from dec_cases import X, Y
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import (
    DCJC,
    DCN,
    DEC,
    DEKM,
    IDEC,
    DeepClustering,
    DeepKMeans,
)
from skdeepcluster.architectures import ConvAutoencoder, UnpoolingAutoencoder
from skdeepcluster.engine import TrainingDivergedError
from skdeepcluster.kmeans import nearest_center
from skdeepcluster.metrics import clustering_accuracy
from skdeepcluster.objectives import Hardening, Reconstruction, SoftKMeans

SMALL = {
    "n_clusters": 3,
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "pretrain_epochs": 20,
    "max_iter": 5,
    "batch_size": 40,
    "n_init": 3,
    "random_state": 0,
}
FAMILY = [
    DEC(**SMALL),
    IDEC(**SMALL),
    DCN(**SMALL),
    DeepKMeans(**SMALL),
    DEKM(**SMALL),
    DCJC(**SMALL),
    DeepClustering(**SMALL),
]
each_method = pytest.mark.parametrize("method", FAMILY, ids=lambda m: type(m).__name__)


def fit(method, **params):
    return clone(method).set_params(**params).fit(X)


def state(model, part=""):
    return {
        name: value.numpy().tobytes()
        for name, value in model.module_.state_dict().items()
        if name.startswith(part)
    }


def bits(model):
    return state(model), model.labels_.tobytes(), model.cluster_centers_.tobytes()


@each_method
def test_separated_clusters_are_found(method):
    assert adjusted_rand_score(Y, fit(method).labels_) == 1.0


def test_annealing_finds_them_too():
    annealed = {"alpha": "annealing", "max_iter": 200, "learning_rate": 1e-3}
    model = DeepKMeans(**{**SMALL, **annealed}).fit(X)
    assert "pretraining" not in model.history_
    assert len(model.history_["clustering"]["loss"]) == 200
    assert model.objective_.alpha == pytest.approx(28.1325781475)
    assert adjusted_rand_score(Y, model.labels_) > 0.5


@each_method
def test_methods_share_a_pretraining(method, tmp_path, caplog):
    fit(DEC(**SMALL), memory=str(tmp_path))
    with caplog.at_level("INFO", logger="skdeepcluster"):
        shared = fit(method, memory=str(tmp_path))
    assert "taken from the cache" in caplog.text
    assert bits(shared) == bits(fit(method))


@each_method
def test_decoder_learns_where_it_is_asked(method):
    trained = fit(method)
    before = fit(DEC(**SMALL))  # whose clustering phase has no reconstruction
    same = state(trained, "decoder") == state(before, "decoder")
    assert same == isinstance(method, DEC | DEKM)
    assert state(trained, "encoder") != state(fit(method, max_iter=1), "encoder")


def test_soft_assignments_only_where_the_method_has_them():
    for method in (DCN(), DEKM(), DeepKMeans(assignment="hard")):
        assert not hasattr(method, "predict_proba")
    assert not hasattr(DCJC(clustering_loss="hard_kmeans"), "predict_proba")
    for loss in ("scatter", None, "locality", "hard_kmeans"):
        assert not hasattr(DeepClustering(clustering_loss=loss), "predict_proba")
    for loss in ("hardening", "classification", ("balance", SoftKMeans(8))):
        assert hasattr(DeepClustering(clustering_loss=loss), "predict_proba")


@pytest.mark.parametrize("method", [DCN(**SMALL), DEKM(**SMALL)])
def test_hard_labels_are_the_nearest_centre(method):
    model = fit(method)
    z = torch.as_tensor(model.transform(X))
    centers = torch.as_tensor(model.cluster_centers_)
    np.testing.assert_array_equal(model.labels_, nearest_center(z, centers)[0])


@pytest.mark.parametrize("alpha", [0.0, 1e-12, 1e-9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flat_assignments_leave_labels_to_the_nearest_centre(alpha, dtype):
    data = X.astype(dtype)
    model = clone(DeepKMeans(**SMALL)).set_params(alpha=alpha).fit(data)
    z = torch.as_tensor(model.transform(data))
    centers = torch.as_tensor(model.cluster_centers_)
    np.testing.assert_array_equal(model.labels_, nearest_center(z, centers)[0])
    np.testing.assert_array_equal(model.labels_, model.predict(data))
    assert adjusted_rand_score(Y, model.labels_) == 1.0


@pytest.mark.parametrize("alpha", [0.0, 1e-16, 1e-9, 1.0, 1000.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_single_largest_probability_is_the_label(alpha, dtype):
    """Whatever the rounding of distances that are the same but for it."""
    model = clone(DeepKMeans(**SMALL)).set_params(alpha=alpha).fit(X)
    spread = np.linspace(-1, 1, 101)[:, None]
    rows = (X.mean(axis=0) + 3 * spread * X.std(axis=0)).astype(dtype)
    proba, labels = model.predict_proba(rows), model.predict(rows)
    single = (proba == proba.max(axis=1, keepdims=True)).sum(axis=1) == 1
    np.testing.assert_array_equal(proba[single].argmax(axis=1), labels[single])
    assert single.any() or alpha < 1


def test_gamma_of_zero_only_goes_on_reconstructing():
    """The joint phase without its clustering loss is the autoencoder's, bit for bit."""
    with_loss = fit(IDEC(**SMALL), gamma=0.0)
    without = fit(DeepClustering(**SMALL), clustering_loss=None)
    assert state(with_loss) == state(without)
    assert state(with_loss) != state(fit(IDEC(**SMALL), gamma=0.1))


def test_pretraining_alone_leaves_no_centre_moved():
    model = fit(IDEC(**SMALL), gamma=0.0, max_iter=1)
    start = fit(IDEC(**SMALL), gamma=0.0, max_iter=3)
    np.testing.assert_array_equal(model.cluster_centers_, start.cluster_centers_)


def test_dcn_counts_every_row():
    model = fit(DCN(**SMALL), count_init=7, tol=0.0)
    assert float(model.objective_.counts.sum()) == 3 * 7 + 5 * len(X)


def test_embedding_of_deep_kmeans_has_a_column_per_cluster():
    settings = {**SMALL, "embedding_size": None}
    assert DeepKMeans(**settings).fit(X).transform(X).shape == (len(X), 3)
    assert IDEC(**settings).fit(X).transform(X).shape == (len(X), 10)


def test_dekm_reduces_the_largest_scatter_within_clusters():
    noisy, _ = make_blobs(300, n_features=5, centers=3, cluster_std=3, random_state=0)
    settings = {**SMALL, "tol": 0.0, "pretrain_epochs": 80, "embedding_size": 4}

    def largest_share(epochs):
        model = DEKM(**{**settings, "max_iter": epochs}).fit(noisy)
        z = model.transform(noisy)
        apart = z - model.cluster_centers_[model.labels_]
        largest = np.linalg.eigvalsh(apart.T @ apart)[-1]
        return largest / np.square(z - z.mean(axis=0)).sum()

    assert largest_share(10) < 0.7 * largest_share(1)


def test_reclustering_is_kmeans_on_the_final_embedding():
    model, without = fit(DCJC(**SMALL)), fit(DeepClustering(**SMALL, **AS_DCJC))
    assert state(model) == state(without)
    assert adjusted_rand_score(model.labels_, without.labels_) == 1.0
    z = model.transform(X)
    means = [z[model.labels_ == k].mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-5)
    assert not np.allclose(without.cluster_centers_, means, rtol=1e-5)
    assert len(model.history_["reclustering"]["label_change"]) == 1


AS_DCJC = {"clustering_weight": 1.0, "learning_rate": 0.01}


def test_an_embedding_of_several_layers():
    model = fit(DeepClustering(**SMALL), embedding_layers=(-2, -1))
    z = model.transform(X)
    assert z.shape == (len(X), 10)
    assert model.cluster_centers_.shape == (3, 10)
    np.testing.assert_array_equal(model.transform(X[[7]]), z[[7]])
    assert model.inverse_transform(z).shape == X.shape
    innermost = fit(DeepClustering(**SMALL), embedding_layers=(1,))
    np.testing.assert_array_equal(
        innermost.transform(X), fit(DeepClustering(**SMALL)).transform(X)
    )
    with pytest.raises(ValueError, match=r"at least one int in \[-2, 2\)"):
        fit(DeepClustering(**SMALL), embedding_layers=(-3,))


def test_layers_of_the_embedding_do_not_share_a_pretraining(tmp_path):
    """Both embeddings have 11 columns, of other networks."""
    settings = {**SMALL, "memory": str(tmp_path)}
    DEC(**{**settings, "embedding_size": 11}).fit(X)
    both = {"embedding_layers": (-2, -1), "embedding_size": 3}
    shared = DeepClustering(**{**settings, **both}).fit(X)
    assert bits(shared) == bits(DeepClustering(**{**SMALL, **both}).fit(X))
    first = {"embedding_layers": (0,), "embedding_size": 3}
    DeepClustering(**{**settings, **first}).fit(X)
    first["embedding_size"] = 2
    shared = DeepClustering(**{**settings, **first}).fit(X)
    assert bits(shared) == bits(DeepClustering(**{**SMALL, **first}).fit(X))


def test_nothing_to_minimise_is_kmeans_on_the_pretrained_embedding():
    nothing = {"clustering_loss": None, "reconstruction_weight": 0.0}
    model = fit(DeepClustering(**SMALL), **nothing)
    assert model.history_["clustering"]["loss"] == []
    assert model.n_iter_ == 1
    np.testing.assert_array_equal(model.labels_, model.initial_labels_)
    np.testing.assert_array_equal(model.labels_, fit(DEC(**SMALL)).initial_labels_)


def test_annealing_is_of_soft_assignments():
    with pytest.raises(ValueError, match="'annealing' needs assignment='soft'"):
        fit(DeepKMeans(**SMALL), alpha="annealing", assignment="hard")


def test_a_pretrained_network_has_no_representation():
    """Layers of the embedding are chosen anew, from the network itself."""
    source = fit(DeepClustering(**SMALL), embedding_layers=(0,))
    for layers, width in (((0,), 8), ((-1,), 2), ((-2, -1), 10)):
        model = DeepClustering(**SMALL, pretrained=source, embedding_layers=layers)
        assert model.fit(X).transform(X).shape == (len(X), width)
    with pytest.raises(ValueError, match="embedding_size=8 conflicts"):
        fit(DEC(**{**SMALL, "embedding_size": 8}), pretrained=source)


@pytest.mark.parametrize("method", [DCN(**SMALL), DEKM(**SMALL), DCJC(**SMALL)])
def test_divergence_at_the_very_end_names_the_phase(method):
    far = {"optimizer": "adam", "learning_rate": 1e30, "max_iter": 1}
    whole = {"batch_size": len(X), "update_interval": 9}
    with pytest.raises(TrainingDivergedError, match="phase 'clustering'.*epoch 1"):
        fit(method, **far, **whole)


def test_parameters_set_after_the_fit_change_nothing():
    model = fit(DeepClustering(**SMALL), clustering_loss="hard_kmeans")
    model.set_params(clustering_loss="hardening")
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert not hasattr(model, "predict_proba")


def test_short_ramps_reach_their_weight():
    def network(weight):
        ramp = {"schedule": "ramp", "max_iter": 1, "clustering_weight": weight}
        return state(fit(DeepClustering(**SMALL), **ramp))

    assert network(0.1) != network(5.0)


# --- presets ----------------------------------------------------------------


def _deep_kmeans_as_custom():
    return {
        "clustering_loss": "soft_kmeans",
        "clustering_weight": 1.0,
        "reconstruction_reduction": "sum",
        "optimizer": "adam",
        "learning_rate": 1e-4,
    }


@pytest.mark.parametrize(
    "method, settings",
    [
        (
            DEC(**SMALL),
            {
                "clustering_weight": 1.0,
                "reconstruction_weight": 0.0,
                "learning_rate": 0.01,
            },
        ),
        (IDEC(**SMALL), {}),
        (DeepKMeans(**SMALL), _deep_kmeans_as_custom()),
        (
            DeepKMeans(**SMALL, alpha=3.0),
            {**_deep_kmeans_as_custom(), "clustering_loss": SoftKMeans(3, 3.0, 3)},
        ),
        (DCJC(**SMALL), {**AS_DCJC, "recluster": True}),
        (
            DCJC(**SMALL, clustering_loss="hard_kmeans"),
            {**AS_DCJC, "recluster": True, "clustering_loss": "hard_kmeans"},
        ),
        (
            DCN(**SMALL),
            {
                "clustering_loss": "running_kmeans",
                "clustering_weight": 0.05,
                "reconstruction_reduction": "sum",
                "optimizer": "adam",
                "learning_rate": 1e-4,
            },
        ),
        (
            DEKM(**SMALL),
            {
                "clustering_loss": "scatter",
                "clustering_weight": 1.0,
                "reconstruction_weight": 0.0,
                "optimizer": "adam",
                "learning_rate": 1e-3,
                "update_interval": 40,
                "tol": 5e-3,
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_published_methods_are_presets(method, settings):
    assert bits(fit(DeepClustering(**SMALL), **settings)) == bits(fit(method))


# --- convolutions -----------------------------------------------------------


@each_method
@pytest.mark.parametrize("network", [ConvAutoencoder, UnpoolingAutoencoder])
def test_images(method, network):
    images = np.random.RandomState(0).rand(60, 81).astype(np.float32)
    shape = {"image_shape": (9, 9)}
    if network is ConvAutoencoder:
        shape |= {"channels": (4, 4), "kernel_sizes": (3, 3)}
    model = clone(method).set_params(
        architecture=network(**shape), pretrain_epochs=1, max_iter=1
    )
    model.fit(images)
    np.testing.assert_array_equal(model.predict(images), model.labels_)
    z = model.transform(images)
    assert np.unique(z, axis=0).shape == z.shape
    for i in (0, 7, 59):
        np.testing.assert_array_equal(model.transform(images[[i]]), z[[i]])
    assert model.inverse_transform(model.transform(images)).shape == (60, 81)


def test_total_of_idec():
    """T2.1: the weights of the phase on known losses."""
    from skdeepcluster.engine import Budget
    from skdeepcluster.objectives import Batch, target_distribution

    z = torch.tensor([[0.0, 0], [1, 0], [3, 0]], dtype=torch.float64)
    x = torch.tensor([[1.0, 2.0]] * 3, dtype=torch.float64)
    x_hat = torch.tensor([[1.5, 1.0]] * 3, dtype=torch.float64)
    phase = list(IDEC(n_clusters=2)._phases(Budget(3, 3)))[1]
    total = 0.0
    for objective, weight in phase.objectives.items():
        target = None
        if isinstance(objective, Hardening):
            centers = torch.tensor([[0.0, 0], [2, 0]], dtype=torch.float64)
            objective.centers = torch.nn.Parameter(centers)
            target = target_distribution(objective.log_q(z).exp())
        else:
            assert isinstance(objective, Reconstruction)
        batch = Batch(x=x, z=z, x_hat=x_hat, target=target)
        total += weight * objective.loss(batch).mean().item()
    assert total == pytest.approx(0.6304132924, abs=1e-9)


def test_classes_of_kmeans_do_not_lead_away_from_its_clusters():
    """With the defaults, and as in CCNN without a reconstruction."""
    rows, classes = load_digits(return_X_y=True)
    rows, classes = rows[:400], classes[:400]
    settings = {"n_clusters": 10, "batch_size": 50, "n_init": 3, "random_state": 0}
    start = DeepClustering(
        clustering_loss=None,
        reconstruction_weight=0,
        hidden_layer_sizes=(128, 128),
        pretrain_epochs=20,
        max_iter=1,
        **settings,
    ).fit(rows)
    for weight in (1, 0):
        model = DeepClustering(
            clustering_loss="classification",
            clustering_weight=1,
            reconstruction_weight=weight,
            pretrained=start,
            max_iter=25,
            tol=0,
            **settings,
        ).fit(rows)
        first, last = (
            clustering_accuracy(classes, labels)
            for labels in (model.initial_labels_, model.labels_)
        )
        assert last > first - 0.03
