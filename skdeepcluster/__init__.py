"""Deep clustering for people who think in scikit-learn."""

from skdeepcluster.deep import DEC
from skdeepcluster.shallow import SphericalKMeans, VonMisesFisherMixture

__version__ = "0.1.0.dev0"

__all__ = ["DEC", "SphericalKMeans", "VonMisesFisherMixture", "__version__"]
