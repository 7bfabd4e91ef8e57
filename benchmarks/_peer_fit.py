"""One timed fit, ours or ClustPy's, in a process of its own.

Run by `benchmarks.engine --peer` under the Python that has the package. It imports
nothing of this repository but the package it times.

    python _peer_fit.py PACKAGE DATA SETTINGS OUTPUT

PACKAGE is "clustpy" or "skdeepcluster", DATA an .npz file with ``X``, SETTINGS a JSON
object, OUTPUT the .npz file to write: ``labels``, ``soft_labels``, ``seconds``,
``epochs``, ``versions``. Only ``fit`` is timed, after a tiny one that makes torch
import what it imports at the first step.
"""

import json
import sys
import time

import numpy as np


class Own:
    """This package."""

    @staticmethod
    def make(settings):
        """The same network and epochs; ``tol=0`` so that nothing stops early."""
        import skdeepcluster

        parameters = {
            "batch_size": settings["batch_size"],
            "pretrain_epochs": settings["pretrain_epochs"],
            "max_iter": settings["clustering_epochs"],
            "tol": 0.0,
            "hidden_layer_sizes": tuple(settings["hidden"]),
            "embedding_size": settings["embedding_size"],
        }
        return getattr(skdeepcluster, settings["own"])(
            n_clusters=settings["n_clusters"],
            random_state=settings["seed"],
            device=settings["device"],
            **({} if settings["defaults"] else parameters),
            **settings["params"],
        )

    @staticmethod
    def soft_labels(model, settings):
        return model.labels_

    @staticmethod
    def epochs(model):
        return f"{len(model.history_['pretraining']['loss'])} + {model.n_iter_}"


class ClustPy:
    """The peer: its optimizer, learning rates and the rest are its defaults."""

    @staticmethod
    def make(settings):
        """The same network (with our activation) and epochs."""
        import clustpy.deep
        from clustpy.deep.neural_networks import FeedforwardAutoencoder
        from torch.nn import ReLU

        sizes = settings["n_features"], *settings["hidden"], settings["embedding_size"]
        network = {"layers": list(sizes), "activation_fn": ReLU}
        parameters = {
            "batch_size": settings["batch_size"],
            "pretrain_epochs": settings["pretrain_epochs"],
            "clustering_epochs": settings["clustering_epochs"],
            "neural_network": (FeedforwardAutoencoder, network),
            "embedding_size": settings["embedding_size"],
        }
        return getattr(clustpy.deep, settings["method"])(
            n_clusters=settings["n_clusters"],
            random_state=settings["seed"],
            device=settings["device"],
            **({} if settings["defaults"] else parameters),
        )

    @staticmethod
    def soft_labels(model, settings):
        """Those of the method; `labels_` are of a last k-means."""
        names = [f"{name}_labels_" for name in ("dec", "dcn", "dkm")]
        return next(getattr(model, name) for name in names if hasattr(model, name))

    @staticmethod
    def epochs(model):
        return f"{model.pretrain_epochs} + {model.clustering_epochs}"


PACKAGES = {"clustpy": ClustPy, "skdeepcluster": Own}


def versions(package):
    from importlib.metadata import PackageNotFoundError, version

    import torch

    try:
        own = version(package)
    except PackageNotFoundError:  # run from a checkout
        own = __import__(package).__version__
    threads = torch.get_num_threads()
    return f"{package} {own}, torch {torch.__version__}, {threads} threads"


def main(name, data, settings, output):
    package = PACKAGES[name]
    X = np.load(data)["X"]
    settings = {**json.loads(settings), "n_features": X.shape[1]}
    tiny = {"pretrain_epochs": 1, "clustering_epochs": 1, "defaults": False}
    package.make({**settings, **tiny}).fit(X[:300])
    model = package.make(settings)
    start = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    np.savez(
        output,
        labels=model.labels_,
        soft_labels=package.soft_labels(model, settings),
        seconds=seconds,
        epochs=package.epochs(model),
        versions=versions(name),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
