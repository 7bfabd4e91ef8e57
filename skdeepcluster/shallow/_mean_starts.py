"""Starts of k-means in any space, as the `init` of an estimator says."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils import check_array

from skdeepcluster.kmeans.means import PointSeeding
from skdeepcluster.shallow._starts import given_centers
from skdeepcluster.utils._forms import plain_numbers


def center_starts(init, n_clusters, X, points, streams, exponent):
    """Function that gives the centres of a start, and when called again the next.

    Parameters
    ----------
    init : str, array-like or callable
    n_clusters : int
    X : ndarray or CSR matrix of shape (n, d)
        What a callable gets.
    points : EuclideanPoints
        The same rows, over ``2 ** exponent``.
    streams : RandomStreams
    exponent : int

    Returns
    -------
    start : callable
    """
    if isinstance(init, str):
        seeding = PointSeeding(points, streams.generator("kmeans"))
        return lambda: points.rows.gather(seeding.draw(init, n_clusters))
    given = given_centers(init, n_clusters, X, streams)
    return lambda: torch.from_numpy(np.ldexp(given(), -exponent))


def label_starts(init, n_clusters, points, streams, keep):
    """Function that gives the labels of a start, and when called again the next.

    Parameters
    ----------
    init : str or array-like
    n_clusters : int
    points : KernelPoints
    streams : RandomStreams
    keep : ndarray of shape (n_samples,), bool
        Which of the samples, that labels are given for, the points are.

    Returns
    -------
    start : callable
    """
    if isinstance(init, str):
        seeding = PointSeeding(points, streams.generator("kmeans"))
        return lambda: points.nearest_of(seeding.draw(init, n_clusters))
    labels = plain_numbers(init, "init")
    if labels.shape != keep.shape:
        raise ValueError(
            f"The initial labels should have shape (n_samples,) = ({len(keep)},), "
            f"got {labels.shape}."
        )
    labels = check_array(labels, ensure_2d=False, input_name="init")
    return lambda: torch.from_numpy(check_labels(labels, n_clusters)[keep])


def check_labels(labels, n_clusters):
    """Labels as whole numbers, in range.

    Parameters
    ----------
    labels : ndarray of shape (n,)
    n_clusters : int

    Returns
    -------
    labels : ndarray of shape (n,), int64
    """
    whole = labels.astype(np.int64)
    if (whole != labels).any() or whole.min() < 0 or whole.max() >= n_clusters:
        raise ValueError(
            f"Labels should be whole numbers from 0 to n_clusters - 1 = "
            f"{n_clusters - 1}, got {labels.min():g} to {labels.max():g}; -1, as of "
            "noise, is not accepted."
        )
    return whole
