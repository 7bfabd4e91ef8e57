"""What the estimators with a softmax layer share: warm-up and bounded embedding."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp

from skdeepcluster.architectures import BoundedEmbedding
from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.deep._inference import check_answers
from skdeepcluster.deep._pretrained import unfrozen
from skdeepcluster.engine import label_change
from skdeepcluster.objectives import LayerwiseReconstruction
from skdeepcluster.utils._group import Shard
from skdeepcluster.utils._sklearn import Interval, StrOptions
from skdeepcluster.utils._stored import row_blocks

# Of the embedding that a bounded one is made of: so far it stays almost linear.
_HEADROOM = 2.0
_SCALE_ROWS = 1000
# Beyond so many times the distance of the median row from the mean, a row stands out;
# in images, texts and embeddings the farthest is at 1.0 to 1.7.
_FAR = 1.75
# So many rows, and this share of all, are no rare cluster but outliers.
_FEWEST, _FEW = 3, 0.003


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
        return scaling, BoundedEmbedding(network, self._embedding_scale(rows, scaling))

    def _embedding_scale(self, rows, scaling):
        """What an embedding is divided by before its bounds."""
        if self.pretrained is None:
            return far_rows_scale(rows.X, rows.own_weight, scaling, rows.group)
        shard = rows.shard or Shard(rows.n_rows)
        some, largest = rows.X[shard.evenly(_SCALE_ROWS)], 0.0
        if some.shape[0]:
            z = unfrozen(self.pretrained)._infer(lambda z: z, some)
            largest = float(np.abs(check_answers(z)).max())
        largest = max(rows.group.each(largest))
        return _HEADROOM * max(largest, np.finfo(np.float32).tiny)

    def _representation(self):
        return {"bounded": "by the farthest row"}

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


def far_rows_scale(X, weight, scaling, group):
    """Scale of a bounded embedding in which few far rows do not saturate.

    At a scale of 1 most rows spread over all of the embedding, and a few that are far
    from them end at its edge, where they are no longer far: rare clusters are lost
    before they are looked for.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
        Rows of this process.
    weight : ndarray of shape (n_samples,) or None
    scaling : Scaling
        Of the rows of all processes.
    group : Group
        Processes that have other rows.

    Returns
    -------
    scale : float
        Twice the number of times that far rows are farther from the mean than the
        median row; 1 where they do not stand out. Single rows may lie beyond.
    """
    own = _lengths(X, scaling), np.ones(X.shape[0]) if weight is None else weight
    lengths, weights = map(np.concatenate, zip(*group.each(own), strict=True))
    order = np.argsort(lengths)
    below = np.cumsum(weights[order])
    median = lengths[order[np.searchsorted(below, below[-1] / 2)]]
    if median == 0:
        return 1.0
    last = np.searchsorted(below, (1 - _FEW) * below[-1])
    far = lengths[order[max(0, min(last, len(order) - _FEWEST))]]
    # Three digits: rounding of sums does not show.
    ratio = float(f"{far / median:.3g}")
    return _HEADROOM * ratio if ratio > _FAR else 1.0


def _lengths(X, scaling):
    """Norms of the rows as a network sees them."""
    if not sp.issparse(X):
        scaled = (scaling.apply(block, np.float64) for block in row_blocks(X))
        return np.concatenate([np.linalg.norm(block, axis=1) for block in scaled])
    columns = np.arange(X.shape[1])
    zeros = np.square(scaling.apply_to(np.zeros(len(columns)), columns, np.float64))
    zeros[np.bincount(X.indices, minlength=len(columns)) == X.shape[0]] = 0.0
    entries = np.square(scaling.apply_to(X.data, X.indices, np.float64))
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    squares = np.bincount(row, entries - zeros[X.indices], minlength=X.shape[0])
    return np.sqrt((zeros.sum() + squares).clip(0))
