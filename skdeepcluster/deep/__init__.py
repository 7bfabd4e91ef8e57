"""Estimators with a network, one published method per file."""

from skdeepcluster.deep._dec import DEC

__all__ = ["DEC"]
