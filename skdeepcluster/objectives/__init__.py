"""What is minimised, and how centres and targets move; one file per loss family."""

from skdeepcluster.objectives._base import Batch, ClusteringObjective, Objective
from skdeepcluster.objectives._hardening import (
    Hardening,
    kl_divergence,
    student_t_log_q,
    target_distribution,
)
from skdeepcluster.objectives._reconstruction import Reconstruction

__all__ = [
    "Batch",
    "ClusteringObjective",
    "Hardening",
    "Objective",
    "Reconstruction",
    "kl_divergence",
    "student_t_log_q",
    "target_distribution",
]
