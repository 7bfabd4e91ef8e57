"""Scores of a clustering against known classes."""

import math

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_consistent_length

from skdeepcluster.metrics._checks import encode_labels
from skdeepcluster.utils._forms import plain_numbers


def clustering_accuracy(labels_true, labels_pred, *, sample_weight=None):
    r"""Share of samples that the best one-to-one naming of the clusters gets right.

    Every cluster is given the name of at most one class, and every class to at most
    one cluster, so that as many samples as possible carry the name of their own
    class:

    .. math::

        \mathrm{ACC} = \max_{\pi} \frac{\sum_i w_i \, [y_i = \pi(c_i)]}{\sum_i w_i}

    with :math:`y_i` the class, :math:`c_i` the cluster and :math:`w_i` the weight of
    sample i. The maximum over the one-to-one maps :math:`\pi` is found exactly, by
    the assignment method [1]_. The numbers of clusters and of classes may differ: the
    samples of a cluster that is left without a class count as wrong. This is the
    "unsupervised clustering accuracy" of the deep clustering literature [2]_.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Class of each sample: integers, strings or anything that can be sorted. Every
        value is a class, -1 as well.

    labels_pred : array-like of shape (n_samples,)
        Cluster of each sample, of any kind too. The number -1 says "no cluster" (the
        noise label of :class:`~sklearn.cluster.DBSCAN`): it is matched with no class
        and its samples count as wrong.

    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights. None weighs all samples alike.

    Returns
    -------
    accuracy : float
        Between 0 and 1. Greater is better, and 1 means that clusters and classes are
        the same up to their names.

    Raises
    ------
    ValueError
        If the inputs differ in length, are empty, not one-dimensional or contain
        missing values, or if the weights are negative, not finite or all zero.

    See Also
    --------
    sklearn.metrics.adjusted_rand_score : Corrected for chance.
    sklearn.metrics.normalized_mutual_info_score : From information theory.
    skdeepcluster.metrics.neighborhood_score : Needs no true labels.

    Notes
    -----
    The score is symmetric in its two arguments (but for -1) and does not depend on
    the values of the labels. It is not corrected for chance: a single cluster scores
    the share of the largest class. A table of n_classes x n_clusters numbers is held
    in memory.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian method for the assignment problem", Naval
       Research Logistics Quarterly 2, 1955.

    .. [2] J. Xie, R. Girshick and A. Farhadi, "Unsupervised deep embedding for
       clustering analysis", ICML 2016, equation 10.

    Examples
    --------
    >>> from skdeepcluster.metrics import clustering_accuracy
    >>> clustering_accuracy(["a", "a", "b", "b"], [1, 1, 0, 0])
    1.0

    Three clusters, two classes:

    >>> clustering_accuracy([0, 0, 1, 1, 1], [1, 1, 0, 0, 2])
    0.8
    """
    classes, class_values = encode_labels(labels_true, "labels_true")
    clusters, cluster_values = encode_labels(labels_pred, "labels_pred")
    weight = _check_weight(sample_weight, classes.size)
    check_consistent_length(classes, clusters, weight)
    if classes.size == 0:
        raise ValueError("labels_true must hold at least 1 label. Got n_samples=0.")

    shape = (class_values.size, cluster_values.size)
    cells = np.ravel_multi_index((classes, clusters), shape)
    table = np.bincount(cells, weights=weight, minlength=math.prod(shape))
    table = table.reshape(shape)
    named = table[:, ~_is_noise(cluster_values)]
    matched = named[linear_sum_assignment(named, maximize=True)]
    # fsum is exact, so a perfect clustering scores 1.0 whatever the weights.
    return math.fsum(matched) / math.fsum(table.ravel())


def _is_noise(values):
    """Say which of the predicted labels is the number -1."""
    if values.dtype.kind not in "ifO":
        return np.zeros(values.shape, dtype=bool)
    return values == -1


def _check_weight(sample_weight, n_samples):
    """Weights as float64, the largest one being 1."""
    if sample_weight is None:
        return np.ones(n_samples)
    weight = plain_numbers(sample_weight, "sample_weight")
    if weight.ndim != 1:
        raise ValueError(
            f"sample_weight must be 1d. Got an array of shape {weight.shape} instead."
        )
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight must be finite. Got NaN or infinity.")
    if (weight < 0).any():
        raise ValueError(f"sample_weight must be non-negative. Got {weight.min()}.")
    if weight.size and not weight.any():
        raise ValueError("sample_weight must not be zero for all samples.")
    # Guards the sums against overflow.
    return weight / weight.max() if weight.size else weight
