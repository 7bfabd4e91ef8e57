"""K-means itself: seeding, Lloyd's iteration and restarts, in pure PyTorch."""

from skdeepcluster.kmeans._assignment import cluster_sums, nearest_center
from skdeepcluster.kmeans._kmeans import kmeans
from skdeepcluster.kmeans._lloyd import KMeansResult, lloyd
from skdeepcluster.kmeans._seeding import kmeans_plus_plus

__all__ = [
    "KMeansResult",
    "cluster_sums",
    "kmeans",
    "kmeans_plus_plus",
    "lloyd",
    "nearest_center",
]
