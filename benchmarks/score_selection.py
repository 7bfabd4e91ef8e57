"""Does a score without labels choose the model that the labels would choose?

For every data set, models are fitted over a grid of embedding sizes and numbers of
clusters. As in a grid search, each is fitted on two thirds of the rows and scored on
the rest, once per seed. Every candidate score is then compared with the agreement of
the predictions with the hidden classes, over the cells of the grid.

    python -m benchmarks.score_selection --output benchmarks/results/score_selection

writes ``.json`` (one row per fitted model) and ``.md`` (the tables). With
``--tables-from FILE.json`` the tables are made again without fitting.
"""

import argparse
import json
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)
from sklearn.model_selection import train_test_split

from benchmarks._data import NAMES, load
from benchmarks._selection_tables import tables
from skdeepcluster.metrics import (
    clustering_accuracy,
    knn_modularity_score,
    neighborhood_score,
    sample_rows,
)

DATASETS = ("digits", "synthetic", "pendigits", "usps", "mnist10k", "reuters_r8")
EMBEDDING_SIZES = (2, 5, 10, 20, 50)
CLUSTER_FACTORS = (0.6, 0.8, 1.0, 1.2, 1.5, 2.0)


class PCAKMeans:
    """The baseline without a network, with the attributes of a deep clusterer."""

    def __init__(self, n_clusters, embedding_size, random_state):
        self.pca = PCA(embedding_size, random_state=random_state)
        self.kmeans = KMeans(n_clusters, n_init=4, random_state=random_state)

    def fit(self, X):
        self.pca.set_params(n_components=min(self.pca.n_components, *X.shape))
        self.kmeans.fit(self.pca.fit_transform(X))
        self.cluster_centers_ = self.kmeans.cluster_centers_
        return self

    def transform(self, X):
        return self.pca.transform(X)

    def predict(self, X):
        return self.kmeans.predict(self.transform(X))


def make_model(args, n_clusters, embedding_size, seed, memory):
    if args.method == "pca-kmeans":
        return PCAKMeans(n_clusters, embedding_size, seed)
    from skdeepcluster import DEC

    return DEC(
        n_clusters,
        embedding_size=embedding_size,
        hidden_layer_sizes=tuple(args.hidden),
        pretrain_epochs=args.pretrain_epochs,
        max_iter=args.max_iter,
        memory=memory,
        random_state=seed,
        device=args.device,
    )


def score_candidates(model, X, labels):
    """Every score that could choose a model, on held-out rows; greater is better."""
    Q = knn_modularity_score(X, labels)
    mean = neighborhood_score(X, labels)
    Z = np.asarray(model.transform(X), dtype=np.float64)
    Q_fine = knn_modularity_score(X, labels, resolution=1.5)
    offset = Z - model.cluster_centers_[labels]
    rows = sample_rows(len(Z))
    n_found = np.unique(labels[rows]).size
    defined = 1 < n_found < len(rows)
    return {
        "neighborhood (Q+S)/2": mean,
        "modularity Q": Q,
        "modularity Q, resolution 1.5": Q_fine,
        "(Q+S)/2, resolution 1.5": mean + (Q_fine - Q) / 2,
        "silhouette S, input": 2 * mean - Q,
        "silhouette, latent": silhouette_score(Z[rows], labels[rows]) if defined else 0,
        "-inertia, latent": -(offset**2).sum(axis=1).mean(),
    }


def agreement(y, labels):
    """What the scores ought to predict."""
    return {
        "NMI": normalized_mutual_info_score(y, labels),
        "ACC": clustering_accuracy(y, labels),
        "ARI": adjusted_rand_score(y, labels),
    }


def cluster_numbers(n_classes):
    return sorted({max(2, round(n_classes * factor)) for factor in CLUSTER_FACTORS})


def run_group(args, dataset, seed, embedding_size, folder):
    """Fit and score one embedding size for all numbers of clusters.

    They share one pretraining, so they run in one process, one after the other.
    """
    X, y = load(dataset, dense=True)
    fit_rows, test_rows = train_test_split(
        np.arange(len(X)), test_size=1 / 3, random_state=seed
    )
    X_test, y_test = X[test_rows], y[test_rows]
    results = []
    for n_clusters in cluster_numbers(len(np.unique(y))):
        start = time.perf_counter()
        model = make_model(args, n_clusters, embedding_size, seed, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X[fit_rows])
        seconds = time.perf_counter() - start
        labels = model.predict(X_test)
        results.append(
            {
                "dataset": dataset,
                "n_classes": len(np.unique(y)),
                "seed": seed,
                "embedding_size": embedding_size,
                "n_clusters": n_clusters,
                "n_found": len(np.unique(labels)),
                "fit_seconds": round(seconds, 2),
                "scores": score_candidates(model, X_test, labels),
                "truth": agreement(y_test, labels),
            }
        )
    return results


def run(args):
    """Fit all models; the cached pretrainings are deleted at the end."""
    groups = [
        (dataset, seed, embedding_size)
        for dataset in args.datasets
        for seed in args.seeds
        for embedding_size in args.embedding_sizes
    ]
    folder = tempfile.mkdtemp(prefix="score_selection_")
    try:
        parallel = joblib.Parallel(args.n_jobs, return_as="generator", batch_size=1)
        finished = parallel(
            joblib.delayed(run_group)(args, *group, folder) for group in groups
        )
        rows, start = [], time.perf_counter()
        for number, results in enumerate(finished, start=1):
            rows += results
            minutes = (time.perf_counter() - start) / 60
            print(f"{number}/{len(groups)} groups, {minutes:.1f} min", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--datasets", nargs="+", default=list(DATASETS), choices=NAMES)
    add("--seeds", nargs="+", type=int, default=[0, 1])
    add("--embedding-sizes", nargs="+", type=int, default=list(EMBEDDING_SIZES))
    add("--method", default="dec", choices=["dec", "pca-kmeans"])
    add("--hidden", nargs="+", type=int, default=[256, 128])
    add("--pretrain-epochs", type=_epochs, default="auto")
    add("--max-iter", type=_epochs, default=20)
    add("--device", default="cpu")
    add("--n-jobs", type=int, default=2)
    add("--output", type=Path, default=Path("benchmarks/results/score_selection"))
    add("--tables-from", type=Path, help="JSON of an earlier run; fit nothing")
    return parser.parse_args(arguments)


def _epochs(text):
    return text if text == "auto" else int(text)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main(arguments=None):
    args = parse_arguments(arguments)
    if args.tables_from:
        settings, rows = json.loads(args.tables_from.read_text()).values()
    else:
        start = time.perf_counter()
        skip = ("output", "tables_from")
        settings = {k: v for k, v in vars(args).items() if k not in skip}
        rows = run(args)
        settings["minutes"] = round((time.perf_counter() - start) / 60, 1)
        content = {"settings": settings, "rows": rows}
        write(args.output.with_suffix(".json"), json.dumps(content, indent=1))
    text = tables(rows, settings)
    write(args.output.with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    main()
