"""Clusters of rows that short paths lead to and fro."""

from __future__ import annotations

from skdeepcluster.graphs import path_integral_clusters
from skdeepcluster.shallow._graph_clusterer import GraphClusterer


class PathIntegralClustering(GraphClusterer):
    r"""Agglomerative clustering by path integrals on the nearest-neighbour graph.

    Each row walks to its `n_neighbors` nearest neighbours with the same probability,
    :math:`p_{ij} = 1 / K`. Groups begin as rows with their nearest neighbour, and again
    and again the two groups are merged that lead most into each other and back,

    .. math::
        A_{ab} = \frac{1^\top P_{ab} P_{ba} 1}{|a|^2}
               + \frac{1^\top P_{ba} P_{ab} 1}{|b|^2} ,

    the incremental path integral (equations 6 and 7 of Zhang, Zhao and Wang) in its
    limit of a small discount. Nothing is drawn at random and no length is to be
    chosen. On images and other data in which clusters are connected rather than round
    it is far better than k-means; on sparse texts and on tables without clusters it is
    worse: see the :ref:`user guide <path_integral>`.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    n_neighbors : int, default=20
        Neighbours of each row in the graph, counted among different rows; all others
        where there are fewer.
    metric : {"euclidean", "cosine", "precomputed"}, default="euclidean"
        Distance between rows. With "precomputed" `fit` takes the distances of the
        training rows to each other, or a sparse graph of those that are known, and
        `predict` the distances of new rows to the training rows.
    neighbors : transformer, default=None
        Finds the neighbours instead of the exact search: an object like
        :class:`~sklearn.neighbors.KNeighborsTransformer`, whose ``transform`` gives a
        sparse matrix of distances to the rows it was fitted on; for instance an index
        of approximate neighbours, for more rows than can be compared pair by pair. It
        is cloned, and fitted on the different rows of X.
    device : str, default="auto"
        "auto" (cuda, then mps, then cpu) or the name of a torch device, for the
        products of the search. A fitted model can be used where that device does not
        exist.
    verbose : int, default=0
        1 logs the steps of the fit to the logger ``"skdeepcluster"`` (to standard error
        if logging is not configured).

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training row; equals ``predict(X)``.
    graph_labels_ : ndarray of shape (n_samples,)
        The clusters as they were merged, before each row was asked for its neighbours'
        (-1 for rows of weight 0). `labels_` differs from it for rows at the border of
        two clusters.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    SphericalKMeans : For texts and embeddings.
    sklearn.cluster.AgglomerativeClustering : Merges by distances.

    Notes
    -----
    A fitted model holds the different rows of X, in X's dtype, to find the neighbours
    of new ones; with ``metric="precomputed"`` none.

    The search compares all pairs of rows, so its time grows with the square of their
    number; merging takes about as many steps as there are rows.

    References
    ----------
    W. Zhang, D. Zhao and X. Wang, "Agglomerative clustering via maximum incremental
    path integral", Pattern Recognition 46, 2013.

    W. Zhang, X. Wang, D. Zhao and X. Tang, "Graph degree linkage: agglomerative
    clustering on a directed graph", ECCV 2012.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skdeepcluster import PathIntegralClustering
    >>> X, y = make_moons(200, noise=0.05, random_state=0)
    >>> model = PathIntegralClustering(n_clusters=2).fit(X)
    >>> int(abs(model.labels_ - y).sum()) in (0, 200)
    True
    """

    def __init__(
        self,
        n_clusters=8,
        *,
        n_neighbors=20,
        metric="euclidean",
        neighbors=None,
        device="auto",
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.neighbors = neighbors
        self.device = device
        self.verbose = verbose

    def _partition(self, near, mass):
        return path_integral_clusters(
            near.training_graph(self.n_neighbors),
            self.n_clusters,
            mass=mass,
            distances=near.distances,
        )
