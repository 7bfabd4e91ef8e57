"""Estimators without a network."""

from skdeepcluster.shallow._spherical_kmeans import SphericalKMeans
from skdeepcluster.shallow._von_mises_fisher import VonMisesFisherMixture

__all__ = ["SphericalKMeans", "VonMisesFisherMixture"]
