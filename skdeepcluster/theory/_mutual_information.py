"""Regularised mutual information of a softmax layer."""

import numpy as np
from scipy.special import log_softmax, logsumexp, xlogy

from skdeepcluster.theory._checks import (
    check_distributions,
    check_matrix,
    check_positive,
    check_vector,
)


def softmax_posteriors(z, coef, intercept):
    r"""Posteriors of a softmax layer.

    .. math:: p_{ik} = \mathrm{softmax}_k(\theta_k^\top z_i + b_k)

    Parameters
    ----------
    z : array-like of shape (n_samples, n_features)
        Rows.
    coef : array-like of shape (n_clusters, n_features)
        Weights :math:`\theta`.
    intercept : array-like of shape (n_clusters,)
        Biases b.

    Returns
    -------
    p : ndarray of shape (n_samples, n_clusters)
        Rows sum to 1.

    Raises
    ------
    ValueError
        If the shapes do not match or a value is not finite.

    Examples
    --------
    >>> from skdeepcluster.theory import softmax_posteriors
    >>> softmax_posteriors([[0.0], [1.0]], [[0.0], [1.0]], [0.0, 0.0]).round(3)
    array([[0.5  , 0.5  ],
           [0.269, 0.731]])
    """
    return np.exp(log_softmax(_logits(*_check(z, coef, intercept)), axis=1))


def mutual_information_loss(q, z, coef, intercept, reg, *, power=2):
    r"""Regularised mutual information of rows and clusters, to be minimised.

    .. math::

        F(q, \theta, b) = \frac{1}{N} \sum_{ik} q_{ik} \ln \frac{q_{ik}}{p_{ik}^r}
        + \sum_k \bar q_k \ln \bar q_k + \lambda \sum_k \lVert \theta_k \rVert^2

    with :math:`p_i = \mathrm{softmax}(\theta z_i + b)` and :math:`\bar q` the mean of
    q over the rows. At :math:`q = p` and :math:`r = 2` it is the negative mutual
    information with its regulariser,

    .. math::

        \sum_k \bar p_k \ln \bar p_k - \frac{1}{N} \sum_{ik} p_{ik} \ln p_{ik}
        + \lambda \sum_k \lVert \theta_k \rVert^2

    Parameters
    ----------
    q : array-like of shape (n_samples, n_clusters) or None
        Auxiliary assignments; rows sum to 1. None takes the posteriors p.
    z : array-like of shape (n_samples, n_features)
        Rows.
    coef : array-like of shape (n_clusters, n_features)
        Weights :math:`\theta`.
    intercept : array-like of shape (n_clusters,)
        Biases b.
    reg : float
        The weight :math:`\lambda`.
    power : float, default=2
        The exponent r; 1 gives the divergence of DEPICT.

    Returns
    -------
    loss : float
        The loss, which may be negative.

    Raises
    ------
    ValueError
        If the shapes do not match, a row of `q` is no distribution, a value is not
        finite, or `reg` or `power` is not positive.

    References
    ----------
    M. Jabi, M. Pedersoli, A. Mitiche and I. Ben Ayed, "Deep clustering: On the link
    between discriminative models and K-means", IEEE Transactions on Pattern Analysis
    and Machine Intelligence 43(6), 2021.

    Examples
    --------
    Two rows that are told apart with certainty share :math:`\ln 2` with their clusters:

    >>> from skdeepcluster.theory import mutual_information_loss
    >>> z, coef = [[-1.0], [1.0]], [[-50.0], [50.0]]
    >>> round(mutual_information_loss(None, z, coef, [0, 0], reg=1e-9), 4)
    -0.6931
    """
    z, coef, intercept = _check(z, coef, intercept)
    reg, power = check_positive(reg, "reg"), check_positive(power, "power")
    log_p = log_softmax(_logits(z, coef, intercept), axis=1)
    q = np.exp(log_p) if q is None else q
    q = check_distributions(q, "q", len(z), len(coef))
    mean_q = q.mean(axis=0)
    divergence = (xlogy(q, q) - power * q * log_p).sum() / len(z)
    return float(divergence + xlogy(mean_q, mean_q).sum() + reg * (coef**2).sum())


def auxiliary_assignments(p, *, power=2):
    r"""Assignments that nearly minimise the loss for given posteriors.

    .. math::

        q_{ik} \propto \frac{p_{ik}^r}{\bigl( \sum_{i'} p_{i'k}^r \bigr)^{1/2}}

    The loss is stationary in q where :math:`q_{ik} \propto p_{ik}^r / \bar q_k`. This
    is its solution with the normalisers of all rows taken as equal, and so an
    approximation: a fair one where p is not far from balanced.

    Parameters
    ----------
    p : array-like of shape (n_samples, n_clusters)
        Posteriors of all rows; rows sum to 1.
    power : float, default=2
        The exponent r; 1 gives the targets of DEPICT.

    Returns
    -------
    q : ndarray of shape (n_samples, n_clusters)
        Rows sum to 1.

    Raises
    ------
    ValueError
        If a row of `p` is no distribution or `power` is not positive.

    Examples
    --------
    >>> from skdeepcluster.theory import auxiliary_assignments
    >>> auxiliary_assignments([[0.8, 0.2], [0.6, 0.4]]).round(6)
    array([[0.877382, 0.122618],
           [0.501553, 0.498447]])
    """
    p = check_distributions(p, "p")
    power = check_positive(power, "power")
    with np.errstate(divide="ignore"):  # the logarithm of 0 is minus infinity
        scaled = power * np.log(p)
    total = logsumexp(scaled, axis=0, keepdims=True)
    total[np.isneginf(total)] = 0  # an empty cluster stays empty
    return np.exp(log_softmax(scaled - total / 2, axis=1))


def _logits(z, coef, intercept):
    return z @ coef.T + intercept


def _check(z, coef, intercept):
    z = check_matrix(z, "z")
    coef = check_matrix(coef, "coef", z.shape[1])
    return z, coef, check_vector(intercept, "intercept", len(coef))
