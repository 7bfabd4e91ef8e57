"""Deep clustering for people who think in scikit-learn."""

from skdeepcluster.deep import (
    DCJC,
    DCN,
    DEC,
    DEKM,
    IDEC,
    MIADM,
    CentroidClassifier,
    DeepClustering,
    DeepKMeans,
    SRKMeans,
)
from skdeepcluster.shallow import (
    ConsensusClustering,
    KernelKMeans,
    MatrixFactorizationKMeans,
    PathIntegralClustering,
    SpectralKMeans,
    SphericalKMeans,
    VonMisesFisherMixture,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "DCJC",
    "DCN",
    "DEC",
    "DEKM",
    "IDEC",
    "MIADM",
    "CentroidClassifier",
    "ConsensusClustering",
    "DeepClustering",
    "DeepKMeans",
    "KernelKMeans",
    "MatrixFactorizationKMeans",
    "PathIntegralClustering",
    "SRKMeans",
    "SpectralKMeans",
    "SphericalKMeans",
    "VonMisesFisherMixture",
    "__version__",
]
