"""What bfloat16 does to the quality of DEC and DEKM, beside float32.

    python -m benchmarks.precision --datasets digits usps --seeds 20 \
        --output benchmarks/results/precision.json
    python -m benchmarks.precision --datasets mnist10k --seeds 5

Both precisions fit the same rows with the same seeds, so that the weights they start
from, the batches and the draws of k-means are the same; everything else is the
default. The methods share the pretraining of a seed and precision. The table has the
distributions, the differences of the pairs with their standard error, and the p-value
of the two-sample Kolmogorov-Smirnov test, which asks whether the distributions differ
at all. Finished fits go to ``--output`` and are not run again.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.stats import ks_2samp

from benchmarks._arguments import PRECISIONS
from benchmarks._data import NAMES, load_raw
from benchmarks._paper_fit import START, run_method
from benchmarks._rows import Rows
from benchmarks._scores import spread

SCORES = ("acc", "nmi")


def run(args, rows):
    """Fit whatever is not there yet."""
    for dataset in args.datasets:
        X, y = load_raw(dataset)
        for seed in args.seed_list:
            for precision in PRECISIONS:
                run_seed(args, rows, dataset, X, y, seed, precision)


def run_seed(args, rows, dataset, X, y, seed, precision):
    """All methods from one pretraining."""
    known = {"dataset": dataset, "seed": seed, "precision": precision}
    with tempfile.TemporaryDirectory() as memory:
        for method in args.methods:
            if rows.find(**known, of=method):
                continue
            params = {"precision": precision}
            found = run_method(method, dataset, X, y, seed, params, memory)
            for row in found:
                rows.add({**row, **known, "of": method})


def tables(args, rows):
    """One line per data set and method."""
    yield (
        "| data | method | seeds | score | float32 | bfloat16 | difference of pairs "
        "± standard error | p (Kolmogorov-Smirnov) | epochs | seconds |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for dataset in args.datasets:
        own = [(method, method) for method in args.methods]
        for method, of in [(f"{START}k-means", args.methods[0]), *own]:
            pairs = paired(rows, dataset, method, of)
            if pairs:
                yield from lines(dataset, method, pairs)


def paired(rows, dataset, method, of):
    """Rows of both precisions, by seed."""
    by_seed = [
        {
            row["seed"]: row
            for row in rows.find(
                dataset=dataset, method=method, of=of, precision=precision
            )
        }
        for precision in PRECISIONS
    ]
    seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
    return [(by_seed[0][seed], by_seed[1][seed]) for seed in seeds]


def lines(dataset, method, pairs):
    """Cells for each score."""
    for score in SCORES:
        values = np.array([[row[score] for row in pair] for pair in pairs])
        apart = values[:, 1] - values[:, 0]
        error = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.nan
        cells = [dataset, method, str(len(pairs)), score.upper()]
        cells += [spread(list(column)) for column in values.T]
        cells.append(f"{apart.mean():+.4f} ± {error:.4f}")
        cells.append(f"{ks_2samp(*values.T).pvalue:.2f}")
        cells += [means(pairs, "n_iter", 0), means(pairs, "seconds", 1)]
        yield "| " + " | ".join(cells) + " |"


def means(pairs, name, digits):
    """Of both precisions; nothing where there is nothing to count."""
    values = [[row[name] for row in pair] for pair in pairs]
    if not all(map(all, values)):
        return ""
    return " / ".join(f"{mean:.{digits}f}" for mean in np.mean(values, axis=0))


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--datasets", nargs="+", default=["digits", "usps"], choices=NAMES)
    add("--methods", nargs="+", default=["DEC", "DEKM"])
    add("--seeds", type=int, default=20, help="number of seeds, from 0")
    add("--seed-list", nargs="+", type=int, help="these seeds instead")
    add("--threads", type=int, default=torch.get_num_threads())
    add("--output", type=Path, help="file for the finished fits")
    add("--table-only", action="store_true")
    args = parser.parse_args(arguments)
    args.seed_list = args.seed_list or list(range(args.seeds))
    return args


def main(arguments=None):
    args = parse_arguments(arguments)
    torch.set_num_threads(args.threads)
    rows = Rows(args.output)
    if not args.table_only:
        run(args, rows)
    print("\n".join(tables(args, rows)))
    print(f"\ntorch {torch.__version__}, {args.threads} threads.")


if __name__ == "__main__":
    main()
