"""K-means for the cosine: exact, with and without bounds, fuzzy, or in mini-batches."""

from skdeepcluster.kmeans.cosine._assignment import label_block, nearest_by_cosine
from skdeepcluster.kmeans.cosine._fuzzy import fuzzy_memberships
from skdeepcluster.kmeans.cosine._kmeans import (
    ALGORITHMS,
    mini_batch_kmeans,
    spherical_kmeans,
    summarise,
)
from skdeepcluster.kmeans.cosine._mini_batch import MiniBatch
from skdeepcluster.kmeans.cosine._partition import Partition
from skdeepcluster.kmeans.cosine._seeding import Seeding

__all__ = [
    "label_block",
    "nearest_by_cosine",
    "fuzzy_memberships",
    "ALGORITHMS",
    "mini_batch_kmeans",
    "spherical_kmeans",
    "summarise",
    "MiniBatch",
    "Partition",
    "Seeding",
]
