"""How good are graphs of the rows, and a consensus, beside k-means?

    python -m benchmarks.graphs --seeds 3 --output benchmarks/results/graphs.json

prints ACC / NMI and seconds of k-means (`SphericalKMeans` for texts, ten starts each),
`PathIntegralClustering`, `SpectralKMeans` and `ConsensusClustering` at their defaults
on the same rows, and what `ConsensusClustering` chose. Counts become tf-idf with unit
rows, compared by the cosine; the columns of tables are standardised. Finished rows go
to ``--output`` and are not run again.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import StandardScaler, normalize

from benchmarks._data import BUNDLED, NAMES, TABLES, load
from benchmarks._rows import Rows
from benchmarks._scores import scores
from skdeepcluster import (
    ConsensusClustering,
    MatrixFactorizationKMeans,
    PathIntegralClustering,
    SpectralKMeans,
    SphericalKMeans,
)

METHODS = ("k-means", "graph", "spectral", "consensus")
WITHOUT = ("mnist", "mnist10k", "20news", "coil20-28", "coil20-128", "synthetic")


def rows_of(name):
    """Rows as every method gets them, their metric, and classes."""
    X, y = load(name)
    if sp.issparse(X):
        X = sp.csr_array(X)
        if name != "reuters_r8":  # which is tf-idf already
            X = TfidfTransformer().fit_transform(X)
        return normalize(X), "cosine", y
    if name in (*TABLES, *BUNDLED):
        X = StandardScaler().fit_transform(X.astype(np.float64))
    return X, "euclidean", y


def estimator(method, n_clusters, metric, seed):
    if method == "k-means":
        kmeans = SphericalKMeans if metric == "cosine" else MatrixFactorizationKMeans
        return kmeans(n_clusters, n_init=10, random_state=seed)
    if method == "graph":
        return PathIntegralClustering(n_clusters, metric=metric)
    if method == "spectral":
        return SpectralKMeans(n_clusters, metric=metric, random_state=seed)
    return ConsensusClustering(n_clusters, metric=metric, random_state=seed)


def measure(args, rows, name):
    data = None
    for method in args.methods:
        for seed in range(1 if method == "graph" else args.seeds):
            known = {"dataset": name, "method": method, "seed": seed}
            if rows.find(**known):
                continue
            X, metric, y = data = data or rows_of(name)
            model = estimator(method, len(np.unique(y)), metric, seed)
            start = time.perf_counter()
            labels = model.fit_predict(X)
            seconds = time.perf_counter() - start
            chosen = getattr(model, "chosen_", "")
            row = {**known, **scores(y, labels), "seconds": seconds, "chosen": chosen}
            rows.add(row)


def cell(rows, name, method):
    found = rows.find(dataset=name, method=method)
    if not found:
        return "not run"
    mean = {
        key: np.mean([row[key] for row in found]) for key in ("acc", "nmi", "seconds")
    }
    chosen = sorted({row["chosen"] for row in found} - {""})
    text = f"{mean['acc']:.3f} / {mean['nmi']:.3f} ({mean['seconds']:.1f} s)"
    return f"{text} {', '.join(chosen)}".strip()


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    names = [name for name in NAMES if name not in WITHOUT]
    add("--datasets", nargs="+", default=names, choices=NAMES)
    add("--methods", nargs="+", default=METHODS, choices=METHODS)
    add("--seeds", type=int, default=3, help="number of seeds, from 0")
    add("--threads", type=int, default=torch.get_num_threads())
    add("--output", type=Path, help="file for the finished rows")
    add("--table-only", action="store_true")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    torch.set_num_threads(args.threads)
    rows = Rows(args.output)
    print("| data | " + " | ".join(args.methods) + " |")
    print("| --- " * (1 + len(args.methods)) + "|")
    for name in args.datasets:
        if not args.table_only:
            measure(args, rows, name)
        cells = [cell(rows, name, method) for method in args.methods]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
