"""Spectral clustering as what it is: spherical k-means of eigenvectors."""

from __future__ import annotations

from numbers import Integral

import torch

from skdeepcluster.graphs import SpectralEmbedding
from skdeepcluster.kmeans import fuzzy_memberships
from skdeepcluster.shallow._base import answer_dtype
from skdeepcluster.shallow._distances import cosine_distances
from skdeepcluster.shallow._graph_clusterer import GraphClusterer
from skdeepcluster.shallow._spherical_kmeans import SphericalKMeans
from skdeepcluster.utils._sklearn import Interval


class SpectralKMeans(GraphClusterer):
    r"""Spectral clustering: spherical k-means of the graph's leading eigenvectors.

    Rows are linked where one is among the `n_neighbors` nearest neighbours of the
    other. Of the normalised links :math:`D^{-1/2} W D^{-1/2}` the eigenvectors of the k
    largest eigenvalues are the columns of U; its rows, scaled to unit length, are
    clustered by :class:`SphericalKMeans`. See the :ref:`user guide <spectral>` for why
    the normalised cut of the graph is this very problem, with memberships relaxed.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, and of eigenvectors.
    n_neighbors : int, default=10
        Neighbours of each row in the graph, counted among different rows; all others
        where there are fewer.
    metric : {"euclidean", "cosine", "precomputed"}, default="euclidean"
        As in :class:`PathIntegralClustering`.
    neighbors : transformer, default=None
        As in :class:`PathIntegralClustering`.
    n_init : int, default=10
        Starts of the spherical k-means.
    device : str, default="auto"
        "auto" (cuda, then mps, then cpu) or the name of a torch device, for the
        products of the search. A fitted model can be used where that device does not
        exist.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts. The eigenvectors are found from a start of their own.
    verbose : int, default=0
        1 logs the steps of the fit to the logger ``"skdeepcluster"`` (to standard error
        if logging is not configured).

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each training row; equals ``predict(X)``.
    graph_labels_ : ndarray of shape (n_samples,)
        The same, -1 for rows of weight 0.
    eigenvalues_ : ndarray of shape (n_clusters,)
        The largest eigenvalues: 1 for each part of the graph that no link joins to the
        others. A gap after the last of them speaks for this number of clusters.
    cluster_centers_ : ndarray of shape (n_clusters, n_clusters)
        Unit centres in the space of the eigenvectors.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    PathIntegralClustering : Agglomerates along the paths of the same graph.
    sklearn.cluster.SpectralClustering : With other graphs; has no ``predict``.

    Notes
    -----
    New rows take their place among the eigenvectors by that of their neighbours
    (Nyström's extension), :math:`f(x) = \frac{1}{\lambda} \sum_j p_{xj} f_j`; a row
    that is equal to a training row has its place. A fitted model holds the different
    rows of X and `n_clusters` numbers of float64 for each.

    Where the graph has more parts than `n_clusters`, the parts are linked at their
    nearest rows.

    References
    ----------
    A. Y. Ng, M. I. Jordan and Y. Weiss, "On spectral clustering: analysis and an
    algorithm", NIPS 2001.

    Y. Bengio, J.-F. Paiement and P. Vincent, "Out-of-sample extensions for LLE, Isomap,
    MDS, eigenmaps, and spectral clustering", NIPS 2003.

    Examples
    --------
    >>> from sklearn.datasets import make_circles
    >>> from skdeepcluster import SpectralKMeans
    >>> X, y = make_circles(200, factor=0.4, noise=0.05, random_state=0)
    >>> model = SpectralKMeans(n_clusters=2, random_state=0).fit(X)
    >>> int(abs(model.labels_ - y).sum()) in (0, 200)
    True
    """

    _parameter_constraints: dict = {
        **GraphClusterer._parameter_constraints,
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        n_neighbors=10,
        metric="euclidean",
        neighbors=None,
        n_init=10,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.neighbors = neighbors
        self.n_init = n_init
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _partition(self, near, mass):
        graph = near.training_graph(self.n_neighbors)
        self._embedding = SpectralEmbedding.of(
            graph, self.n_clusters, mass, near.distances
        )
        self.eigenvalues_ = self._embedding.values
        kmeans = SphericalKMeans(
            self.n_clusters,
            n_init=self.n_init,
            device="cpu",
            random_state=self.random_state,
        )
        kmeans.fit(self._embedding.vectors, sample_weight=mass)
        self.cluster_centers_ = kmeans.cluster_centers_
        return kmeans.labels_

    def _learn_answers(self, labels, graph):
        super()._learn_answers(labels, graph)
        if len(labels) <= self.n_clusters:  # each row is a cluster of its own
            self._embedding = None

    def _proba(self, graph, X):
        if self._embedding is None:
            return super()._proba(graph, X)
        rows = self._embedding.rows_of(graph)
        distances = torch.from_numpy(cosine_distances(rows, self.cluster_centers_))
        return fuzzy_memberships(distances, 2.0).numpy().astype(answer_dtype(X))
