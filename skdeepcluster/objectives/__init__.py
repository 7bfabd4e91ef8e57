"""What is minimised, and how centres and targets move; one file per loss family."""

from skdeepcluster.objectives._augmentation import SelfAugmentation
from skdeepcluster.objectives._balance import BalancedAssignment
from skdeepcluster.objectives._base import (
    Batch,
    ClusteringObjective,
    Objective,
    TensorSpec,
)
from skdeepcluster.objectives._centroid_head import (
    CentroidHead,
    bce_loss,
    centroid_logits,
    ct_loss,
    ga_loss,
)
from skdeepcluster.objectives._class_head import ClassHead, SoftmaxHead
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
from skdeepcluster.objectives._mutual_information import (
    MutualInformation,
    balanced_targets,
)
from skdeepcluster.objectives._reconstruction import (
    Denoising,
    LayerwiseReconstruction,
    Reconstruction,
)
from skdeepcluster.objectives._scatter import ScatterReduction, aligned, within_scatter
from skdeepcluster.objectives._soft_kmeans import SoftKMeans, annealing_schedule
from skdeepcluster.objectives._soft_regularized import SoftRegularizedKMeans
from skdeepcluster.objectives._softmax import SoftmaxClustering
from skdeepcluster.objectives._sparsity import GroupSparsity

__all__ = [
    "BalancedAssignment",
    "Batch",
    "CentroidHead",
    "ClassHead",
    "ClusterClassification",
    "ClusteringObjective",
    "Denoising",
    "GroupSparsity",
    "HardKMeans",
    "Hardening",
    "KMeansReadout",
    "LayerwiseReconstruction",
    "LocalityPreserving",
    "MutualInformation",
    "Objective",
    "Reconstruction",
    "RunningKMeans",
    "ScatterReduction",
    "SelfAugmentation",
    "SoftKMeans",
    "SoftRegularizedKMeans",
    "SoftmaxClustering",
    "SoftmaxHead",
    "TensorSpec",
    "aligned",
    "annealing_schedule",
    "balanced_targets",
    "bce_loss",
    "centroid_logits",
    "ct_loss",
    "ga_loss",
    "kl_divergence",
    "student_t_log_q",
    "target_distribution",
    "within_scatter",
]
