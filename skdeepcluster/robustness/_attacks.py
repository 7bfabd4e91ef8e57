"""Attacks: rows moved a little, against the class that they have."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state

from skdeepcluster.robustness._target import Attack, check_size
from skdeepcluster.utils._numbers import is_integer


def fgsm(estimator, X, y, epsilon, *, clip=None):
    r"""Fast gradient sign method: one step against the class of each row.

    .. math::
        x' = \text{clip} \bigl( x + \epsilon \,
        \text{sign}(\nabla_x L(x, y)) \bigr), \qquad L = -\ln q_y(x)

    Parameters
    ----------
    estimator : estimator
        Fitted, with a network: a :class:`~skdeepcluster.CentroidClassifier`, or a
        clusterer with soft assignments.
    X : array-like of shape (n_samples, n_features)
        Rows to attack.
    y : array-like of shape (n_samples,)
        Their classes, or the labels of their clusters.
    epsilon : float
        Largest change of an entry, in the units of X.
    clip : tuple of two floats or arrays of shape (n_features,), default=None
        Range of the entries, such as (0, 1) for images; X must keep to it.

    Returns
    -------
    X_adversarial : ndarray of shape (n_samples, n_features)
        In X's dtype; no entry is farther than `epsilon` from that of X.

    Notes
    -----
    Steps follow the log odds against the class, :math:`\ln((1 - q_y) / q_y)`. Their
    gradient has the direction of that of L, but does not vanish where the estimator is
    so sure that :math:`q_y` rounds to 1.

    References
    ----------
    .. [1] I. J. Goodfellow, J. Shlens and C. Szegedy, "Explaining and Harnessing
       Adversarial Examples", ICLR 2015, https://arxiv.org/abs/1412.6572

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import CentroidClassifier
    >>> from skdeepcluster.robustness import fgsm
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> model = CentroidClassifier(warmup_epochs=50, max_iter=50, random_state=0)
    >>> moved = fgsm(model.fit(X, y), X, y, epsilon=0.5)
    >>> float(np.abs(moved - X).max()) <= 0.5
    True
    """
    attack = Attack(estimator, X, y, epsilon, clip)
    step = attack.epsilon * np.sign(attack.gradient(attack.start))
    return attack.moved(step)


def pgd(
    estimator,
    X,
    y,
    epsilon,
    *,
    step_size=None,
    n_steps=40,
    norm="linf",
    goal="class",
    random_start=True,
    random_state=None,
    clip=None,
):
    r"""Projected gradient descent: many small steps, always within the ball.

    .. math::
        x^{(t+1)} = \Pi_{\lVert x' - x \rVert \le \epsilon} \bigl( x^{(t)}
        + \eta \, d(\nabla_x L(x^{(t)}, y)) \bigr)

    with :math:`d(g) = \text{sign}(g)` for "linf" and :math:`g / \lVert g \rVert_2` for
    "l2".

    Parameters
    ----------
    estimator : estimator
        As in `fgsm`.
    X : array-like of shape (n_samples, n_features)
        Rows to attack.
    y : array-like of shape (n_samples,)
        Their classes, or the labels of their clusters.
    epsilon : float
        Radius of the ball, in the units of X.
    step_size : float, default=None
        :math:`\eta`; None takes a tenth of `epsilon`.
    n_steps : int, default=40
        Number of steps.
    norm : {"linf", "l2"}, default="linf"
        Whether `epsilon` bounds the change of each entry, or the Euclidean length of
        the change of a row.
    goal : {"class", "confidence"}, default="class"
        What the steps raise: the log odds against the class, as in `fgsm`, or the
        confidence in the other classes. They differ where confidences need not sum to
        one: the first attack may end in a row of another class that the estimator has
        no confidence in, which `attack_report` does not count as a success.
    random_start : bool, default=True
        Whether to start at a random place of the ball, and not at X.
    random_state : int, RandomState instance or None, default=None
        Seed of these places, which are drawn for the rows of X in their order.
    clip : tuple of two floats or arrays of shape (n_features,), default=None
        Range of the entries, such as (0, 1) for images; X must keep to it.

    Returns
    -------
    X_adversarial : ndarray of shape (n_samples, n_features)
        In X's dtype, within the ball and the range.

    References
    ----------
    .. [1] A. Madry, A. Makelov, L. Schmidt, D. Tsipras and A. Vladu, "Towards Deep
       Learning Models Resistant to Adversarial Attacks", ICLR 2018,
       https://arxiv.org/abs/1706.06083

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import CentroidClassifier
    >>> from skdeepcluster.robustness import attack_report, pgd
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> model = CentroidClassifier(warmup_epochs=50, max_iter=50, random_state=0)
    >>> moved = pgd(model.fit(X, y), X, y, 8.0, norm="l2", random_state=0)
    >>> attack_report(model, X, y, moved).n_changed > 30
    True
    """
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm={norm!r} should be 'linf' or 'l2'.")
    if not is_integer(n_steps) or n_steps < 0:
        raise ValueError(f"n_steps={n_steps!r} should be an int >= 0.")
    if goal not in ("class", "confidence"):
        raise ValueError(f"goal={goal!r} should be 'class' or 'confidence'.")
    attack = Attack(estimator, X, y, epsilon, clip, goal)
    step_size = attack.epsilon / 10 if step_size is None else step_size
    check_size("step_size", step_size)
    change = np.zeros(attack.start.shape)
    if random_start:
        rng = check_random_state(random_state)
        change = _random_change(rng, change.shape, epsilon, norm)
        change = attack.kept(_in_ball(change, epsilon, norm))
    for _ in range(n_steps):
        gradient = attack.gradient(attack.start + change)
        step = np.sign(gradient) if norm == "linf" else _unit(gradient)
        change = _in_ball(change + step_size * step, epsilon, norm)
        change = attack.kept(change)
    return attack.moved(change)


def _random_change(rng, shape, epsilon, norm):
    """Changes drawn evenly from the ball."""
    if norm == "linf":
        return rng.uniform(-epsilon, epsilon, size=shape)
    lengths = rng.uniform(size=(shape[0], 1)) ** (1 / shape[1])
    return epsilon * lengths * _unit(rng.normal(size=shape))


def _unit(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def _in_ball(change, epsilon, norm):
    if norm == "linf":
        return np.clip(change, -epsilon, epsilon)
    lengths = np.linalg.norm(change, axis=1, keepdims=True)
    # A little short of the surface, so that rounding does not lead outside.
    reach = epsilon * (1 - 1e-12)
    return change * np.minimum(1, reach / np.maximum(lengths, np.finfo(float).tiny))
