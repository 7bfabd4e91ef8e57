"""The template every deep estimator follows."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from functools import partial
from numbers import Integral, Real

import torch
from sklearn.base import BaseEstimator

from skdeepcluster.architectures import DEFAULT_EMBEDDING_SIZE
from skdeepcluster.deep._checkpointing import open_checkpoints
from skdeepcluster.deep._inference import EmbeddingMixin
from skdeepcluster.deep._input import all_rows
from skdeepcluster.deep._pretrained import copy_pretrained
from skdeepcluster.deep._training_rows import TrainingRows
from skdeepcluster.engine import (
    OPTIMIZERS,
    PRECISIONS,
    PRETRAININGS,
    Budget,
    Compute,
    Observer,
    OptimizerSpec,
    Phase,
    Pretraining,
    Scaling,
    Trainer,
    build_network,
    cache_key,
    check_agreement,
    check_room,
    copy_from_first,
    embedding_size_of,
    label_change,
    memory_errors,
    pretraining_cache,
    set_dropout_generator,
    verbosity,
)
from skdeepcluster.utils._group import SHARDS
from skdeepcluster.utils._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    init_callback_context,
    tags_for_sparse,
)


class BaseDeepEstimator(
    CallbackSupportMixin,
    EmbeddingMixin,
    BaseEstimator,
):
    """Validate, seed, build, run the phases, finish: shared by all deep estimators.

    A method gives its parameters and ``_phases(budget)``, which yields what is trained
    in which order and can be read without training anything.
    """

    _parameter_constraints: dict = {
        "embedding_size": [Interval(Integral, 1, None, closed="left"), None],
        "hidden_layer_sizes": [tuple, list],
        "architecture": [HasMethods("build"), torch.nn.Module, None],
        "pretraining": [StrOptions(set(PRETRAININGS))],
        "pretrain_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "pretrain_optimizer": [StrOptions(set(OPTIMIZERS))],
        "pretrain_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "update_interval": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "tol": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "device": [str],
        "precision": [StrOptions(set(PRECISIONS))],
        "memory": [str, os.PathLike, HasMethods(["cache"]), None],
        "pretrained": [HasMethods(["fit", "transform"]), None],
        "warm_start": ["boolean"],
        "checkpoint_dir": [str, os.PathLike, None],
        "shard": [StrOptions(set(SHARDS)), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    #: Whether the method's network has a decoder.
    _decodes = True
    #: What the fit that runs goes on from; None where it begins anew.
    _last_fit = None

    def __sklearn_tags__(self):
        tags = tags_for_sparse(super().__sklearn_tags__(), self)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _has_all_rows(self, group):
        """Whether X is all there is to learn from."""
        return self.shard != "local" or group.size == 1

    def _training_rows(self, X, sample_weight, whole):
        """Rows to learn from; `whole` is whether X are all rows there are."""
        rows = TrainingRows.of(X, sample_weight, whole)
        return rows.merged(self.batch_size) if whole else rows

    def _shared(self, rows, group, y=None):
        """The rows of this process, where several fit together."""
        if group.size == 1:
            return rows
        others = rows.weight, rows.place, y
        check_agreement(self, rows.X, others, self.batch_size, group)
        rows = rows.shared(self.shard, group)
        self._check_n_samples(rows.n_rows)
        return rows

    def _learn(self, rows, raw, y):
        """Fit on valid `rows`; callbacks see them as they came, `raw`."""
        observer = Observer(self, raw, y, init_callback_context(self))
        verbose = self.verbose if rows.group.rank == 0 else 0
        with verbosity(verbose), rows.group.left_on_error():
            observer.fit_begins()
            compute = Compute.resolve(self.device, self.precision)
            data, group = self._data(rows), rows.group
            with open_checkpoints(self, data, compute, group) as checkpoints:
                trainer = self._make_trainer(rows, compute, checkpoints, observer)
                self._run_phases(trainer, rows)
                observer.fit_ends()
        return self

    def _check_n_samples(self, n_samples):
        """Refuse too few rows; clusterers need one for every cluster."""

    def _make_trainer(self, rows, compute, checkpoints, observer):
        X, weight, streams = rows.X, rows.weight, checkpoints.streams
        self._scaling, network = self._make_network(rows, streams)
        copy_from_first(network, rows.group)
        self._n_features_out = embedding_size_of(network, X.shape[1])
        with memory_errors("all rows do not fit on it: use device='cpu'"):
            x = all_rows(X, self._scaling, compute)
            if weight is not None:
                weight = torch.from_numpy(weight).to(x.device, x.dtype)
        return Trainer(
            network,
            x,
            compute=compute,
            streams=streams,
            batch_size=self.batch_size,
            observer=observer,
            snapshot=self._fitted_attributes,
            cache=self._make_cache(rows, streams, compute),
            weight=weight,
            checkpoints=checkpoints,
            shard=rows.shard,
        )

    def _data(self, rows):
        """Everything that a fit learns from, as arrays."""
        return rows.given, rows.weight, rows.place

    def _make_network(self, rows, streams):
        X, last = rows.X, self._last_fit
        if last is not None:
            return last.copy_network(X.shape[1], self.embedding_size)
        if self.pretrained is not None:
            names = getattr(self, "feature_names_in_", None)
            size = self.embedding_size
            return copy_pretrained(
                self.pretrained, X.shape[1], names, size, self._decodes
            )
        network = build_network(
            self.architecture,
            self.hidden_layer_sizes,
            X.shape[1],
            self.embedding_size,
            streams,
            self._default_embedding_size(),
            check=self._memory_check(rows),
        )
        names = getattr(self, "feature_names_in_", None)
        return Scaling.fit(X, rows.own_weight, rows.group, names), network

    def _memory_check(self, rows):
        """What refuses so many parameters as cannot be trained on this device."""
        n_rows = -(-min(self.batch_size, rows.n_rows) // rows.group.size)
        return partial(
            check_room,
            batch_shape=(n_rows, rows.X.shape[1]),
            optimizers=(getattr(self, "pretrain_optimizer", "sgd"), self.optimizer),
            compute=Compute.resolve(self.device, self.precision),
            decodes=self._decodes,
        )

    def _default_embedding_size(self):
        """Size of the embedding where neither user nor architecture has one."""
        return DEFAULT_EMBEDDING_SIZE

    def _make_cache(self, rows, streams, compute):
        known = self.pretrained is not None or self._last_fit is not None
        unused = known or rows.shard is not None
        if self.memory is None or self.random_state is None or unused:
            return None
        key = cache_key(
            rows.X if rows.weight is None else (rows.X, rows.weight),
            self.architecture,
            self.hidden_layer_sizes,
            self._n_features_out,
            self.batch_size,
            streams,
            compute,
        )
        key.update(self._representation())
        return pretraining_cache(self.memory, key)

    def _representation(self):
        """What decides the embedding beside the network, for the key of the cache."""
        return {}

    def _pretraining(self, budget):
        """Yield the pretraining of `budget`; nothing for a pretrained network."""
        if self.pretrained is not None:
            return
        kind, epochs = self.pretraining, budget.pretrain_epochs(self.pretrain_epochs)
        if self._last_fit is not None:
            asked = self.pretrain_epochs
            kind, epochs = self._last_fit.pretraining(kind, asked, epochs)
        yield Pretraining(
            kind,
            epochs,
            OptimizerSpec(self.pretrain_optimizer, self.pretrain_learning_rate),
            **self._pretraining_options(),
        )

    def _pretraining_options(self):
        """What a method's pretraining has beside the parameters of all."""
        return {}

    def _clustering_phase(self, budget, objectives, **options):
        """Phase that minimises `objectives`, as the parameters say."""
        phase = Phase(
            "clustering",
            objectives,
            budget.max_iter(self.max_iter),
            OptimizerSpec(self.optimizer, self.learning_rate),
            refresh_every=budget.update_interval(self.update_interval),
            stop=label_change(self.tol),
            rate="limited",
        )
        return replace(phase, **options)

    def _phases(self, budget):
        """Yield the method's phases; `budget` turns "auto" into numbers."""
        raise NotImplementedError

    def _run_phases(self, trainer, rows):
        self.history_ = {}
        phases = list(self._phases(Budget(rows.n_rows, self.batch_size)))
        if self._last_fit is not None:
            self._last_fit.hand_on(trainer, phases, self._n_features_out)
        trainer.checkpoints.bind(trainer, phases)
        for phase in phases:
            self.history_[phase.name] = phase.run(trainer)
        self._finish(trainer, phases[-1].model, rows)

    def _finish(self, trainer, objective, rows):
        """Set the fitted attributes."""
        trainer.finish(objective)
        for name, value in self._fitted_attributes(trainer, objective).items():
            setattr(self, name, value)

    def _fitted_attributes(self, trainer, objective):
        """Attributes of a model that stops training now, with copies on the CPU."""
        return {
            "module_": _on_host(trainer.network),
            "objective_": _on_host(objective),
        }


def _on_host(module):
    """Detached copy for keeping: on the CPU, in evaluation mode, without gradients."""
    kept = copy.deepcopy(module).cpu().eval()
    set_dropout_generator(kept, None)  # that of the fit, where it still runs
    kept.zero_grad(set_to_none=True)
    return kept.requires_grad_(False)
