"""What is minimised, and how centres and targets move; one file per loss family."""

from skdeepcluster.objectives._augmentation import SelfAugmentation
from skdeepcluster.objectives._balance import BalancedAssignment
from skdeepcluster.objectives._base import Batch, ClusteringObjective, Objective
from skdeepcluster.objectives._classification import ClusterClassification
from skdeepcluster.objectives._hard_kmeans import (
    HardKMeans,
    KMeansReadout,
    RunningKMeans,
)
from skdeepcluster.objectives._hardening import (
    Hardening,
    kl_divergence,
    student_t_log_q,
    target_distribution,
)
from skdeepcluster.objectives._locality import LocalityPreserving
from skdeepcluster.objectives._reconstruction import Denoising, Reconstruction
from skdeepcluster.objectives._scatter import ScatterReduction, aligned, within_scatter
from skdeepcluster.objectives._soft_kmeans import SoftKMeans, annealing_schedule
from skdeepcluster.objectives._sparsity import GroupSparsity

__all__ = [
    "BalancedAssignment",
    "Batch",
    "ClusterClassification",
    "ClusteringObjective",
    "Denoising",
    "GroupSparsity",
    "HardKMeans",
    "Hardening",
    "KMeansReadout",
    "LocalityPreserving",
    "Objective",
    "Reconstruction",
    "RunningKMeans",
    "ScatterReduction",
    "SelfAugmentation",
    "SoftKMeans",
    "aligned",
    "annealing_schedule",
    "kl_divergence",
    "student_t_log_q",
    "target_distribution",
    "within_scatter",
]
