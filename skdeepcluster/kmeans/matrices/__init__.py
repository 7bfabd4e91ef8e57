"""Rows of data for cosine k-means, and its centres: dense, sparse, or in shards."""

from skdeepcluster.kmeans.matrices._matrix import Centers, Matrix, as_matrix
from skdeepcluster.kmeans.matrices._sharded import ShardedMatrix
from skdeepcluster.kmeans.matrices._unit_blocks import unit_blocks

__all__ = [
    "Centers",
    "Matrix",
    "ShardedMatrix",
    "as_matrix",
    "unit_blocks",
]
