"""Whole fits beside ClustPy's DEC: the ``--peer`` part of `engine_overhead`."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks._data import load, thread_environment
from benchmarks.paper_tables import scores, spread
from skdeepcluster.engine import Scaling


def fit_in_process(python, package, data, settings, threads):
    """One fit of `_clustpy_dec.py`; its arrays."""
    script = Path(__file__).with_name("_clustpy_dec.py")
    root = str(script.parents[1])
    environment = {
        **thread_environment(threads),
        "PYTHONPATH": root if package == "skdeepcluster" else "",
    }
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "fit.npz")
        command = [python, str(script), package, data, json.dumps(settings), output]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"The fit of {package} failed:\n{done.stderr[-2000:]}")
        return dict(np.load(output))


def report_peer(args):
    """Whole fits, alternating, one line each, then the summary."""
    X, y = load(args.dataset, dense=True)
    X, y = X[: args.rows], y[: args.rows]
    if args.scale == "rms":
        X = Scaling.fit(X).apply(X)
    settings = {
        "n_features": X.shape[1],
        "n_clusters": len(np.unique(y)),
        "hidden": args.hidden,
        "embedding_size": args.embedding_size,
        "batch_size": args.batch_sizes[0],
        "pretrain_epochs": args.pretrain_epochs,
        "clustering_epochs": args.clustering_epochs,
        "params": dict(args.params),
    }
    pythons = {"skdeepcluster": sys.executable, "clustpy": args.peer_python}
    results = {package: [] for package in pythons}
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "data.npz")
        np.savez(data, X=X)
        for seed in range(args.repeats):
            # Who goes first alternates too.
            for package in list(pythons)[:: 1 if seed % 2 == 0 else -1]:
                run = {**settings, "seed": seed}
                fit = fit_in_process(pythons[package], package, data, run, args.threads)
                results[package].append(evaluate(fit, y))
                print(f"{package} seed {seed}: {results[package][-1]}", flush=True)
    print_peer(args, X, results)


def evaluate(fit, y):
    """Numbers of one fit; `soft_acc` is of the argmax of q."""
    labels, soft_labels = fit.pop("labels"), fit.pop("soft_labels")
    numbers = {name: value.item() for name, value in fit.items()}
    return {**numbers, **scores(y, labels), "soft_acc": scores(y, soft_labels)["acc"]}


def print_peer(args, X, results):
    print(
        f"\n{args.dataset}, {X.shape[0]} x {X.shape[1]}, pixels as {args.scale!r}, "
        f"{args.pretrain_epochs} + {args.clustering_epochs} epochs, batch "
        f"{args.batch_sizes[0]}, {args.threads} threads, {args.repeats} seeds\n\n"
        "| package | seconds | ACC | NMI | ACC of argmax q |\n|---|---|---|---|---|"
    )
    for fits in results.values():
        names = ("acc", "nmi", "soft_acc")
        cells = [spread([f[name] for f in fits]) for name in names]
        seconds = spread([f["seconds"] for f in fits], digits=1)
        print(f"| {fits[0]['versions']} | {seconds} | {' | '.join(cells)} |")
    pairs = zip(*results.values(), strict=True)
    ratios = [own["seconds"] / theirs["seconds"] for own, theirs in pairs]
    print(
        f"\nours / theirs, time, pair by pair: median {statistics.median(ratios):.2f}, "
        f"from {min(ratios):.2f} to {max(ratios):.2f}"
    )
