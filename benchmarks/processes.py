"""Fits of several processes beside fits of one: equality, failures and speed.

    python -m benchmarks.processes --parts equality
    python -m benchmarks.processes --parts seeds failure efficiency

**Equality.** The same fits by 1, 2 and 4 processes of a gloo group on this machine:
the largest difference of centres (spherical k-means), of parameters in float64 and of
parameters after one step in float32.

**Seeds.** ACC and NMI in float32 over ten seeds, by 1 and 2 processes: rounding grows
in training, so that only the means can be compared.

**Failure.** One of two processes is killed in the middle of a fit: how long the other
goes on, and what it says.

**Efficiency.** Time of training steps by 1 and 2 processes of one thread each, beside
what the time of a message and of a step alone predict.
"""

import argparse
import json
import multiprocessing
import os
import pickle
import signal
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import normalized_mutual_info_score

from benchmarks._data import load
from benchmarks._scores import spread
from skdeepcluster import DEC, DEKM, SphericalKMeans
from skdeepcluster.metrics import clustering_accuracy

ESTIMATORS = {"DEC": DEC, "DEKM": DEKM}
_TIMED_STEPS = 100


def in_processes(function, n_processes, *args, killed=None):
    """Results of ``function(rank, *args)``; process 1 is killed after some seconds."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            context.Process(
                target=run, args=(function, rank, n_processes, folder, args)
            )
            for rank in range(n_processes)
        ]
        for process in processes:
            process.start()
        if killed is not None:
            while not (Path(folder) / "begun1").exists():
                time.sleep(0.05)
            time.sleep(killed)
            os.kill(processes[1].pid, signal.SIGKILL)
        start = time.perf_counter()
        processes[0].join()
        seconds = time.perf_counter() - start
        for process in processes:
            process.join()
        found = [
            pickle.loads((Path(folder) / str(rank)).read_bytes())
            for rank in range(n_processes if killed is None else 1)
        ]
    return found if killed is None else (found[0], seconds)


def run(function, rank, n_processes, folder, args):
    """One process of a group."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if n_processes > 1:
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/rendezvous",
            rank=rank,
            world_size=n_processes,
        )
    (Path(folder) / f"begun{rank}").touch()
    try:
        result = function(rank, *args)
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    (Path(folder) / str(rank)).write_bytes(pickle.dumps(result))
    if torch.distributed.is_initialized():  # a failed fit has left it
        torch.distributed.destroy_process_group()


def fit_spherical(rank, dataset):
    X, _ = load(dataset)
    model = SphericalKMeans(10, shard="auto", random_state=0, device="cpu").fit(X)
    return {"centers": model.cluster_centers_}, model.labels_


def fit_network(rank, dataset, name, precision, params, seed=0):
    X, _ = load(dataset)
    model = ESTIMATORS[name](
        10, shard="auto", precision=precision, random_state=seed, device="cpu", **params
    ).fit(X)
    state = {k: v.numpy() for k, v in model.module_.state_dict().items()}
    return {**state, "centers": model.cluster_centers_}, model.labels_


def largest_difference(found, expected):
    return max(float(np.abs(found[k] - expected[k]).max()) for k in expected)


def report_equality(args):
    """Largest differences from the fit of one process, and labels that differ."""
    epochs = {"pretrain_epochs": args.epochs, "max_iter": args.epochs, "tol": 0.0}
    step = {"pretrain_epochs": 1, "max_iter": 1, "batch_size": 10**6}
    cases = {"SphericalKMeans": (fit_spherical, ())}
    for name in ESTIMATORS:
        cases[f"{name}, float64, {2 * args.epochs} epochs"] = (
            fit_network,
            (name, "float64", epochs),
        )
        cases[f"{name}, float32, a step of each phase"] = (
            fit_network,
            (name, "float32", step),
        )
    print("| data | fit | processes | largest difference | labels that differ |")
    print(5 * "|---" + "|")
    for dataset in args.datasets:
        for case, (function, params) in cases.items():
            ((expected, labels),) = in_processes(function, 1, dataset, *params)
            for size in args.processes:
                found = in_processes(function, size, dataset, *params)
                apart = max(largest_difference(own, expected) for own, _ in found)
                changed = max(int((own != labels).sum()) for _, own in found)
                print(
                    f"| {dataset} | {case} | {size} | {apart:.1e} | {changed} |",
                    flush=True,
                )


def report_seeds(args):
    """Means over seeds in float32, by one process and by two."""
    epochs = {"pretrain_epochs": args.seed_epochs, "max_iter": args.seed_epochs}
    print("\n| data | method | processes | ACC | NMI |\n" + 5 * "|---" + "|")
    for dataset in args.datasets:
        y = load(dataset)[1]
        for name in ESTIMATORS:
            for size in (1, 2):
                quality = []
                for seed in range(args.seeds):
                    params = (dataset, name, "float32", epochs, seed)
                    labels = in_processes(fit_network, size, *params)[0][1]
                    acc = clustering_accuracy(y, labels)
                    quality.append((acc, normalized_mutual_info_score(y, labels)))
                cells = [spread(list(values)) for values in zip(*quality, strict=True)]
                print(f"| {dataset} | {name} | {size} | {' | '.join(cells)} |")


def long_fit(rank):
    X, _ = load("digits")
    DEC(10, shard="auto", pretrain_epochs=10_000, random_state=0, device="cpu").fit(X)


def report_failure(args):
    """How long a process goes on after another was killed, and what it says."""
    print("\n| repeat | seconds until the other ended | its error |\n|---|---|---|")
    for repeat in range(args.repeats):
        message, seconds = in_processes(long_fit, 2, killed=3.0 + repeat)
        print(f"| {repeat} | {seconds:.1f} | {message[:150]} |", flush=True)


def timed_steps(rank, batch_size, n_steps):
    """Median seconds of an epoch's step, and of one message of its size."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batch_size * n_steps, 784), dtype=np.float32)
    common = {"max_iter": 1, "tol": 0.0, "n_init": 1, "batch_size": batch_size}
    common |= {"random_state": 0, "device": "cpu", "shard": "auto"}
    more = max(4, _TIMED_STEPS // n_steps)
    seconds = []
    for epochs in (1, 1, 1 + more):  # the first fit warms up
        start = time.perf_counter()
        model = DEC(10, pretrain_epochs=epochs, **common).fit(X)
        seconds.append(time.perf_counter() - start)
    step = (seconds[2] - seconds[1]) / (more * n_steps)
    n_numbers = sum(p.numel() for p in model.module_.parameters())
    return step, message_seconds(n_numbers)


def message_seconds(n_numbers):
    if not torch.distributed.is_initialized():
        return 0.0
    numbers, seconds = torch.zeros(n_numbers), []
    for _ in range(20):
        torch.distributed.barrier()
        start = time.perf_counter()
        torch.distributed.all_reduce(numbers)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def report_efficiency(args):
    """Rows per second and process by two, as a share of those of one alone."""
    print(
        "\n| rows a process and step | alone ms | two processes ms | message ms "
        "| efficiency | predicted |\n" + 6 * "|---" + "|"
    )
    for rows in args.rows:
        ((alone, _),) = in_processes(timed_steps, 1, rows, args.steps)
        both = in_processes(timed_steps, 2, 2 * rows, args.steps)
        step = max(seconds for seconds, _ in both)
        message = max(seconds for _, seconds in both)
        print(
            f"| {rows} | {1e3 * alone:.1f} | {1e3 * step:.1f} | {1e3 * message:.1f} "
            f"| {alone / step:.2f} | {alone / (alone + message):.2f} |",
            flush=True,
        )


PARTS = {
    "equality": report_equality,
    "seeds": report_seeds,
    "failure": report_failure,
    "efficiency": report_efficiency,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    add("--datasets", nargs="+", default=["digits", "usps"])
    add("--processes", nargs="+", type=int, default=[2, 4])
    add("--epochs", type=int, default=5, help="of each phase, in float64")
    add("--seeds", type=int, default=10)
    add("--seed-epochs", type=json.loads, default='"auto"', help="of each phase")
    add("--repeats", type=int, default=3, help="of the failure")
    add("--rows", nargs="+", type=int, default=[128, 512, 2048])
    add("--steps", type=int, default=8, help="in an epoch, of the efficiency")
    args = parser.parse_args()
    for part in args.parts:
        PARTS[part](args)


if __name__ == "__main__":
    main()
