"""Memory and speed of a deep fit on sparse rows.

    python -m benchmarks.sparse_input --output results.json

The full vocabulary of 20 newsgroups (18,846 x 75,565, CSR) would take 5.7 GB as a dense
float32 matrix. DEC is fitted on it as it is, in a process of its own whose private
memory is sampled, for a few epochs (the first has the peak already). Beside
it, the time of an epoch on 2,000 columns, where the dense matrix fits: the same rows as
CSR and as an array, in turn.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks._data import load
from benchmarks._memory import Peak, status
from benchmarks._spherical_data import newsgroups
from skdeepcluster import DEC


def measure_memory(epochs):
    """Peak of private memory during a fit and a prediction, in bytes."""
    X, _ = newsgroups()
    X = X[:, X.getnnz(axis=0) > 1]  # words of two texts or more
    loaded = status("RssAnon")
    with Peak() as peak:
        model = DEC(20, pretrain_epochs=epochs, max_iter=1, random_state=0).fit(X)
        model.predict(X[:1000])
    return {
        "shape": X.shape,
        "nnz": int(X.nnz),
        "dense_bytes": 4 * X.shape[0] * X.shape[1],
        "parameters": sum(p.numel() for p in model.module_.parameters()),
        "loaded_bytes": loaded,
        "peak_bytes": peak.peak,
        "seconds": peak.seconds,
    }


def measure_speed(epochs, repeats):
    """Seconds of fits on CSR and on dense rows, in turn."""
    X, _ = load("20news")
    X = X.astype(np.float32)
    seconds = {"csr": [], "dense": []}
    for _ in range(repeats):
        for form, rows in (("csr", X), ("dense", X.toarray())):
            model = DEC(20, pretrain_epochs=epochs, max_iter=1, random_state=0)
            start = time.perf_counter()
            model.fit(rows)
            seconds[form].append(time.perf_counter() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--part", choices=["memory", "speed"])
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    if args.part == "memory":  # in a process of its own
        print(json.dumps(measure_memory(args.epochs)))
        return
    command = [sys.executable, "-m", "benchmarks.sparse_input", "--part", "memory"]
    done = subprocess.run(
        [*command, "--epochs", str(args.epochs)], capture_output=True, check=True
    )
    memory = json.loads(done.stdout.splitlines()[-1])
    speed = measure_speed(args.epochs, args.repeats)
    report(memory, speed)
    if args.output is not None:
        args.output.write_text(json.dumps({"memory": memory, "speed": speed}))


def report(memory, speed):
    n, d = memory["shape"]
    print(
        f"{n} x {d}, {memory['nnz']} entries; dense {memory['dense_bytes'] / 1e9:.2f} "
        f"GB; {memory['parameters']} parameters, {torch.get_num_threads()} threads.\n\n"
        "| | GB |\n|---|---|\n"
        f"| private memory, rows loaded | {memory['loaded_bytes'] / 1e9:.2f} |\n"
        f"| peak of fit and predict | {memory['peak_bytes'] / 1e9:.2f} |\n"
    )
    ratio = np.divide(speed["csr"], speed["dense"])
    print(
        "Time of a fit on CSR over that on dense rows, 2,000 columns: "
        f"{ratio.mean():.2f} ({ratio.min():.2f} to {ratio.max():.2f})."
    )


if __name__ == "__main__":
    main()
