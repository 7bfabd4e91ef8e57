"""Von Mises-Fisher distributions and their mixtures."""

from skdeepcluster.kmeans.directional._concentration import MAX_CONCENTRATION
from skdeepcluster.kmeans.directional._estimation import MixtureModel, fit_mixture
from skdeepcluster.kmeans.directional._mixture import (
    VonMisesFisherParameters,
    infer_mixture,
)
from skdeepcluster.kmeans.directional._sampling import sample_von_mises_fisher

__all__ = [
    "MAX_CONCENTRATION",
    "MixtureModel",
    "fit_mixture",
    "VonMisesFisherParameters",
    "infer_mixture",
    "sample_von_mises_fisher",
]
