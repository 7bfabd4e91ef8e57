"""
Fit one model in several processes
==================================

``torchrun`` starts the processes, on one machine or on many, and every process runs
this file::

    torchrun --nproc-per-node=2 examples/fit_in_processes.py --folder state

Each process generates (in practice: reads) its own rows; no process ever has all of
them. All end with the same model. If a process dies, all others end within seconds;
when started again, the fit continues from its last checkpoint.
"""

import argparse

import torch
from sklearn.datasets import make_blobs

from skdeepcluster import DEC, SphericalKMeans
from skdeepcluster.metrics import clustering_accuracy


def own_rows(rank, n_processes):
    """Rows of one process; here every `n_processes`-th of the same blobs."""
    X, y = make_blobs(20_000, n_features=50, centers=10, random_state=0)
    return X[rank::n_processes], y[rank::n_processes]


def main():
    """Fit two models in all processes that ``torchrun`` has started."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", help="where the state of the fit is kept")
    parser.add_argument("--pretrain-epochs", type=int, default=5)
    args = parser.parse_args()
    torch.distributed.init_process_group("gloo")  # "nccl" where each has a GPU
    rank = torch.distributed.get_rank()
    X, y = own_rows(rank, torch.distributed.get_world_size())

    dec = DEC(
        n_clusters=10,
        pretrain_epochs=args.pretrain_epochs,
        max_iter=2,
        batch_size=2048,
        shard="local",
        checkpoint_dir=args.folder,
        random_state=0,
    ).fit(X)
    directions = SphericalKMeans(n_clusters=10, shard="local", random_state=0).fit(X)

    for model in (dec, directions):
        accuracy = clustering_accuracy(y, model.labels_)
        print(
            f"process {rank}: {type(model).__name__}, {len(X)} own rows, accuracy "
            f"{accuracy:.3f}, first centre {model.cluster_centers_[0, :3].round(3)}",
            flush=True,
        )
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
