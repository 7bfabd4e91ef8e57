"""First labels of the clustering phase, as `init` says."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from skdeepcluster.graphs import path_integral_partition
from skdeepcluster.utils._forms import plain


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
    if not isinstance(init, str) and not hasattr(init, "get_params"):
        raise TypeError(
            "The 'init' parameter must be 'k-means', 'graph' or a clusterer that can "
            f"be cloned, with get_params and set_params. Got a {type(init).__name__}."
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
        # Mixtures count components; beside n_clusters these are something else.
        for name in ("n_clusters", "n_components"):
            if name in params:
                clusterer.set_params(**{name: self.n_clusters})
                break
        if "random_state" in params and params["random_state"] is None:
            clusterer.set_params(random_state=seed)
        labels = np.asarray(plain(clusterer.fit_predict(z), "labels"))
        return self._checked(labels, len(z))

    def _checked(self, labels, n_samples):
        """Labels 0..k-1, whatever numbers the clusters had, or what is wrong."""
        name, k = type(self.clusterer).__name__, self.n_clusters
        if labels.shape != (n_samples,) or labels.dtype.kind not in "iu":
            raise ValueError(
                "The clusterer passed as 'init' should give an integer for each of the "
                f"{n_samples} rows, got an array of shape {labels.shape} and dtype "
                f"{labels.dtype} from {name}."
            )
        n_noise = int((labels < 0).sum())
        found, codes = np.unique(labels[labels >= 0], return_inverse=True)
        if n_noise:
            raise ValueError(
                "The clusterer passed as 'init' should give every row one of "
                f"n_clusters={k} clusters; {labels.min()}, the label of noise, is not "
                f"accepted. Got it for {n_noise} of {n_samples} rows, and "
                f"{len(found)} clusters, from {name}."
            )
        if len(found) != k:
            raise ValueError(
                f"The first labels should have rows in all {k} clusters, got rows in "
                f"{len(found)}: the clusterer passed as 'init', {name}, found "
                f"{len(found)} clusters where n_clusters={k}."
            )
        return codes
