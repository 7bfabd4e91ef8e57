"""The speed part of `benchmarks.spherical`: starts the races, prints their tables."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks._data import thread_environment
from benchmarks._spherical_data import speed_rows
from benchmarks._spherical_race import BFLOAT16, ELKAN, FAISS, LLOYD, LOOP, OURS

RIVALS = (LLOYD, ELKAN, FAISS, LOOP)

EXPLANATION = """\
All variants start from the same rows of X as centres, on float32 rows of unit norm;
normalising them is counted for none (ours takes their norms all the same). Time per
iteration is that of the whole fit over its iterations, median of the repeats; that of
faiss is its training without labels. A further iteration is the difference to a fit of
one iteration, over the iterations between, so that what a fit costs before and after
them is left out. `tol` is 0: a fit ends when no label changes, or at the cap, faiss at
the cap alone. The mean cosine is that of the rows to the directions of their clusters'
sums, for all from their labels, in float64."""


def report_speed(args, rows):
    """Run the races that are not in the rows; print two tables."""
    races = [
        {
            "part": "speed",
            "dataset": dataset,
            "n_clusters": n_clusters,
            "threads": threads,
            "max_iter": args.max_iter,
            "repeats": args.repeats,
        }
        for dataset in args.datasets
        for n_clusters in args.n_clusters
        for threads in args.threads
    ]
    with tempfile.TemporaryDirectory() as folder:
        for race in races:
            if not rows.find(**race):
                for row in run_race(race, Path(folder), args.peer_python):
                    rows.add({**race, **row})
    results = [rows.find(**race) for race in races]
    print_details(results)
    print_summary(results)
    print(f"\n{EXPLANATION}")


def run_race(race, folder, peer_python):
    """Rows of one race, from its process."""
    answer = folder / "answer.json"
    settings = {
        **race,
        "folder": str(folder),
        "rows": prepare(race["dataset"], folder),
        "peer_python": peer_python,
        "answer": str(answer),
    }
    command = [sys.executable, "-m", "benchmarks._spherical_race", json.dumps(settings)]
    environment = thread_environment(race["threads"])
    if subprocess.run(command, env=environment).returncode:
        raise SystemExit(f"The race {race} failed, see above.")
    return json.loads(answer.read_text())


def prepare(dataset, folder):
    """Write the rows for the races, once; the name of their file."""
    for path in folder.glob(f"{dataset}.np[yz]"):
        return path.name
    X = speed_rows(dataset)
    if sp.issparse(X):
        sp.save_npz(folder / f"{dataset}.npz", X, compressed=False)
        return f"{dataset}.npz"
    np.save(folder / f"{dataset}.npy", X)
    return f"{dataset}.npy"


def find_faiss(peer_python):
    """The Python that has faiss, or None."""
    python = shutil.which(peer_python or sys.executable)
    if python is None:
        raise SystemExit(f"There is no {peer_python}.")
    found = subprocess.run([python, "-c", "import faiss"], capture_output=True)
    if found.returncode and peer_python:
        raise SystemExit(f"{peer_python} has no faiss:\n{found.stderr.decode()}")
    return None if found.returncode else python


def per_iteration(row):
    """Milliseconds."""
    return 1e3 * float(np.median(row["seconds"])) / row["n_iter"]


def further(row):
    """Milliseconds of an iteration after the first."""
    gap = np.median(row["seconds"]) - np.median(row["seconds_single"])
    return 1e3 * float(gap) / max(1, row["n_iter"] - 1)


def _name(row):
    n, d = row["shape"]
    return f"{row['dataset']} {n} x {d} | {row['n_clusters']} | {row['threads']}"


def print_details(results):
    print(
        "\n| data | K | threads | variant | ms / iteration | from .. to | ms / "
        "further iteration | iterations | fit s | mean cosine | labels as ours, lloyd "
        "| scikit-learn lloyd's time / this |\n" + 12 * "|---" + "|"
    )
    for race in results:
        reference = next(row for row in race if row["variant"] == LLOYD)
        for row in race:
            seconds = np.array(row["seconds"])
            ends = 1e3 * np.array([seconds.min(), seconds.max()]) / row["n_iter"]
            version = f" {row['version']}" if row["version"] else ""
            print(
                f"| {_name(row)} | {row['variant']}{version} | {per_iteration(row):.2f}"
                f" | {ends[0]:.2f} .. {ends[1]:.2f} | {further(row):.2f} "
                f"| {row['n_iter']} | {np.median(seconds):.3f} "
                f"| {row['mean_cosine']:.6f} | {row['equal_labels']:.4f} "
                f"| {per_iteration(reference) / per_iteration(row):.2f} |"
            )


def print_summary(results):
    print(
        "\n| data | K | threads | ours, auto, ms / iteration | scikit-learn lloyd / "
        "ours | elkan / ours | faiss / ours | plain loop / ours | mean cosine of ours "
        "minus best other | ours / bfloat16 | equal labels |\n" + 11 * "|---" + "|"
    )
    for race in results:
        by_name = {row["variant"]: row for row in race}
        own, rough = by_name[OURS], by_name[BFLOAT16]
        times = {name: per_iteration(row) for name, row in by_name.items()}
        cells = [f"{times[OURS]:.2f}"]
        cells += [
            f"{times[name] / times[OURS]:.2f}" if name in times else ""
            for name in RIVALS
        ]
        best = max(row["mean_cosine"] for row in race if row["variant"] in RIVALS)
        cells.append(f"{own['mean_cosine'] - best:+.1e}")
        cells += [
            f"{times[OURS] / times[BFLOAT16]:.2f}",
            f"{rough['equal_labels']:.4f}",
        ]
        print(f"| {_name(own)} | {' | '.join(cells)} |")
