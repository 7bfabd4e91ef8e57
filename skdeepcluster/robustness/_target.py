"""What is attacked: an estimator, rows, and the gradients that lead away."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from skdeepcluster.deep._input import rows_of
from skdeepcluster.engine import map_blocks
from skdeepcluster.objectives import ClusteringObjective
from skdeepcluster.objectives._base import in_double
from skdeepcluster.utils._forms import plain_labels, plain_numbers
from skdeepcluster.utils._numbers import is_real
from skdeepcluster.utils._torch_settings import own_torch_settings


class Attack:
    """Checked rows, and the gradients that lead away from their classes."""

    def __init__(self, estimator, X, y, epsilon, clip, goal="class"):
        self.estimator = _checked_estimator(estimator)
        self.goal = goal
        self.X = estimator._validate_new_data(X)
        if sp.issparse(self.X):
            raise TypeError(
                "Sparse data was passed, but an attack changes every entry: pass dense "
                "rows, X.toarray()."
            )
        self.X = self.X[:]  # as many numbers come back
        self.start = self.X.astype(np.float64)
        self.codes = torch.from_numpy(_codes_of(estimator, self.X, y))
        check_size("epsilon", epsilon)
        self.epsilon = epsilon
        self.range = _checked_range(clip, self.X)
        self.compute, self.network = estimator._inference_network()

    @own_torch_settings()
    def gradient(self, X):
        """Gradient of what the attack raises, (n, d), up to a factor.

        Inside, X is shifted and divided by one number, which leaves its direction.
        """
        rows = rows_of(X, self.estimator._scaling, self.compute)
        out = map_blocks(self._block_gradient, _WithCodes(rows, self.codes))
        return out.cpu().numpy().astype(np.float64)

    @torch.enable_grad()
    def _block_gradient(self, rows):
        x, codes = rows[:, :-1].clone().requires_grad_(), rows[:, -1:].long()
        with self.compute.autocast():
            z = self.network.encode(x)
        raised = self._raised(in_double(z), codes)
        return torch.autograd.grad(raised.sum(), x)[0]

    def _raised(self, z, codes):
        """Log odds against the rows' classes, or log confidence in the others."""
        head = self.estimator.objective_
        log_confidence = getattr(head, "log_confidence", head.log_q)
        log_q = (log_confidence if self.goal == "confidence" else head.log_q)(z)
        codes = codes.to(log_q.device)
        others = log_q.scatter(1, codes, -torch.inf).logsumexp(dim=1)
        if self.goal == "confidence":
            return others
        return others - log_q.gather(1, codes).squeeze(1)

    def kept(self, change):
        """The change as far as the range of the entries allows it."""
        if self.range is None:
            return change
        allowed = np.clip(self.start + change, *self.range) - self.start
        size = np.abs(change)  # which rounding may have made larger
        return np.clip(allowed, -size, size)

    def moved(self, change):
        """Rows after the change, in X's dtype; rounding never carries them farther."""
        X = (self.start + change).astype(self.X.dtype)
        far = np.abs(X.astype(np.float64) - self.start) > np.abs(change)
        X[far] = np.nextafter(X[far], self.X[far])
        return X if self.range is None else np.clip(X, *self.range)


def _checked_estimator(estimator):
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(
            "Attacks need a fitted estimator with a network. Got a "
            f"{type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    objective = getattr(estimator, "objective_", None)
    hard = isinstance(objective, ClusteringObjective) and not objective.is_soft
    if hard or not hasattr(objective, "log_q") or not hasattr(estimator, "module_"):
        raise TypeError(
            "Attacks need an estimator with a network whose probabilities have a "
            f"gradient. Got {type(estimator).__name__}."
        )
    return estimator


class _WithCodes:
    """Rows with the number of their class in one more column."""

    def __init__(self, rows, codes):
        self.rows = rows
        self.codes = codes

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, part):
        x = self.rows[part]
        return torch.cat([x, self.codes[part].to(x).unsqueeze(1)], dim=1)


def _codes_of(estimator, X, y):
    """Numbers of the classes y, as the estimator counts them."""
    y = column_or_1d(plain_labels(y))
    check_consistent_length(X, y)
    classes = known_classes(estimator)
    if len(classes) < 2:
        raise ValueError("An attack needs two classes to choose from, got 1.")
    check_known(y, classes)
    return np.searchsorted(classes, y)


def known_classes(estimator):
    """Classes or numbers of clusters that an estimator tells apart; None if unknown."""
    if hasattr(estimator, "classes_"):
        return estimator.classes_
    centers = getattr(estimator, "cluster_centers_", None)
    return None if centers is None else np.arange(len(centers))


def check_known(y, classes):
    """Refuse labels that are none of the classes, where these are known."""
    if classes is None:
        return
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y has labels that the estimator does not know: {unknown.tolist()}."
        )


def _checked_range(clip, X):
    if clip is None:
        return None
    try:
        low, high = clip
        ends = (-np.inf if low is None else low), (np.inf if high is None else high)
        low, high = (plain_numbers(end, "clip").astype(X.dtype) for end in ends)
        if np.broadcast_shapes(low.shape, high.shape, X.shape) != X.shape:
            raise ValueError  # arrays of more rows or axes than X
    except (TypeError, ValueError):
        raise ValueError(
            "clip should be a pair (low, high) of numbers, or of arrays of shape "
            f"({X.shape[1]},), got {clip!r}."
        ) from None
    if not (low <= high).all():
        raise ValueError(
            f"clip should be two numbers, the lower one first, got {clip!r}."
        )
    if (X < low).any() or (X > high).any():
        raise ValueError(
            f"X has values from {X.min():g} to {X.max():g}, outside of clip={clip!r}."
        )
    return low, high


def check_size(name, size):
    if not is_real(size) or not 0 <= size < np.inf:
        raise ValueError(f"{name}={size!r} should be a float in [0, inf).")
