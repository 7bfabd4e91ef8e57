"""Mutual information is soft regularised k-means, and what lies between them."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from skdeepcluster.theory._checks import (
    check_distributions,
    check_matrix,
    check_positive,
    check_vector,
)
from skdeepcluster.theory._mutual_information import mutual_information_loss
from skdeepcluster.theory._sr_kmeans import sr_kmeans_loss


@dataclass(frozen=True)
class EquivalenceGap:
    """How two losses differ; from :func:`equivalence_gap`.

    Attributes
    ----------
    mutual_information : float
        The loss F of the regularised mutual information.
    sr_kmeans : float
        The loss of soft regularised k-means.
    log_partition : float
        First part of the gap: twice the mean log-normaliser of the softmax.
    balance : float
        Second part: zero where all clusters have the same weight.
    """

    mutual_information: float
    sr_kmeans: float
    log_partition: float
    balance: float

    @property
    def total(self):
        """The gap: ``log_partition + balance``."""
        return self.log_partition + self.balance


def softmax_from_centers(centers, weights, reg, *, norms=False):
    r"""Softmax layer that belongs to centres of soft regularised k-means.

    .. math::

        \theta_k = \frac{c_k}{\lambda K}, \qquad b_k = \frac{1}{2} \ln \bar q_k
        \; \Bigl[ - \frac{\lVert c_k \rVert^2}{2 \lambda K} \Bigr]

    Parameters
    ----------
    centers : array-like of shape (n_clusters, n_features)
        Centres c.
    weights : array-like of shape (n_clusters,)
        Mean assignments :math:`\bar q`, all positive.
    reg : float
        The weight :math:`\lambda`.
    norms : bool, default=False
        Whether the biases have the term in brackets, with which the posteriors are
        those of :func:`posteriors_of_assignments`. The authors' code leaves it out; it
        is the same for all clusters, and of no effect, where centres have equal norms.

    Returns
    -------
    coef : ndarray of shape (n_clusters, n_features)
        Weights.
    intercept : ndarray of shape (n_clusters,)
        Biases.

    Raises
    ------
    ValueError
        If the shapes do not match, a value is not finite, or `reg` or a weight is not
        positive.

    Examples
    --------
    >>> from skdeepcluster.theory import softmax_from_centers
    >>> coef, intercept = softmax_from_centers([[1.0], [3.0]], [0.5, 0.5], reg=0.25)
    >>> coef.tolist(), intercept.round(4).tolist()
    ([[2.0], [6.0]], [-0.3466, -0.3466])
    """
    centers = check_matrix(centers, "centers")
    weights = _check_sizes(weights, len(centers))
    coef = centers / (check_positive(reg, "reg") * len(centers))
    intercept = np.log(weights) / 2
    return coef, intercept - (centers * coef).sum(axis=1) / 2 if norms else intercept


def equivalence_gap(q, z, centers, reg):
    r"""Difference between mutual information and soft regularised k-means.

    With the softmax layer of :func:`softmax_from_centers`, for any q, z and c,

    .. math::

        F(q, \theta, b) - \mathrm{SR}(q, c) =
        \underbrace{\frac{2}{N} \sum_i \ln \sum_k e^{\theta_k^\top z_i + b_k}}_{\text{log-partition}}
        + \underbrace{\lambda \sum_k (1 - K \bar q_k) \lVert \theta_k
        \rVert^2}_{\text{balance}}

    The biases cancel the entropy of the mean assignment exactly.

    Parameters
    ----------
    q : array-like of shape (n_samples, n_clusters)
        Soft assignments; rows sum to 1, and every cluster has some.
    z : array-like of shape (n_samples, n_features)
        Rows.
    centers : array-like of shape (n_clusters, n_features)
        Centres c.
    reg : float
        The weight :math:`\lambda`.

    Returns
    -------
    EquivalenceGap
        Both losses, and the two terms that they differ by.

    Raises
    ------
    ValueError
        As :func:`sr_kmeans_loss`, and if a cluster has no weight.

    Examples
    --------
    >>> from skdeepcluster.theory import equivalence_gap
    >>> q = [[1, 0], [1, 0], [0, 1]]
    >>> gap = equivalence_gap(q, [[0.0], [1.0], [4.0]], [[0.5], [4.0]], reg=0.5)
    >>> abs(gap.mutual_information - gap.sr_kmeans - gap.total) < 1e-10
    True
    >>> round(gap.log_partition, 4), round(gap.balance, 4)
    (12.8502, 2.625)
    """  # noqa: E501
    z = check_matrix(z, "z")
    centers = check_matrix(centers, "centers", z.shape[1])
    q = check_distributions(q, "q", len(z), len(centers))
    weights = q.mean(axis=0)
    coef, intercept = softmax_from_centers(centers, weights, reg)
    log_normalisers = logsumexp(z @ coef.T + intercept, axis=1)
    return EquivalenceGap(
        mutual_information_loss(q, z, coef, intercept, reg),
        sr_kmeans_loss(q, z, centers, reg),
        float(2 * log_normalisers.mean()),
        float(reg * (1 - len(centers) * weights) @ (coef**2).sum(axis=1)),
    )


def posteriors_of_assignments(q, weights=None):
    r"""Posteriors whose softmax layer belongs to assignments of k-means.

    For q of :func:`sr_kmeans_assignments` these are exactly the posteriors of
    :func:`softmax_from_centers` with ``norms=True``:

    .. math::

        p_{ik} \propto (q_{ik} \bar q_k)^{1/2}
        \quad \text{if and only if} \quad
        p_i = \mathrm{softmax}_k \Bigl( \theta_k^\top z_i + \frac{1}{2} \ln \bar q_k
        - \frac{\lVert c_k \rVert^2}{2 \lambda K} \Bigr)

    Parameters
    ----------
    q : array-like of shape (n_samples, n_clusters)
        Soft assignments; rows sum to 1.
    weights : array-like of shape (n_clusters,), default=None
        Positive weights :math:`\bar q`. None takes the mean of `q`.

    Returns
    -------
    p : ndarray of shape (n_samples, n_clusters)
        Rows sum to 1.

    Raises
    ------
    ValueError
        If a row of `q` is no distribution, or a weight is not positive.

    Examples
    --------
    >>> from skdeepcluster.theory import posteriors_of_assignments
    >>> posteriors_of_assignments([[0.8, 0.2], [0.2, 0.8]]).round(4)
    array([[0.6667, 0.3333],
           [0.3333, 0.6667]])
    """
    q = check_distributions(q, "q")
    weights = q.mean(axis=0) if weights is None else weights
    weights = _check_sizes(weights, q.shape[1])
    root = np.sqrt(q) * np.sqrt(weights)
    return root / root.sum(axis=1, keepdims=True)


def _check_sizes(weights, n_clusters):
    weights = check_vector(weights, "weights", n_clusters)
    if weights.min() <= 0:
        raise ValueError(
            "weights must be positive: every cluster needs some. Got "
            f"{weights.min():.3g} for cluster {weights.argmin()}."
        )
    return weights
