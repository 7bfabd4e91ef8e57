"""What a warm start goes on from: the fit before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from skdeepcluster.deep._pretrained import trainable_copy
from skdeepcluster.engine import Pretraining, Scaling
from skdeepcluster.objectives import ClusteringObjective


@dataclass(frozen=True, eq=False)
class LastFit:
    """A fitted clusterer, for its next fit.

    Parameters
    ----------
    scaling : Scaling
    network : nn.Module
    learning : frozenset of str
        Names of the network's parameters that learn.
    objective : ClusteringObjective
        With its centres, on the CPU.
    pretrained_epochs : int
        Epochs of pretraining that the network has had.
    """

    scaling: Scaling
    network: nn.Module
    learning: frozenset
    objective: ClusteringObjective
    pretrained_epochs: int

    @classmethod
    def of(cls, estimator):
        """The last fit of a clusterer; None where the next one begins anew."""
        if not estimator.warm_start or not hasattr(estimator, "module_"):
            return None
        return cls(
            estimator._scaling,
            estimator.module_,
            estimator._learning,
            estimator.objective_,
            estimator._pretrained_epochs,
        )

    def pretraining(self, kind, asked, epochs):
        """Kind and epochs of what is left of a pretraining of `epochs`.

        Where it was `asked` for with "auto", that is all or nothing: the same steps are
        other numbers of epochs for other rows.
        """
        had = self.pretrained_epochs
        left = 0 if had and asked == "auto" else max(0, epochs - had)
        return ("end_to_end" if had else kind), left

    def copy_network(self, n_features, embedding_size):
        """Scaling and network; the network is a copy that learns as this one did."""
        owner = "warm_start=True, which goes on with the network of the last fit"
        size = n_features, embedding_size
        return self.scaling, trainable_copy(self.network, *size, owner, self.learning)

    def keeps_embedding(self, phases):
        """Whether the embedding has not moved when the clustering phase begins."""
        moves = any(isinstance(p, Pretraining) and p.epochs for p in phases)
        return not (moves and self.learning)

    def hand_on(self, trainer, phases, n_columns):
        """Let the clustering phase begin with the clusters of the last fit.

        With their centres, or, where pretraining is to move the embedding, with their
        rows.

        Parameters
        ----------
        trainer : Trainer
            Not yet trained.
        phases : list
        n_columns : int
            Of the embedding.
        """
        model = phases[-1].model
        self._check(model, n_columns)
        if self.keeps_embedding(phases):
            trainer.go_on(model, self.objective)
            return
        labels = self.objective.assign(trainer.embed().cpu()).numpy()
        if len(np.unique(labels)) == model.n_clusters:  # else as `init` says
            trainer.start_with(model, labels)

    def _check(self, model, n_columns):
        before = self.objective
        if type(model) is not type(before):
            raise ValueError(
                "warm_start=True goes on with the clustering loss of the last fit, "
                f"{type(before).__name__}. Got {type(model).__name__}."
            )
        if model.n_clusters != before.n_clusters:
            raise ValueError(
                "warm_start=True goes on with the clusters of the last fit, whose "
                f"n_clusters={before.n_clusters}. Got n_clusters={model.n_clusters}."
            )
        if n_columns != before.centers.shape[1]:
            raise ValueError(
                "warm_start=True goes on with the embedding of the last fit, which has "
                f"{before.centers.shape[1]} columns. Got {n_columns}, by other "
                "'embedding_layers'."
            )
