"""Theorems as functions: softmax is k-means, and mutual information is k-means.

Everything here is numpy in, numpy out, in float64, and short enough to be read beside
the formula. Nothing is trained.
"""

from skdeepcluster.theory._equivalence import (
    EquivalenceGap,
    equivalence_gap,
    posteriors_of_assignments,
    softmax_from_centers,
)
from skdeepcluster.theory._lipschitz import lipschitz_bound
from skdeepcluster.theory._margins import centroid_margin, softmax_margin
from skdeepcluster.theory._mutual_information import (
    auxiliary_assignments,
    mutual_information_loss,
    softmax_posteriors,
)
from skdeepcluster.theory._softmax import SoftmaxCentroids, softmax_to_centroids
from skdeepcluster.theory._sr_kmeans import (
    critical_temperature,
    sr_kmeans_assignments,
    sr_kmeans_centers,
    sr_kmeans_loss,
    sr_kmeans_loss_of_coef,
)
from skdeepcluster.theory._views import CentroidView, centroid_view

__all__ = [
    "CentroidView",
    "EquivalenceGap",
    "SoftmaxCentroids",
    "auxiliary_assignments",
    "centroid_margin",
    "centroid_view",
    "critical_temperature",
    "equivalence_gap",
    "lipschitz_bound",
    "mutual_information_loss",
    "posteriors_of_assignments",
    "softmax_from_centers",
    "softmax_margin",
    "softmax_posteriors",
    "softmax_to_centroids",
    "sr_kmeans_assignments",
    "sr_kmeans_centers",
    "sr_kmeans_loss",
    "sr_kmeans_loss_of_coef",
]
