"""Graphs of nearest neighbours, and the clusters that random walks on them find."""

from skdeepcluster.graphs._partition import path_integral_partition

__all__ = ["path_integral_partition"]
