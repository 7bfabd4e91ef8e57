"""What an attack has achieved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skdeepcluster.robustness._target import check_known, check_size, known_classes
from skdeepcluster.utils._forms import plain_labels


@dataclass(frozen=True)
class AttackReport:
    """What an attack has achieved.

    Parameters
    ----------
    n_samples : int
        Rows attacked.
    n_correct : int
        Rows that were classified correctly before.
    n_changed : int
        Of these, rows with another class afterwards.
    n_successes : int
        Of these, rows whose new class the estimator is surer of than `threshold`.
    mean_confidence : float
        Mean confidence in the new class over the successes; NaN where there are none.
    """

    n_samples: int
    n_correct: int
    n_changed: int
    n_successes: int
    mean_confidence: float


def attack_report(estimator, X, y, X_adversarial, *, threshold=0.1):
    """Count the rows whose correct class an attack has changed.

    Parameters
    ----------
    estimator : estimator
        The one that was attacked.
    X : array-like of shape (n_samples, n_features)
        Rows as they were.
    y : array-like of shape (n_samples,)
        Their classes, or the labels of their clusters.
    X_adversarial : array-like of shape (n_samples, n_features)
        Rows as the attack left them.
    threshold : float, default=0.1
        Confidence that a success exceeds: ``confidence`` of the estimator, or
        ``predict_proba`` where it has none.

    Returns
    -------
    report : AttackReport
        The counts, and the mean confidence of the successes.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import CentroidClassifier
    >>> from skdeepcluster.robustness import attack_report
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> model = CentroidClassifier(warmup_epochs=50, max_iter=50, random_state=0)
    >>> attack_report(model.fit(X, y), X, y, X)
    AttackReport(n_samples=60, n_correct=60, n_changed=0, n_successes=0,
                 mean_confidence=nan)
    """
    _check_reported(estimator, threshold)
    y = column_or_1d(plain_labels(y))
    check_consistent_length(X, y, X_adversarial)
    check_known(y, known_classes(estimator))
    correct = estimator.predict(X) == y
    changed = correct & (estimator.predict(X_adversarial) != y)
    ask = getattr(estimator, "confidence", None) or estimator.predict_proba
    confidence = ask(X_adversarial).max(axis=1)
    success = changed & (confidence > threshold)
    mean = float(confidence[success].mean()) if success.any() else float("nan")
    counts = (int(np.count_nonzero(rows)) for rows in (correct, changed, success))
    return AttackReport(len(y), *counts, mean)


def _check_reported(estimator, threshold):
    tells = [hasattr(estimator, name) for name in ("confidence", "predict_proba")]
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        tells = []
    if not any(tells):
        raise TypeError(
            "A report needs a fitted estimator with predict, and with confidence or "
            f"predict_proba. Got a {type(estimator).__name__}."
        )
    check_size("threshold", threshold)
