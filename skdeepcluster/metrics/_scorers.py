"""Scores of a fitted clusterer, for `scoring=` in searches that have no y."""

from dataclasses import dataclass
from functools import partial

import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.metrics._checks import check_parameters
from skdeepcluster.metrics._internal import (
    input_silhouette,
    knn_modularity_score,
    neighborhood_score,
)
from skdeepcluster.metrics._routing import RoutedScorer, takes_weights
from skdeepcluster.metrics._sampling import as_copies, check_sample_size, sampled


@takes_weights
def neighborhood_scorer(estimator, X, y=None, sample_weight=None):
    """Neighbourhood score of the clusters that an estimator predicts for X.

    To be passed as `scoring` to :class:`~sklearn.model_selection.GridSearchCV` and
    its kin. It works for every clusterer that predicts, needs no y, and is never an
    error for a single cluster. At most 2000 rows are predicted and scored, the same
    ones for every candidate.

    The neighbourhoods are those of the X that the search was given. For a pipeline
    that is the input of its first step, so candidates that scale or reduce the data
    differently are compared in one space. ``Pipeline.score``, in contrast, measures
    in the space that reaches the last step. To measure in another fixed space, see
    :func:`make_neighborhood_scorer`.

    Parameters
    ----------
    estimator : object
        Fitted clusterer, or pipeline that ends in one, with a `predict` method.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data to predict, at least 2 rows.

    y : None
        Ignored.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, see :func:`neighborhood_score`. With metadata routing,
        searches pass them to what ``set_score_request(sample_weight=True)`` returns.

    Returns
    -------
    score : float
        See :func:`neighborhood_score`. Greater is better.

    See Also
    --------
    make_neighborhood_scorer : The same with other settings or in another space.
    knn_modularity_scorer : Better where the number of clusters is fixed.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdeepcluster.metrics import neighborhood_scorer
    >>> X, _ = make_blobs(600, centers=4, cluster_std=0.6, random_state=0)
    >>> search = GridSearchCV(
    ...     KMeans(n_init=5, random_state=0),
    ...     {"n_clusters": [2, 3, 4, 5, 6]},
    ...     scoring=neighborhood_scorer,
    ...     cv=3,
    ... )
    >>> search.fit(X).best_params_
    {'n_clusters': 4}
    """
    return _score_predictions(
        estimator, X, neighborhood_score, sample_weight=sample_weight
    )


@takes_weights
def knn_modularity_scorer(estimator, X, y=None, sample_weight=None):
    """Nearest-neighbour modularity of the clusters that an estimator predicts for X.

    To be used like :func:`neighborhood_scorer`, where the number of clusters is fixed
    or the data have many features; otherwise it tends to choose too many clusters.

    Parameters
    ----------
    estimator : object
        Fitted clusterer, or pipeline that ends in one, with a `predict` method.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data to predict, at least 2 rows.

    y : None
        Ignored.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, see :func:`neighborhood_score`. With metadata routing,
        searches pass them to what ``set_score_request(sample_weight=True)`` returns.

    Returns
    -------
    score : float
        See :func:`knn_modularity_score`. Greater is better.

    See Also
    --------
    neighborhood_scorer : The mean of this and the silhouette.
    """
    return _score_predictions(
        estimator, X, knn_modularity_score, sample_weight=sample_weight
    )


@takes_weights
def input_silhouette_scorer(estimator, X, y=None, sample_weight=None):
    """Silhouette, in the space of X, of the clusters that an estimator predicts.

    To be used like :func:`neighborhood_scorer`. Unlike
    :func:`sklearn.metrics.silhouette_score` it is defined for every partition: a
    single cluster scores 0, and so do as many clusters as rows, where each sample is
    alone in its cluster and has the coefficient 0 by definition.

    Parameters
    ----------
    estimator : object
        Fitted clusterer, or pipeline that ends in one, with a `predict` method.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data to predict, at least 2 rows.

    y : None
        Ignored.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, see :func:`neighborhood_score`. With metadata routing,
        searches pass them to what ``set_score_request(sample_weight=True)`` returns.

    Returns
    -------
    score : float
        Mean silhouette coefficient, between -1 and 1. Greater is better.

    See Also
    --------
    neighborhood_scorer : The mean of this and the nearest-neighbour modularity.
    """
    return _score_predictions(
        estimator, X, input_silhouette, sample_weight=sample_weight
    )


def make_neighborhood_scorer(
    reference=None,
    *,
    n_neighbors=10,
    resolution=1.0,
    metric="euclidean",
    sample_size=2000,
    random_state=0,
):
    """Make a scorer that measures neighbourhoods in a space of your choice.

    Raw X may have no meaningful neighbours: pixels of natural images, texts, columns
    on incomparable scales. The scorer then measures in the space of a transformer
    that was fitted beforehand and is the same for all candidates.

    Parameters
    ----------
    reference : object, default=None
        Fitted transformer whose `transform` takes the X that the search is given to
        the space in which neighbourhoods mean something. It is not refitted. None
        measures in the space of X itself.

    n_neighbors : int, default=10
        Number of neighbours per sample.

    resolution : float, default=1.0
        Resolution of the modularity. Values above 1 favour more and smaller clusters.

    metric : {"euclidean", "cosine", "manhattan"}, default="euclidean"
        Distance between samples in the reference space.

    sample_size : int or None, default=2000
        At most that many rows are predicted and scored. None uses all.

    random_state : int, default=0
        Seed of the choice of rows. With an int all candidates see the same rows.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None, sample_weight=None)`` returns the
        :func:`neighborhood_score` of ``estimator.predict(X)``; it has
        ``set_score_request``, for metadata routing. It can be pickled if `reference`
        can, and so be sent to the workers of a search.

    Raises
    ------
    TypeError
        If `reference` has no `transform` method.

    sklearn.exceptions.NotFittedError
        If `reference` is an estimator that was not fitted.

    See Also
    --------
    neighborhood_scorer : The scorer with the default settings.

    Examples
    --------
    Two columns on different scales, and neighbourhoods on the scaled ones:

    >>> import numpy as np
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeepcluster.metrics import make_neighborhood_scorer
    >>> X, _ = make_blobs(300, centers=4, cluster_std=0.6, random_state=0)
    >>> X = X * [1.0, 1000.0]
    >>> scorer = make_neighborhood_scorer(StandardScaler().fit(X))
    >>> model = make_pipeline(StandardScaler(), KMeans(4, n_init=5, random_state=0))
    >>> round(scorer(model.fit(X), X), 2)
    0.7
    """
    check_parameters(n_neighbors, resolution, metric)
    check_sample_size(0, sample_size)
    if reference is not None:
        _check_reference(reference)
    return _NeighborhoodScorer(
        reference, n_neighbors, resolution, metric, sample_size, random_state
    )


@dataclass(frozen=True)
class _NeighborhoodScorer:
    """A scorer as an object of a module, which joblib workers can load."""

    reference: object
    n_neighbors: int
    resolution: float
    metric: str
    sample_size: int | None
    random_state: object

    def __call__(self, estimator, X, y=None, sample_weight=None):
        score = partial(
            neighborhood_score,
            n_neighbors=self.n_neighbors,
            resolution=self.resolution,
            metric=self.metric,
            sample_size=None,
        )
        return _score_predictions(
            estimator,
            X,
            score,
            self.reference,
            self.sample_size,
            self.random_state,
            sample_weight,
        )

    def set_score_request(self, *, sample_weight):
        """Scorer that asks for `sample_weight`, or not; this one stays as it is."""
        return RoutedScorer(self, sample_weight)

    def get_metadata_routing(self):
        """What is asked for, as scikit-learn's routers read it."""
        return RoutedScorer(self).get_metadata_routing()


def _score_predictions(
    estimator,
    X,
    score,
    reference=None,
    sample_size=2000,
    random_state=0,
    sample_weight=None,
):
    """Score the labels of a sample of the rows; no other row is predicted."""
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise TypeError(
            f"The scorer needs an estimator with a predict method. "
            f"{type(estimator).__name__} has none."
        )
    copies = as_copies(sample_weight, X)
    rows, copies = sampled(copies, _n_rows(X), sample_size, random_state)
    X = _take_rows(X, rows)
    labels = estimator.predict(X)
    X = X if reference is None else reference.transform(X)
    return score(X, labels, sample_weight=copies)


def _check_reference(reference):
    if not hasattr(reference, "transform"):
        raise TypeError(
            f"reference must have a transform method. "
            f"{type(reference).__name__} has none."
        )
    if hasattr(reference, "fit"):
        check_is_fitted(reference)


def _n_rows(X):
    if not hasattr(X, "shape") and not hasattr(X, "__len__"):
        raise TypeError(f"X should be an array-like of rows, got a {type(X).__name__}.")
    return X.shape[0] if hasattr(X, "shape") else len(X)


def _take_rows(X, rows):
    """Index the rows of an array, a sparse matrix, a data frame or a list."""
    if rows.size == _n_rows(X):
        return X
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if sp.issparse(X):
        return X.tocsr()[rows]
    if hasattr(X, "shape"):
        return X[rows]
    return [X[row] for row in rows]
