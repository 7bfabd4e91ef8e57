"""One race of `benchmarks.spherical`: one data set, K and thread count, all variants.

Runs as a process of its own, whose environment sets the threads; the fits of the
variants alternate in it. What faiss does happens in a second process beside it, which
waits while the others run.
"""

import gc
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize

from benchmarks._spherical_data import mean_cosine
from skdeepcluster import SphericalKMeans
from skdeepcluster.kmeans import ALGORITHMS

OURS, BFLOAT16 = "ours, auto", "ours, bfloat16"
LLOYD, ELKAN = "scikit-learn lloyd", "scikit-learn elkan"
FAISS, LOOP = "faiss", "plain loop"
# Threads of a library that has just finished may still spin.
_PAUSE = 0.05


def timed(model, X):
    """Seconds, iterations and labels of an estimator's fit."""
    start = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - start, model.n_iter_, model.labels_


def ours(X, centers, max_iter, **params):
    model = SphericalKMeans(
        len(centers), init=centers, max_iter=max_iter, tol=0, device="cpu", **params
    )
    return timed(model, X)


def scikit_learn(X, centers, max_iter, algorithm):
    model = KMeans(
        len(centers),
        init=centers,
        n_init=1,
        max_iter=max_iter,
        tol=0,
        algorithm=algorithm,
    )
    return timed(model, X)


def plain_loop(X, centers, max_iter):
    """What one would write with NumPy and SciPy."""
    start = time.perf_counter()
    index, k = np.arange(X.shape[0]), len(centers)
    ones = np.ones(len(index), dtype=X.dtype)
    labels, n_iter = None, 0
    while n_iter < max_iter:
        n_iter += 1
        found = (X @ centers.T).argmax(axis=1)
        if labels is not None and np.array_equal(found, labels):
            break
        labels = found
        one_hot = sp.csr_matrix((ones, (labels, index)), shape=(k, len(index)))
        sums = one_hot @ X
        sums = sums.toarray() if sp.issparse(sums) else sums
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centers = np.where(norms > 0, sums / np.where(norms > 0, norms, 1), centers)
    labels = (X @ centers.T).argmax(axis=1)
    return time.perf_counter() - start, n_iter, labels


class Faiss:
    """The other process."""

    def __init__(self, python, folder, X, centers):
        self.labels = str(folder / "faiss_labels.npy")
        rows = folder / "faiss_rows.npy"
        np.save(rows, X)
        np.save(folder / "faiss_centers.npy", centers)
        script = Path(__file__).with_name("_spherical_faiss.py")
        command = [python, str(script), str(rows), str(folder / "faiss_centers.npy")]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.version = self._answer()["version"]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("The process with faiss ended, see above.")
        return json.loads(line)

    def fit(self, X, centers, max_iter):
        request = {"max_iter": max_iter, "labels": self.labels}
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self._answer()
        return answer["seconds"], answer["n_iter"], np.load(self.labels)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def variants(faiss):
    """Function of (rows, centres, cap) by name."""

    def bind(function, **params):
        return lambda *arguments: function(*arguments, **params)

    found = {OURS: ours}
    for name in ALGORITHMS:
        found[f"ours, {name}"] = bind(ours, algorithm=name)
    found[BFLOAT16] = bind(ours, precision="bfloat16")
    found[LLOYD] = bind(scikit_learn, algorithm="lloyd")
    found[ELKAN] = bind(scikit_learn, algorithm="elkan")
    found[LOOP] = plain_loop
    if faiss is not None:
        found[FAISS] = faiss.fit
    return found


def initial_centers(X, n_clusters):
    """Any rows, as dense unit vectors."""
    chosen = np.random.RandomState(0).choice(X.shape[0], n_clusters, replace=False)
    rows = X[np.sort(chosen)]
    return normalize(rows.toarray() if sp.issparse(rows) else rows)


def race(X, centers, entrants, max_iter, repeats):
    """Fits of all variants in turn, each also with one iteration only.

    Returns seconds, seconds of one iteration, and iterations with labels.
    """
    for fit in entrants.values():  # the first fit of a process imports a good deal
        fit(X, centers, 2)
    seconds, single = ({name: [] for name in entrants} for _ in range(2))
    found = {}
    names = list(entrants)
    for repeat in range(repeats):
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            gc.collect()
            time.sleep(_PAUSE)
            single[name].append(entrants[name](X, centers, 1)[0])
            taken, *found[name] = entrants[name](X, centers, max_iter)
            seconds[name].append(taken)
    return seconds, single, found


def measure(settings):
    """Rows of the table, one per variant."""
    folder = Path(settings["folder"])
    path = folder / settings["rows"]
    X = np.load(path) if path.suffix == ".npy" else sp.load_npz(path)
    centers = initial_centers(X, settings["n_clusters"])
    faiss = None
    if settings["peer_python"] and not sp.issparse(X):
        faiss = Faiss(settings["peer_python"], folder, X, centers)
    entrants = variants(faiss)
    seconds, single, found = race(
        X, centers, entrants, settings["max_iter"], settings["repeats"]
    )
    if faiss is not None:
        faiss.close()
    exact = found["ours, lloyd"][1]
    return [
        {
            "variant": name,
            "seconds": seconds[name],
            "seconds_single": single[name],
            "n_iter": int(n_iter),
            "mean_cosine": mean_cosine(X, labels, len(centers)),
            "equal_labels": float(np.mean(labels == exact)),
            "shape": list(X.shape),
            "version": faiss.version if name == FAISS else None,
            "torch_threads": torch.get_num_threads(),
        }
        for name, (n_iter, labels) in found.items()
    ]


def main():
    settings = json.loads(sys.argv[1])
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = measure(settings)
    Path(settings["answer"]).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
