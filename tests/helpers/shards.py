"""Fits in two processes, all that the tests look at in one go: starting takes long."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from estimators import DEEP, X, Y
from sklearn.cluster import KMeans
from stores import Store

from skdeepcluster import (
    DEC,
    MIADM,
    CentroidClassifier,
    DeepClustering,
    DeepKMeans,
    SphericalKMeans,
)
from skdeepcluster.deep._training_rows import TrainingRows
from skdeepcluster.engine import Observer, TrainingDivergedError, _checkpoints
from skdeepcluster.engine._progress import PhaseProgress
from skdeepcluster.kmeans.matrices._sharded import ShardedMatrix
from skdeepcluster.metrics import _partition
from skdeepcluster.utils import _stored
from skdeepcluster.utils._group import SharedError

WEIGHT = np.arange(len(X)) % 3 * 1.0
SPARSE = sp.csr_array(X * (np.arange(4) != np.arange(len(X))[:, None] % 4))
UNEVEN = X * np.where(np.arange(len(X)) < 5, 4.0, 1.0)[:, None]  # of the first process
ENDS = [0, 17, len(X)]  # rows of the two processes
PATIENCE = 20  # seconds
SETTINGS = {
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "pretrain_epochs": 3,
    "max_iter": 3,
    "n_init": 2,
    "batch_size": 9,
    "precision": "float64",
    "device": "cpu",
    "random_state": 0,
}


def network(estimator, **params):
    """An estimator of the table with larger phases, in float64."""
    known = estimator.get_params(deep=False)
    settings = {name: value for name, value in SETTINGS.items() if name in known}
    return type(estimator)(**{**known, **settings, **params})


def classifier(**params):
    names = ("hidden_layer_sizes", "embedding_size", "max_iter", "batch_size")
    names += ("precision", "device", "random_state")
    settings = {name: SETTINGS[name] for name in names}
    return CentroidClassifier(**{**settings, "warmup_epochs": 3, **params})


def spherical(**params):
    return SphericalKMeans(3, random_state=0, n_init=2, **params)


def on_another():
    """A network whose embedding is bounded by what all rows have."""
    source = DEC(3, **SETTINGS).fit(UNEVEN)
    return MIADM(3, pretrained=source, warmup_epochs=1, **SETTINGS)


def has_noise(estimator):
    """Whether each process draws noise of its own, or a loss needs all rows."""
    return isinstance(estimator, DeepClustering)


NETWORKS = [estimator for estimator in DEEP if not has_noise(estimator)]
# Name -> estimator, X, y and sample_weight.
CASES = {
    **{
        f"{type(e).__name__}{i}": (network(e), X, None, None)
        for i, e in enumerate(NETWORKS)
    },
    "weights": (DEC(3, **SETTINGS), X, None, WEIGHT),
    "sparse": (DEC(3, **SETTINGS), SPARSE, None, None),
    "adam": (DeepKMeans(3, pretrain_optimizer="adam", **SETTINGS), X, None, None),
    "classifier": (classifier(), X, Y, None),
    "weighted classifier": (classifier(), X, Y.astype(str), WEIGHT + 1),
    "pretrained": (on_another(), UNEVEN, None, None),
    "spherical": (spherical(), X, None, None),
    "spherical weights": (spherical(init="random"), X, None, WEIGHT),
    "spherical sparse": (spherical(algorithm="hamerly"), SPARSE, None, None),
}


def fit(name, rank=None, shard=None):
    """Fit of a case, alone or as one of two processes; what it gives."""
    estimator, rows, y, weight = CASES[name]
    part = slice(None)
    if shard == "local":
        part = slice(ENDS[rank], ENDS[rank + 1])
    model = type(estimator)(**{**estimator.get_params(deep=False), "shard": shard})
    weights = {} if weight is None else {"sample_weight": weight[part]}
    model.fit(rows[part], None if y is None else y[part], **weights)
    found = answers(model, rows)
    if hasattr(model, "labels_"):
        found["score"] = model.score(rows[part])
        found["weighted score"] = model.score(rows[part], None, WEIGHT[part])
    return found


def answers(model, rows):
    """Everything that has to be equal."""
    centers = ("cluster_centers_", "centroids_")
    return {
        "labels": getattr(model, "labels_", None),
        "predicted": model.predict(rows),
        "embedding": model.transform(rows),
        "centers": next(getattr(model, c) for c in centers if hasattr(model, c)),
        "history": getattr(model, "history_", {}),
        "n_iter": model.n_iter_,
    }


def message(function):
    """The error of a function, in words."""
    try:
        function()
    except (Exception, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def bad_rows(rank):
    rows = X[ENDS[rank] : ENDS[rank + 1]].copy()
    if rank == 1:
        rows[3, 1] = np.nan
    return message(lambda: DEC(3, shard="local", **SETTINGS).fit(rows))


def bad_width(rank):
    rows = X[ENDS[rank] : ENDS[rank + 1], : 3 + rank]
    return message(lambda: DEC(3, shard="local", **SETTINGS).fit(rows))


def few_rows(rank):
    return message(lambda: DEC(5, shard="local", **SETTINGS).fit(X[2 * rank :][:2]))


def whole_batch(loss):
    model = DeepClustering(3, clustering_loss=loss, shard="auto", **SETTINGS)
    return message(lambda: model.fit(X))


def different_rows(rank):
    return message(lambda: DEC(3, shard="auto", **SETTINGS).fit(X + rank))


def different_others(rank):
    """Parameters, weights and classes that are not the same in all processes."""
    last, weight = {**SETTINGS, "max_iter": 3 + rank}, WEIGHT + 1 + rank
    dec, size = DEC(3, shard="auto", **SETTINGS), 9 + rank
    return [
        message(lambda: DEC(3, shard="auto", **last).fit(X)),
        message(lambda: DEC(3, shard=["auto", "local"][rank], **SETTINGS).fit(X)),
        message(lambda: dec.fit(X, sample_weight=weight)),
        message(lambda: dec.fit(X, sample_weight=weight if rank else None)),
        message(lambda: classifier(shard="auto").fit(X, (Y + rank) % 3)),
        message(lambda: classifier(shard="local", batch_size=size).fit(X, Y)),
        message(lambda: spherical(shard="auto").fit(X, sample_weight=weight)),
        message(lambda: spherical(shard="auto", tol=0.1 * rank).fit(X)),
    ]


def different_kinds(rank):
    rows = sp.csr_array(X) if rank else X
    return message(lambda: spherical(shard="local").fit(rows))


def too_few_rows(rank):
    model = DEC(1, shard="auto", **{**SETTINGS, "batch_size": 1})
    return message(lambda: model.fit(X))


def warm(rank, shard):
    """A fit that goes on, with more pretraining and without; what the others find."""
    part = slice(ENDS[rank], ENDS[rank + 1]) if shard == "local" else slice(None)
    model = DEC(3, shard=shard, warm_start=True, **SETTINGS).fit(X[part])
    first = answers(model.fit(X[part]), X)
    return first, answers(model.set_params(pretrain_epochs=5).fit(X[part]), X)


def no_rows_of_the_sample(rank):
    """A score where all rows that are drawn are another process's."""
    model = DEC(3, **SETTINGS).fit(X).set_params(shard="local")
    before, _partition.sample_rows = _partition.sample_rows, lambda n: np.arange(17)
    try:
        return model.score(X[:20] if rank == 0 else X[20:])
    finally:
        _partition.sample_rows = before


def bad_scored_rows(rank):
    model = DEC(3, **SETTINGS).fit(X).set_params(shard="local")
    return message(lambda: model.score(X[:, : 3 + rank]))


class Normalised(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Sequential(
            torch.nn.Linear(4, 2), torch.nn.BatchNorm1d(2)
        )
        self.decoder = torch.nn.Linear(2, 4)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)


def batch_normalisation(rank):
    model = DEC(3, architecture=Normalised(), shard="auto", device="cpu")
    return message(lambda: model.fit(X))


class OwnRandomness(KMeans):
    """Ends elsewhere in every process."""

    def fit_predict(self, X, y=None):
        rng = np.random.RandomState(torch.distributed.get_rank())
        return rng.permutation(np.arange(len(X)) % self.n_clusters)


def other_starts(rank):
    model = DEC(3, init=OwnRandomness(), shard="auto", **SETTINGS).fit(X)
    return answers(model, X)


class StopsOne:
    """Stands for a callback that ends the fit in one process."""

    def __init__(self, rank):
        self.rank = rank

    def __call__(self, observer, task, phase, epoch, loss, snapshot=None):
        return self.rank == 1 and phase == "clustering" and epoch == 2


def stopped(rank):
    original, Observer.epoch_ends = Observer.epoch_ends, None
    stops = StopsOne(rank)
    Observer.epoch_ends = lambda *args: stops(*args)
    try:
        return answers(DEC(3, shard="auto", **SETTINGS).fit(X), X)
    finally:
        Observer.epoch_ends = original


def interrupt(*args, **kwargs):
    """What Ctrl-C does to one process."""
    # Programs that a shell has put into the background begin with it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


def first_is(rank, there, path):
    """Wait until the first process is as far, but not forever; the seconds."""
    began, sign = time.monotonic(), Path(f"{path} {there}")
    if rank == 0:
        sign.touch()
    while not sign.exists() and time.monotonic() < began + PATIENCE:
        time.sleep(0.01)
    return time.monotonic() - began


def fails(rank, owner, name, model, folder, fault=interrupt):
    """A fit in whose second process a function is `fault`, and how it ends.

    In a group of its own, which is gone after it. The second process stays until the
    first has ended, but not forever: how long that took.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    path = Path(folder) / f"{type(model).__name__}-{name}-{fault.__name__}"
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{path}", rank=rank, world_size=2
    )
    first_is(rank, "connected", path)
    before = getattr(owner, name)
    if rank == 1:
        setattr(owner, name, fault)
    try:
        found = message(lambda: model.fit(X))
    finally:
        setattr(owner, name, before)
    return found, first_is(rank, "at its end", path)


def interrupted_in_one(rank, folder):
    """Fits that end in the second process, in training, in sums, among checked rows."""
    dec, sphere = DEC(3, shard="auto", **SETTINGS), spherical(shard="auto")
    return [
        fails(rank, Observer, "epoch_ends", dec, folder),
        fails(rank, ShardedMatrix, "sums", sphere, folder),
        fails(rank, TrainingRows, "merged", dec, folder),
        fails(rank, torch.distributed, "all_gather_object", sphere, folder),
    ]


def fails_in_training(rank):
    """The last in the first group, which is gone after it."""
    original = Observer.epoch_ends
    if rank == 1:
        Observer.epoch_ends = lambda *args: 1 / 0
    try:
        return message(lambda: DEC(3, shard="auto", **SETTINGS).fit(X))
    finally:
        Observer.epoch_ends = original


def stored(rank):
    """Rows on disk, of which each process streams its part."""
    before, _stored._READ_AT_ONCE = _stored._READ_AT_ONCE, 0
    try:
        model = DEC(3, shard="auto", **SETTINGS).fit(Store(X))
    finally:
        _stored._READ_AT_ONCE = before
    return answers(model, X)


def without_seed(rank):
    """Also with noise, of which each process draws its own."""
    params = {**SETTINGS, "random_state": None, "pretraining": "layerwise"}
    return answers(DEC(3, shard="auto", **params).fit(X), X)


def interrupted(rank, folder):
    """A fit that an error ends in its second epoch, and that goes on."""
    _checkpoints.SECONDS_BETWEEN = 0.0
    model = DEC(3, shard="auto", checkpoint_dir=folder, **SETTINGS)
    original, calls = PhaseProgress.before_epoch, []

    def before_epoch(self, epoch):
        calls.append(epoch)
        if len(calls) == 5:  # the second of the clustering phase
            raise SharedError
        original(self, epoch)

    PhaseProgress.before_epoch = before_epoch
    try:
        model.fit(X)
    except SharedError:
        pass
    finally:
        PhaseProgress.before_epoch = original
    began = len(calls)
    seen = []
    PhaseProgress.before_epoch = lambda self, e: (seen.append(e), original(self, e))
    try:
        model.fit(X)
    finally:
        PhaseProgress.before_epoch = original
    return began, seen, answers(model, X)


def directory_of_one(rank, holder, folder):
    """A fit whose checkpoint_dir one process alone has; how it ends."""
    directory = f"{folder}/of {holder}" if rank == holder else None
    model = DEC(3, shard="auto", checkpoint_dir=directory, **SETTINGS)
    return message(lambda: model.fit(X)), os.listdir(folder)


def diverges_in_one(rank, folder):
    """Labels that are not finite in one process, and what is left of the fit."""
    original = DEC._label

    def label(self, rows, check):
        if rank == 1:
            raise TrainingDivergedError("not finite")
        return original(self, rows, check)

    model = DEC(3, shard="auto", checkpoint_dir=folder, **SETTINGS)
    DEC._label = label
    try:
        return message(lambda: model.fit(X)), os.listdir(folder)
    finally:
        DEC._label = original


def damaged_checkpoint(rank, folder):
    """A file that is no checkpoint, which only the first process reads."""
    path = Path(folder) / "damaged"
    path.mkdir(exist_ok=True)
    (path / _checkpoints.FILE_NAME).write_bytes(b"no checkpoint")
    model = DEC(3, shard="auto", checkpoint_dir=path, **SETTINGS)
    return message(lambda: model.fit(X))


def spherical_fails_in_one(rank, folder):
    """An error of one process while the other waits for its sums."""
    model = spherical(shard="auto")
    return fails(rank, ShardedMatrix, "sums", model, folder, lambda *args: 1 / 0)[0]


def alone_in_a_group(rank):
    """A fit that does not ask for company has none: only the first process fits."""
    return None if rank else answers(DEC(3, **SETTINGS).fit(X), X)


def everything(rank, folder):
    """All that the tests look at, by name."""
    torch.manual_seed(rank)
    found = {
        (name, shard): fit(name, rank, shard)
        for name in CASES
        for shard in ("auto", "local")
    }
    return {
        **found,
        "bad rows": bad_rows(rank),
        "bad width": bad_width(rank),
        "few rows": few_rows(rank),
        "balance": whole_batch(("hardening", "balance")),
        "locality": whole_batch("locality"),
        "warm": {shard: warm(rank, shard) for shard in (None, "auto", "local")},
        "no rows of the sample": no_rows_of_the_sample(rank),
        "bad scored rows": bad_scored_rows(rank),
        "stored": stored(rank),
        "without seed": without_seed(rank),
        "interrupted": interrupted(rank, folder),
        "diverges": diverges_in_one(rank, folder),
        "directories": [directory_of_one(rank, i, folder) for i in (0, 1)],
        "damaged": damaged_checkpoint(rank, folder),
        "alone": alone_in_a_group(rank),
        "different rows": different_rows(rank),
        "different kinds": different_kinds(rank),
        "different others": different_others(rank),
        "too few rows": too_few_rows(rank),
        "batch normalisation": batch_normalisation(rank),
        "other starts": other_starts(rank),
        "stopped": stopped(rank),
        "fails in training": fails_in_training(rank),
        "spherical fails in one": spherical_fails_in_one(rank, folder),
        "interrupted in one": interrupted_in_one(rank, folder),
    }
