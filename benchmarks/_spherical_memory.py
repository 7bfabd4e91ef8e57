"""The memory part of `benchmarks.spherical`: a mapped file larger than the memory.

The process that fits lowers its limit on private memory (``RLIMIT_DATA``) once
everything is imported, to what it then has plus `--allowance`. A fit that would copy
the file, or make another type of it, breaks.
"""

import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks._data import thread_environment
from benchmarks._memory import Peak, limit_private_memory, status
from skdeepcluster import SphericalKMeans

N_FEATURES = 768
_WRITTEN_ROWS = 8192


def write_rows(path, gigabytes, n_components=20):
    """A mixture, float16, written block by block; its number of rows."""
    n_rows = int(gigabytes * 1e9) // (2 * N_FEATURES)
    rng = np.random.default_rng(0)
    means = rng.standard_normal((n_components, N_FEATURES), dtype=np.float32)
    with open(path, "wb") as file:
        for start in range(0, n_rows, _WRITTEN_ROWS):
            size = min(_WRITTEN_ROWS, n_rows - start)
            rows = 1.5 * rng.standard_normal((size, N_FEATURES), dtype=np.float32)
            rows += means[rng.integers(n_components, size=size)]
            file.write(rows.astype(np.float16).tobytes())
    return n_rows


def report_memory(args, rows):
    """Write the file, fit in a process of its own, print what it measured."""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "rows.float16"
        settings = {
            "path": str(path),
            "n_rows": write_rows(path, args.gigabytes),
            "allowance": args.allowance,
            "answer": str(Path(folder) / "answer.json"),
        }
        command = [sys.executable, "-m", "benchmarks._spherical_memory"]
        for threads in args.threads:
            done = subprocess.run(
                [*command, json.dumps(settings)], env=thread_environment(threads)
            )
            if done.returncode:
                raise SystemExit("The fit within the limit failed, see above.")
            answer = json.loads(Path(settings["answer"]).read_text())
            rows.add({"part": "memory", "threads": threads, **answer})
            print_memory(answer, threads)


def print_memory(answer, threads):
    n, limit = answer["n_rows"], answer["limit"]
    print(
        f"\n{n} x {N_FEATURES} float16, {2e-9 * n * N_FEATURES:.2f} GB mapped, "
        f"{threads} threads; private memory limited to {limit / 1e9:.2f} GB, "
        f"{answer['allowance']} GB above what was in use after the imports; RssAnon "
        f"was then {answer['anonymous'] / 1e9:.3f} GB.\n\n"
        "| step | seconds | peak RssAnon GB | above that after imports |\n"
        "|---|---|---|---|"
    )
    for name, (seconds, peak) in answer["steps"].items():
        above = (peak - answer["anonymous"]) / 1e9
        print(f"| {name} | {seconds:.1f} | {peak / 1e9:.3f} | {above:.3f} |")
    print(
        f"\nAn iteration takes {answer['iteration']:.1f} s: the difference of two "
        "fits over the iterations between. It reads the file for labels and for sums."
    )


def read_once(X):
    """What a pass over the file costs by itself."""
    for start in range(0, len(X), _WRITTEN_ROWS):
        X[start : start + _WRITTEN_ROWS].astype(np.float32)


def measure(settings):
    """Fits and predictions within the limit."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    shape = settings["n_rows"], N_FEATURES
    X = np.memmap(settings["path"], dtype=np.float16, mode="r", shape=shape)
    anonymous = status("RssAnon")
    limit = limit_private_memory(settings["allowance"])
    params = {"n_clusters": 8, "init": "random", "n_init": 1, "random_state": 0}
    params["device"] = "cpu"
    steps, models = {}, {}

    def step(name, function):
        print(f"{name} ...", file=sys.stderr, flush=True)
        with Peak() as peak:
            result = function()
        steps[name] = peak.seconds, peak.peak
        return result

    step("read once, as float32", lambda: read_once(X))
    for max_iter in (1, 3):
        model = SphericalKMeans(**params, max_iter=max_iter)
        name = f"fit, max_iter={max_iter}"
        models[name] = step(name, lambda model=model: model.fit(X))
    labels = step("predict", lambda: models["fit, max_iter=3"].predict(X))
    assert np.array_equal(labels, models["fit, max_iter=3"].labels_)
    model = SphericalKMeans(**params, max_iter=1, batch_size=4096)
    step("fit, batch_size=4096, max_iter=1", lambda: model.fit(X))
    step("predict, after batches", lambda: model.predict(X))
    between = steps["fit, max_iter=3"][0] - steps["fit, max_iter=1"][0]
    return {
        "n_rows": len(X),
        "limit": limit,
        "allowance": settings["allowance"],
        "anonymous": anonymous,
        "steps": steps,
        "iteration": between / 2,
        "n_iter": int(models["fit, max_iter=3"].n_iter_),
    }


def main():
    settings = json.loads(sys.argv[1])
    Path(settings["answer"]).write_text(json.dumps(measure(settings)))


if __name__ == "__main__":
    main()
