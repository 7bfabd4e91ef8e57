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
    objective : ClusteringObjective
        With its centres, on the CPU.
    pretrained_epochs : int
        Epochs of pretraining that the network has had.
    """

    scaling: Scaling
    network: nn.Module
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
            estimator.objective_,
            estimator._pretrained_epochs,
        )

    def pretraining(self, kind, epochs):
        """Kind and epochs of what is left of a pretraining of `epochs`."""
        left = max(0, epochs - self.pretrained_epochs)
        return ("end_to_end" if self.pretrained_epochs else kind), left

    def copy_network(self, n_features, embedding_size):
        """Scaling and network; the network is a copy that learns."""
        owner = "warm_start=True, which goes on with the network of the last fit"
        network = trainable_copy(self.network, n_features, embedding_size, owner)
        return self.scaling, network

    def keeps_clusters(self, phases):
        """Whether the embedding has not moved when the clustering phase begins."""
        return not any(isinstance(p, Pretraining) and p.epochs for p in phases)

    def hand_on(self, trainer, phases):
        """Let the clustering phase begin with the clusters of the last fit.

        With their centres, or, where pretraining is to move the embedding, with their
        rows.

        Parameters
        ----------
        trainer : Trainer
            Not yet trained.
        phases : list
        """
        model = phases[-1].model
        self._check(model)
        if self.keeps_clusters(phases):
            trainer.go_on(model, self.objective)
            return
        labels = self.objective.assign(trainer.embed().cpu()).numpy()
        if len(np.unique(labels)) == model.n_clusters:  # else as `init` says
            trainer.start_with(model, labels)

    def _check(self, model):
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
