"""The same seed gives the same bits, whatever runs beside it.

    python -m benchmarks.determinism

Fits DEC again and again and hashes weights, centres and labels:

- 8 fits in parallel threads against a serial one;
- 12 fits one after the other with ``OMP_NUM_THREADS=8``, as many as that even where
  there are fewer cores.

Before each serial fit the global generators of numpy, torch and random get other seeds:
they must have no influence, and be left as they were found. Each check runs in a
process of its own, because the number of threads is fixed when a process starts.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import torch

from benchmarks._data import NAMES, load
from skdeepcluster import DEC

# Else MKL, and torch with it, takes no more threads than there are cores; and threads
# that wait must not spin where there are fewer cores.
THREADING = {"MKL_DYNAMIC": "FALSE", "OMP_WAIT_POLICY": "passive"}


def fit(args, X):
    """Hash of everything that a fit learnt."""
    model = DEC(
        n_clusters=10,
        pretrain_epochs=args.pretrain_epochs,
        max_iter=args.max_iter,
        device="cpu",
        random_state=0,
    ).fit(X)
    digest = hashlib.sha256()
    for name, value in sorted(model.module_.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    digest.update(model.cluster_centers_.tobytes() + model.labels_.tobytes())
    return digest.hexdigest()[:16]


def global_states():
    """States of the global generators, comparable."""
    name, keys, *rest = np.random.get_state()
    return (
        random.getstate(),
        (name, keys.tobytes(), *rest),
        torch.get_rng_state().numpy().tobytes(),
    )


def seed_globals(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def watched_fit(args, X, seed):
    """`fit` with the global generators at `seed`; whether it left them there."""
    seed_globals(seed)
    before = global_states()
    digest = fit(args, X)
    return digest, global_states() == before


def check_parallel(args, X):
    """Fits in parallel threads against a serial one."""
    serial, untouched = watched_fit(args, X, 0)
    before = global_states()
    parallel = joblib.Parallel(args.parallel_fits, backend="threading")(
        joblib.delayed(fit)(args, X) for _ in range(args.parallel_fits)
    )
    untouched &= global_states() == before
    return f"{args.parallel_fits} in parallel threads", {serial, *parallel}, untouched


def check_repeated(args, X):
    """Fits one after the other."""
    digests, untouched = zip(
        *(watched_fit(args, X, seed) for seed in range(args.repeated_fits)), strict=True
    )
    return f"{args.repeated_fits} one after the other", set(digests), all(untouched)


CHECKS = {"parallel": check_parallel, "repeated": check_repeated}


def run_check(args):
    """Run one check in this process and print its line; whether it held."""
    X = load(args.dataset, dense=True)[0][: args.rows]
    what, digests, untouched = CHECKS[args.check](args, X)
    print(
        f"{what}, {torch.get_num_threads()} torch threads: {len(digests)} set of bits "
        f"({', '.join(sorted(digests))}), global generators "
        f"{'unchanged' if untouched else 'CHANGED'}",
        flush=True,
    )
    return len(digests) == 1 and untouched


def run_all(arguments):
    """Run each check in a process with its own number of threads; all held?"""
    held = []
    for name, threads in (("parallel", 1), ("parallel", 2), ("repeated", 8)):
        command = [sys.executable, "-m", "benchmarks.determinism", "--check", name]
        finished = subprocess.run(
            [*command, *arguments],
            env={**os.environ, **THREADING, "OMP_NUM_THREADS": str(threads)},
            cwd=Path(__file__).parents[1],
            check=False,
        )
        held.append(finished.returncode == 0)
    return all(held)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--dataset", default="digits", choices=NAMES)
    add("--rows", type=int, help="only the first rows")
    add("--pretrain-epochs", type=int, default=10)
    add("--max-iter", type=int, default=5)
    add("--parallel-fits", type=int, default=8)
    add("--repeated-fits", type=int, default=12)
    add("--check", choices=CHECKS, help="only this one, in this process")
    return parser.parse_args(arguments)


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    args = parse_arguments(arguments)
    held = run_check(args) if args.check else run_all(arguments)
    if not held:
        raise SystemExit("A promise does not hold: see the lines above.")


if __name__ == "__main__":
    main()
