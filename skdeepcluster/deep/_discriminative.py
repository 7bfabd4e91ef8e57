"""What the estimators with a softmax layer share: warm-up and bounded embedding."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from skdeepcluster.architectures import BoundedEmbedding
from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.deep._inference import check_answers
from skdeepcluster.deep._pretrained import unfrozen
from skdeepcluster.engine import label_change
from skdeepcluster.objectives import LayerwiseReconstruction
from skdeepcluster.utils._group import Shard
from skdeepcluster.utils._sklearn import Interval, StrOptions

# Of the embedding that a bounded one is made of: so far it stays almost linear.
_HEADROOM = 2.0
_SCALE_ROWS = 1000


class BaseDiscriminativeClusterer(BaseDeepClusterer):
    """Softmax posteriors on a bounded embedding, learnt from targets of their own.

    A subclass gives ``_objective(**options)``, its loss.
    """

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "reg": [Interval(Real, 0, None, closed="neither")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "layer_weight": [Interval(Real, 0, None, closed="left")],
        "warmup_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
    }

    _takes_nearest = False

    @property
    def coef_(self):
        """Weights of the softmax layer, of shape (n_clusters, embedding_size)."""
        return self._layer("weight")

    @property
    def intercept_(self):
        """Biases of the softmax layer, of shape (n_clusters,)."""
        return self._layer("bias")

    def _layer(self, name):
        parameters = getattr(self.objective_, name).detach().numpy()
        return parameters.astype(self.cluster_centers_.dtype)

    def _default_embedding_size(self):
        return self.n_clusters

    def _make_network(self, rows, streams):
        scaling, network = super()._make_network(rows, streams)
        fixed = next(network.parameters(), None) is None
        if fixed or isinstance(network, BoundedEmbedding):
            return scaling, network
        return scaling, BoundedEmbedding(network, self._embedding_scale(rows))

    def _embedding_scale(self, rows):
        """Scale of an embedding that others have learnt; 1 for one to be learnt."""
        if self.pretrained is None:
            return 1.0
        shard = rows.shard or Shard(rows.n_rows)
        some, largest = rows.X[shard.evenly(_SCALE_ROWS)], 0.0
        if some.shape[0]:
            z = unfrozen(self.pretrained)._infer(lambda z: z, some)
            largest = float(np.abs(check_answers(z)).max())
        largest = max(rows.group.each(largest))
        return _HEADROOM * max(largest, np.finfo(np.float32).tiny)

    def _representation(self):
        return {"bounded": True}

    def _reconstruction(self):
        return LayerwiseReconstruction(self.layer_weight)

    def _pretraining_options(self):
        return {"loss": self._reconstruction()}

    def _phases(self, budget):
        epochs = budget.max_iter(self.max_iter)
        pretraining = list(self._pretraining(budget))
        warmup = self._warmup(budget, epochs, pretraining)
        objectives = {self._objective(n_init=self.n_init, warmup_epochs=warmup): 1.0}
        if self.reconstruction_weight > 0:
            objectives[self._reconstruction()] = self.reconstruction_weight
        every = self.update_interval
        yield from pretraining
        yield self._clustering_phase(
            budget,
            objectives,
            epochs=epochs,
            refresh_every=budget.steps_per_epoch if every == "auto" else every,
            stop=label_change(self.tol, min_epochs=warmup + 1),
        )

    def _warmup(self, budget, epochs, pretraining):
        last = self._last_fit
        if last is not None and last.keeps_embedding(pretraining):
            return 0  # the softmax layer goes on
        warmup = budget.warmup_epochs(self.warmup_epochs)
        # A short fit is to come to more than that.
        return min(warmup, epochs // 2) if self.warmup_epochs == "auto" else warmup
