"""Where does `DataScaleWarning` appear, and what would standardising change?

    python -m benchmarks.data_scale --output benchmarks/results/data_scale.json

prints whether each data set gives the warning, and for tables the ARI of k-means and of
DEC on the rows as they are and with standardised columns, mean and standard deviation
over seeds. A false alarm is a warning where standardising does not help, a miss a loss
of more than .05 without a warning. ``--set`` gives parameters of DEC, for a network
that is affordable on so many sets. Finished fits go to ``--output`` and are not run
again.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from benchmarks._arguments import parse_parameter
from benchmarks._data import BUNDLED, NAMES, TABLES, load
from benchmarks._rows import Rows
from benchmarks._scores import scores, spread
from skdeepcluster import DEC
from skdeepcluster.engine import DataScaleWarning, Scaling

SCALES = ("raw", "standardised")
LOSS = 0.05


def is_warned_of(X):
    """Whether a fit on X begins with the warning."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Scaling.fit(X)
    return any(issubclass(warning.category, DataScaleWarning) for warning in seen)


def labels_of(method, X, n_clusters, seed, params):
    if method == "k-means":
        return KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataScaleWarning)
        return DEC(n_clusters, random_state=seed, **params).fit_predict(X)


def measure(args, rows, name, X, y):
    """Fit whatever is not there yet, on one table."""
    for method in args.methods:
        params = args.params if method == "DEC" else {}
        for seed in range(args.seeds if method == "k-means" else args.dec_seeds):
            for scale in SCALES:
                known = {"dataset": name, "method": method, "scale": scale}
                known |= {"seed": seed, "params": repr(params)}
                if rows.find(**known):
                    continue
                Z = StandardScaler().fit_transform(X) if scale == SCALES[1] else X
                labels = labels_of(method, Z, len(np.unique(y)), seed, params)
                rows.add({**known, **scores(y, labels)})


def cells(args, rows, name, method):
    """ARI raw and standardised, and what standardising gains; none without fits."""
    params = repr(args.params if method == "DEC" else {})
    found = [
        [row["ari"] for row in rows.find(dataset=name, method=method, scale=scale)
         if row["params"] == params]
        for scale in SCALES
    ]  # fmt: skip
    if not all(found):
        return ["", "", ""], None
    gain = np.mean(found[1]) - np.mean(found[0])
    return [spread(found[0]), spread(found[1]), f"{gain:+.3f}"], gain


def verdict(fired, gains):
    """What the warning was worth, by each method."""
    words = []
    for method, gain in gains.items():
        if fired and gain <= 0:
            words.append(f"false alarm ({method})")
        if not fired and gain > LOSS:
            words.append(f"miss ({method})")
    return ", ".join(words)


def line(args, rows, name):
    """Cells for one data set."""
    X, y = load(name)
    fired, tabular = is_warned_of(X), name in (*TABLES, *BUNDLED)
    if tabular and not args.table_only:
        measure(args, rows, name, X, y)
    out, gains = [name, *map(str, X.shape), "yes" if fired else "no"], {}
    for method in args.methods:
        texts, gain = cells(args, rows, name, method)
        out += texts
        if gain is not None:
            gains[method] = gain
    return "| " + " | ".join([*out, verdict(fired, gains)]) + " |"


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--datasets", nargs="+", default=NAMES, choices=NAMES)
    add("--methods", nargs="+", default=["k-means", "DEC"], choices=["k-means", "DEC"])
    add("--seeds", type=int, default=10, help="number of seeds of k-means, from 0")
    add("--dec-seeds", type=int, default=3, help="number of seeds of DEC, from 0")
    add("--set", dest="params", nargs="+", type=parse_parameter, default=[])
    add("--threads", type=int, default=torch.get_num_threads())
    add("--output", type=Path, help="file for the finished fits")
    add("--table-only", action="store_true")
    args = parser.parse_args(arguments)
    args.params = dict(args.params)
    return args


def main(arguments=None):
    args = parse_arguments(arguments)
    torch.set_num_threads(args.threads)
    rows = Rows(args.output)
    head = ["data", "rows", "columns", "warning"]
    for method in args.methods:
        head += [f"{method}, {scale}" for scale in SCALES] + ["gain"]
    print("| " + " | ".join([*head, "verdict"]) + " |")
    print("|" + "---|" * (len(head) + 1))
    for name in args.datasets:
        print(line(args, rows, name), flush=True)
    print(
        f"\nDEC with {args.params}, torch {torch.__version__}, {args.threads} thread."
    )


if __name__ == "__main__":
    main()
