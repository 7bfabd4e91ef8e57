"""What the engine costs: beside a bare torch loop, and beside ClustPy's DEC.

    python -m benchmarks.engine_overhead
    python -m benchmarks.engine_overhead --peer --peer-python PATH

**Steps.** A reconstruction phase of the engine runs on 20 batches of rows, so that an
epoch is a block of 20 steps. Whenever an epoch ends, an observer runs 20 steps of a
bare loop on its own copy of network, optimizer and rows: same layers, same fused
optimizer, same permutation and gather. So the blocks alternate in one process and one
thread, and what else the machine does hits both. An engine block lasts from the end of
a bare block to the end of the engine's epoch, so it holds everything that the engine
does besides stepping (here once in 20 steps, on real data rarer). Reported are medians,
the median of the ratios of neighbouring blocks with a bootstrap interval, and, apart,
what starting a phase costs. Rounds are short, each with fresh networks, because the
bare loop does not keep denormals out of its optimizer and would slow down.

**Late steps.** The same, over at least 1,100 steps in one phase: the engine's late
blocks must not be slower than its early ones. Data with constant columns bring out the
difference (MNIST where ``SKDEEPCLUSTER_DATA`` is set; else synthetic rows).

**Peer.** Whole fits of DEC beside ClustPy's, at the same network, batch size, numbers
of epochs, threads and rows, each in a process of its own, alternating.
"""

import argparse
import copy
import os
import sys
import time

import numpy as np
import torch
from torch.nn.functional import mse_loss

from benchmarks._data import VARIABLE, load
from benchmarks._peer import report_peer
from benchmarks.paper_tables import parse_parameter
from skdeepcluster.engine import (
    Compute,
    Observer,
    OptimizerSpec,
    Phase,
    RandomStreams,
    Scaling,
    Trainer,
    build_network,
)
from skdeepcluster.objectives import Reconstruction

HIDDEN = (500, 500, 2000)
EMBEDDING_SIZE = 10
BLOCK = 20  # steps
SPECS = {"sgd": OptimizerSpec("sgd", 0.1), "adam": OptimizerSpec("adam", 1e-3)}


class BareLoop:
    """The shortest training loop that does the same."""

    def __init__(self, network, x, spec, batch_size):
        self.network, self.x, self.batch_size = network.train(), x, batch_size
        self.optimizer = spec.build(network.parameters())
        self.generator = torch.Generator().manual_seed(0)

    def run_block(self):
        """One pass over the rows; seconds."""
        start = time.perf_counter()
        order = torch.randperm(len(self.x), generator=self.generator)
        for index in order.to(self.x.device).split(self.batch_size):
            x = self.x.index_select(0, index)
            self.optimizer.zero_grad(set_to_none=True)
            loss = mse_loss(self.network.decode(self.network.encode(x)), x)
            loss.backward()
            self.optimizer.step()
        loss.item()
        return time.perf_counter() - start


class Alternation(Observer):
    """Times the engine's epochs and lets `between` run after each."""

    def __init__(self, between):
        super().__init__()
        self.between = between
        self.own, self.other = [], []
        self.setup = None
        self.resumed = time.perf_counter()

    def epoch_begins(self, phase):
        if self.setup is None:
            self.setup = time.perf_counter() - self.resumed

    def epoch_ends(self, task, phase, epoch, loss, snapshot=None):
        self.own.append(time.perf_counter() - self.resumed)
        self.other.append(self.between())
        self.resumed = time.perf_counter()
        return False


def make_rows(n_samples):
    """MNIST where it is at hand, else rows of rank 50 with 150 constant columns."""
    if os.environ.get(VARIABLE):
        X = load("mnist")[0]
        X = X[np.random.RandomState(0).choice(len(X), n_samples, replace=False)]
    else:
        rng = np.random.RandomState(0)
        hidden = rng.normal(size=(n_samples, 50))
        X = np.maximum(hidden @ rng.normal(size=(50, 784)), 0).astype(np.float32)
        X[:, rng.permutation(784)[:150]] = 0
    return Scaling.fit(X).apply(X)


def alternate(X, spec, batch_size, n_blocks, device):
    """Blocks of the engine and of the bare loop, in turn; seconds of each."""
    compute = Compute.resolve(device, "float32")
    streams = RandomStreams(0)
    network = build_network(None, HIDDEN, X.shape[1], EMBEDDING_SIZE, streams)
    x = torch.from_numpy(X).to(compute.device)
    bare = BareLoop(
        copy.deepcopy(network).to(compute.device), x.clone(), spec, batch_size
    )
    bare.run_block()
    observer = Alternation(bare.run_block)
    trainer = Trainer(
        network,
        x,
        compute=compute,
        streams=streams,
        batch_size=batch_size,
        observer=observer,
    )
    # The first epoch warms the engine up, as the block above did the bare loop.
    phase = Phase("overhead", {Reconstruction(): 1.0}, n_blocks + 1, spec)
    observer.resumed = time.perf_counter()
    trainer.run(phase)
    return np.array(observer.own[1:]), np.array(observer.other[1:]), observer.setup


def bootstrap(values, n_draws=2000):
    """95 % interval of the median."""
    rng = np.random.RandomState(0)
    draws = rng.choice(values, size=(n_draws, len(values)))
    return np.percentile(np.median(draws, axis=1), [2.5, 97.5])


def measure_steps(args, name, batch_size):
    """One line of the table of steps."""
    X = make_rows(BLOCK * batch_size)
    rounds = [
        alternate(X, SPECS[name], batch_size, args.blocks, args.device)
        for _ in range(args.rounds)
    ]
    own, other = (np.concatenate([r[i] for r in rounds]) for i in (0, 1))
    low, high = bootstrap(own / other)
    quartiles = np.percentile(own / other, [25, 75])
    return (
        f"| {name} | {batch_size} | {1e3 * np.median(own) / BLOCK:.2f} "
        f"| {1e3 * np.median(other) / BLOCK:.2f} | {np.median(own / other):.3f} "
        f"| {low:.3f} to {high:.3f} | {quartiles[0]:.3f} to {quartiles[1]:.3f} "
        f"| {len(own)} x {BLOCK} | {1e3 * np.median([r[2] for r in rounds]):.1f} |"
    )


def report_steps(args):
    print(
        "| optimizer | batch | engine ms/step | bare ms/step | ratio | 95 % of median "
        "| quartiles | blocks | phase start ms |\n" + 9 * "|---" + "|"
    )
    for name in args.optimizers:
        for batch_size in args.batch_sizes:
            print(measure_steps(args, name, batch_size), flush=True)


def measure_late(args, name, batch_size=256):
    """One line of the table of late steps; blocks 50..300 against the last 250."""
    n_blocks = -(-args.late_steps // BLOCK)
    X = make_rows(BLOCK * batch_size)
    own, other, _ = alternate(X, SPECS[name], batch_size, n_blocks, args.device)
    span = min(13, n_blocks // 2)
    early, late = slice(2, 2 + span), slice(n_blocks - span, n_blocks)
    cells = [name, str(batch_size), str(n_blocks * BLOCK)]
    for seconds in (own, other):
        first, last = np.median(seconds[early]), np.median(seconds[late])
        cells += [f"{1e3 * first / BLOCK:.2f}", f"{1e3 * last / BLOCK:.2f}"]
        cells += [f"{last / first:.2f}"]
    return "| " + " | ".join(cells) + " |"


def report_late(args):
    print(
        "\n| optimizer | batch | steps | engine early ms | late ms | late / early "
        "| bare early ms | late ms | late / early |\n" + 9 * "|---" + "|"
    )
    for name in args.optimizers:
        print(measure_late(args, name), flush=True)


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--batch-sizes", nargs="+", type=int, default=[256, 1024])
    add("--threads", type=int, default=torch.get_num_threads())
    steps = parser.add_argument_group("steps")
    add = steps.add_argument
    add("--optimizers", nargs="+", default=list(SPECS), choices=SPECS)
    add("--blocks", type=int, default=20, help="pairs of blocks in a round")
    add("--rounds", type=int, default=3)
    add("--late-steps", type=int, default=1400, help="0 leaves this part out")
    add("--device", default="cpu")
    peer = parser.add_argument_group("peer")
    add = peer.add_argument
    add("--peer", action="store_true", help="whole fits beside ClustPy's DEC instead")
    add("--peer-python", default=sys.executable, help="the Python that has clustpy")
    add("--dataset", default="usps")
    add("--rows", type=int, help="only the first rows")
    add("--scale", default="unit", choices=["unit", "rms"], help="of X, for both")
    add("--pretrain-epochs", type=int, default=100)
    add("--clustering-epochs", type=int, default=150)
    add("--repeats", type=int, default=3, help="seeds, from 0")
    add("--params", nargs="+", type=parse_parameter, default=[], metavar="KEY=VALUE")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    if args.peer:
        args.hidden, args.embedding_size = HIDDEN, EMBEDDING_SIZE
        report_peer(args)
        return
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.threads} threads, device {args.device}\n")
    report_steps(args)
    if args.late_steps:
        report_late(args)


if __name__ == "__main__":
    main()
