"""What the engine costs: beside the limit, a bare loop, and ClustPy's whole fits.

    python -m benchmarks.engine
    python -m benchmarks.engine --profile
    python -m benchmarks.engine --peer --peer-python PATH --output FILE

**Steps.** Blocks of training steps alternate in one process, so that what else the
machine does hits all of them: the engine in float32 and bfloat16, a bare loop, and the
limit in both precisions. A block of the engine is an epoch of a reconstruction phase
and holds everything that the engine does besides stepping (here once in 20 steps, or in
5 of the convolutional network; on real data rarer). The bare loop has the same layers,
fused optimizer, permutation and gather. The limit is the matrix products (convolutions)
of a step alone, see `_engine_limit.py`; on an accelerator those of its library, each
launched by itself. Reported are medians, and medians of the ratios of neighbouring
blocks with a bootstrap interval. Rounds are short, each with fresh networks, because
the bare loop does not keep denormals out of its optimizer and would slow down.

**Late steps.** The same over 1,100 steps of one phase: the last 250 against those from
the 50th to the 300th, also beside the limit, whose work stays the same. Data with
constant columns bring out the difference (MNIST where ``SKDEEPCLUSTER_DATA`` is set;
else synthetic rows).

**Profile.** The operators of the engine's steps, by what they are for.

**Peer.** Whole fits beside ClustPy's, at the same network, batch size, numbers of
epochs, threads and rows, or (``--defaults``) each package at its defaults; every fit in
a process of its own, in pairs.
"""

import argparse
import sys
from pathlib import Path

import torch

from benchmarks._arguments import PRECISIONS, parse_parameter
from benchmarks._engine_loops import NETWORKS, SPECS
from benchmarks._engine_profile import report_profile
from benchmarks._engine_steps import EARLY, report_late, report_steps
from benchmarks._machine import describe
from benchmarks._peer import METHODS, report_peer


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--threads", type=int, default=torch.get_num_threads())
    add("--device", default="cpu")
    add("--profile", action="store_true", help="the operators of a step instead")
    add("--peer", action="store_true", help="whole fits beside ClustPy's instead")
    add_steps(parser.add_argument_group("steps and profile"))
    add_peer(parser.add_argument_group("peer"))
    args = parser.parse_args(arguments)
    if "float32" not in args.precisions:
        parser.error("--precisions must have float32, which all is compared with")
    if 0 < args.late_steps < 2 * EARLY[1]:
        parser.error(f"--late-steps must be 0 or at least {2 * EARLY[1]}")
    return args


def add_steps(group):
    add = group.add_argument
    add("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    add("--batch-sizes", nargs="+", type=int, default=[256, 1024])
    add("--optimizers", nargs="+", default=list(SPECS), choices=SPECS)
    add("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    add("--blocks", type=int, default=12, help="of each loop, in a round")
    add("--rounds", type=int, default=2, help="0 leaves the table of steps out")
    add("--late-steps", type=int, default=1100, help="0 leaves this part out")


def add_peer(group):
    add = group.add_argument
    add("--peer-python", default=sys.executable, help="the Python that has clustpy")
    add("--defaults", action="store_true", help="of each package, epochs included")
    add("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    add("--datasets", nargs="+", default=["mnist10k", "usps"])
    add("--rows", type=int, help="only the first rows")
    add("--scale", default="unit", choices=["unit", "rms"], help="of X, for both")
    add("--pretrain-epochs", type=int, default=100)
    add("--clustering-epochs", type=int, default=150)
    add("--repeats", type=int, default=3, help="seeds, from 0")
    add("--params", nargs="+", type=parse_parameter, default=[], metavar="KEY=VALUE")
    add("--output", type=Path, help="file for the finished fits")


def main(arguments=None):
    args = parse_arguments(arguments)
    print(f"{describe(['torch', 'numpy'])}; {args.threads} threads", flush=True)
    if args.peer:
        report_peer(args)
        return
    torch.set_num_threads(args.threads)
    print(f"{describe_device(torch.device(args.device))}\n", flush=True)
    if args.profile:
        report_profile(args)
        return
    if args.rounds:
        report_steps(args)
    if args.late_steps:
        report_late(args)


def describe_device(device):
    """What an accelerator is, and what float32 means on it."""
    if device.type != "cuda":
        return f"device {device}"
    return (
        f"device {torch.cuda.get_device_name(device)}, float32 matrix products "
        f"{torch.get_float32_matmul_precision()!r}, TF32 in convolutions: "
        f"{torch.backends.cudnn.allow_tf32}"
    )


if __name__ == "__main__":
    main()
