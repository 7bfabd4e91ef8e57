"""Quality of the methods beside k-means and beside published numbers.

    python -m benchmarks.paper_tables --methods DEC --datasets digits usps mnist \
        --seeds 5 --output results.json

For every data set and seed: k-means on the rows as they are, k-means on the embedding
of the method's own pretrained autoencoder (``initial_labels_``), and the method.
Nobody prepares the data: images come with pixels 0..255, digits with 0..16.

Each finished row is appended to the output at once, as one line of JSON. A run that was
stopped goes on where it was, and several processes may share one output, each with its
own ``--seed-list``. ``--table-only results.json ...`` prints the table again.

With ``--memory FOLDER`` methods that pretrain the same network the same way share the
result, as a user's ``memory`` would. ``--plan full`` runs all data sets with the seeds
that `_plans.py` says; ``--methods all`` are all that are there, also with the networks
that their papers have for images.
"""

import argparse
import ast
import json
import logging
import os
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from threadpoolctl import threadpool_limits

import skdeepcluster
from benchmarks._data import NAMES, load
from benchmarks._plans import LABELS, PLANS, Recipe, planned, recipe
from benchmarks._published import published
from skdeepcluster.metrics import clustering_accuracy

# Of rows: k-means on X, and what a method started from.
KMEANS, START = "k-means", "AE + "

# Units of the files: multiplying by them undoes the scaling of `load`.
UNITS = {
    **dict.fromkeys(["digits", "optdigits"], 16),
    **dict.fromkeys(["mnist", "mnist10k", "mnist-test", "usps"], 255),
    **dict.fromkeys(["coil20", "coil20-128"], 255),
    "pendigits": 100,
}

HEADER = (
    "| data | method | seeds | ACC | NMI | ARI | seconds "
    "| published ACC / NMI / ARI |\n"
    "|---|---|---|---|---|---|---|---|"
)
EXPLANATION = """\
Mean ± standard deviation over the seeds. Seconds of AE + k-means are the mean of the
pretraining, those of a method what comes after it (the whole fit without one)."""


class PretrainingClock(logging.Handler):
    """Notes, from the package's log, when the pretraining of a fit ended."""

    def __enter__(self):
        self.logger = logging.getLogger("skdeepcluster")
        self.level = self.logger.level
        self.logger.addHandler(self)
        self.logger.setLevel(logging.INFO)
        self.start, self.seconds, self.cached = time.perf_counter(), None, False
        return self

    def __exit__(self, *error):
        self.logger.removeHandler(self)
        self.logger.setLevel(self.level)

    def emit(self, record):
        if record.getMessage().startswith("pretraining:"):
            self.seconds = time.perf_counter() - self.start
            self.cached = record.getMessage().endswith("from the cache")


def load_raw(name):
    """Rows in the units of their files, float32, and classes."""
    X, y = load(name, dense=True)
    if name in UNITS:
        X = np.rint(X.astype(np.float64) * UNITS[name]).astype(np.float32)
    return X, y


def scores(y, labels):
    """Agreement of `labels` with the classes."""
    return {
        "acc": float(clustering_accuracy(y, labels)),
        "nmi": float(normalized_mutual_info_score(y, labels)),
        "ari": float(adjusted_rand_score(y, labels)),
    }


def environment():
    """Versions and hardware, for the row."""
    return {
        "skdeepcluster": skdeepcluster.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def run_kmeans(X, y, seed):
    """Rows of k-means on X as it is."""
    start = time.perf_counter()
    model = KMeans(len(np.unique(y)), n_init=20, random_state=seed).fit(X)
    seconds = time.perf_counter() - start
    return [{"method": KMEANS, "seconds": seconds, **scores(y, model.labels_)}]


def run_method(label, dataset, X, y, seed, params, memory=None):
    """Rows of a method and of k-means on its pretrained embedding."""
    recipe = _recipe(label, dataset)
    make = getattr(skdeepcluster, recipe.estimator)
    model = make(n_clusters=len(np.unique(y)), random_state=seed)
    model.set_params(**{**recipe.params, **params})
    if memory is not None and "memory" in model.get_params():
        model.set_params(memory=str(memory))
    with PretrainingClock() as clock:
        model.fit(X)
        seconds = time.perf_counter() - clock.start
    history = getattr(model, "history_", {})
    details = {
        "params": params,
        "prescribed": {
            k: v if isinstance(v, int | float | str) else type(v).__name__
            for k, v in recipe.params.items()
        },
        "pretrain_epochs": len(history.get("pretraining", {"loss": []})["loss"]),
        "n_iter": model.n_iter_,
        "shared_pretraining": clock.cached,
    }
    own = {"method": label, "seconds": seconds, **scores(y, model.labels_), **details}
    own["score"] = model.score(X)
    if "pretraining" not in history:
        return [own]
    first = scores(y, model.initial_labels_)
    own |= {"seconds": seconds - clock.seconds, "initial": first}
    details = {**details, "n_iter": 0, "of": label}
    pretraining = None if clock.cached else clock.seconds
    name = f"{START}{recipe.start} {recipe.network}".strip()
    return [{"method": name, "seconds": pretraining, **first, **details}, own]


def _recipe(label, dataset):
    return recipe(label, dataset) if label in LABELS else Recipe(label)


def run(args):
    """Fit whatever is not in the output yet."""
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    # The first fit of a process imports a good deal.
    skdeepcluster.DEC(2, pretrain_epochs=1, max_iter=1).fit(np.eye(20, 4))
    loaded = None
    for dataset, method, seed in jobs(args):
        if loaded != dataset:
            (X, y), loaded = load_raw(dataset), dataset
        run_one(args, dataset, X, y, method, seed)


def jobs(args):
    """Triples of data set, method and seed."""
    if args.plan is None:
        for dataset in args.datasets:
            for seed in args.seed_list:
                for method in [KMEANS, *args.methods]:
                    if method == KMEANS or _recipe(method, dataset) is not None:
                        yield dataset, method, seed
        return
    for dataset, method, seed in planned(args.plan, args.methods):
        if dataset in args.datasets and seed in args.seed_list:
            yield dataset, KMEANS, seed
            yield dataset, method, seed


def run_one(args, dataset, X, y, method, seed):
    """Fit one model unless its row is there; append the new rows."""
    done = {_key(row): row for row in read_rows([args.output])}
    found = done.get((dataset, method, seed))
    if found is not None:
        _check_same_params(found, args.params)
        return
    with threadpool_limits(args.threads):
        if method == KMEANS:
            rows = run_kmeans(X, y, seed)
        else:
            rows = run_method(method, dataset, X, y, seed, args.params, args.memory)
    shape = {"n_samples": X.shape[0], "n_features": X.shape[1]}
    for row in rows:
        row = {"dataset": dataset, "seed": seed, **row, **shape, **environment()}
        print(json.dumps(row), flush=True)
        if _key(row) not in done:
            append(args.output, row)


def _key(row):
    return row["dataset"], row["method"], row["seed"]


def _check_same_params(row, params):
    if row["method"] != KMEANS and json.dumps(row["params"]) != json.dumps(params):
        raise SystemExit(
            f"The output already has {_key(row)} with params {row['params']}; got "
            f"{params}. Use another --output."
        )


def append(path, row):
    """Add one line, in one write, so that processes do not mix theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab", buffering=0) as file:
        file.write((json.dumps(row) + "\n").encode())


def read_rows(paths):
    """Rows of the files, without those that came twice."""
    rows = {}
    for path in paths:
        if path.is_file():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                rows.setdefault(_key(row), row)
    return list(rows.values())


def table(rows):
    """Markdown: one line per data set and method, and the paired gains below."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["dataset"], row["method"]].append(row)
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    methods = [KMEANS, *sorted({r["method"] for r in rows if is_baseline(r)})]
    methods += [m for m in dict.fromkeys(r["method"] for r in rows) if m not in methods]
    pairs = [(d, m) for d in datasets for m in methods if (d, m) in groups]
    lines = [HEADER, *(_line(pair, groups) for pair in pairs)]
    own = [(d, m) for d, m in pairs if m != KMEANS and not m.startswith(START)]
    gains = [_gain(d, m, groups) for d, m in own]
    parts = ["\n".join(lines), EXPLANATION, "\n".join(filter(None, gains))]
    return "\n\n".join([*parts, describe(rows)])


def _line(pair, groups):
    own = groups[pair]
    cells = [*pair, str(len(own))]
    cells += [spread([row[name] for row in own]) for name in ("acc", "nmi", "ari")]
    seconds = _mean_seconds(own)
    cells.append("" if seconds is None else f"{seconds:.1f}")
    cells.append(published(*pair))
    return "| " + " | ".join(cells) + " |"


def _mean_seconds(rows):
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    return float(np.mean(known)) if known else None


def spread(values, digits=3):
    """Mean and standard deviation, as text."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def is_baseline(row):
    """Whether a row is of k-means on a pretrained embedding."""
    return row["method"].startswith(START)


def _gain(dataset, method, groups):
    """Difference to what the method started from, by seed."""
    both = [row for row in groups[dataset, method] if "initial" in row]
    if not both:
        return ""
    text = ", ".join(
        f"{n.upper()} {spread([row[n] - row['initial'][n] for row in both])}"
        for n in ("acc", "nmi", "ari")
    )
    return f"- {dataset}, {method} minus what it started from: {text}"


def describe(rows):
    """Versions and settings that the rows have, each once."""
    parts = []
    for name in [*environment(), "params"]:
        values = dict.fromkeys(json.dumps(r[name]) for r in rows if name in r)
        parts.append(f"{name} {' or '.join(v.strip(chr(34)) for v in values)}")
    return "Run with " + ", ".join(parts) + "."


def parse_parameter(text):
    """``key=value`` with a Python literal, or else a string, as value."""
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"must be key=value. Got {text!r}.")
    try:
        return key, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return key, value


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    methods = [name for name in skdeepcluster.__all__ if name != "__version__"]
    methods += [label for label in LABELS if label not in methods]
    add("--methods", nargs="+", default=["DEC"], choices=[*methods, "all"])
    add("--plan", choices=PLANS, help="data sets and seeds; others narrow it down")
    add("--datasets", nargs="+", choices=NAMES)
    add("--seeds", type=int, default=5, help="number of seeds, from 0")
    add("--seed-list", nargs="+", type=int, help="these seeds instead")
    add("--output", type=Path, default=Path("benchmarks/results/paper_tables.json"))
    add("--threads", type=int, help="default: as the libraries choose")
    add("--params", nargs="+", type=parse_parameter, default=[], metavar="KEY=VALUE")
    add("--memory", type=Path, help="folder of shared pretraining; default: none")
    add("--table-only", nargs="+", type=Path, metavar="FILE", help="fit nothing")
    args = parser.parse_args(arguments)
    args.params = dict(args.params)
    args.seed_list = args.seed_list or list(range(args.seeds))
    if "all" in args.methods:
        args.methods = list(LABELS)
    if args.datasets is None:
        args.datasets = PLANS[args.plan] if args.plan else ["digits", "usps", "mnist"]
    return args


def main(arguments=None):
    args = parse_arguments(arguments)
    if not args.table_only:
        run(args)
    rows = read_rows(args.table_only or [args.output])
    if args.table_only is None:
        rows = [row for row in rows if row["dataset"] in args.datasets]
    print("\n" + table(rows))


if __name__ == "__main__":
    main()
