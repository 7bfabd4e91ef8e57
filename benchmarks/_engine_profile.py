"""Where the time of a training step goes: the ``--profile`` part."""

import re
import time
from collections import Counter

import numpy as np
from torch.profiler import ProfilerActivity, profile

from benchmarks._engine_loops import SPECS, EngineLoop, make_network, synchronise
from benchmarks._engine_steps import Setting

OUTSIDE = "outside of operators"
# Part of a step -> names of the operators whose own time it is; the first that fits.
PARTS = {
    "matrix products": r"mm$|linear|conv|gemm|cutlass|nvjet",
    "optimizer": r"adam|sgd|Optimizer|FusedOptimizer|multi_tensor",
    "data gather": r"index_select|indexSelect|randperm|split|narrow",
    "casts and copies": r"copy|_to_copy|::to$|dense|mkldnn|contiguous|Memcpy|clone",
    "loss and elementwise": (
        r"threshold|relu|clamp|pow|mul|div|sub|add|mean|sum|stack|cat|fill|ones"
        r"|elementwise|reduce"
    ),
}
REST = "other operators"


def report_profile(args):
    """Blocks of the precisions in turn, each once as it is and once profiled."""
    setting = Setting("mlp", args.optimizers[0], 256, args.device)
    network = make_network("mlp", setting.x.shape[1], setting.device)
    common = network, setting.x, SPECS[setting.optimizer], setting.batch_size
    loops = {precision: EngineLoop(*common, precision) for precision in args.precisions}
    walls = {precision: [] for precision in args.precisions}
    parts = {precision: [] for precision in args.precisions}
    for _ in range(args.blocks):
        for precision, loop in loops.items():
            walls[precision].append(seconds_of(loop, setting.device))
            parts[precision].append(profiled(loop, setting.device))
    print_profile(setting, walls, parts)


def seconds_of(loop, device):
    synchronise(device)
    start = time.perf_counter()
    loop.run_block()
    synchronise(device)
    return time.perf_counter() - start


def profiled(loop, device):
    """Seconds of the parts of one block."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as recorded:
        seconds = seconds_of(loop, device)
    on = "cpu" if device.type == "cpu" else "device"
    found = Counter()
    for event in recorded.key_averages():
        own = getattr(event, f"self_{on}_time_total") / 1e6
        found[part_of(event.key)] += own
    found[OUTSIDE] = max(0.0, seconds - sum(found.values()))
    return found


def part_of(operator):
    for part, pattern in PARTS.items():
        if re.search(pattern, operator):
            return part
    return REST


def print_profile(setting, walls, parts):
    print(
        f"mlp, {setting.optimizer}, batch {setting.batch_size}, ms of a step, medians "
        f"of {len(next(iter(walls.values())))} blocks of {setting.n_steps} steps\n\n"
        f"| part | {' | '.join(f'{p} | share' for p in walls)} |\n"
        + (1 + 2 * len(walls)) * "|---"
        + "|"
    )
    scale = 1e3 / setting.n_steps
    medians = {
        precision: {
            part: scale * np.median([block[part] for block in blocks])
            for part in (*PARTS, REST, OUTSIDE)
        }
        for precision, blocks in parts.items()
    }
    totals = {precision: sum(medians[precision].values()) for precision in walls}
    for part in (*PARTS, REST, OUTSIDE):
        cells = [
            f"{medians[p][part]:.2f} | {medians[p][part] / totals[p]:.0%}"
            for p in walls
        ]
        print(f"| {part} | {' | '.join(cells)} |")
    cells = [f"{totals[p]:.2f} | 100%" for p in walls]
    print(f"| all, profiled | {' | '.join(cells)} |")
    cells = [f"{scale * np.median(walls[p]):.2f} | " for p in walls]
    print(f"| all, not profiled | {' | '.join(cells)} |")
