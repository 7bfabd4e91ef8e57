"""Estimators with a network, one published method per file."""

from skdeepcluster.deep._centroid_classifier import CentroidClassifier
from skdeepcluster.deep._custom import DeepClustering
from skdeepcluster.deep._dcjc import DCJC
from skdeepcluster.deep._dcn import DCN
from skdeepcluster.deep._dec import DEC
from skdeepcluster.deep._deep_kmeans import DeepKMeans
from skdeepcluster.deep._dekm import DEKM
from skdeepcluster.deep._idec import IDEC
from skdeepcluster.deep._mi_adm import MIADM
from skdeepcluster.deep._sr_kmeans import SRKMeans

__all__ = [
    "DCJC",
    "DCN",
    "DEC",
    "DEKM",
    "IDEC",
    "MIADM",
    "CentroidClassifier",
    "DeepClustering",
    "DeepKMeans",
    "SRKMeans",
]
