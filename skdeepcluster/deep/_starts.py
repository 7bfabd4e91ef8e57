"""First labels of the clustering phase, as `init` says."""

from __future__ import annotations

from sklearn.base import clone

from skdeepcluster.graphs import path_integral_partition


def start_of(init, n_clusters):
    """What gives the first labels of an embedding; None for k-means.

    Parameters
    ----------
    init : {"k-means", "graph"} or clusterer
    n_clusters : int

    Returns
    -------
    start : callable or None
        ``start(z, seed)``: labels (n,) of the embedding `z`, (n, d).
    """
    if isinstance(init, type):
        raise TypeError(
            "The 'init' parameter must be 'k-means', 'graph' or an instance of a "
            f"clusterer, such as {init.__name__}(), not the class {init.__name__}."
        )
    if isinstance(init, str):
        return None if init == "k-means" else _GraphStart(n_clusters)
    return _ClustererStart(init, n_clusters)


class _GraphStart:
    """First labels from the graph of nearest neighbours."""

    def __init__(self, n_clusters):
        self.n_clusters = n_clusters

    def __call__(self, z, seed):
        """Labels of the embedding `z`; nothing is drawn."""
        return path_integral_partition(z, self.n_clusters)


class _ClustererStart:
    """First labels from a clusterer of scikit-learn's kind."""

    def __init__(self, clusterer, n_clusters):
        self.clusterer = clusterer
        self.n_clusters = n_clusters

    def __call__(self, z, seed):
        """Labels of the embedding `z`."""
        clusterer = clone(self.clusterer)
        params = clusterer.get_params(deep=False)
        if "n_clusters" in params:
            clusterer.set_params(n_clusters=self.n_clusters)
        if "random_state" in params and params["random_state"] is None:
            clusterer.set_params(random_state=seed)
        return clusterer.fit_predict(z)
