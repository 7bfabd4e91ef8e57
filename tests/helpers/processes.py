"""Runs a function in several processes of one group."""

import multiprocessing
import pickle
import tempfile
import traceback
import warnings
from pathlib import Path

import torch


def in_processes(function, n_processes, *args, timeout=300):
    """Results of ``function(rank, *args)``, one for each process, in their order.

    An exception that one of them raises is its result.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            context.Process(
                target=_run, args=(function, rank, n_processes, folder, args)
            )
            for rank in range(n_processes)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout)
            process.kill()
        return [
            pickle.loads((Path(folder) / f"{rank}").read_bytes())
            for rank in range(n_processes)
        ]


def _run(function, rank, n_processes, folder, args):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=n_processes,
    )
    try:
        result = function(rank, *args)
    except Exception as error:
        traceback.print_exc()
        result = error
    (Path(folder) / f"{rank}").write_bytes(pickle.dumps(result))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
