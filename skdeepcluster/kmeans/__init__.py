"""K-means itself: seeding, Lloyd's iteration and restarts, in pure PyTorch.

Euclidean, for the embeddings of deep methods, and for the cosine, dense and sparse.
"""

from skdeepcluster.kmeans._assignment import cluster_sums, nearest_center
from skdeepcluster.kmeans._cosine_assignment import label_block, nearest_by_cosine
from skdeepcluster.kmeans._cosine_kmeans import (
    ALGORITHMS,
    mini_batch_kmeans,
    spherical_kmeans,
    summarise,
)
from skdeepcluster.kmeans._cosine_seeding import Seeding
from skdeepcluster.kmeans._fuzzy import fuzzy_memberships
from skdeepcluster.kmeans._kmeans import kmeans
from skdeepcluster.kmeans._lloyd import KMeansResult, lloyd
from skdeepcluster.kmeans._matrix import as_matrix
from skdeepcluster.kmeans._mini_batch import MiniBatch
from skdeepcluster.kmeans._palm import binary_prox, simplex_projection
from skdeepcluster.kmeans._seeding import kmeans_plus_plus
from skdeepcluster.kmeans._soft import (
    SoftKMeansResult,
    soft_kmeans,
    soft_log_memberships,
    soft_means,
)
from skdeepcluster.kmeans._spherical import Partition

__all__ = [
    "ALGORITHMS",
    "KMeansResult",
    "MiniBatch",
    "Partition",
    "Seeding",
    "SoftKMeansResult",
    "as_matrix",
    "binary_prox",
    "cluster_sums",
    "fuzzy_memberships",
    "kmeans",
    "kmeans_plus_plus",
    "label_block",
    "lloyd",
    "mini_batch_kmeans",
    "nearest_by_cosine",
    "nearest_center",
    "simplex_projection",
    "soft_kmeans",
    "soft_log_memberships",
    "soft_means",
    "spherical_kmeans",
    "summarise",
]
