"""A grid search with `memory` pretrains once for every (fold, embedding size).

    python -m benchmarks.grid_memory

Searches embedding_size x n_clusters for DEC without labels, once with one job and once
with two, each with an empty cache, and counts the pretrainings that really ran. With
one job they must be the folds times the embedding sizes, plus one for the refit; with
two jobs some may run twice, because two jobs ask for the same one at the same time, but
scores and choice must be the same to the last bit.
"""

import argparse
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.model_selection import GridSearchCV, KFold

from benchmarks._data import NAMES, load
from skdeepcluster import DEC


class CountingMemory:
    """A `joblib.Memory` that notes each pretraining it could not take from its cache.

    A file collects the notes, so that they come from other processes too.
    """

    def __init__(self, location):
        self.location = str(location)

    @property
    def journal(self):
        return Path(self.location) / "journal"

    def cache(self, func, ignore=None):
        """As `joblib.Memory.cache`, for functions of a key and a computation."""
        cached = joblib.Memory(self.location, verbose=0).cache(func, ignore=ignore)

        def fetch(key, compute):
            def noted():
                with open(self.journal, "a") as file:
                    file.write(joblib.hash(key) + "\n")
                return compute()

            return cached(key, noted)

        return fetch

    def computed(self):
        """Key of every pretraining that ran."""
        return self.journal.read_text().split() if self.journal.exists() else []


def search(args, X, n_jobs, folder):
    """Fit the grid; the search, its computed keys and its seconds."""
    memory = CountingMemory(folder)
    model = DEC(
        hidden_layer_sizes=tuple(args.hidden),
        pretrain_epochs=args.pretrain_epochs,
        max_iter=args.max_iter,
        memory=memory,
        random_state=0,
        device="cpu",
    )
    grid = GridSearchCV(
        model,
        {"embedding_size": args.embedding_sizes, "n_clusters": args.n_clusters},
        cv=KFold(args.folds, shuffle=True, random_state=0),
        n_jobs=n_jobs,
    )
    start = time.perf_counter()
    # The thread count is part of a result's bits, so it must be the same everywhere.
    with joblib.parallel_config("loky", inner_max_num_threads=args.threads):
        grid.fit(X)
    return grid, memory.computed(), time.perf_counter() - start


def split_scores(grid, folds):
    return np.array([grid.cv_results_[f"split{i}_test_score"] for i in range(folds)])


def report(n_jobs, grid, computed, seconds):
    print(
        f"n_jobs={n_jobs}: {len(computed)} pretrainings, {len(set(computed))} of them "
        f"different, {seconds:.1f} s; best {grid.best_params_}, score "
        f"{grid.best_score_:.4f}",
        flush=True,
    )


def check(args, serial, parallel):
    """Raise AssertionError where a promise does not hold."""
    expected = args.folds * len(args.embedding_sizes) + 1
    (one, computed_one, _), (two, computed_two, _) = serial, parallel
    assert len(computed_one) == expected, (len(computed_one), expected)
    assert len(set(computed_one)) == expected, "a pretraining ran twice with one job"
    assert set(computed_two) == set(computed_one), "other pretrainings with two jobs"
    scores = split_scores(one, args.folds), split_scores(two, args.folds)
    assert np.array_equal(*scores), f"other scores: {np.abs(np.subtract(*scores))}"
    assert one.best_params_ == two.best_params_
    labels = one.best_estimator_.labels_, two.best_estimator_.labels_
    assert np.array_equal(*labels), "other labels after the refit"
    repeated = len(computed_two) - expected
    print(
        f"One job: {args.folds} folds x {len(args.embedding_sizes)} sizes + 1 = "
        f"{expected} pretrainings for {len(one.cv_results_['params'])} x "
        f"{args.folds} + 1 fits. Two jobs: same scores, choice and labels in every "
        f"bit, {repeated} repeated."
    )


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", default="usps", choices=NAMES)
    add("--rows", type=int, help="only the first rows")
    add("--hidden", nargs="+", type=int, default=[500, 500, 2000])
    add("--embedding-sizes", nargs="+", type=int, default=[5, 10])
    add("--n-clusters", nargs="+", type=int, default=[8, 10, 12])
    add("--folds", type=int, default=3)
    add("--pretrain-epochs", type=int, default=5)
    add("--max-iter", type=int, default=2)
    add("--threads", type=int, default=1, help="of each job")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    torch.set_num_threads(args.threads)
    X = load(args.dataset, dense=True)[0][: args.rows]
    results = []
    for n_jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            results.append(search(args, X, n_jobs, folder))
        report(n_jobs, *results[-1])
    check(args, *results)


if __name__ == "__main__":
    main()
