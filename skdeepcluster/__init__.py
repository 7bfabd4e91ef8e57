"""Deep clustering for people who think in scikit-learn."""

from skdeepcluster.deep import DEC

__version__ = "0.1.0.dev0"

__all__ = ["DEC", "__version__"]
