"""K-means as a partition with its means, in Euclidean space or behind a kernel."""

from skdeepcluster.kmeans.means._content import content_rank
from skdeepcluster.kmeans.means._euclidean import EuclideanPoints
from skdeepcluster.kmeans.means._euclidean_rows import as_rows
from skdeepcluster.kmeans.means._factorization import SOLVERS, factorize
from skdeepcluster.kmeans.means._kernel import (
    KERNEL_SOLVERS,
    KernelPoints,
    kernel_kmeans,
)
from skdeepcluster.kmeans.means._palm import binary_prox, simplex_projection
from skdeepcluster.kmeans.means._seeding import METHODS, PointSeeding
from skdeepcluster.kmeans.means._twins import first_twins

__all__ = [
    "content_rank",
    "EuclideanPoints",
    "as_rows",
    "SOLVERS",
    "factorize",
    "KERNEL_SOLVERS",
    "KernelPoints",
    "kernel_kmeans",
    "binary_prox",
    "simplex_projection",
    "METHODS",
    "PointSeeding",
    "first_twins",
]
