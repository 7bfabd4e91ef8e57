"""Estimators without a network."""

from skdeepcluster.shallow._kernel_kmeans import KernelKMeans
from skdeepcluster.shallow._matrix_factorization import MatrixFactorizationKMeans
from skdeepcluster.shallow._spherical_kmeans import SphericalKMeans
from skdeepcluster.shallow._von_mises_fisher import VonMisesFisherMixture

__all__ = [
    "KernelKMeans",
    "MatrixFactorizationKMeans",
    "SphericalKMeans",
    "VonMisesFisherMixture",
]
