"""How far a point is from the nearest decision boundary."""

import numpy as np
from scipy.spatial.distance import cdist

from skdeepcluster.theory._checks import check_matrix, check_softmax


def softmax_margin(Z, coef, intercept=None):
    r"""Distance of rows to the nearest decision boundary of a softmax layer.

    With logits :math:`w_k^\top z + b_k` and :math:`k` the class of the greatest one,

    .. math::

        \rho(z) = \min_{j \neq k}
        \frac{(w_k - w_j)^\top z + b_k - b_j}{\lVert w_k - w_j \rVert}

    The cell of a class is an intersection of half-spaces, so this is the exact distance
    to where the decision changes: no shorter step in the embedding changes it.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Rows, in the space of the softmax layer.
    coef : array-like of shape (n_classes, n_features) or (1, n_features)
        Weights of the layer; a single row means two classes, as in scikit-learn.
    intercept : array-like of shape (n_classes,) or (1,), default=None
        Biases. None means none.

    Returns
    -------
    margin : ndarray of shape (n_samples,), dtype float64
        Euclidean distances, in the units of Z. Infinite where no other class can win:
        two classes with the same weights have no boundary between them.

    Raises
    ------
    ValueError
        If the shapes do not match or a value is not finite.

    See Also
    --------
    centroid_margin : The same from centroids.

    Examples
    --------
    >>> from skdeepcluster.theory import softmax_margin
    >>> softmax_margin([[3.0, 1.0], [0.0, 5.0]], [[1.0, 0.0], [-1.0, 0.0]])
    array([3., 0.])
    """
    coef, intercept = check_softmax(coef, intercept)
    Z = check_matrix(Z, "Z", coef.shape[1])
    logits = Z @ coef.T + intercept  # (n, k)
    gaps = logits.max(axis=1, keepdims=True) - logits
    return _least_ratio(gaps, cdist(coef, coef)[logits.argmax(axis=1)])


def centroid_margin(Z, centroids):
    r"""Distance of rows to the nearest boundary between cells of centroids.

    With :math:`m_k` the nearest centroid,

    .. math::

        \rho(z) = \min_{j \neq k} \frac{\lVert z - m_j \rVert^2 - \lVert z - m_k
        \rVert^2}{2 \lVert m_j - m_k \rVert}

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Rows.
    centroids : array-like of shape (n_clusters, n_features)
        Centroids, as of a softmax layer (:func:`softmax_to_centroids`) or of k-means.

    Returns
    -------
    margin : ndarray of shape (n_samples,), dtype float64
        Euclidean distances, in the units of Z; infinite where there is one centroid.

    Raises
    ------
    ValueError
        If the shapes do not match or a value is not finite.

    See Also
    --------
    softmax_margin : The same from weights and biases.

    Notes
    -----
    Rows and centroids that were lifted have more directions to go than the rows have:
    there, this is a lower bound of :func:`softmax_margin`.

    Examples
    --------
    >>> from skdeepcluster.theory import centroid_margin
    >>> centroid_margin([[1.0, 0.0]], [[0.0, 0.0], [4.0, 0.0]])
    array([1.])
    """
    centroids = check_matrix(centroids, "centroids")
    Z = check_matrix(Z, "Z", centroids.shape[1])
    squared = cdist(Z, centroids, "sqeuclidean")  # (n, k)
    gaps = squared - squared.min(axis=1, keepdims=True)
    apart = cdist(centroids, centroids)[squared.argmin(axis=1)]
    return _least_ratio(gaps, 2 * apart)


def _least_ratio(gaps, apart):
    """Least gap of each row per unit of distance; where there is none, infinity."""
    ratios = np.full(gaps.shape, np.inf)
    np.divide(gaps, apart, out=ratios, where=apart > 0)
    return ratios.min(axis=1)
