"""Clustering losses by name, and the objectives of a phase from what a user wrote."""

from __future__ import annotations

import copy

from skdeepcluster.objectives import (
    BalancedAssignment,
    ClusterClassification,
    ClusteringObjective,
    GroupSparsity,
    Hardening,
    HardKMeans,
    KMeansReadout,
    LocalityPreserving,
    MutualInformation,
    Objective,
    RunningKMeans,
    ScatterReduction,
    SoftKMeans,
)
from skdeepcluster.utils._numbers import is_real

# Name -> (n_clusters, n_init) -> loss that assigns rows to clusters.
CLUSTERINGS = {
    "hardening": lambda k, n_init: Hardening(k, n_init=n_init),
    "soft_kmeans": lambda k, n_init: SoftKMeans(k, n_init=n_init),
    "hard_kmeans": lambda k, n_init: HardKMeans(k, n_init),
    "running_kmeans": lambda k, n_init: RunningKMeans(k, n_init),
    "scatter": lambda k, n_init: ScatterReduction(k, n_init),
    "classification": lambda k, n_init: ClusterClassification(k, n_init),
    "mutual_information": lambda k, n_init: MutualInformation(k, n_init=n_init),
}
# Name -> (n_clusters, loss that assigns) -> loss that does not.
COMPANIONS = {
    "balance": lambda k, clustering: BalancedAssignment(clustering),
    "locality": lambda k, clustering: LocalityPreserving(),
    "group_sparsity": lambda k, clustering: GroupSparsity(k),
}
NAMES = frozenset([*CLUSTERINGS, *COMPANIONS])


def as_tuple(losses):
    """Losses as a tuple, whatever a user passed."""
    if losses is None:
        return ()
    return tuple(losses) if isinstance(losses, tuple | list) else (losses,)


def _assigns(loss):
    """Whether a loss, or the one of a name, assigns rows to clusters."""
    named = isinstance(loss, str) and loss in CLUSTERINGS
    return named or isinstance(loss, ClusteringObjective)


def _made(loss, n_clusters, n_init):
    """A loss that assigns rows, made where it is a name."""
    return CLUSTERINGS[loss](n_clusters, n_init) if isinstance(loss, str) else loss


def _assigning(losses):
    """The loss that assigns rows, made where it is a name; k-means where none does."""
    found = filter(_assigns, as_tuple(losses))
    return _made(next(found, KMeansReadout(1)), 1, 1)


def is_soft(losses):
    """Whether the loss that assigns rows has soft assignments."""
    return _assigning(losses).is_soft


def takes_nearest(losses):
    """Whether the loss that assigns rows gives them to the nearest centre."""
    return _assigning(losses).takes_nearest


def build_losses(losses, weights, n_clusters, n_init):
    """Objectives of a phase, with their weights.

    Parameters
    ----------
    losses : str, Objective, tuple of these, or None
    weights : float or tuple of float
        One for all, or one for each.
    n_clusters, n_init : int

    Returns
    -------
    objectives : dict of Objective to float
        Exactly one of them is a ClusteringObjective; where none was asked for, one that
        adds nothing.
    """
    losses = copy.deepcopy(as_tuple(losses))  # at once: they may share parts
    weights = _as_weights(weights, len(losses))
    _check(losses, n_clusters)
    assigning = next(filter(_assigns, losses), None)
    clustering = None if assigning is None else _made(assigning, n_clusters, n_init)
    _check_balanced(losses, clustering)
    objectives = {}
    for loss, weight in zip(losses, weights, strict=True):
        if loss is assigning:
            objectives[clustering] = weight
        elif isinstance(loss, str):
            objectives[_companion(loss, n_clusters, clustering)] = weight
        else:
            objectives[loss] = weight
    if clustering is None:
        objectives[KMeansReadout(n_clusters, n_init)] = 1.0
    return objectives


def _companion(name, n_clusters, clustering):
    if name == "balance" and (clustering is None or not clustering.is_soft):
        raise ValueError(
            "The clustering loss 'balance' needs one with soft assignments beside it, "
            f"such as 'hardening'. Got {name!r} with "
            f"{type(clustering).__name__ if clustering else 'none'}."
        )
    return COMPANIONS[name](n_clusters, clustering)


def _check_balanced(losses, clustering):
    for loss in losses:
        if isinstance(loss, BalancedAssignment) and loss.clustering is not clustering:
            raise ValueError(
                "A BalancedAssignment in 'clustering_loss' must balance the clustering "
                "loss beside it: pass (loss, BalancedAssignment(loss)). Got one of "
                f"another {type(loss.clustering).__name__}."
            )


def _as_weights(weights, n_losses):
    if is_real(weights):
        return (float(weights),) * n_losses
    weights = tuple(weights) if isinstance(weights, tuple | list) else (weights,)
    if len(weights) != n_losses or not all(is_real(w) and w >= 0 for w in weights):
        raise ValueError(
            "The 'clustering_weight' parameter must be a non-negative number, or a "
            f"tuple with one for each of the {n_losses} clustering losses. "
            f"Got {weights!r}."
        )
    return weights


def _check(losses, n_clusters):
    for loss in losses:
        named = isinstance(loss, str) and loss in NAMES
        if not (named or isinstance(loss, Objective)):
            raise ValueError(
                "The 'clustering_loss' parameter must be None, a name of "
                f"{sorted(NAMES)}, an Objective, or a tuple of these. Got {loss!r}."
            )
    if len({id(loss) for loss in losses}) < len(losses):
        raise ValueError(f"The clustering losses must be distinct. Got {losses!r}.")
    assigning = list(filter(_assigns, losses))
    if len(assigning) > 1:
        raise ValueError(
            "Only one of the clustering losses may assign rows to clusters. "
            f"Got {losses!r}."
        )
    size = getattr(assigning[0], "n_clusters", n_clusters) if assigning else n_clusters
    if size != n_clusters:
        raise ValueError(
            f"n_clusters={n_clusters} conflicts with the clustering loss, which has "
            f"n_clusters={size}."
        )
