"""Nearest neighbours of rows: exact, in bounded memory, whatever the order of rows."""

from skdeepcluster.neighbors._distinct import DistinctRows, distinct_rows, equal_rows
from skdeepcluster.neighbors._search import NeighborSearch, nearest_neighbors

__all__ = [
    "DistinctRows",
    "NeighborSearch",
    "distinct_rows",
    "equal_rows",
    "nearest_neighbors",
]
