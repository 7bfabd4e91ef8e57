"""A fitted classifier as an embedding with one centroid for each class."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from skdeepcluster.theory._checks import check_positive
from skdeepcluster.theory._encoders import encoder_of
from skdeepcluster.theory._softmax import SoftmaxCentroids, softmax_to_centroids
from skdeepcluster.utils._forms import plain_labels


@dataclass(frozen=True, eq=False)
class CentroidView:
    """A classifier, read as k-means in its embedding; from :func:`centroid_view`.

    Attributes
    ----------
    softmax : SoftmaxCentroids
        The centroids, with the weights, the shift and the friendliness.
    classes : ndarray of shape (n_classes,)
        Class of each centroid.
    encoder : object
        What embeds: everything before the last layer.
    """

    softmax: SoftmaxCentroids
    classes: np.ndarray
    encoder: object

    @property
    def centroids(self):
        """One row for each class; two coordinates longer than rows, where lifted."""
        return self.softmax.centroids

    def embed(self, X):
        """Input of the last layer: where the centroids are.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows as the classifier takes them. Sparse ones become dense.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_embedding), dtype float64
            The embedding, not lifted: ``softmax.lift(Z)`` does that where it is needed.
        """
        return self.encoder.embed(X)

    def predict(self, X):
        """Class of the nearest centroid: what the classifier predicts.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows as the classifier takes them.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Entries of `classes`. Where two logits are equal up to rounding, in the
            precision that the classifier computes in, it may name the other one.
        """
        return self.classes[self.softmax.assign(self.embed(X))]

    def margin(self, X):
        """Distance to the nearest decision boundary, in the embedding.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows as the classifier takes them.

        Returns
        -------
        margin : ndarray of shape (n_samples,), dtype float64
            See :func:`softmax_margin`.
        """
        return self.softmax.margin(self.embed(X))

    def certified_radius(self, X, lipschitz=None):
        """Distance in the input within which the class cannot change.

        The margin divided by a Lipschitz constant of the embedding: inputs that are
        nearer than this have embeddings that are nearer than the boundary.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows as the classifier takes them.
        lipschitz : float, default=None
            Upper bound on the Lipschitz constant of ``embed``, in the Euclidean norm.
            None computes one: for networks by :func:`lipschitz_bound`, for scalers in a
            Pipeline by their largest factor.

        Returns
        -------
        radius : ndarray of shape (n_samples,), dtype float64
            Euclidean distances, in the units of X; a lower bound of the distance to the
            nearest input with another class.

        Raises
        ------
        ValueError
            If `lipschitz` is None and no bound is known for a layer or a step, or if it
            is not positive.
        """
        margin = self.margin(X)
        if lipschitz is None:
            lipschitz = self.encoder.lipschitz(np.shape(X)[1:])
        else:
            lipschitz = check_positive(lipschitz, "lipschitz")
        if lipschitz == 0:  # every input has the same embedding
            return np.full(margin.shape, np.inf)
        return margin / lipschitz


def centroid_view(classifier, X=None, y=None, *, scale=1.0, lift=False):
    """View of a fitted softmax classifier as the nearest centroid in its embedding.

    Parameters
    ----------
    classifier : estimator or torch.nn.Module
        A fitted :class:`~sklearn.linear_model.LogisticRegression` (the embedding is X),
        a fitted :class:`~sklearn.neural_network.MLPClassifier` (the last hidden layer),
        a fitted :class:`~sklearn.pipeline.Pipeline` that ends in one of them, or a
        ``torch.nn.Module`` that returns what its last ``torch.nn.Linear`` gives: a
        ``Sequential`` that ends in it, or any other, where it must be the linear layer
        that was registered last. The view has a copy of it; modules are copied to the
        host, in float64 and evaluation mode.
    X : array-like of shape (n_samples, ...), default=None
        Rows by which to choose among the possible centroids, as `Z` of
        :func:`softmax_to_centroids`.
    y : array-like of shape (n_samples,), default=None
        Class of each of these rows. None takes the classifier's own.
    scale : float or "best", default=1.0
        See :func:`softmax_to_centroids`.
    lift : bool, default=False
        See :func:`softmax_to_centroids`.

    Returns
    -------
    CentroidView
        Embeds, predicts, and gives margins and certified radii.

    Raises
    ------
    TypeError
        If `classifier` is of another kind.
    ValueError
        If a module does not end in ``torch.nn.Linear``, a perceptron was fitted on
        several labels a row, or `y` has a class that the classifier does not know.
    sklearn.exceptions.NotFittedError
        If `classifier` is not fitted.

    See Also
    --------
    softmax_to_centroids : The same for weights and biases.
    lipschitz_bound : What the certified radii divide by.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdeepcluster.theory import centroid_view
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X, y)
    >>> view = centroid_view(model)
    >>> view.centroids.shape
    (3, 4)
    >>> bool((view.predict(X) == model.predict(X)).all())
    True
    >>> view.certified_radius(X[:3]).round(2)
    array([1.41, 1.25, 1.49])
    """
    encoder = encoder_of(deepcopy(classifier))
    Z = None if X is None else encoder.embed(X)
    if y is not None:
        y = _indices(y, encoder.classes)
    found = softmax_to_centroids(
        encoder.coef, encoder.intercept, Z, y, scale=scale, lift=lift
    )
    return CentroidView(found, encoder.classes, encoder)


def _indices(y, classes):
    """Place of every class among those of the classifier."""
    y = np.asarray(plain_labels(y))
    unknown = np.setdiff1d(y, classes)
    if unknown.size:
        raise ValueError(
            f"y contains classes that the classifier does not know: {unknown[:10]}."
        )
    return np.searchsorted(classes, y)
