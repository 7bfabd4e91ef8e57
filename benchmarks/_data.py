"""Data sets of the benchmarks, read from a local folder.

The environment variable ``SKDEEPCLUSTER_DATA`` names the folder. It holds one
``.npz`` file per data set, with the rows in ``X`` (or, for sparse rows, the parts
``data``, ``indices``, ``indptr`` and ``shape`` of a CSR matrix) and the classes in
``y``. The sets `digits`, `iris`, `wine`, `breast_cancer` and `synthetic` need no
folder. The file `tables.npz` holds several sets, each as ``NAME_X`` and ``NAME_y``.
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from torch.nn.functional import adaptive_avg_pool2d

VARIABLE = "SKDEEPCLUSTER_DATA"

# Units of the files: multiplying by them undoes the scaling of `load`.
UNITS = {
    **dict.fromkeys(["digits", "optdigits"], 16),
    **dict.fromkeys(["mnist", "mnist10k", "mnist-test", "usps"], 255),
    **dict.fromkeys(["coil20", "coil20-128"], 255),
    "pendigits": 100,
}


def load(name, *, dense=False):
    """Load a data set.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`.
    dense : bool, default=False
        Whether to make sparse sets (`reuters_r8`, `classic3`) dense.

    Returns
    -------
    X : {ndarray, CSR array} of shape (n_samples, n_features), dtype float32
        Images flat with pixels in [0, 1], pen and scan features in [0, 1], `reuters_r8`
        tf-idf with rows of unit norm, `classic3` term counts.
    y : ndarray of shape (n_samples,), dtype intp
        Classes, 0..n_classes-1.
    """
    if name not in _LOADERS:
        raise ValueError(f"name must be one of {list(NAMES)}. Got {name!r}.")
    X, y = _LOADERS[name]()
    if sp.issparse(X):
        X = X.toarray() if dense else X
    else:
        X = X.reshape(len(X), -1)
    return X.astype(np.float32), np.asarray(y, dtype=np.intp)


def load_raw(name):
    """Rows in the units of their files, float32, and classes."""
    X, y = load(name, dense=True)
    if name in UNITS:
        X = np.rint(X.astype(np.float64) * UNITS[name]).astype(np.float32)
    return X, y


def _read(file):
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise RuntimeError(
            f"Set the environment variable {VARIABLE} to the folder that holds "
            f"{file}.npz and the other data sets."
        )
    path = Path(folder) / f"{file}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}. {VARIABLE} is {folder!r}.")
    return np.load(path, allow_pickle=False)


def _dense(file, *, divisor=1, key="X"):
    arrays = _read(file)
    return arrays[key].astype(np.float32) / np.float32(divisor), arrays["y"]


def _sparse(file):
    arrays = _read(file)
    parts = arrays["data"], arrays["indices"], arrays["indptr"]
    return sp.csr_array(parts, shape=tuple(arrays["shape"])), arrays["y"]


def _digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def _bundled(loader):
    return loader(return_X_y=True)


def _table(name):
    arrays = _read("tables")
    return arrays[f"{name}_X"], arrays[f"{name}_y"]


def _mnist_subset(n_samples=10_000):
    X, y = _dense("mnist", divisor=255)
    rows = np.random.RandomState(0).permutation(len(X))[:n_samples]
    return X[rows], y[rows]


def _mnist_test():
    X, y = _dense("mnist", divisor=255)
    return X[60_000:], y[60_000:]


def _coil20_28():
    """Images of 28 x 28, as in the DEKM paper: means over their windows of the 128."""
    X, y = _dense("coil20", divisor=255)
    images = torch.from_numpy(X.reshape(-1, 1, 128, 128))
    return adaptive_avg_pool2d(images, 28).flatten(1).numpy(), y


def synthetic(n_samples=2400, random_state=0):
    """Eight clusters of 4 to 30 % on a curved surface, and 20 columns of noise.

    Gaussian clusters in 5 dimensions go through a random tanh network to 40 columns.
    """
    rng = np.random.RandomState(random_state)
    shares = np.array([0.30, 0.20, 0.14, 0.11, 0.09, 0.07, 0.05, 0.04])
    y = np.repeat(np.arange(8), np.round(shares * n_samples).astype(int))
    hidden = 2.0 * rng.normal(size=(8, 5))[y] + 0.7 * rng.normal(size=(len(y), 5))
    hidden = np.tanh(hidden @ rng.normal(size=(5, 20)) / np.sqrt(5))
    signal = np.tanh(hidden @ rng.normal(size=(20, 40)) / np.sqrt(5))
    X = np.hstack([signal, rng.normal(scale=signal.std(), size=(len(y), 20))])
    order = rng.permutation(len(y))
    return X[order], y[order]


# Features as they were measured, most of them of mixed units.
TABLES = (
    "ionosphere",
    "magic",
    "movement_libras",
    "phoneme",
    "ring",
    "segment",
    "sonar",
    "spambase",
    "texture",
    "twonorm",
    "vehicle",
    "vowel",
    "wdbc",
)
BUNDLED = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer}
_CLUTO = ("hitech", "la12", "re0", "tr11")

_LOADERS = {
    "digits": _digits,
    "mnist": partial(_dense, "mnist", divisor=255),
    "mnist10k": _mnist_subset,
    "mnist-test": _mnist_test,
    "usps": partial(_dense, "usps", divisor=255),
    "pendigits": partial(_dense, "pendigits", divisor=100),
    "optdigits": partial(_dense, "optdigits", divisor=16),
    "coil20": partial(_dense, "coil20", divisor=255, key="X32"),
    "coil20-28": _coil20_28,
    "coil20-128": partial(_dense, "coil20", divisor=255),
    "reuters_r8": partial(_sparse, "reuters_r8_tfidf2000"),
    "20news": partial(_sparse, "20newsgroups_tfidf2000"),
    "stackoverflow": partial(_dense, "stackoverflow_minilm"),
    "classic3": partial(_sparse, "classic3"),
    **{name: partial(_sparse, f"cluto_{name}") for name in _CLUTO},
    **{name: partial(_table, name) for name in TABLES},
    **{name: partial(_bundled, loader) for name, loader in BUNDLED.items()},
    "synthetic": synthetic,
}

NAMES = tuple(_LOADERS)


def thread_environment(threads, device="cpu"):
    """Variables of a process with so many threads, and no accelerator but for one."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    limits = dict.fromkeys(names, str(threads))
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    return {**os.environ, **limits, **hidden}
