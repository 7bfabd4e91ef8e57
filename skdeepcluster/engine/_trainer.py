"""The one training loop: runs any phase of any method on any network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skdeepcluster.engine._callbacks import Observer
from skdeepcluster.engine._checkpoints import Checkpoints
from skdeepcluster.engine._devices import Compute, memory_errors, reuse_host_memory
from skdeepcluster.engine._inference import map_all
from skdeepcluster.engine._net import TrainingDivergedError
from skdeepcluster.engine._phases import Phase, label_change_share, overrides
from skdeepcluster.engine._progress import PhaseProgress, diverged
from skdeepcluster.engine._random import RandomStreams
from skdeepcluster.engine._rows import Rows
from skdeepcluster.engine._shards import state_of_first
from skdeepcluster.engine._states import restore_module
from skdeepcluster.objectives import ClusteringObjective, Objective, aligned
from skdeepcluster.utils._group import Shard, SharedError

if TYPE_CHECKING:
    from skdeepcluster.engine._cache import PretrainingCache


class Trainer:
    """A network, the data it learns from, and what both need to run.

    Parameters
    ----------
    network : nn.Module
        Module with ``encode`` and ``decode``; trained in place.
    x : Rows of shape (n_own, n_features)
        Scaled data, given on the device; a tensor, or made when asked for. The rows of
        this process, where several train together.
    compute : Compute
    streams : RandomStreams
    batch_size : int
    observer : Observer, optional
    snapshot : callable, optional
        ``snapshot(trainer, objective)`` gives the fitted attributes as of now, for
        callbacks that look at a model in training.
    cache : PretrainingCache, optional
        Where results of pretraining are kept.
    weight : Tensor of shape (n_samples,), optional
        Sample weights of all rows, on the device; only their ratios count.
    shard : Shard, optional
        Which of all rows `x` are; all of them by default.
    checkpoints : Checkpoints, optional
        Where the state of the fit is kept; none by default.
    """

    def __init__(
        self,
        network: nn.Module,
        x: Rows,
        *,
        compute: Compute,
        streams: RandomStreams,
        batch_size: int,
        observer: Observer | None = None,
        snapshot: Callable[[Trainer, Objective], dict[str, Any]] | None = None,
        cache: PretrainingCache | None = None,
        weight: Tensor | None = None,
        shard: Shard | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.network = network.to(compute.device, compute.dtype)
        self.x = x
        self.weight = None if weight is None else weight / weight.mean()
        self.shard = shard or Shard(len(x))
        self.compute = compute
        self.streams = streams
        self.batch_size = batch_size
        self.observer = observer or Observer()
        self.snapshot = snapshot
        self.cache = cache
        self.checkpoints = checkpoints or Checkpoints(streams)
        self.initial_labels: Tensor | None = None
        self.initialised: set[Objective] = set()
        self._first_labels: dict[Objective, NDArray] = {}
        self._trained: tuple[Phase, int] | None = None

    def on(self, network: nn.Module, x: Rows) -> Trainer:
        """Trainer of another network on other inputs, all else the same."""
        return Trainer(
            network,
            x,
            compute=self.compute,
            streams=self.streams,
            batch_size=self.batch_size,
            observer=self.observer,
            weight=self.weight,
            shard=self.shard,
            checkpoints=self.checkpoints,
        )

    def run(self, phase: Phase) -> dict[str, Any]:
        """Train for one phase and return its history, plain lists."""
        history = self.checkpoints.once(phase.name, lambda: self._train(phase))
        self.network.eval()
        self._trained = phase, len(history["loss"])
        return history

    def _train(self, phase: Phase) -> dict[str, Any]:
        reuse_host_memory()
        progress = PhaseProgress(self, phase)
        advice = f"reduce batch_size={self.batch_size}, or use device='cpu'"
        try:
            with memory_errors(advice), self._small_batches_explained():
                earlier = self.checkpoints.interrupted(phase.name)
                if earlier is None:
                    progress.begin()
                else:
                    progress.restore(earlier)
                if phase.epochs > 0 and has_parameters(self.network, *phase.objectives):
                    progress.train()
        except TrainingDivergedError as error:
            raise progress.diverged() from error
        finally:
            progress.net = None  # the other half of a cycle with all rows
        self.observer.note("%s: %s", phase.name, progress.summary())
        return progress.history

    @contextmanager
    def _small_batches_explained(self) -> Iterator[None]:
        """Context in which torch's error about a batch of one row says what to do."""
        try:
            yield
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            layers = [type(layer).__name__ for layer in self.network.modules()]
            norm = next((name for name in layers if "Norm" in name), "layer")
            raise ValueError(
                f"The statistics of the network's {norm} need at least 2 rows in every "
                f"batch: raise batch_size. Got batch_size={self.batch_size} with "
                f"{self.shard.total} rows to learn from."
            ) from error

    def initialise(self, objective: Objective, z: Tensor) -> None:
        """Give an objective its first state, once, from the embedding of all rows."""
        if objective in self.initialised:
            return
        self.initialised.add(objective)
        self._prepare(objective)
        with _start_of(objective, self._first_labels):
            objective.initialise(z, self.weight, self.streams.generator("kmeans"))
        self._share(objective)
        objective.to(self.compute.device)

    def _prepare(self, objective: Objective) -> None:
        if overrides(objective, "prepare"):
            self._check_has_all_rows(objective)
            objective.prepare(self.x)

    def go_on(self, objective: Objective, earlier: Objective) -> None:
        """Give an objective, in place of its first state, the last one of another fit.

        Not what schedules set, which begin again.
        """
        state = copy.deepcopy(earlier.state_dict())
        own = objective.state_dict()
        state.update({k: own[k] for k in own if k.endswith("_extra_state")})
        restore_module(objective, state)
        self._prepare(objective)
        objective.to(self.compute.device, self.compute.dtype)
        self.initialised.add(objective)

    def start_with(self, objective: ClusteringObjective, labels: NDArray) -> None:
        """Let an objective have these first labels of all rows."""
        self._first_labels[objective] = labels

    def _share(self, objective: Objective) -> None:
        """Take the state that the first process has computed.

        All compute the same, but for the last bits of another processor, and for what a
        user's clusterer draws by itself.
        """
        if not self.shard.alone:
            restore_module(objective, state_of_first(objective, self.shard.group))

    def _check_has_all_rows(self, objective: Objective) -> None:
        if not self.shard.alone:
            raise SharedError(
                f"{type(objective).__name__} needs all rows of the input, which no "
                "process has when several train together: use shard=None."
            )

    @property
    def own_weight(self) -> Tensor | None:
        """Sample weights of the rows of this process."""
        return None if self.weight is None else self.weight[self.shard.own]

    def recluster(self, objective: ClusteringObjective) -> float:
        """Start an objective again from the embedding; returns the share of new labels.

        The clusters keep the numbers under which most labels stay.
        """
        z = self._embed_trained()
        before = objective.assign(z)
        rng = self.streams.generator("recluster")
        objective.recluster(z, self.weight, rng)
        self._share(objective)
        objective.to(self.compute.device)
        order = aligned(objective.assign(z), before, objective.n_clusters)
        objective.reorder(order)
        return label_change_share(before, objective.assign(z), self.weight)

    def finish(self, objective: Objective) -> None:
        """Let an objective change its state for the last time."""
        if overrides(objective, "finish"):
            rng = self.streams.generator("finish")
            objective.finish(self._embed_trained(), self.weight, rng)
            self._share(objective)
            objective.to(self.compute.device)

    def check_finite(self, numbers: NDArray) -> None:
        """Refuse results that are not finite, and name the phase that led to them."""
        if not np.isfinite(numbers).all():
            raise self._diverged()

    def _embed_trained(self) -> Tensor:
        try:
            return self.embed()
        except TrainingDivergedError as error:
            raise self._diverged() from error

    def _diverged(self) -> TrainingDivergedError:
        if self._trained is None:
            return TrainingDivergedError("The network's answers are not finite.")
        return diverged(*self._trained)

    @torch.no_grad()
    def embed(self) -> Tensor:
        """Embedding of all rows, (n, embedding_size), on the device.

        Every process encodes its own and gets the others'.
        """
        self.network.eval()
        own = map_all(self.encode, self.x, self.shard.total)
        z = self.shard.group.concat(own)
        if not torch.isfinite(z).all():
            raise TrainingDivergedError("The embedding is not finite.")
        return z

    def encode(self, x: Tensor) -> Tensor:
        """Embedding of a batch, in the computing dtype."""
        with self.compute.autocast():
            z: Tensor = self.network.encode(x)  # type: ignore[operator]
        return z.to(self.compute.dtype)

    def decode(self, z: Tensor) -> Tensor:
        """Reconstruction of a batch of embeddings, in the computing dtype."""
        with self.compute.autocast():
            x_hat: Tensor = self.network.decode(z)  # type: ignore[operator]
        return x_hat.to(self.compute.dtype)


@contextmanager
def _start_of(
    objective: Objective, first_labels: dict[Objective, NDArray]
) -> Iterator[None]:
    """Context in which an objective starts with its labels, where it has any."""
    if objective not in first_labels or not isinstance(objective, ClusteringObjective):
        yield
        return
    labels, own = first_labels[objective], objective.start
    objective.start = lambda z, seed: labels
    try:
        yield
    finally:
        objective.start = own


def has_parameters(*modules: nn.Module) -> bool:
    """Whether there is anything to train."""
    return any(p.requires_grad for m in modules for p in m.parameters())
