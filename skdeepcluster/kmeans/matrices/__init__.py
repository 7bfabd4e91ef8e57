"""Rows of data for cosine k-means, and its centres: dense, sparse, or in shards."""

from skdeepcluster.kmeans.matrices._centers import (
    DenseCenters,
    SparseCenters,
    cancelled,
)
from skdeepcluster.kmeans.matrices._dense import float32_rounding, own_memory
from skdeepcluster.kmeans.matrices._matrix import Centers, Matrix, as_matrix
from skdeepcluster.kmeans.matrices._sharded import ShardedMatrix
from skdeepcluster.kmeans.matrices._sparse import SparseMatrix
from skdeepcluster.kmeans.matrices._unit_blocks import UnitBlocks, unit_blocks
from skdeepcluster.kmeans.matrices._unit_rows import UnitRows, raw_sums, unit_rows

__all__ = [
    "DenseCenters",
    "SparseCenters",
    "cancelled",
    "float32_rounding",
    "own_memory",
    "Centers",
    "Matrix",
    "as_matrix",
    "ShardedMatrix",
    "SparseMatrix",
    "UnitBlocks",
    "unit_blocks",
    "UnitRows",
    "raw_sums",
    "unit_rows",
]
