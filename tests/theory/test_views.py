"""Fitted classifiers as nearest centroids."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, make_classification
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from torch import nn

from skdeepcluster.theory import centroid_margin, centroid_view, lipschitz_bound

ignore_convergence = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}"
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, random_state=0)


def blobs(n_classes=3):
    return make_classification(
        200, 5, n_informative=5, n_redundant=0, n_classes=n_classes, random_state=0
    )


def network(sizes, activation=nn.ReLU, seed=0):
    """Random perceptron: weights large enough for several classes to occur."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = []
        for before, after in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(before, after), activation()]
        return nn.Sequential(*layers[:-1])


def logits_of(module, X):
    module = copy.deepcopy(module).double().eval()
    with torch.no_grad():
        return module(torch.tensor(X)).numpy()


# --- every kind of classifier ------------------------------------------------


def test_logistic_regression_on_digits(digits):
    X_train, X_test, y_train, _ = digits
    model = LogisticRegression().fit(X_train, y_train)
    view = centroid_view(model)
    assert view.centroids.shape == (10, 64)
    assert_array_equal(view.embed(X_test), X_test)
    assert_array_equal(view.predict(X_test), model.predict(X_test))
    assert_allclose(view.certified_radius(X_test), view.margin(X_test))
    assert_allclose(
        view.margin(X_test), centroid_margin(X_test, view.centroids), atol=1e-10
    )


@pytest.mark.parametrize("lift", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression(n_classes, fit_intercept, lift):
    X, y = blobs(n_classes)
    y = np.array(["b", "a", "c"])[y]
    model = LogisticRegression(fit_intercept=fit_intercept).fit(X, y)
    view = centroid_view(model, X, y, lift=lift)
    assert view.softmax.lifted == lift
    assert_array_equal(view.predict(X), model.predict(X))
    own = centroid_view(model, X, lift=lift).softmax.friendliness
    assert 0 < own and own != view.softmax.friendliness


def test_kinds_of_rows():
    X, y = blobs()
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = LogisticRegression().fit(frame, y)
    view = centroid_view(model)
    assert_array_equal(view.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        view.predict(frame[list("edcba")])
    with pytest.raises(ValueError, match="4 features, but LogisticRegression is exp"):
        centroid_view(LogisticRegression().fit(X, y)).predict(X[:, :4])
    sparse = LogisticRegression().fit(sp.csr_array(X), y).sparsify()
    assert_array_equal(
        centroid_view(sparse).predict(sp.csr_array(X)), sparse.predict(sp.csr_array(X))
    )


@ignore_convergence
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("hidden", [(), (7,), (6, 8)])
def test_perceptrons(activation, n_classes, hidden):
    X, y = blobs(n_classes)
    model = MLPClassifier(hidden, activation=activation, max_iter=20, random_state=0)
    model.fit(X, y)
    view = centroid_view(model)
    assert view.embed(X).shape == (200, hidden[-1] if hidden else 5)
    assert_array_equal(view.predict(X), model.predict(X))
    assert view.certified_radius(X).min() >= 0


@ignore_convergence
def test_a_perceptron_in_float32_on_digits(digits):
    X_train, X_test, y_train, _ = digits
    model = MLPClassifier((32,), max_iter=10, random_state=0)
    model.fit(X_train.astype(np.float32), y_train)
    view = centroid_view(model, X_train)
    assert view.embed(X_test).dtype == view.centroids.dtype == np.float64
    assert_array_equal(view.predict(X_test), model.predict(X_test))
    assert view.softmax.friendliness > 0


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), StandardScaler(with_std=False), MinMaxScaler()]
)
def test_pipelines(scaler):
    X, y = blobs()
    model = make_pipeline(scaler, "passthrough", LogisticRegression()).fit(X, y)
    view = centroid_view(model)
    assert_array_equal(view.embed(X), model[0].transform(X))
    assert_array_equal(view.predict(X), model.predict(X))
    stretch = view.margin(X) / view.certified_radius(X)
    slopes = np.linalg.norm(np.diff(view.embed(X), axis=0), axis=1)
    slopes /= np.linalg.norm(np.diff(X, axis=0), axis=1)
    assert slopes.max() <= stretch[0] * (1 + 1e-12)
    unit = np.eye(5)
    moved = view.embed(unit) - view.embed(np.zeros((5, 5)))
    assert np.linalg.norm(moved, 2) == pytest.approx(stretch[0], rel=1e-12)


def test_scalers_multiply():
    X, y = blobs()
    inner = make_pipeline(MaxAbsScaler(), LogisticRegression())
    model = make_pipeline(MinMaxScaler((0, 5)), inner).fit(X, y)
    view = centroid_view(model)
    stretch = view.margin(X) / view.certified_radius(X)
    expected = model[0].scale_.max() / model[1][0].scale_.min()
    assert_allclose(stretch, expected)
    assert_array_equal(view.predict(X), model.predict(X))


@pytest.mark.parametrize("n_classes", [1, 3, 9])
def test_sequential_networks(n_classes):
    module = network((5, 8, 4, n_classes))
    X = 3 * np.random.default_rng(0).normal(size=(1500, 5))
    view = centroid_view(module)
    logits = logits_of(module, X)
    if n_classes == 1:
        expected = (logits[:, 0] > 0).astype(int)
    else:
        expected = logits.argmax(axis=1)
    assert view.softmax.lifted == (n_classes == 9)
    assert_array_equal(view.predict(X), expected)
    assert view.embed(X).shape == (1500, 4)
    assert len(np.unique(expected)) > 1


class Branches(nn.Module):
    """Layers registered in another order than they are applied."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3, bias=False)
        self.activation = nn.Tanh()

    def forward(self, x):
        return self.head(self.activation(self.inner(x.flatten(1))))


def test_a_network_of_any_kind():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Branches()
    X = np.random.default_rng(0).normal(size=(50, 2, 2))
    view = centroid_view(module, X, scale="best")
    assert_array_equal(view.predict(X), logits_of(module, X).argmax(axis=1))
    with pytest.raises(ValueError, match="known for Branches.*set lipschitz"):
        view.certified_radius(X)
    bound = lipschitz_bound(module.inner)
    assert_allclose(view.certified_radius(X, bound) * bound, view.margin(X))


def test_images():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU()),
            nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 16, 5)),
        )
    X = np.random.default_rng(0).normal(size=(40, 1, 6, 6)).astype(np.float32)
    view = centroid_view(module)
    assert_array_equal(
        view.predict(X), logits_of(module, X.astype(float)).argmax(axis=1)
    )
    expected = lipschitz_bound(nn.Sequential(module[0]), (1, 6, 6))
    assert_allclose(view.margin(X) / view.certified_radius(X), expected)


# --- certified radii ----------------------------------------------------------


def attacks(module, x, radius, label, generator):
    """Points of the ball that favour each of the classes most, by projected ascent.

    Whether any of them changes the decision, for every row.
    """
    changed = torch.zeros(len(x), dtype=torch.bool)
    for target in range(module[-1].out_features):
        start = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        moved = x + radius * start / start.norm(dim=1, keepdim=True)
        for _ in range(30):
            moved = ascend(module, moved, label, target, 0.3 * radius) - x
            length = moved.norm(dim=1, keepdim=True)
            moved = x + moved * (radius / length).clamp(max=1)
        assert ((moved - x).norm(dim=1) <= radius[:, 0] * (1 + 1e-12)).all()
        changed |= module(moved).argmax(dim=1) != label
    return changed.numpy()


def ascend(module, x, label, target, step):
    x = x.detach().requires_grad_(True)
    logits = module(x)
    gain = logits[:, target] - logits.gather(1, label[:, None])[:, 0]
    (gradient,) = torch.autograd.grad(gain.sum(), x)
    length = gradient.norm(dim=1, keepdim=True).clamp(min=1e-30)
    return x.detach() + step * gradient / length


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.LeakyReLU])
@pytest.mark.parametrize("sizes", [(3, 4), (4, 6, 3), (2, 16, 16, 7), (6, 10, 5, 2)])
def test_no_attack_within_the_radius_succeeds(sizes, activation):
    module = network(sizes, activation, seed=len(sizes)).double()
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.randn(200, sizes[0], generator=generator, dtype=torch.float64)
    view = centroid_view(module)
    label = torch.from_numpy(view.predict(x.numpy()))
    radius = torch.from_numpy(view.certified_radius(x.numpy()))[:, None]
    assert (radius > 0).all()
    assert not attacks(module, x, 0.999 * radius, label, generator).any()
    # The attacks are real ones: with room enough, they find another class.
    assert attacks(module, x, 50 * radius, label, generator).mean() > 0.5
    if len(sizes) == 2:  # without a hidden layer, the radius is the distance itself
        assert attacks(module, x, 1.01 * radius, label, generator).all()


def test_a_network_that_forgets_its_input():
    module = network((3, 4, 2))
    with torch.no_grad():
        module[0].weight.zero_()
    view = centroid_view(module)
    assert_array_equal(view.certified_radius(np.ones((2, 3))), np.inf)


# --- the view and its classifier ---------------------------------------------


def test_a_view_keeps_a_copy():
    module = network((3, 4, 2))
    module.train()
    X = np.random.default_rng(0).normal(size=(20, 3))
    view = centroid_view(module)
    before = view.predict(X), view.margin(X)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.neg_()
    assert_array_equal(view.predict(X), before[0])
    assert_array_equal(view.margin(X), before[1])
    assert module.training and module[0].weight.requires_grad
    assert not module[-1]._forward_hooks and not view.encoder.head._forward_hooks
    assert module[0].weight.dtype == torch.float32


@pytest.mark.parametrize("kind", ["linear", "pipeline", "module"])
def test_views_can_be_pickled(kind):
    X, y = blobs()
    model = {
        "linear": lambda: LogisticRegression().fit(X, y),
        "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(
            X, y
        ),
        "module": lambda: network((5, 4, 3)),
    }[kind]()
    view = centroid_view(model)
    again = pickle.loads(pickle.dumps(view))
    assert_array_equal(again.predict(X), view.predict(X))
    assert_array_equal(again.certified_radius(X), view.certified_radius(X))


def test_global_random_state_stays(global_rng_untouched):
    module = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    X = np.ones((4, 3))
    with global_rng_untouched():
        view = centroid_view(module, X)
        assert_array_equal(view.embed(X), view.embed(X))


# --- bad input ----------------------------------------------------------------


@pytest.mark.parametrize("model", [LogisticRegression(), MLPClassifier()])
def test_not_fitted(model):
    with pytest.raises(NotFittedError):
        centroid_view(model)
    with pytest.raises(NotFittedError):
        centroid_view(make_pipeline(StandardScaler(), model))


def test_other_classifiers():
    X, y = blobs()
    for model in (SVC(kernel="linear").fit(X, y), "logistic", None):
        with pytest.raises(TypeError, match="classifier must be a fitted LogisticReg"):
            centroid_view(model)
    assert issubclass(LogisticRegressionCV, LogisticRegression)


@ignore_convergence
def test_several_labels_a_row():
    X, y = blobs()
    model = MLPClassifier((3,), max_iter=2).fit(X, np.eye(3, dtype=int)[y])
    with pytest.raises(ValueError, match="fitted on 3 labels a row"):
        centroid_view(model)


@pytest.mark.parametrize(
    "module, name",
    [
        (nn.Sequential(), "Sequential that ends in nothing"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=1)), "ends in Softmax"),
        (nn.Tanh(), "Tanh that ends in Tanh"),
    ],
)
def test_networks_that_do_not_end_in_linear(module, name):
    with pytest.raises(ValueError, match=f"must end in torch.nn.Linear.*{name}"):
        centroid_view(module)


class Squashed(Branches):
    def forward(self, x):
        return super().forward(x).tanh()


def test_networks_that_return_something_else():
    with pytest.raises(ValueError, match="must return what its last .* A Squashed"):
        centroid_view(Squashed()).predict(np.ones((2, 4)))
    with pytest.raises(ValueError, match="a row of logits"):
        centroid_view(nn.Linear(3, 2)).predict(np.ones((2, 4, 3)))


def test_rows_that_do_not_suit():
    view = centroid_view(network((3, 4, 2)))
    with pytest.raises(ValueError, match=r"does not take rows of shape \(5,\)"):
        view.predict(np.ones((2, 5)))
    with pytest.raises(ValueError, match="X contains NaN"):
        view.predict([[np.nan, 0, 0]])
    with pytest.raises(ValueError, match=r"lipschitz must be a float in the range \(0"):
        view.certified_radius(np.ones((2, 3)), lipschitz=-1.0)


def test_steps_without_a_known_bound():
    X, y = blobs()
    view = centroid_view(make_pipeline(PCA(2), LogisticRegression()).fit(X, y))
    with pytest.raises(ValueError, match="known for the step PCA: set lipschitz"):
        view.certified_radius(X)
    assert_allclose(view.certified_radius(X, lipschitz=1.0), view.margin(X))


def test_classes_that_the_classifier_does_not_know():
    X, y = blobs()
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="classes that the classifier does not know"):
        centroid_view(model, X, y + 1)
