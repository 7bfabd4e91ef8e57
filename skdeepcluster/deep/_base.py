"""The template every deep estimator follows, and what a fitted one can do."""

from __future__ import annotations

import copy
import functools
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    check_memory,
    validate_data,
)

from skdeepcluster.engine import (
    OPTIMIZERS,
    PRECISIONS,
    PRETRAININGS,
    Budget,
    Compute,
    Observer,
    OptimizerSpec,
    Pretraining,
    PretrainingCache,
    RandomStreams,
    Scaling,
    Trainer,
    build_network,
    cache_key,
    check_scaled,
    embedding_size_of,
    map_blocks,
    verbosity,
)
from skdeepcluster.metrics import neighborhood_score, sample_rows
from skdeepcluster.utils._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    init_callback_context,
)


def whole_or_nothing(fit):
    """Decorate ``fit`` so that it leaves the estimator untouched when it fails."""

    @functools.wraps(fit)
    def guarded(estimator, *args, **kwargs):
        before = dict(vars(estimator))
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return guarded


class BaseDeepEstimator(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
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
        "pretrain_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "device": [str],
        "precision": [StrOptions(set(PRECISIONS))],
        "memory": [str, HasMethods(["cache"]), None],
        "pretrained": [HasMethods(["fit", "transform"]), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @whole_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the network and the clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. float64 and float32 are used as they are, other dtypes
            become float64; the network computes in `precision`.
        y : array-like, default=None
            Not used in training. Callbacks that score see it.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        raw = X
        X = self._validate_training_data(X)
        observer = Observer(self, raw, y, init_callback_context(self))
        with verbosity(self.verbose):
            observer.fit_begins()
            trainer = self._make_trainer(X, observer)
            self._run_phases(trainer, X)
            observer.fit_ends()
        return self

    def _validate_training_data(self, X):
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        self._check_n_samples(X)
        return X

    def _check_n_samples(self, X):
        """Refuse too few rows; clusterers need one for every cluster."""

    def _make_trainer(self, X, observer):
        compute = Compute.resolve(self.device, self.precision)
        streams = RandomStreams.from_random_state(self.random_state)
        self._scaling, network = self._make_network(X, streams)
        self._n_features_out = embedding_size_of(network, X.shape[1])
        return Trainer(
            network,
            self._read(X, compute)(0, len(X)),
            compute=compute,
            streams=streams,
            batch_size=self.batch_size,
            observer=observer,
            snapshot=self._fitted_attributes,
            cache=self._make_cache(X, streams, compute),
        )

    def _make_network(self, X, streams):
        if self.pretrained is not None:
            return self._copy_pretrained(X)
        network = build_network(
            self.architecture,
            self.hidden_layer_sizes,
            X.shape[1],
            self.embedding_size,
            streams,
        )
        return Scaling.fit(X), network

    def _copy_pretrained(self, X):
        if not isinstance(self.pretrained, BaseDeepEstimator):
            raise TypeError(
                "The 'pretrained' parameter must be a fitted deep estimator of this "
                f"package. Got {type(self.pretrained).__name__}."
            )
        check_is_fitted(self.pretrained)
        if self.pretrained.n_features_in_ != X.shape[1]:
            raise ValueError(
                f"X has {X.shape[1]} features, but 'pretrained' was fitted with "
                f"{self.pretrained.n_features_in_} features."
            )
        size = self.pretrained._n_features_out
        if self.embedding_size not in (None, size):
            raise ValueError(
                f"embedding_size={self.embedding_size} conflicts with 'pretrained', "
                f"whose embedding has {size} columns: pass {size} or None."
            )
        network = copy.deepcopy(self.pretrained.module_).requires_grad_(True)
        return self.pretrained._scaling, network

    def _make_cache(self, X, streams, compute):
        if self.memory is None or self.random_state is None:
            return None
        key = cache_key(
            X,
            self.architecture,
            self.hidden_layer_sizes,
            self._n_features_out,
            self.batch_size,
            streams,
            compute,
        )
        return PretrainingCache(check_memory(self.memory), key)

    def _pretraining(self, budget):
        """Yield the pretraining of `budget`; nothing for a pretrained network."""
        if self.pretrained is None:
            yield Pretraining(
                self.pretraining,
                budget.pretrain_epochs(self.pretrain_epochs),
                OptimizerSpec(self.optimizer, self.pretrain_learning_rate),
            )

    def _phases(self, budget):
        """Yield the method's phases; `budget` turns "auto" into numbers."""
        raise NotImplementedError

    def _run_phases(self, trainer, X):
        self.history_ = {}
        phases = list(self._phases(Budget(len(X), self.batch_size)))
        for phase in phases:
            self.history_[phase.name] = phase.run(trainer)
        self._finish(trainer, phases[-1], X)

    def _finish(self, trainer, phase, X):
        """Set the fitted attributes."""
        for name, value in self._fitted_attributes(trainer, phase.clustering).items():
            setattr(self, name, value)

    def _fitted_attributes(self, trainer, objective):
        """Attributes of a model that stops training now, with copies on the CPU."""
        return {
            "module_": _on_host(trainer.network),
            "objective_": _on_host(objective),
            "cluster_centers_": objective.centers.detach().cpu().numpy().copy(),
        }

    def _read(self, X, compute):
        """Return the function that scales rows of `X` and puts them on the device."""
        dtype = np.float64 if compute.dtype == torch.float64 else np.float32

        def read(start, stop):
            out = np.empty((stop - start, X.shape[1]), dtype)
            for a in range(start, stop, 4096):
                b = min(a + 4096, stop)
                out[a - start : b - start] = self._scaling.apply(X[a:b], dtype)
            check_scaled(out)
            return torch.from_numpy(out).to(compute.device)

        return read

    def _infer(self, function, X):
        """Apply ``function(network, x)`` to scaled rows of X: numpy, in X's dtype."""
        compute, network = self._inference_network()

        def encode_then(x):
            with compute.autocast():
                z = network.encode(x)
            return function(z.to(compute.dtype))

        out = map_blocks(encode_then, self._read(X, compute), len(X))
        return out.cpu().numpy().astype(X.dtype)

    def transform(self, X):
        """Embed rows.

        Unlike :class:`~sklearn.cluster.KMeans`, whose ``transform`` gives distances
        to the centres.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, embedding_size)
            The embedding, in X's dtype.
        """
        check_is_fitted(self)
        return self._infer(lambda z: z, self._validate_new_data(X))

    def inverse_transform(self, X):
        """Decode embeddings, with the decoder as it stands after pretraining.

        Parameters
        ----------
        X : array-like of shape (n_samples, embedding_size)
            Rows of the embedding.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Reconstructions in the scale of the training data, in X's dtype.
        """
        check_is_fitted(self)
        Z = check_array(X, dtype=[np.float64, np.float32])
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {Z.shape[1]} columns, but the embedding of "
                f"{type(self).__name__} has {self._n_features_out}."
            )
        compute, network = self._inference_network()

        def decode(z):
            with compute.autocast():
                return network.decode(z).to(compute.dtype)

        def read(start, stop):
            rows = torch.from_numpy(np.array(Z[start:stop]))
            return rows.to(compute.device, compute.dtype)

        decoded = map_blocks(decode, read, len(Z)).cpu().numpy()
        return self._scaling.invert(decoded).astype(Z.dtype)

    def _validate_new_data(self, X):
        return validate_data(self, X, dtype=[np.float64, np.float32], reset=False)

    def _inference_network(self):
        """Device and precision to infer with, and the network there.

        The CPU stands in for a device that this host does not have.
        """
        try:
            compute = Compute.resolve(self.device, self.precision)
        except ValueError:
            compute = Compute.resolve("cpu", self.precision)
        if compute.device.type == "cpu":
            return compute, self.module_
        return compute, copy.deepcopy(self.module_).to(compute.device)


class BaseDeepClusterer(ClusterMixin, BaseDeepEstimator):
    """Deep estimators that assign rows to clusters."""

    _parameter_constraints: dict = {
        **BaseDeepEstimator._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
    }

    def _check_n_samples(self, X):
        if len(X) < self.n_clusters:
            raise ValueError(
                f"n_samples={len(X)} should be >= n_clusters={self.n_clusters}."
            )

    def _finish(self, trainer, phase, X):
        self.initial_labels_ = trainer.initial_labels.cpu().numpy().astype(np.int32)
        self.n_iter_ = max(1, len(self.history_[phase.name]["loss"]))
        super()._finish(trainer, phase, X)
        labels = self._soft_assign(X).argmax(axis=1)
        counts = np.bincount(labels, minlength=self.n_clusters)
        order = np.argsort(counts == 0, kind="stable")
        self.objective_.reorder(torch.as_tensor(order))
        self.cluster_centers_ = self.cluster_centers_[order].astype(X.dtype)
        self.labels_ = np.argsort(order)[labels].astype(np.int32)
        _warn_of_collapse(counts[order])

    def predict_proba(self, X):
        """Soft assignments of rows to clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            Rows sum to 1; in X's dtype.
        """
        check_is_fitted(self)
        return self._soft_assign(self._validate_new_data(X))

    def _soft_assign(self, X):
        return self._infer(self.objective_.soft_assign, X)

    def predict(self, X):
        """Cluster of each row: the argmax of ``predict_proba(X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.predict_proba(X).argmax(axis=1).astype(np.int32)

    def score(self, X, y=None):
        """Say how well the predicted partition respects the neighbourhoods of X.

        See :func:`~skdeepcluster.metrics.neighborhood_score`. It is not the training
        objective and does not depend on the embedding, so it can be compared over
        numbers of clusters, embedding sizes, seeds and methods.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of more than 2,000 rows a fixed sample is scored.
        y : ignored
            Present by convention.

        Returns
        -------
        score : float
            Greater is better; exactly 0 for a single cluster.
        """
        check_is_fitted(self)
        X = self._validate_new_data(X)
        X = X[sample_rows(len(X))]
        return neighborhood_score(X, self._soft_assign(X).argmax(axis=1))


def _on_host(module):
    """Detached copy for keeping: on the CPU, in evaluation mode, without gradients."""
    kept = copy.deepcopy(module).cpu().eval()
    kept.zero_grad(set_to_none=True)
    return kept.requires_grad_(False)


def _warn_of_collapse(counts):
    alive = int(np.count_nonzero(counts))
    if alive < len(counts):
        warnings.warn(
            f"Number of distinct clusters ({alive}) found smaller than n_clusters "
            f"({len(counts)}). Possibly due to duplicate points in X, or clusters died "
            f"in training. Rows per cluster: {counts.tolist()}.",
            ConvergenceWarning,
            stacklevel=4,
        )
