"""faiss in a process of its own, which fits whenever a line comes in.

    python _spherical_faiss.py ROWS.npy CENTERS.npy

Needs numpy and faiss alone. Every line of the input is a dictionary in JSON, with
``max_iter`` and the file for the labels; so is every line that it answers.
"""

import json
import sys
import time

import faiss
import numpy as np


def fit(X, centers, max_iter):
    """Seconds of training, number of iterations, and labels."""
    n_clusters, n_features = centers.shape
    start = time.perf_counter()
    model = faiss.Kmeans(
        n_features,
        n_clusters,
        niter=max_iter,
        spherical=True,
        max_points_per_centroid=len(X),  # it would take a sample
        min_points_per_centroid=1,
    )
    model.train(X, init_centroids=centers)
    seconds = time.perf_counter() - start
    labels = model.index.search(X, 1)[1][:, 0]
    return seconds, len(model.obj), labels


def main():
    X, centers = (np.ascontiguousarray(np.load(path)) for path in sys.argv[1:3])
    print(json.dumps({"version": faiss.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        seconds, n_iter, labels = fit(X, centers, request["max_iter"])
        np.save(request["labels"], labels)
        print(json.dumps({"seconds": seconds, "n_iter": n_iter}), flush=True)


if __name__ == "__main__":
    main()
