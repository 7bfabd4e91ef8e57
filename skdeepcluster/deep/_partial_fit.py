"""Centres that follow new rows, in the embedding as it is."""

from __future__ import annotations

import copy

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if

from skdeepcluster.deep._inference import check_answers, labels_or_nan
from skdeepcluster.engine import group_of
from skdeepcluster.kmeans import cluster_sums
from skdeepcluster.kmeans.matrices import own_memory
from skdeepcluster.utils._input import checked_weight
from skdeepcluster.utils._sklearn import _fit_context
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing

_TINY = torch.finfo(torch.float64).tiny


def _has_nearest_centers(estimator):
    fitted = getattr(estimator, "objective_", None)
    return estimator._takes_nearest if fitted is None else fitted.takes_nearest


class PartialFitMixin:
    """``partial_fit`` of clusterers that assign rows to the nearest centre."""

    #: Whether rows belong to the nearest of the centres.
    _takes_nearest = True

    @available_if(_has_nearest_centers)
    @whole_or_nothing
    @own_torch_settings()
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        r"""Update the centres with new rows; the network stays as it is.

        On an unfitted estimator this is `fit`. Otherwise the rows are assigned, and
        every centre moves to the mean of all rows that were assigned to it so far,
        including those of `fit`, as in mini-batch k-means.

        .. math::
            \mu_k \leftarrow \frac{n_k \mu_k + \sum_{i: l_i = k} w_i z_i}
            {n_k + \sum_{i: l_i = k} w_i}

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to take in.
        y : ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row, beside those of the calls before.

        Returns
        -------
        self : object
            The estimator, with `labels_` of these rows.
        """
        if not hasattr(self, "module_"):
            return self.fit(X, y, sample_weight)
        if group_of(self.shard).size > 1:
            raise ValueError(
                "partial_fit after fit runs in one process and needs shard=None. Got "
                f"shard={self.shard!r}."
            )
        X = self._validate_new_data(X)
        weight = np.ones(X.shape[0])
        if sample_weight is not None:
            weight = checked_weight(sample_weight, X)
        self._follow(X, torch.from_numpy(weight))
        self.labels_ = self._label(X, check_answers)
        return self

    def _follow(self, X, weight):
        """Move the centres, which become new objects, and count the rows."""
        objective = copy.deepcopy(self.objective_)
        labels, z = self._embedded(X)
        sums, added = cluster_sums(z, labels, objective.n_clusters, weight)
        counted = torch.from_numpy(own_memory(self._cluster_weights))
        total = counted + added
        centers = self._running_centers  # in float64: many small steps add up
        centers = objective.centers.double() if centers is None else centers
        moved = (counted[:, None] * centers + sums) / total.clamp(min=_TINY)[:, None]
        centers = torch.where(added[:, None] > 0, moved, centers)
        objective.centers.copy_(centers)
        self.objective_, self._cluster_weights = objective, total.numpy()
        self._running_centers = centers
        dtype = self.cluster_centers_.dtype
        self.cluster_centers_ = objective.centers.numpy().astype(dtype)

    def _embedded(self, X):
        """Labels and embedding of rows, from one pass of the network."""
        assign = labels_or_nan(self.objective_)
        both = self._infer(lambda z: torch.cat([assign(z)[:, None], z], dim=1), X)
        both = torch.from_numpy(check_answers(both))
        return both[:, 0].long(), both[:, 1:]
