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
import json
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import skdeepcluster
from benchmarks._arguments import parse_parameter
from benchmarks._data import NAMES, load_raw
from benchmarks._machine import environment
from benchmarks._paper_fit import KMEANS, recipe_of, run_kmeans, run_method
from benchmarks._paper_table import table
from benchmarks._plans import LABELS, PLANS, planned
from benchmarks._rows import append


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
                    if method == KMEANS or recipe_of(method, dataset) is not None:
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


def read_rows(paths):
    """Rows of the files, without those that came twice."""
    rows = {}
    for path in paths:
        if path.is_file():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                rows.setdefault(_key(row), row)
    return list(rows.values())


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
