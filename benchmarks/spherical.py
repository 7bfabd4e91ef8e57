"""Spherical k-means: speed, optima, quality and memory.

    python -m benchmarks.spherical --peer-python PATH
    python -m benchmarks.spherical --quality
    python -m benchmarks.spherical --re0
    python -m benchmarks.spherical --memory --folder PATH

**Speed.** `SphericalKMeans` beside scikit-learn's `KMeans` on unit rows (Lloyd and
Elkan), faiss with spherical centres (dense rows; from a Python of its own where it is
not installed) and a plain loop in NumPy and SciPy, from the same centres. Each data
set, K and thread count has a process, in which the fits of all variants alternate.

**Quality.** Agreement with hidden classes, and criterion, over seeds, on text sets.

**re0.** Criterion of random-row starts with and without local search beside reference
values, and start by start beside each other.

**Memory.** Fits on a mapped file within a limit on private memory.

Finished measurements go to ``--output`` as lines of JSON, and are not taken again when
the file has them.
"""

import argparse
import sys
from pathlib import Path

from benchmarks._machine import describe
from benchmarks._rows import Rows
from benchmarks._spherical_data import QUALITY_NAMES, SPEED_NAMES
from benchmarks._spherical_memory import report_memory
from benchmarks._spherical_quality import report_quality, report_re0
from benchmarks._spherical_speed import find_faiss, report_speed

PARTS = {
    "quality": report_quality,
    "re0": report_re0,
    "memory": report_memory,
    "speed": report_speed,
}
PACKAGES = ("skdeepcluster", "scikit-learn", "torch", "numpy", "scipy")


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    for part in PARTS:
        add(f"--{part}", action="store_true", help="this part; default: speed")
    add("--datasets", nargs="+", help="default: all of the part")
    add("--threads", nargs="+", type=int, default=[1, 2], help="of speed and memory")
    add("--output", type=Path, help="file for the finished measurements")
    speed = parser.add_argument_group("speed")
    add = speed.add_argument
    add("--n-clusters", nargs="+", type=int, default=[20, 100])
    add("--max-iter", type=int, default=30)
    add("--repeats", type=int, default=5)
    add("--peer-python", help="the Python that has faiss; default: this one, if it has")
    optima = parser.add_argument_group("quality and re0")
    add = optima.add_argument
    add("--seeds", type=int, default=10, help="of quality, from 0")
    add("--starts", type=int, default=200, help="on re0")
    add("--chain-length", type=int, default=10, help="of the local search; 0: without")
    memory = parser.add_argument_group("memory")
    add = memory.add_argument
    add("--folder", help="for the file; default: that for temporary files")
    add("--gigabytes", type=float, default=4)
    add("--allowance", type=float, default=1.5, help="GB of private memory for a fit")
    return parser.parse_args(arguments)


def choose_datasets(args, part):
    """Set the data sets of a part, or fail."""
    known = QUALITY_NAMES if part == "quality" else SPEED_NAMES
    unknown = [name for name in args.datasets or [] if name not in known]
    if unknown and part in ("quality", "speed"):
        raise SystemExit(f"--datasets must be of {known}. Got {unknown}.")
    return argparse.Namespace(**{**vars(args), "datasets": args.datasets or known})


def main(arguments=None):
    args = parse_arguments(arguments)
    parts = [part for part in PARTS if getattr(args, part)] or ["speed"]
    if "speed" in parts:
        args.peer_python = find_faiss(args.peer_python)
    command = " ".join(["python -m benchmarks.spherical", *(arguments or sys.argv[1:])])
    print(f"```\n{command}\n```\n{describe(PACKAGES)}", flush=True)
    rows = Rows(args.output)
    for part in parts:
        PARTS[part](choose_datasets(args, part), rows)


if __name__ == "__main__":
    main()
