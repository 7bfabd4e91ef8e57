"""A fit that is killed again and again ends with the bits of one that is not.

    OMP_NUM_THREADS=1 python -m benchmarks.kill_test

Each estimator with a network is fitted once in peace, and once by processes of which
20 get a SIGKILL at a random moment; each of them begins the same fit with the same
arguments and `checkpoint_dir`. Every epoch is kept, so that many moments lie in a
write. Compared are weights, centres and their other state, labels, answers and history.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import torch
from sklearn.datasets import make_blobs

import skdeepcluster
from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine import _checkpoints

SETTINGS = {
    "architecture": MLPAutoencoder((32, 16), dropout=0.1),
    "embedding_size": 4,
    "pretrain_epochs": 30,
    "max_iter": 30,
    "tol": 0.0,
    "n_init": 5,
    "batch_size": 50,
    "random_state": 0,
}
CLUSTERINGS = {
    "DEC": {},
    "IDEC": {"pretraining": "layerwise"},
    "DCN": {},
    "DeepKMeans": {},
    "DEKM": {},
    "DCJC": {},
    "MIADM": {"warmup_epochs": 10},
    "SRKMeans": {"warmup_epochs": 10},
    "DeepClustering": {
        "clustering_loss": ("classification", "locality", "balance"),
        "denoising": 0.2,
        "schedule": "ramp",
        "recluster": True,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "pretraining": "layerwise",
    },
}
CLASSIFICATIONS = {"CentroidClassifier": {"warmup_epochs": 30}}
NAMES = [*CLUSTERINGS, *CLASSIFICATIONS]
# Kills before the fit ends are likely as long as their mean distance is below this
# share of what remains of it.
SHARE = 0.8
_TRIALS = 20


def make(name, folder=None):
    """Estimator of that name, small, with checkpoints in `folder`."""
    cls = getattr(skdeepcluster, name)
    params = {**SETTINGS, **CLUSTERINGS.get(name, {}), **CLASSIFICATIONS.get(name, {})}
    if name in CLUSTERINGS:
        params["n_clusters"] = 4
    known = cls().get_params()
    params = {key: value for key, value in params.items() if key in known}
    return cls(**params, checkpoint_dir=folder)


def digests(model, X):
    """Hash of each thing that a fit has learnt."""

    def of(*parts):
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part if isinstance(part, bytes) else repr(part).encode())
        return digest.hexdigest()[:16]

    def state(module):
        return [
            value.numpy().tobytes() if isinstance(value, torch.Tensor) else value
            for value in module.state_dict().values()
        ]

    return {
        "weights": of(*state(model.module_), *state(model.objective_)),
        "labels": of(getattr(model, "labels_", model.predict(X)).tobytes()),
        "answers": of(model.transform(X).tobytes(), model.predict(X).tobytes()),
        "history": of(model.history_, model.n_iter_),
    }


def fit(name, folder, output):
    """Fit once; write what came out."""
    X, y = make_blobs(600, n_features=12, centers=4, cluster_std=4.0, random_state=1)
    model = make(name, folder).fit(X, y)
    partial = output.with_suffix(".partial")
    partial.write_text(json.dumps(digests(model, X)))
    os.replace(partial, output)


def run(name, folder, output, delay=None):
    """Fit in a new process, killed after `delay` seconds; whether it ended itself."""
    process = multiprocessing.get_context("fork").Process(
        target=fit, args=(name, folder, output)
    )
    process.start()
    process.join(delay)
    if process.exitcode is None:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{name}: the fit failed with exit code {process.exitcode}.")
    return process.exitcode == 0


def killed_fit(name, scratch, seconds, kills, rng):
    """Kill a fit again and again, then let it end; what happened, and the result."""
    folder, output = scratch / "state", scratch / "killed.json"
    counts = {"kills": 0, "in a write": 0, "with a checkpoint": 0}
    while counts["kills"] < kills:
        delay = rng.uniform(0, 2 * SHARE * seconds / kills)
        if run(name, folder, output, delay):
            return counts, None
        left = os.listdir(folder) if folder.exists() else []
        counts["kills"] += 1
        counts["in a write"] += any(file != _checkpoints.FILE_NAME for file in left)
        counts["with a checkpoint"] += _checkpoints.FILE_NAME in left
    run(name, folder, output)
    if os.listdir(folder):
        raise SystemExit(f"{name}: the fit that ended has left {os.listdir(folder)}.")
    return counts, json.loads(output.read_text())


def check(name, args, rng):
    """Row of the table for one estimator."""
    scratch = Path(tempfile.mkdtemp(dir=args.scratch))
    peaceful = scratch / "peaceful.json"
    fit(name, None, peaceful)  # in this process, so that the others find all imported
    expected = json.loads(peaceful.read_text())
    begin = time.monotonic()
    run(name, scratch / "timed", peaceful)
    seconds = time.monotonic() - begin
    for trial in range(1, _TRIALS + 1):
        shutil.rmtree(scratch / "state", ignore_errors=True)
        counts, found = killed_fit(name, scratch, seconds, args.kills, rng)
        if found is not None:
            shutil.rmtree(scratch)
            same = {what: found[what] == expected[what] for what in expected}
            return [name, *counts.values(), trial], same
        seconds *= 0.8  # it ended before its last kill: kill sooner
    raise SystemExit(f"{name} always ended before its last kill.")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--estimators", nargs="+", default=NAMES, choices=NAMES)
    add("--kills", type=int, default=20)
    add("--seed", type=int, default=0, help="of the moments of the kills")
    add("--scratch", help="folder for the checkpoints")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    torch.set_num_threads(1)  # a process that has threads cannot be forked
    _checkpoints.SECONDS_BETWEEN = 0.0
    columns = ["estimator", "kills", "in a write", "with a checkpoint", "trials"]
    columns += ["weights", "labels", "answers", "history"]
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns), flush=True)
    held = True
    for name in args.estimators:
        row, same = check(name, args, random.Random(f"{args.seed} {name}"))
        words = ["identical" if same[what] else "DIFFERENT" for what in same]
        print("| " + " | ".join(map(str, [*row, *words])) + " |", flush=True)
        held &= all(same.values())
    if not held:
        raise SystemExit("A promise does not hold: see the table above.")


if __name__ == "__main__":
    main()
