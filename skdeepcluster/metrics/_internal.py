"""Scores of a clustering that need no true labels."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from skdeepcluster.metrics._checks import check_parameters, encode_labels
from skdeepcluster.metrics._neighbors import modularity, scan_distances
from skdeepcluster.metrics._sampling import as_copies, sampled
from skdeepcluster.utils._forms import plain_rows


def knn_modularity_score(
    X,
    labels,
    *,
    n_neighbors=10,
    resolution=1.0,
    metric="euclidean",
    sample_size=2000,
    random_state=0,
    sample_weight=None,
):
    r"""Modularity of the clusters on the nearest-neighbour graph of the data.

    Two samples are joined by an edge if one is among the `n_neighbors` nearest
    neighbours of the other. The score is the share of the edges that lie within a
    cluster, minus the share expected if the edges were drawn at random with the same
    number of edges at every sample [1]_:

    .. math::

        Q = \frac{1}{m} \sum_{(i, j) \in E} [c_i = c_j]
            - \gamma \sum_c \left( \frac{d_c}{2 m} \right)^2

    with E the m edges, :math:`c_i` the cluster of sample i, :math:`d_c` the sum of
    the degrees of the samples in cluster c and :math:`\gamma` the resolution.

    Only the neighbourhoods of X matter, no latent space is involved. So the score can
    be compared over models, embedding sizes and, with care, numbers of clusters: on
    data of few features it prefers too many, which :func:`neighborhood_score` corrects.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data, in the space whose neighbourhoods are to be respected. At least 2
        rows. A sparse matrix is not made dense.

    labels : array-like of shape (n_samples,)
        Cluster of each sample, of any sortable kind. Every value is a cluster, -1 as
        well.

    n_neighbors : int, default=10
        Number of neighbours per sample, at least 1. Where there are not that many
        other samples, all of them are neighbours.

    resolution : float, default=1.0
        Weight of the expected share. Values above 1 favour more and smaller
        clusters.

    metric : {"euclidean", "cosine", "manhattan"}, default="euclidean"
        Distance between samples.

    sample_size : int or None, default=2000
        The score is computed on that many rows, chosen by :func:`sample_rows`, if
        there are more. None uses all rows; the time grows with their square.

    random_state : int, RandomState instance or None, default=0
        Seed of the choice of rows.

    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. A whole number counts as so many copies of the row: the
        score is that of :func:`numpy.repeat`, in which copies are neighbours of each
        other, and 0 leaves the row out. Of other weights only the ratios count. None
        counts each row once.

    Returns
    -------
    score : float
        Between -1/2 and 1 at ``resolution=1``. Greater is better; exactly 0 for a
        single cluster (``1 - resolution`` in general), close to 0 for random labels.

    Raises
    ------
    ValueError
        If X has fewer than 2 rows that count, is not finite or not numeric, if X and
        `labels` differ in length, or if a parameter is out of its range.

    See Also
    --------
    neighborhood_score : Mean of this score and the silhouette.
    knn_modularity_scorer : The same as a `scoring` of a grid search.

    Notes
    -----
    A score above 0 is no evidence of clusters: a partition of uniform noise into
    compact pieces respects its neighbourhoods too. Scores of fewer than about 300
    rows are noisy.

    Rows at equal distance share the last places among the neighbours evenly, with
    edges of fractional weight. So the order of the rows does not matter.

    References
    ----------
    .. [1] M. E. J. Newman and M. Girvan, "Finding and evaluating community structure
       in networks", Physical Review E 69, 2004.

    Examples
    --------
    Two triangles, far from each other:

    >>> from skdeepcluster.metrics import knn_modularity_score
    >>> X = [[0, 0], [0, 1], [1, 0], [8, 8], [8, 9], [9, 8]]
    >>> knn_modularity_score(X, [0, 0, 0, 1, 1, 1], n_neighbors=2)
    0.5
    >>> knn_modularity_score(X, [0, 0, 0, 0, 0, 0], n_neighbors=2)
    0.0
    """
    check_parameters(n_neighbors, resolution, metric)
    sampling = sample_size, random_state
    X, codes, copies = _check_sample(X, labels, *sampling, sample_weight)
    if codes.max() == 0:
        return 1.0 - float(resolution)
    graph, _ = scan_distances(X, metric, n_neighbors=n_neighbors, copies=copies)
    return modularity(graph, codes, resolution)


def neighborhood_score(
    X,
    labels,
    *,
    n_neighbors=10,
    resolution=1.0,
    metric="euclidean",
    sample_size=2000,
    random_state=0,
    sample_weight=None,
):
    r"""How well a partition respects the neighbourhoods of the data.

    The mean of two scores of the same labels on the same rows, both computed in the
    space of X:

    .. math::

        \frac{Q + S}{2}, \qquad
        S = \frac{1}{n} \sum_i \frac{b_i - a_i}{\max(a_i, b_i)}

    where Q is the modularity on the nearest-neighbour graph
    (:func:`knn_modularity_score`, [1]_) and S the mean silhouette [2]_:
    :math:`a_i` is the mean distance of sample i to the other samples of its cluster
    and :math:`b_i` that to the samples of the nearest other cluster. The two correct
    each other: Q alone prefers too many clusters on data of few features, S alone too
    few on noisy data of many features.

    This is **not the training objective** of any estimator. It measures whether the
    partition respects the neighbourhoods of the input. No latent space is involved,
    whose scale and dimension would decide the outcome, so the score can be compared
    over embedding sizes, numbers of clusters, seeds and methods. If raw X has no
    meaningful neighbours, as the pixels of natural images have not, pass embeddings
    of a frozen model instead. A good score does not prove that clusters exist.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data, in the space whose neighbourhoods are to be respected. At least 2
        rows. A sparse matrix is not made dense.

    labels : array-like of shape (n_samples,)
        Cluster of each sample, of any sortable kind. Every value is a cluster, -1 as
        well.

    n_neighbors : int, default=10
        Number of neighbours per sample, at least 1. Where there are not that many
        other samples, all of them are neighbours.

    resolution : float, default=1.0
        Resolution of the modularity. Values above 1 favour more and smaller clusters.

    metric : {"euclidean", "cosine", "manhattan"}, default="euclidean"
        Distance between samples.

    sample_size : int or None, default=2000
        The score is computed on that many rows, chosen by :func:`sample_rows`, if
        there are more. None uses all rows; the time grows with their square.

    random_state : int, RandomState instance or None, default=0
        Seed of the choice of rows.

    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. A whole number counts as so many copies of the row: the
        score is that of :func:`numpy.repeat`, in which copies are neighbours of each
        other, and 0 leaves the row out. Of other weights only the ratios count. None
        counts each row once.

    Returns
    -------
    score : float
        Between -3/4 and 1 at ``resolution=1``. Greater is better; exactly 0 for a
        single cluster, close to 0 for random labels.

    Raises
    ------
    ValueError
        If X has fewer than 2 rows that count, is not finite or not numeric, if X and
        `labels` differ in length, or if a parameter is out of its range.

    See Also
    --------
    knn_modularity_score : Q alone; better where the number of clusters is fixed.
    neighborhood_scorer : The same as a `scoring` of a grid search.
    sklearn.metrics.silhouette_score : S alone.

    Notes
    -----
    S counts as 0 for a single cluster and for as many clusters as rows, where
    :func:`sklearn.metrics.silhouette_score` raises an error.

    The score does not change if the labels are renamed or, without subsampling, the
    rows reordered. Scores of fewer than about 300 rows are noisy.

    References
    ----------
    .. [1] M. E. J. Newman and M. Girvan, "Finding and evaluating community structure
       in networks", Physical Review E 69, 2004.

    .. [2] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis", Journal of Computational and Applied
       Mathematics 20, 1987.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster.metrics import neighborhood_score
    >>> X, _ = make_blobs(300, centers=4, cluster_std=0.6, random_state=0)
    >>> for k in (2, 4, 8):
    ...     labels = KMeans(k, n_init=5, random_state=0).fit_predict(X)
    ...     print(k, round(neighborhood_score(X, labels), 2))
    2 0.46
    4 0.71
    8 0.54
    """
    check_parameters(n_neighbors, resolution, metric)
    sampling = sample_size, random_state
    X, codes, copies = _check_sample(X, labels, *sampling, sample_weight)
    if codes.max() == 0:
        return (1.0 - float(resolution)) / 2
    graph, silhouette = scan_distances(
        X, metric, n_neighbors=n_neighbors, codes=codes, copies=copies
    )
    return (modularity(graph, codes, resolution) + silhouette) / 2


def input_silhouette(X, labels, *, metric="euclidean", sample_weight=None):
    """Silhouette of the labels, 0 for a single cluster and for singletons only."""
    check_parameters(1, 1.0, metric)
    X, codes, copies = _check_sample(X, labels, None, None, sample_weight)
    if codes.max() == 0:
        return 0.0
    _, silhouette = scan_distances(X, metric, codes=codes, copies=copies)
    return silhouette


def _check_sample(X, labels, sample_size, random_state, sample_weight):
    """Validate the data and keep the rows to score, with labels 0..n_clusters-1.

    Beside them how many copies of each there are; None where there is one.
    """
    X = check_array(
        plain_rows(X),
        accept_sparse="csr",
        dtype="numeric",
        ensure_min_samples=0,
        input_name="X",
    )
    if sample_weight is None or X.shape[0] == 0:
        _check_two_rows(X)
    codes, _ = encode_labels(labels, "labels")
    check_consistent_length(X, codes)
    copies = as_copies(sample_weight, X)
    rows, copies = sampled(copies, X.shape[0], sample_size, random_state)
    if rows.size < codes.size:
        X, codes = X[rows], np.unique(codes[rows], return_inverse=True)[1]
    if copies is None:  # else there may be two copies of one row
        _check_two_rows(X)
    return X, codes, copies


def _check_two_rows(X):
    if X.shape[0] < 2:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) (shape={X.shape}) while a "
            "minimum of 2 is required by the score, which compares neighbours."
        )
