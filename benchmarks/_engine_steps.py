"""Training steps beside their limit: the tables of `benchmarks.engine`."""

import time
from collections import Counter
from math import ceil

import numpy as np
import torch

from benchmarks._arguments import PRECISIONS
from benchmarks._engine_limit import Limit
from benchmarks._engine_loops import (
    NETWORKS,
    SPECS,
    BareLoop,
    EngineLoop,
    make_network,
    make_rows,
    synchronise,
)

LIMIT32, LIMIT16 = "limit float32", "limit bfloat16"
BARE, ENGINE32, ENGINE16 = "bare float32", "engine float32", "engine bfloat16"
EARLY = (50, 300)  # steps

HEADER = (
    "| network | optimizer | batch | steps | ms/step | of the float32 limit "
    "| of the bfloat16 limit | speed, engine float32 = 1 |\n" + 8 * "|---" + "|"
)
LATE_HEADER = (
    "\n| optimizer | batch | steps | early ms | late ms | late / early "
    "| beside the limit |\n" + 7 * "|---" + "|"
)


class Setting:
    """A network, its optimizer and batch size, with rows for a block of steps."""

    def __init__(self, network, optimizer, batch_size, device, precisions=PRECISIONS):
        self.network, self.optimizer, self.batch_size = network, optimizer, batch_size
        self.device, self.precisions = torch.device(device), precisions
        self.n_steps = NETWORKS[network][1]
        X = make_rows(self.n_steps * batch_size)
        self.x = torch.from_numpy(X).to(self.device)

    @property
    def cells(self):
        return f"{self.network} | {self.optimizer} | {self.batch_size}"

    def limits(self):
        """The products alone, with the fastest kernels."""
        network = make_network(self.network, self.x.shape[1], self.device)
        batch = self.x[: self.batch_size]
        return {
            name: Limit(network, batch, name.split()[1], self.n_steps)
            for name in self.of_precisions(LIMIT32, LIMIT16)
        }

    def loops(self):
        """Fresh training loops, all from the same weights."""
        network = make_network(self.network, self.x.shape[1], self.device)
        common = network, self.x, SPECS[self.optimizer], self.batch_size
        engines = {
            name: EngineLoop(*common, name.split()[1])
            for name in self.of_precisions(ENGINE32, ENGINE16)
        }
        return {BARE: BareLoop(*common), **engines}

    def of_precisions(self, *names):
        """Those of the names whose precision was asked for."""
        return [name for name in names if name.split()[1] in self.precisions]


def alternate(loops, n_blocks, device):
    """Seconds of the blocks of every loop, in turn; another goes first each time."""
    names = list(loops)
    seconds = {name: [] for name in names}
    for block in range(n_blocks):
        first = block % len(names)
        for name in names[first:] + names[:first]:
            synchronise(device)
            start = time.perf_counter()
            loops[name].run_block()
            synchronise(device)
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def report_steps(args):
    """One group of lines per network, optimizer and batch size."""
    print(HEADER)
    notes = []
    for network in args.networks:
        for optimizer in args.optimizers:
            for batch_size in args.batch_sizes:
                setting = Setting(
                    network, optimizer, batch_size, args.device, args.precisions
                )
                notes.append(measure_steps(args, setting))
    print("\n" + "\n".join(notes))


def measure_steps(args, setting):
    """Print the lines of one setting; returns a note on it."""
    limits = setting.limits()
    rounds, starts = [], []
    for _ in range(args.rounds):
        # Short rounds: the bare loop does not keep denormals out of its optimizer.
        loops = setting.loops()
        starts.append(1e3 * loops[ENGINE32].seconds_to_start)
        rounds.append(alternate({**limits, **loops}, args.blocks, setting.device))
    seconds = {name: np.concatenate([r[name] for r in rounds]) for name in rounds[0]}
    for name in seconds:
        print(step_line(setting, name, seconds), flush=True)
    kernels = "; ".join(f"{name}: {tally(limits[name])}" for name in limits)
    return (
        f"{setting.cells}: {len(seconds[BARE])} blocks of {setting.n_steps} steps, "
        f"engine / bare {ratio(seconds[ENGINE32] / seconds[BARE])}, start of a phase "
        f"{min(starts):.1f} ms at best; {kernels}."
    )


def step_line(setting, name, seconds):
    """Median step, and medians of the paired ratios."""
    own = seconds[name]
    per_step = 1e3 * np.median(own) / setting.n_steps
    cells = [f"{setting.cells} | {name} | {per_step:.2f}"]
    for other in (LIMIT32, LIMIT16, ENGINE32):
        cells.append(ratio(seconds[other] / own) if other in seconds else "")
    return f"| {' | '.join(cells)} |"


def tally(limit):
    """Kernels of a limit, with the number of products that each computes."""
    counts = Counter(limit.kernels).most_common()
    return ", ".join(f"{number} x {name}" for name, number in counts)


def ratio(values):
    """Median with its 95 % interval."""
    low, high = np.percentile(medians(values), [2.5, 97.5])
    return f"{np.median(values):.3f} ({low:.3f} to {high:.3f})"


def medians(values, n_draws=2000, seed=0):
    """Medians of bootstrap samples."""
    rng = np.random.RandomState(seed)
    return np.median(rng.choice(values, size=(n_draws, len(values))), axis=1)


def report_late(args):
    """Early against late steps of one long phase."""
    print(LATE_HEADER)
    for optimizer in args.optimizers:
        setting = Setting("mlp", optimizer, 256, args.device, args.precisions)
        measure_late(args, setting)


def measure_late(args, setting):
    """Print the lines of one setting.

    The limit does the same work in every block: what it takes says how fast the machine
    was at the time.
    """
    limit = {LIMIT32: setting.limits()[LIMIT32]}
    n_steps = setting.n_steps
    n_blocks = ceil(args.late_steps / n_steps) - 1  # one was the first epoch
    seconds = alternate({**limit, **setting.loops()}, n_blocks, setting.device)
    starts = n_steps * np.arange(1, n_blocks + 1)
    early = np.flatnonzero((starts >= EARLY[0]) & (starts + n_steps <= EARLY[1]))
    late = np.arange(n_blocks)[-len(early) :]
    for name, own in seconds.items():
        times = [1e3 * np.median(own[part]) / n_steps for part in (early, late)]
        beside = own / seconds[LIMIT32]
        print(
            f"| {setting.optimizer} | {setting.batch_size} | {name} | {times[0]:.2f} "
            f"| {times[1]:.2f} | {growth(own[early], own[late])} "
            f"| {growth(beside[early], beside[late])} |",
            flush=True,
        )


def growth(early, late):
    """Ratio of medians with its 95 % interval."""
    draws = medians(late, seed=1) / medians(early)
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{np.median(late) / np.median(early):.3f} ({low:.3f} to {high:.3f})"
