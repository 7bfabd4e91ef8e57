"""K-means itself: seeding, Lloyd's iteration and restarts, in pure PyTorch.

These files have k-means of tensors, for embeddings. Its relatives have folders:
`cosine`, on the dense and sparse rows of `matrices`; `means`, Euclidean or behind a
kernel; and the mixtures of `directional`.
"""

from skdeepcluster.kmeans._assignment import cluster_sums, nearest_center
from skdeepcluster.kmeans._kmeans import kmeans
from skdeepcluster.kmeans._lloyd import KMeansResult, lloyd
from skdeepcluster.kmeans._seeding import kmeans_plus_plus
from skdeepcluster.kmeans._soft import (
    SoftKMeansResult,
    soft_kmeans,
    soft_log_memberships,
    soft_means,
)
from skdeepcluster.kmeans.cosine import (
    ALGORITHMS,
    MiniBatch,
    Partition,
    Seeding,
    fuzzy_memberships,
    label_block,
    mini_batch_kmeans,
    nearest_by_cosine,
    spherical_kmeans,
    summarise,
)
from skdeepcluster.kmeans.matrices import as_matrix
from skdeepcluster.kmeans.means import binary_prox, simplex_projection

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
