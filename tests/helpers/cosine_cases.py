"""Data for the tests of cosine k-means, and plain answers to compare with."""

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.datasets import make_blobs

from skdeepcluster.kmeans import as_matrix

# Four rows, of which the first two and the last two are clusters.
HAND = np.array([[1.0, 0.0], [3.0, 1.0], [0.0, 2.0], [1.0, 3.0]])
HAND_CENTERS = np.array([[0.987087, 0.160182], [0.160182, 0.987087]])
HAND_CRITERION = 0.051650

FORMS = {"dense": np.asarray, "csr": sp.csr_matrix}


def blobs(n=300, d=5, k=4, seed=0, std=2.0):
    return make_blobs(n, d, centers=k, cluster_std=std, random_state=seed)[0]


def text(n=300, d=40, density=0.15, seed=0):
    """Counts of words, of which each text has the first."""
    random = np.random.RandomState(seed)
    counts = random.poisson(1.5, (n, d)) * (random.rand(n, d) < density) * 1.0
    counts[:, 0] += 1
    return counts


def unit(x):
    x = np.asarray(x, dtype=np.float64)
    for order in (np.inf, 2):  # the largest entry first: squares might overflow
        norms = np.linalg.norm(x, ord=order, axis=1, keepdims=True)
        x = x / np.where(norms > 0, norms, 1)
    return x


def centers_of(matrix, directions):
    return matrix.centers_type(torch.from_numpy(unit(directions)))


def setting(x, directions, form="dense", precision="float32"):
    """A matrix, and centres of its kind."""
    matrix = as_matrix(FORMS[form](x), precision=precision)
    return matrix, centers_of(matrix, directions)


def weights_of(x, weight=None):
    weight = np.ones(x.shape[0]) if weight is None else weight
    return torch.from_numpy(np.asarray(weight, dtype=np.float64))


def criterion(x, labels, centers, weight=None):
    """The sum of w (1 - cos), as it is written."""
    cosines = (unit(x) * unit(centers)[labels]).sum(axis=1)
    weight = np.ones(len(cosines)) if weight is None else weight
    return float(weight @ (1 - cosines))
