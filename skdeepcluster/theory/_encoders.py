"""What stands before the last layer of a classifier, whatever made the classifier.

Each encoder has the last layer's `coef` and `intercept`, the `classes`, ``embed(X)``
and ``lipschitz(shape)``, a bound for ``embed`` on rows of that shape.
"""

import math

import numpy as np
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from skdeepcluster.theory._lipschitz import layers_of, lipschitz_bound, spectral_norm
from skdeepcluster.utils._forms import plain

_BLOCK_ROWS = 1024
# The hidden activations of scikit-learn, and their greatest slopes.
_ACTIVATIONS = {
    "identity": (lambda h: h, 1.0),
    "relu": (lambda h: np.maximum(h, 0), 1.0),
    "tanh": (np.tanh, 1.0),
    "logistic": (expit, 0.25),
}


def encoder_of(classifier):
    """Encoder of a fitted classifier, or an error that says what is required."""
    for kind, encoder in _ENCODERS.items():
        if isinstance(classifier, kind):
            if not isinstance(classifier, nn.Module):
                check_is_fitted(classifier)
            return encoder(classifier)
    raise TypeError(
        "classifier must be a fitted LogisticRegression or MLPClassifier, a Pipeline "
        "that ends in one, or a torch.nn.Module that ends in torch.nn.Linear. Got "
        f"{type(classifier).__name__}. softmax_to_centroids takes the weights of any "
        "softmax layer."
    )


class LinearEncoder:
    """A logistic regression: the embedding is X itself."""

    def __init__(self, model):
        coef = model.coef_
        self.coef = coef.toarray() if hasattr(coef, "toarray") else coef
        self.intercept = np.broadcast_to(model.intercept_, len(self.coef))
        self.classes = model.classes_
        self.model = model

    def embed(self, X):
        """Rows as a dense float64 array."""
        return _dense_rows(self.model, X)

    def lipschitz(self, shape):
        """Distances stay as they are."""
        return 1.0


class MLPEncoder:
    """Scikit-learn's perceptron: all layers but the last."""

    def __init__(self, model):
        if model.out_activation_ == "logistic" and model.n_outputs_ > 1:
            raise ValueError(
                "classifier must give each row one class. Got an MLPClassifier fitted "
                f"on {model.n_outputs_} labels a row."
            )
        self.coef, self.intercept = model.coefs_[-1].T, model.intercepts_[-1]
        self.classes = model.classes_
        self.model = model

    def embed(self, X):
        """Activations of the last hidden layer."""
        h = _dense_rows(self.model, X)
        activate, _ = _ACTIVATIONS[self.model.activation]
        layers = zip(self.model.coefs_[:-1], self.model.intercepts_[:-1], strict=True)
        for weight, bias in layers:
            h = activate(h @ weight.astype(np.float64) + bias)
        return h

    def lipschitz(self, shape):
        """Product of largest singular values and slopes."""
        _, slope = _ACTIVATIONS[self.model.activation]
        return math.prod(slope * spectral_norm(W) for W in self.model.coefs_[:-1])


class PipelineEncoder:
    """Steps before a classifier, and the encoder of the classifier."""

    def __init__(self, pipeline):
        self.steps = [
            step for _, step in pipeline.steps[:-1] if step not in (None, "passthrough")
        ]
        self.last = encoder_of(pipeline.steps[-1][1])
        self.coef, self.intercept = self.last.coef, self.last.intercept
        self.classes = self.last.classes

    def embed(self, X):
        """Embedding of what the steps make of X."""
        for step in self.steps:
            X = step.transform(X)
        return self.last.embed(X)

    def lipschitz(self, shape):
        """Product over the steps, of which scalers are known."""
        return math.prod(map(_stretch, self.steps)) * self.last.lipschitz(shape)


class ModuleEncoder:
    """A network of torch: everything before its last linear layer."""

    def __init__(self, module):
        self.module = module.cpu().double().eval().requires_grad_(False)
        self.head = _last_linear(module)
        if self.head is None:
            raise ValueError(
                "classifier must end in torch.nn.Linear, which gives the logits. Got a "
                f"{type(module).__name__} that ends in {_last_name(module)}."
            )
        self.coef = self.head.weight.numpy()
        no_bias = np.zeros(len(self.coef))
        self.intercept = no_bias if self.head.bias is None else self.head.bias.numpy()
        self.classes = np.arange(max(2, len(self.coef)))

    def embed(self, X):
        """Input of the last layer, in float64."""
        X = check_array(plain(X), dtype=np.float64, allow_nd=True, input_name="X")
        x = torch.from_numpy(np.array(X))  # a mapped file may be read-only
        return np.concatenate([self._embed(block) for block in x.split(_BLOCK_ROWS)])

    @torch.inference_mode()
    def _embed(self, x):
        seen = {}

        def watch(layer, inputs, output):
            seen.update(z=inputs[0], logits=output)

        handle = self.head.register_forward_hook(watch)
        try:
            logits = self.module(x)
        except RuntimeError as error:
            raise ValueError(
                f"classifier does not take rows of shape {tuple(x.shape[1:])}: {error}"
            ) from error
        finally:
            handle.remove()
        if seen.get("logits") is not logits or logits.ndim != 2:
            raise ValueError(
                "classifier must return what its last torch.nn.Linear gives, a row of "
                f"logits for each row of X. A {type(self.module).__name__} does not."
            )
        return seen["z"].numpy()

    def lipschitz(self, shape):
        """Bound for the layers of a Sequential."""
        *before, last = layers_of(self.module)
        if last is not self.head:
            raise ValueError(
                f"No Lipschitz bound is known for {type(last).__name__}, as only a "
                "torch.nn.Sequential says what it is made of: set lipschitz."
            )
        return lipschitz_bound(nn.Sequential(*before), shape)


def _dense_rows(model, X):
    """Rows as the model validates them, dense and in float64."""
    X = plain(X)
    X = validate_data(model, X, reset=False, accept_sparse="csr", dtype=np.float64)
    return X.toarray() if hasattr(X, "toarray") else X


def _stretch(step):
    """Lipschitz constant of a fitted scaler."""
    scale = getattr(step, "scale_", None)
    if isinstance(step, StandardScaler) and scale is None:
        return 1.0
    if isinstance(step, StandardScaler | MaxAbsScaler):
        return float((1 / scale).max())
    if isinstance(step, MinMaxScaler):
        return float(np.abs(scale).max())
    raise ValueError(
        f"No Lipschitz bound is known for the step {type(step).__name__}: set "
        "lipschitz to one for all that is before the last layer."
    )


def _last_linear(module):
    """The layer that gives the logits; None where there is no such layer."""
    if isinstance(module, nn.Sequential):
        return _last_linear(module[-1]) if len(module) else None
    found = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return found[-1] if found else None


def _last_name(module):
    *_, last = [None, *layers_of(module)]
    return "nothing" if last is None else type(last).__name__


_ENCODERS = {
    LogisticRegression: LinearEncoder,
    MLPClassifier: MLPEncoder,
    Pipeline: PipelineEncoder,
    nn.Module: ModuleEncoder,
}
