"""Whole fits beside ClustPy's: the ``--peer`` part of `benchmarks.engine`."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks._data import load, thread_environment
from benchmarks._engine_loops import EMBEDDING_SIZE, HIDDEN
from benchmarks._rows import Rows
from benchmarks._scores import scores, spread
from skdeepcluster.engine import Scaling

# ClustPy's name -> ours.
METHODS = {"DEC": "DEC", "IDEC": "IDEC", "DCN": "DCN", "DKM": "DeepKMeans"}
PACKAGES = ("skdeepcluster", "clustpy")
BATCH_SIZE = 256
GROUP = ("dataset", "n_samples", "scale", "device", "method", "mode", "params")

HEADER = (
    "| data | method | setting | package | seconds | epochs | ACC | NMI "
    "| ACC of soft labels | time, ours / theirs |\n" + 10 * "|---" + "|"
)
EXPLANATION = """\
Mean ± standard deviation over the seeds. ClustPy's labels are those of a last k-means
on the embedding, its soft labels those of the method itself, which are our labels. The
ratio of times is the median over the seeds, with the smallest and the largest."""


def report_peer(args):
    """Fit what is not in the output yet, in pairs; then the table."""
    rows = Rows(args.output)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for dataset in args.datasets:
            X, y = load_rows(args, dataset)
            data = str(Path(folder) / f"{dataset}.npz")
            np.savez(data, X=X)
            for seed in range(args.repeats):
                for method in args.methods:
                    job = describe_job(args, dataset, X, method, seed)
                    if len(rows.find(**job)) < len(PACKAGES):
                        for row in fit_pair(args, job, data, y):
                            rows.add(row)
                    found += rows.find(**job)
    print_table(found)


def load_rows(args, dataset):
    X, y = load(dataset, dense=True)
    X, y = X[: args.rows], y[: args.rows]
    return (Scaling.fit(X).apply(X) if args.scale == "rms" else X), y


def describe_job(args, dataset, X, method, seed):
    """What a pair of fits is known by."""
    epochs = f"{args.pretrain_epochs} + {args.clustering_epochs} epochs"
    return {
        "dataset": dataset,
        "n_samples": len(X),
        "scale": args.scale,
        "method": method,
        "mode": "defaults" if args.defaults else epochs,
        "params": json.dumps(dict(args.params)),
        "threads": args.threads,
        "device": args.device,
        "seed": seed,
    }


def fit_pair(args, job, data, y):
    """Rows of both packages; who goes first alternates with the seed."""
    settings = {
        "method": job["method"],
        "own": METHODS[job["method"]],
        "n_clusters": len(np.unique(y)),
        "hidden": HIDDEN,
        "embedding_size": EMBEDDING_SIZE,
        "batch_size": BATCH_SIZE,
        "pretrain_epochs": args.pretrain_epochs,
        "clustering_epochs": args.clustering_epochs,
        "params": dict(args.params),
        "seed": job["seed"],
        "device": args.device,
        "defaults": args.defaults,
    }
    pythons = {"skdeepcluster": sys.executable, "clustpy": args.peer_python}
    rows = []
    for package in PACKAGES[:: 1 if job["seed"] % 2 == 0 else -1]:
        fit = fit_in_process(pythons[package], package, data, settings, args.threads)
        rows.append({**job, "package": package, **evaluate(fit, y)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def fit_in_process(python, package, data, settings, threads):
    """One fit of `_peer_fit.py`; its arrays."""
    script = Path(__file__).with_name("_peer_fit.py")
    environment = thread_environment(threads, settings["device"])
    if package == "skdeepcluster":
        folders = [str(script.parents[1]), environment.get("PYTHONPATH")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "fit.npz")
        command = [python, str(script), package, data, json.dumps(settings), output]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"The fit of {package} failed:\n{done.stderr[-2000:]}")
        return dict(np.load(output))


def evaluate(fit, y):
    """Numbers of one fit; `soft_acc` is of the soft labels."""
    labels, soft_labels = fit.pop("labels"), fit.pop("soft_labels")
    numbers = {name: value.item() for name, value in fit.items()}
    return {**numbers, **scores(y, labels), "soft_acc": scores(y, soft_labels)["acc"]}


def print_table(rows):
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in GROUP)].append(row)
    versions = dict.fromkeys(row["versions"] for row in rows)
    print(f"\n{'; '.join(versions)}\n\n{HEADER}")
    for group in groups.values():
        for package in PACKAGES:
            print(line(package, group))
    print(f"\n{EXPLANATION}")


def line(package, group):
    """One package in one group of paired fits."""
    fits = [row for row in group if row["package"] == package]
    first = fits[0]
    data = f"{first['dataset']} ({first['n_samples']} rows)"
    cells = [data, first["method"], first["mode"], package]
    cells.append(spread([fit["seconds"] for fit in fits], digits=1))
    cells.append(" or ".join(dict.fromkeys(fit["epochs"] for fit in fits)))
    for name in ("acc", "nmi", "soft_acc"):
        cells.append(spread([fit[name] for fit in fits]))
    cells.append(time_ratio(group) if package == PACKAGES[0] else "")
    return f"| {' | '.join(cells)} |"


def time_ratio(group):
    """Ours over theirs, seed by seed."""
    seconds = {(row["package"], row["seed"]): row["seconds"] for row in group}
    seeds = {seed for _, seed in seconds}
    own, theirs = PACKAGES
    ratios = [seconds[own, seed] / seconds[theirs, seed] for seed in seeds]
    middle = statistics.median(ratios)
    return f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
