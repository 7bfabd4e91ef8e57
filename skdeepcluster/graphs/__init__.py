"""Graphs of nearest neighbours, and the clusters that random walks on them find."""

from skdeepcluster.graphs._evidence import LINKAGES, Evidence, Shares
from skdeepcluster.graphs._neighbor_graph import NeighborGraph
from skdeepcluster.graphs._partition import (
    path_integral_clusters,
    path_integral_partition,
)
from skdeepcluster.graphs._spectral import SpectralEmbedding
from skdeepcluster.graphs._votes import NeighborVotes

__all__ = [
    "LINKAGES",
    "Evidence",
    "NeighborGraph",
    "NeighborVotes",
    "Shares",
    "SpectralEmbedding",
    "path_integral_clusters",
    "path_integral_partition",
]
