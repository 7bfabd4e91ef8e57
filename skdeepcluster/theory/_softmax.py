"""The decision of a softmax layer is the assignment to the nearest centroid."""

from dataclasses import dataclass

import numpy as np

from skdeepcluster.theory._centroid_family import CentroidFamily, lift_rows
from skdeepcluster.theory._checks import check_matrix, check_positive, check_softmax
from skdeepcluster.theory._margins import softmax_margin


@dataclass(frozen=True, eq=False)
class SoftmaxCentroids:
    """Centroids whose nearest one is the class with the greatest logit.

    Attributes
    ----------
    coef : ndarray of shape (n_classes, n_features)
        Weights of the softmax layer, a row for each class.
    intercept : ndarray of shape (n_classes,)
        Its biases.
    centroids : ndarray of shape (n_classes, n_features) or (n_classes, n_features + 2)
        The centroids; with two coordinates more where they are lifted.
    shift : ndarray of shape (n_features,) or None
        What was added to the weights, ``centroids = scale * coef + shift``; None where
        the centroids are lifted.
    scale : float
        What the logits were multiplied by.
    friendliness : float or None
        Sum of the squared distances of the rows to the centroid of their class, divided
        by the total scatter of the rows: 0 where every row is at its centroid, 1 where
        the centroids do no better than the mean, and possibly above. None where no
        rows were given, nan where they are all the same.
    """

    coef: np.ndarray
    intercept: np.ndarray
    centroids: np.ndarray
    shift: np.ndarray | None
    scale: float
    friendliness: float | None = None

    @property
    def lifted(self):
        """Whether the centroids have two coordinates more than the rows."""
        return self.shift is None

    def lift(self, Z):
        """Rows in the space of the centroids.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)
            Rows, in the space of the softmax layer.

        Returns
        -------
        lifted : ndarray of shape (n_samples, n_features) or (n_samples, n_features + 2)
            `Z` itself, or ``(Z, 1, 0)`` where the centroids are lifted.
        """
        Z = check_matrix(Z, "Z", self.coef.shape[1])
        return lift_rows(Z) if self.lifted else Z

    def assign(self, Z):
        """Nearest centroid of every row: the decision of the softmax.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)
            Rows, in the space of the softmax layer.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            Rows of `coef`. Where two logits are the same to the last digits, either
            may be named.
        """
        Z = self.lift(Z)
        # Squared distances less those to the mean centroid: far fewer digits cancel.
        mean = self.centroids.mean(axis=0)
        centroids = self.centroids - mean
        excess = (centroids**2).sum(axis=1) - 2 * (Z - mean) @ centroids.T
        return excess.argmin(axis=1)

    def margin(self, Z):
        """Distance of every row to the nearest decision boundary.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)
            Rows, in the space of the softmax layer.

        Returns
        -------
        margin : ndarray of shape (n_samples,), dtype float64
            See :func:`softmax_margin`, which is right for lifted centroids too.
        """
        return softmax_margin(Z, self.coef, self.intercept)


def softmax_to_centroids(
    coef, intercept=None, Z=None, y=None, *, scale=1.0, lift=False
):
    r"""Centroids whose cells are the decision regions of a softmax layer.

    A common vector :math:`v` added to all weights changes no decision, and squared
    distances to :math:`m_k = w_k + v` are logits up to one constant for each row as
    soon as

    .. math::

        \lVert w_k + v \rVert^2 + 2 b_k = \text{the same for all } k
        \quad\Longrightarrow\quad
        \arg\max_k \, w_k^\top z + b_k = \arg\min_k \lVert z - m_k \rVert^2
        \quad \text{for every } z

    These are linear equations for :math:`v`. Without biases they put all centroids on
    one sphere around the origin. Where they have no solution (more classes than
    n_features + 1, as a rule), rows and centroids are lifted by two coordinates:

    .. math::

        \tilde z = (z, 1, 0), \quad
        m_k = \Bigl(w_k, b_k, \sqrt{R - \lVert w_k \rVert^2 - b_k^2}\Bigr), \quad
        R = \max_k \lVert w_k \rVert^2 + b_k^2

    Parameters
    ----------
    coef : array-like of shape (n_classes, n_features) or (1, n_features)
        Weights :math:`w_k`. A single row is read as scikit-learn's two classes, whose
        weights become minus and plus one half of it.
    intercept : array-like of shape (n_classes,) or (1,), default=None
        Biases :math:`b_k`. None means none.
    Z : array-like of shape (n_samples, n_features), default=None
        Rows. Where the equations leave :math:`v` free, it is then the one nearest to
        the mean of :math:`z_i - w_{y_i}`, by which the centroids are nearest to the
        rows; without rows it is the shortest.
    y : array-like of shape (n_samples,), default=None
        Class of each row, as the number of its row in `coef`. None takes the decision
        of the softmax itself.
    scale : float or "best", default=1.0
        Factor of weights and biases, as a temperature: it moves the centroids and
        changes no decision. "best" brings them nearest to `Z`.
    lift : bool, default=False
        Lift even where the equations have a solution.

    Returns
    -------
    SoftmaxCentroids
        Centroids, shift, scale, and with `Z` the friendliness; its ``assign`` makes the
        decisions.

    Raises
    ------
    ValueError
        If the shapes do not match, a value is not finite, `y` is not of integers below
        n_classes, `scale` is not positive, or it is "best" without `Z` or without a
        positive optimum.

    See Also
    --------
    centroid_view : The same for a fitted classifier.

    Notes
    -----
    The equations count as solved where the shift satisfies them to 1e-12 of the largest
    squared length or bias, with singular values below 1e-6 of the first left out: a
    longer shift would cost the distances their digits, and the lift is always right.
    Weights many millions of times as long as the rows put the centroids so far away
    that distances lose digits too; a small `scale` brings them back.

    Decisions are the same, training objectives are not: the centroids need not be the
    means of their classes.

    References
    ----------
    S. Hess, W. Duivesteijn and D. Mocanu, "Softmax-based classification is k-means
    clustering: formal proof, consequences for adversarial attacks, and improvement
    through centroid based tailoring", arXiv:2001.01987, 2020.

    Examples
    --------
    >>> from skdeepcluster.theory import softmax_to_centroids
    >>> found = softmax_to_centroids([[2, 0], [0, 1], [-1, -1]])
    >>> found.centroids.round(6)
    array([[ 1.5,  0.5],
           [-0.5,  1.5],
           [-1.5, -0.5]])
    >>> found.assign([[3.0, 1.0], [-2.0, 7.0]])
    array([0, 1])
    """
    coef, intercept = check_softmax(coef, intercept)
    family = CentroidFamily(coef, intercept)
    if Z is not None:
        family.see(check_matrix(Z, "Z", coef.shape[1]), y)
    if not (isinstance(scale, str) and scale == "best"):
        scale = check_positive(scale, "scale")
    elif Z is None:
        raise ValueError("scale='best' needs rows to be near to. Got Z=None.")
    found = None if lift else family.shifted(scale)
    centroids, shift, scale = found or family.lifted(scale)
    friendliness = None if Z is None else family.friendliness(centroids)
    return SoftmaxCentroids(coef, intercept, centroids, shift, scale, friendliness)
