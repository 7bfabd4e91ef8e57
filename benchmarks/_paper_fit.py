"""One fit of `benchmarks.paper_tables`: its rows."""

import logging
import time

import numpy as np
from sklearn.cluster import KMeans

import skdeepcluster
from benchmarks._plans import LABELS, Recipe, recipe
from benchmarks._scores import scores

# Of rows: k-means on X, and what a method started from.
KMEANS, START = "k-means", "AE + "


class PretrainingClock(logging.Handler):
    """Notes, from the package's log, when the pretraining of a fit ended."""

    def __enter__(self):
        self.logger = logging.getLogger("skdeepcluster")
        self.level = self.logger.level
        self.logger.addHandler(self)
        self.logger.setLevel(logging.INFO)
        self.start, self.seconds, self.cached = time.perf_counter(), None, False
        return self

    def __exit__(self, *error):
        self.logger.removeHandler(self)
        self.logger.setLevel(self.level)

    def emit(self, record):
        if record.getMessage().startswith("pretraining:"):
            self.seconds = time.perf_counter() - self.start
            self.cached = record.getMessage().endswith("from the cache")


def run_kmeans(X, y, seed):
    """Rows of k-means on X as it is."""
    start = time.perf_counter()
    model = KMeans(len(np.unique(y)), n_init=20, random_state=seed).fit(X)
    seconds = time.perf_counter() - start
    return [{"method": KMEANS, "seconds": seconds, **scores(y, model.labels_)}]


def run_method(label, dataset, X, y, seed, params, memory=None):
    """Rows of a method and of k-means on its pretrained embedding."""
    how = recipe_of(label, dataset)
    model = make(how, len(np.unique(y)), seed, params, memory)
    with PretrainingClock() as clock:
        model.fit(X)
        seconds = time.perf_counter() - clock.start
    details = describe_fit(model, how, params, clock.cached)
    own = {"method": label, "seconds": seconds, **scores(y, model.labels_), **details}
    own["score"] = model.score(X)
    if not details["pretrain_epochs"]:
        return [own]
    first = scores(y, model.initial_labels_)
    own |= {"seconds": seconds - clock.seconds, "initial": first}
    start = {
        "method": f"{START}{how.start} {how.network}".strip(),
        "seconds": None if clock.cached else clock.seconds,
        **first,
        **details,
        "n_iter": 0,
        "of": label,
    }
    return [start, own]


def recipe_of(label, dataset):
    """How the paper trains a method on the data; None where it does not."""
    return recipe(label, dataset) if label in LABELS else Recipe(label)


def make(how, n_clusters, seed, params, memory):
    """The estimator of a recipe."""
    model = getattr(skdeepcluster, how.estimator)(
        n_clusters=n_clusters, random_state=seed
    )
    model.set_params(**{**how.params, **params})
    if memory is not None and "memory" in model.get_params():
        model.set_params(memory=str(memory))
    return model


def describe_fit(model, how, params, cached):
    """What else a row says of a fit."""
    pretraining = getattr(model, "history_", {}).get("pretraining", {"loss": []})
    return {
        "params": params,
        "prescribed": {
            k: v if isinstance(v, int | float | str) else type(v).__name__
            for k, v in how.params.items()
        },
        "pretrain_epochs": len(pretraining["loss"]),
        "n_iter": model.n_iter_,
        "shared_pretraining": cached,
    }
