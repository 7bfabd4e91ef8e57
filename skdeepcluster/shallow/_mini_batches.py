"""Mini-batches of an estimator with unit centres."""

from __future__ import annotations

import torch
from sklearn.utils.metaestimators import available_if

from skdeepcluster.engine import RandomStreams
from skdeepcluster.kmeans import MiniBatch, mini_batch_kmeans, summarise
from skdeepcluster.kmeans.matrices import own_memory
from skdeepcluster.shallow._base import answer_dtype
from skdeepcluster.shallow._starts import starts
from skdeepcluster.utils._sklearn import _fit_context
from skdeepcluster.utils._stored import is_on_disk
from skdeepcluster.utils._torch_settings import own_torch_settings
from skdeepcluster.utils._transaction import whole_or_nothing

# Neighbouring rows of a mapped file that are read together: one by one they would take
# a read each.
_RUN_ROWS = 64


class MiniBatchMixin:
    """``partial_fit``, and ``fit`` where `batch_size` is given."""

    @available_if(lambda self: self.fuzziness == 1)
    @whole_or_nothing
    @own_torch_settings()
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Take in one mini-batch: each centre moves towards the rows nearest to it.

        The first call also chooses the first centres, from its rows. After `fit`, its
        centres move on, with the weight of the rows they were fitted to.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to take in; for the first call at least `n_clusters`.
        y : ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row.

        Returns
        -------
        self : object
            The estimator, with `labels_` and `inertia_` of this batch.
        """
        self._check_combination(in_batches=True)
        first = not hasattr(self, "cluster_centers_")
        if not first and len(self.cluster_centers_) != self.n_clusters:
            raise ValueError(
                f"partial_fit goes on with {len(self.cluster_centers_)} centres, got "
                f"n_clusters={self.n_clusters}."
            )
        rows = self._read(X, sample_weight, "float32", first=first)
        matrix, weight = rows.matrix, rows.weight
        if first:
            streams = RandomStreams.from_random_state(self.random_state)
            state = MiniBatch(self._starts(rows.X, matrix, weight, streams)().unit())
            self.n_iter_ = 0
        else:
            directions = self._centers_of(matrix).unit()
            state = MiniBatch(
                directions,
                torch.from_numpy(own_memory(self._resultants)),
                torch.from_numpy(own_memory(self._weights)),
            )
        state.update(matrix, torch.arange(len(matrix)), weight)
        self._set_centers(state.directions.numpy(), answer_dtype(rows.X))
        self._resultants = state.resultants().numpy()
        self._weights = state.weights.numpy()
        labels = self._label(rows.X, matrix)
        self.inertia_ = summarise(matrix, weight, self._centers_of(matrix), labels)[0]
        self.labels_ = labels if rows.whole else self._label(rows.given)
        self.n_iter_ += 1
        return self

    def _run_mini_batches(self, rows, streams, tasks):
        X, matrix, weight = rows.X, rows.matrix, rows.weight
        generator = streams.generator("batches")
        run_rows = _RUN_ROWS if is_on_disk(X) else 1
        n_seeds = max(3 * self.batch_size, 20 * self.n_clusters)
        usable = (matrix.norms > 0).nonzero().squeeze(1)
        if n_seeds < len(usable) and isinstance(self.init, str):
            order = torch.randperm(len(usable), generator=generator)
            seeds = usable[order[:n_seeds].sort().values]
            X = X[seeds.numpy()]
            start = self._starts(X, self._matrix(X), weight[seeds], streams)
        else:
            start = self._starts(X, matrix, weight, streams)
        state, self.n_iter_ = mini_batch_kmeans(
            matrix,
            weight,
            MiniBatch(start().unit()),
            batch_size=self.batch_size,
            max_iter=self.max_iter,
            tol=self.tol,
            generator=generator,
            run_rows=run_rows,
            tasks=tasks,
        )
        return state.directions

    def _starts(self, X, matrix, weight, streams):
        return starts(self.init, self.n_clusters, X, matrix, weight, streams)
