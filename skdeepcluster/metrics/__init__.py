"""Scores of clusterings, with and without true labels."""

from skdeepcluster.metrics._external import clustering_accuracy
from skdeepcluster.metrics._internal import (
    knn_modularity_score,
    neighborhood_score,
)
from skdeepcluster.metrics._sampling import sample_rows
from skdeepcluster.metrics._scorers import (
    input_silhouette_scorer,
    knn_modularity_scorer,
    make_neighborhood_scorer,
    neighborhood_scorer,
)

__all__ = [
    "clustering_accuracy",
    "input_silhouette_scorer",
    "knn_modularity_score",
    "knn_modularity_scorer",
    "make_neighborhood_scorer",
    "neighborhood_score",
    "neighborhood_scorer",
    "sample_rows",
]
