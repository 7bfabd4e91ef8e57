"""MatrixFactorizationKMeans: what its solvers reach, and how fast Lloyd's is.

    python -m benchmarks.matrix_factorization
    python -m benchmarks.matrix_factorization --speed

**Optima** (the default). On each data set, starts of `solver="lloyd"` from k-means++
with seeds from 0 give the best objective that the others are compared with. "palm" is
fitted with its default number of starts and with a single one; "hartigan" from random
rows, beside "lloyd" from the same rows, start by start.

**Speed.** Iterations of `solver="lloyd"` beside scikit-learn's `KMeans` and
`skdeepcluster.kmeans.lloyd`, from the same centres, in turn.
"""

import argparse
import sys
import time

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.cluster import KMeans

from benchmarks._data import load
from benchmarks._scores import spread
from skdeepcluster import MatrixFactorizationKMeans
from skdeepcluster.kmeans import lloyd

N_CLUSTERS = {"digits": 10, "usps2000": 10, "classic3": 3}
# Objectives nearer to each other, relatively, differ by rounding.
SAME = 1e-9


def rows_of(name):
    """Rows of a data set, float64; the first 2,000 of USPS."""
    X, _ = load("usps" if name == "usps2000" else name)
    X = X[:2000] if name == "usps2000" else X
    return X.astype(np.float64)


def fit(X, n_clusters, seed, **params):
    """Fitted model and seconds."""
    model = MatrixFactorizationKMeans(
        n_clusters, random_state=seed, device="cpu", **params
    )
    start = time.perf_counter()
    return model.fit(X), time.perf_counter() - start


def report_optima(args):
    print(
        "\n| data | solver | fits | objective / best of Lloyd | worst | within 1 % "
        "| binary gap | once binary | iterations | seconds |"
    )
    print(10 * "|---" + "|")
    verdicts = []
    for name in args.datasets:
        X, k = rows_of(name), N_CLUSTERS[name]
        title = f"{name} {X.shape[0]} x {X.shape[1]}"
        found = [fit(X, k, s, n_init=1) for s in range(args.starts)]
        best = min(model.inertia_ for model, _ in found)
        print(_line(title, "lloyd, 1 start", found, best))
        for label, params in (("palm", {}), ("palm, 1 start", {"n_init": 1})):
            found = [fit(X, k, s, solver="palm", **params) for s in range(args.seeds)]
            print(_line(title, label, found, best))
        verdicts.append(f"- {title}: {_compare(X, k, args.random_starts)}")
    print("\nHartigan beside Lloyd, from the same random rows:\n")
    print("\n".join(verdicts))


def _line(title, label, found, best):
    models = [model for model, _ in found]
    ratios = np.array([model.inertia_ for model in models]) / best
    cells = [title, label, len(models), spread(ratios, digits=4)]
    cells += [f"{ratios.max():.4f}", f"{(ratios <= 1.01).sum()} of {len(ratios)}"]
    if "palm" in label:
        rounded = [_rounded(model) / best for model in models]
        gap = max(model.binary_gap_ for model in models)
        cells += [f"{gap:g}", spread(rounded, digits=4)]
    else:
        cells += ["-", "-"]
    cells.append(f"{np.mean([model.n_iter_ for model in models]):.0f}")
    cells.append(f"{np.mean([seconds for _, seconds in found]):.2f}")
    return "| " + " | ".join(map(str, cells)) + " |"


def _rounded(model):
    """Objective once memberships became labels: after the last rise of the history."""
    history = np.array(model.objective_history_)
    rises = np.flatnonzero(np.diff(history) > SAME * history[1:])
    return history[rises[-1] + 1] if len(rises) else history[0]


def _compare(X, n_clusters, n_starts):
    settings = {"init": "random", "n_init": 1}
    plain, moved = (
        np.array(
            [
                fit(X, n_clusters, s, solver=solver, **settings)[0].inertia_
                for s in range(n_starts)
            ]
        )
        for solver in ("lloyd", "hartigan")
    )
    worse = int((moved > plain * (1 + SAME)).sum())
    better = int((moved < plain * (1 - SAME)).sum())
    return (
        f"at most Lloyd's objective in {n_starts - worse} of {n_starts} starts, below "
        f"it in {better}; lower by {spread(100 * (1 - moved / plain), digits=3)} %."
    )


def report_speed(args):
    print("\n| data | K | ours | kmeans.lloyd | scikit-learn |\n" + 5 * "|---" + "|")
    for name in args.datasets:
        X, k = rows_of(name), N_CLUSTERS[name]
        rows = np.random.RandomState(0).choice(X.shape[0], k, replace=False)
        centers = X[rows].toarray() if sp.issparse(X) else X[rows]
        makers = _makers(X, k, centers, args.max_iter)
        times = {label: [] for label in makers}
        for _ in range(args.repeats):
            for label, run in makers.items():
                start = time.perf_counter()
                n_iter = run()
                times[label].append((time.perf_counter() - start) / n_iter * 1e3)
        cells = [f"{np.median(times[t]):.2f}" if times.get(t) else "-" for t in ORDER]
        print(f"| {name} {X.shape[0]} x {X.shape[1]} | {k} | " + " | ".join(cells), "|")
    print("\nMilliseconds per iteration of a whole fit, median of the repeats.")


ORDER = ("ours", "kmeans.lloyd", "scikit-learn")


def _makers(X, k, centers, max_iter):
    """Functions that fit and return the number of iterations."""
    settings = {"init": centers, "n_init": 1, "max_iter": max_iter, "tol": 0}
    makers = {
        "ours": lambda: fit(X, k, 0, **settings)[0].n_iter_,
        "scikit-learn": lambda: KMeans(k, **settings).fit(X).n_iter_,
    }
    if not sp.issparse(X):
        x, start = torch.from_numpy(X), torch.from_numpy(centers)
        makers["kmeans.lloyd"] = lambda: (
            lloyd(x, start, max_iter=max_iter, tol=0).n_iter
        )
    return makers


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--datasets", nargs="+", choices=N_CLUSTERS, default=list(N_CLUSTERS))
    add("--speed", action="store_true", help="the part about speed")
    add("--starts", type=int, default=20, help="of Lloyd, of which the best counts")
    add("--seeds", type=int, default=20, help="of palm, from 0")
    add("--random-starts", type=int, default=100, help="of hartigan")
    add("--max-iter", type=int, default=20, help="of the part about speed")
    add("--repeats", type=int, default=5, help="of the part about speed")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    command = [
        "python -m benchmarks.matrix_factorization",
        *(arguments or sys.argv[1:]),
    ]
    print(f"```\n{' '.join(command)}\n```", flush=True)
    (report_speed if args.speed else report_optima)(args)


if __name__ == "__main__":
    main()
