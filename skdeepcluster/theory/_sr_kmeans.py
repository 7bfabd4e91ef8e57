"""Soft regularised k-means: its loss and the closed forms that minimise it."""

import numpy as np
from scipy.special import log_softmax, xlogy

from skdeepcluster.theory._checks import (
    check_distributions,
    check_matrix,
    check_positive,
)


def sr_kmeans_loss(q, z, centers, reg):
    r"""Loss of soft regularised k-means.

    .. math::

        \mathrm{SR}(q, c) = \frac{1}{\lambda K} \frac{1}{N} \sum_i \Bigl( \sum_k q_{ik}
        \lVert z_i - c_k \rVert^2 - \lVert z_i \rVert^2 \Bigr)
        + \frac{1}{N} \sum_{ik} q_{ik} \ln q_{ik}

    Parameters
    ----------
    q : array-like of shape (n_samples, n_clusters)
        Soft assignments; rows sum to 1.
    z : array-like of shape (n_samples, n_features)
        Rows.
    centers : array-like of shape (n_clusters, n_features)
        Centres c.
    reg : float
        The weight :math:`\lambda`; the temperature is :math:`\lambda K`.

    Returns
    -------
    loss : float
        The loss, which may be negative.

    Raises
    ------
    ValueError
        If the shapes do not match, a row of `q` is no distribution, a value is not
        finite or `reg` is not positive.

    See Also
    --------
    sr_kmeans_loss_of_coef : The same from the weights of a softmax.

    References
    ----------
    M. Jabi, M. Pedersoli, A. Mitiche and I. Ben Ayed, "Deep clustering: On the link
    between discriminative models and K-means", IEEE Transactions on Pattern Analysis
    and Machine Intelligence 43(6), 2021.

    Examples
    --------
    >>> from skdeepcluster.theory import sr_kmeans_loss
    >>> q = [[1, 0], [1, 0], [0, 1]]
    >>> sr_kmeans_loss(q, [[0.0], [1.0], [4.0]], [[0.5], [4.0]], reg=0.5)
    -5.5
    """
    z, centers, reg = _check(z, centers, "centers", reg)
    q = check_distributions(q, "q", len(z), len(centers))
    # Without the differences, in which |z|^2 would cancel.
    distances = (centers**2).sum(axis=1) - 2 * z @ centers.T  # (n, k)
    temperature = reg * len(centers)
    return float(((q * distances).sum() / temperature + xlogy(q, q).sum()) / len(z))


def sr_kmeans_loss_of_coef(q, z, coef, reg):
    r"""Loss of soft regularised k-means, in the weights of a softmax.

    With :math:`\theta_k = c_k / (\lambda K)`, for any q, z and c,

    .. math::

        \mathrm{SR} = \frac{1}{N} \sum_{ik} q_{ik} \ln q_{ik}
        - \frac{2}{N} \sum_{ik} q_{ik} \theta_k^\top z_i
        + \lambda K \sum_k \bar q_k \lVert \theta_k \rVert^2,
        \qquad \bar q_k = \frac{1}{N} \sum_i q_{ik}

    Parameters
    ----------
    q : array-like of shape (n_samples, n_clusters)
        Soft assignments; rows sum to 1.
    z : array-like of shape (n_samples, n_features)
        Rows.
    coef : array-like of shape (n_clusters, n_features)
        Weights :math:`\theta`.
    reg : float
        The weight :math:`\lambda`.

    Returns
    -------
    loss : float
        ``sr_kmeans_loss(q, z, reg * n_clusters * coef, reg)``, by another way.

    Raises
    ------
    ValueError
        As :func:`sr_kmeans_loss`.

    Examples
    --------
    >>> from skdeepcluster.theory import sr_kmeans_loss_of_coef
    >>> q = [[1, 0], [1, 0], [0, 1]]
    >>> sr_kmeans_loss_of_coef(q, [[0.0], [1.0], [4.0]], [[0.5], [4.0]], reg=0.5)
    -5.5
    """
    z, coef, reg = _check(z, coef, "coef", reg)
    q = check_distributions(q, "q", len(z), len(coef))
    entropy = xlogy(q, q).sum() / len(z)
    fit = (q * (z @ coef.T)).sum() / len(z)
    size = q.mean(axis=0) @ (coef**2).sum(axis=1)
    return float(entropy - 2 * fit + reg * len(coef) * size)


def sr_kmeans_centers(q, z):
    r"""Centres that minimise the loss for given assignments: the soft means.

    .. math:: c_k = \frac{\sum_i q_{ik} z_i}{\sum_i q_{ik}}

    Parameters
    ----------
    q : array-like of shape (n_samples, n_clusters)
        Soft assignments; rows sum to 1.
    z : array-like of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    centers : ndarray of shape (n_clusters, n_features)
        The means.

    Raises
    ------
    ValueError
        If a cluster has no weight, or as :func:`sr_kmeans_loss`.

    Examples
    --------
    >>> from skdeepcluster.theory import sr_kmeans_centers
    >>> sr_kmeans_centers([[1, 0], [1, 0], [0, 1]], [[0.0], [1.0], [4.0]])
    array([[0.5],
           [4. ]])
    """
    z = check_matrix(z, "z")
    q = check_distributions(q, "q", len(z))
    sizes = q.sum(axis=0)
    if not sizes.all():
        raise ValueError(
            "Every cluster of q must have a row. Got clusters without: "
            f"{np.flatnonzero(sizes == 0)}."
        )
    return (q.T @ z) / sizes[:, None]


def sr_kmeans_assignments(z, centers, reg):
    r"""Assignments that minimise the loss for given centres.

    With the temperature :math:`\lambda K` and :math:`\theta_k = c_k / (\lambda K)`,

    .. math::

        q_{ik} = \mathrm{softmax}_k \Bigl( - \frac{\lVert z_i - c_k \rVert^2}{\lambda K}
        \Bigr) = \mathrm{softmax}_k \bigl( 2 \theta_k^\top z_i - \lambda K \lVert
        \theta_k \rVert^2 \bigr)

    Parameters
    ----------
    z : array-like of shape (n_samples, n_features)
        Rows.
    centers : array-like of shape (n_clusters, n_features)
        Centres c.
    reg : float
        The weight :math:`\lambda`.

    Returns
    -------
    q : ndarray of shape (n_samples, n_clusters)
        Rows sum to 1.

    Raises
    ------
    ValueError
        If the shapes do not match, a value is not finite or `reg` is not positive.

    Examples
    --------
    >>> from skdeepcluster.theory import sr_kmeans_assignments
    >>> sr_kmeans_assignments([[0.0], [1.0], [4.0]], [[0.5], [4.0]], 0.5).round(6)
    array([[1.00000e+00, 0.00000e+00],
           [9.99842e-01, 1.58000e-04],
           [5.00000e-06, 9.99995e-01]])
    """
    z, centers, reg = _check(z, centers, "centers", reg)
    mean = centers.mean(axis=0)
    centers, z = centers - mean, z - mean  # so that large means do not cost digits
    logits = 2 * z @ centers.T - (centers**2).sum(axis=1)
    return np.exp(log_softmax(logits / (reg * len(centers)), axis=1))


def critical_temperature(Z):
    r"""Temperature at which centres of soft regularised k-means part at the mean.

    .. math:: T_c = 2 \lambda_{\max}(\mathrm{Cov}(Z))

    Near the mean, one round of assignments and means multiplies the differences of the
    centres by :math:`2 \, \mathrm{Cov} / T`: above :math:`T_c` they shrink, and below
    it they grow along the first principal axis.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    temperature : float
        In the units of Z squared; the covariance divides by n_samples. To be compared
        with ``reg * n_clusters``.

    Raises
    ------
    ValueError
        If a value is not finite.

    Notes
    -----
    All centres at the mean are a local minimum above :math:`T_c` and not below it. The
    minimum need not be the only one: centres on far outliers can stay there above
    :math:`T_c`.

    References
    ----------
    K. Rose, "Deterministic annealing for clustering, compression, classification,
    regression, and related optimization problems", Proceedings of the IEEE 86(11),
    1998.

    Examples
    --------
    >>> from skdeepcluster.theory import critical_temperature
    >>> round(critical_temperature([[0.0, 1.0], [4.0, 1.0]]), 6)
    8.0
    """
    Z = check_matrix(Z, "Z")
    return float(2 * np.linalg.norm(Z - Z.mean(axis=0), 2) ** 2 / len(Z))


def _check(z, centers, name, reg):
    z = check_matrix(z, "z")
    return z, check_matrix(centers, name, z.shape[1]), check_positive(reg, "reg")
