"""Estimators without a network."""

from skdeepcluster.shallow._consensus import ConsensusClustering
from skdeepcluster.shallow._kernel_kmeans import KernelKMeans
from skdeepcluster.shallow._matrix_factorization import MatrixFactorizationKMeans
from skdeepcluster.shallow._path_integral import PathIntegralClustering
from skdeepcluster.shallow._spectral_kmeans import SpectralKMeans
from skdeepcluster.shallow._spherical_kmeans import SphericalKMeans
from skdeepcluster.shallow._von_mises_fisher import VonMisesFisherMixture

__all__ = [
    "ConsensusClustering",
    "KernelKMeans",
    "MatrixFactorizationKMeans",
    "PathIntegralClustering",
    "SpectralKMeans",
    "SphericalKMeans",
    "VonMisesFisherMixture",
]
