"""No row within the certified radius is classified otherwise."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from skdeepcluster import DEC, MIADM, CentroidClassifier
from skdeepcluster.architectures import (
    ConvAutoencoder,
    IdentityArchitecture,
    MLPAutoencoder,
)
from skdeepcluster.robustness import pgd
from skdeepcluster.theory import lipschitz_bound

X, Y = make_blobs(90, n_features=16, centers=3, cluster_std=6.0, random_state=0)
NETWORKS = {
    "linear": MLPAutoencoder(()),
    "mlp": MLPAutoencoder((8,), dropout=0.1),
    "convolutional": ConvAutoencoder((4, 4), (4,), (3,)),
    "none": IdentityArchitecture(),
}


def fitted(network, loss="ga"):
    # Unequal gammas, so that the boundaries are no hyperplanes.
    model = CentroidClassifier(
        loss=loss,
        architecture=NETWORKS[network],
        warmup_epochs=30,
        max_iter=60,
        precision="float64",
        random_state=0,
    ).fit(X, Y)
    if loss != "softmax":
        gamma = model.objective_.gamma
        gamma.copy_(gamma * torch.tensor([0.5, 1.0, 2.0]))
    return model


def tried(model, start, radii):
    """Rows at distances `radii`, in random directions and in those of an attack."""
    rng = np.random.RandomState(0)
    for _ in range(20):
        rays = rng.normal(size=start.shape)
        yield start + rays * (radii / np.linalg.norm(rays, axis=1))[:, None]
    labels = model.predict(start)
    for row, radius, label in zip(start, radii, labels, strict=True):
        options = {"norm": "l2", "n_steps": 10, "random_start": False}
        yield pgd(model, row[None], [label], radius, **options)


@pytest.mark.parametrize("loss", ["ga", "softmax"])
@pytest.mark.parametrize("network", NETWORKS)
def test_no_attack_succeeds_within_the_radius(network, loss):
    model = fitted(network, loss)
    rows = X[::6]
    radii = model.certified_radius(rows) * (1 - 1e-6)
    assert radii.min() > 0
    labels = model.predict(rows)
    for number, moved in enumerate(tried(model, rows, radii)):
        expected = labels if number < 20 else labels[number - 20]
        assert (model.predict(moved) == expected).all()


@pytest.mark.parametrize("loss", ["ga", "softmax"])
def test_without_a_network_the_radius_is_exact(loss):
    model = fitted("none", loss)
    rows = X[::6]
    radii, labels = model.certified_radius(rows), model.predict(rows)
    head, Z = model.objective_, model.transform(rows)
    if loss == "softmax":
        ways = head.weight.numpy() - head.weight.numpy()[labels][:, None]
    else:  # up the difference of the logits
        pulls = head.gamma.numpy()[:, None] * (Z[:, None] - head.centers.numpy())
        ways = pulls[np.arange(len(rows)), labels][:, None] - pulls
    ways[np.arange(len(rows)), labels] = 1.0
    ways /= np.linalg.norm(ways, axis=2, keepdims=True)
    moved = rows[:, None] + (radii * (1 + 1e-6))[:, None, None] * ways
    found = [model.predict(moved[:, k]) != labels for k in range(3)]
    assert np.any(found, axis=0).all()


def test_the_bound_is_that_of_the_layers():
    model = fitted("linear")
    (layer,) = model.module_.layers[0]
    bound = lipschitz_bound(layer) / model._scaling.factor
    expected = model.margin(X) / bound
    np.testing.assert_allclose(model.certified_radius(X), expected)
    np.testing.assert_allclose(model.certified_radius(X, lipschitz=bound), expected)


def test_a_network_that_ignores_its_input():
    model = fitted("linear")
    for parameter in model.module_.parameters():
        parameter.zero_()
    radii = model.certified_radius(X)
    assert np.isinf(radii).all() or not radii.any()


def test_networks_without_a_known_bound():
    class Squared(torch.nn.Module):
        def encode(self, x):
            return x**2

        def decode(self, z):
            return z

    model = CentroidClassifier(architecture=Squared(), warmup_epochs=1, max_iter=1)
    model.fit(X, Y)
    with pytest.raises(ValueError, match="No Lipschitz bound is known .* Squared"):
        model.certified_radius(X)
    known = model.certified_radius(X, lipschitz=2.0)
    np.testing.assert_allclose(known, model.margin(X) / 2)
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="lipschitz=.* should be a float > 0"):
            model.certified_radius(X, lipschitz=wrong)


def test_a_bounded_network_has_a_radius():
    """Its embedding is squeezed by a number that the bound takes in."""
    source = MIADM(3, pretrain_epochs=2, warmup_epochs=1, max_iter=2, random_state=0)
    source.set_params(hidden_layer_sizes=(8,), pretrained=DEC(
        3, hidden_layer_sizes=(8,), embedding_size=3, pretrain_epochs=2, max_iter=1,
        random_state=0,
    ).fit(X)).fit(X)  # fmt: skip
    factor = source.module_.stretch.factor
    assert factor != 1
    model = CentroidClassifier(pretrained=source, warmup_epochs=5, max_iter=5)
    radius = model.set_params(random_state=0).fit(X, Y).certified_radius(X)
    inner = [m for m in model.module_.modules() if isinstance(m, torch.nn.Linear)]
    bound = np.prod([np.linalg.norm(m.weight.numpy(), 2) for m in inner]) / factor
    expected = model.margin(X) / (bound / model._scaling.factor)
    np.testing.assert_allclose(radius, expected, rtol=1e-5)
