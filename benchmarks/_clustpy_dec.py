"""One timed fit of DEC, ours or ClustPy's, in a process of its own.

Run by `benchmarks.engine_overhead --peer` under the Python that has the package. It
imports nothing of this repository but the package it times.

    python _clustpy_dec.py PACKAGE DATA SETTINGS OUTPUT

PACKAGE is "clustpy" or "skdeepcluster", DATA an .npz file with ``X``, SETTINGS a JSON
object, OUTPUT the .npz file to write: ``labels``, ``soft_labels``, ``seconds``,
``versions``. Only ``fit`` is timed, after a tiny one that makes torch import what it
imports at the first step.
"""

import json
import sys
import time

import numpy as np


def clustpy_model(settings):
    """ClustPy's DEC: optimizer, learning rates and the rest are its defaults."""
    from clustpy.deep import DEC
    from clustpy.deep.neural_networks import FeedforwardAutoencoder

    layers = [settings["n_features"], *settings["hidden"], settings["embedding_size"]]
    return DEC(
        n_clusters=settings["n_clusters"],
        batch_size=settings["batch_size"],
        pretrain_epochs=settings["pretrain_epochs"],
        clustering_epochs=settings["clustering_epochs"],
        neural_network=(FeedforwardAutoencoder, {"layers": layers}),
        embedding_size=settings["embedding_size"],
        device="cpu",
        random_state=settings["seed"],
    )


def own_model(settings):
    """DEC of this package; ``tol=0`` so that nothing stops early."""
    from skdeepcluster import DEC

    return DEC(
        n_clusters=settings["n_clusters"],
        batch_size=settings["batch_size"],
        pretrain_epochs=settings["pretrain_epochs"],
        max_iter=settings["clustering_epochs"],
        tol=0.0,
        hidden_layer_sizes=tuple(settings["hidden"]),
        embedding_size=settings["embedding_size"],
        device="cpu",
        random_state=settings["seed"],
        **settings["params"],
    )


def versions(package):
    from importlib.metadata import PackageNotFoundError, version

    import torch

    try:
        own = version(package)
    except PackageNotFoundError:  # run from a checkout
        own = __import__(package).__version__
    threads = torch.get_num_threads()
    return f"{package} {own}, torch {torch.__version__}, {threads} threads"


def main(package, data, settings, output):
    make = {"clustpy": clustpy_model, "skdeepcluster": own_model}[package]
    X = np.load(data)["X"]
    settings = json.loads(settings)
    make({**settings, "pretrain_epochs": 1, "clustering_epochs": 1}).fit(X[:300])
    model = make(settings)
    start = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    # ClustPy's `labels_` are those of a last k-means, `dec_labels_` the argmax of q,
    # which `labels_` are here.
    np.savez(
        output,
        labels=model.labels_,
        soft_labels=getattr(model, "dec_labels_", model.labels_),
        seconds=seconds,
        versions=versions(package),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
