"""Deep clustering for people who think in scikit-learn."""

from skdeepcluster.deep import (
    DCJC,
    DCN,
    DEC,
    DEKM,
    IDEC,
    DeepClustering,
    DeepKMeans,
)
from skdeepcluster.shallow import SphericalKMeans, VonMisesFisherMixture

__version__ = "0.1.0.dev0"

__all__ = [
    "DCJC",
    "DCN",
    "DEC",
    "DEKM",
    "IDEC",
    "DeepClustering",
    "DeepKMeans",
    "SphericalKMeans",
    "VonMisesFisherMixture",
    "__version__",
]
