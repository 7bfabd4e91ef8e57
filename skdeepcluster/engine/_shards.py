"""Which rows this process has of those that all processes train on together.

Rows stay where they are. What is small is the same in every process: the network, the
embedding of all rows, targets and labels, so that objectives compute as if they were
alone; and every batch is one batch of all rows, of which a process takes its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import joblib
import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skdeepcluster.engine._fingerprints import is_plain, parameters_in_words
from skdeepcluster.utils._group import Group, SharedError

_COMPARED_ROWS = 100


def part_of(n_rows: int, group: Group) -> slice:
    """Rows that a process takes where all have the same: neighbours, evenly many."""
    ends = [n_rows * rank // group.size for rank in (group.rank, group.rank + 1)]
    return slice(*ends)


def copy_from_first(network: nn.Module, group: Group) -> None:
    """Give all processes the weights of the first, which a seed mostly does."""
    if group.size == 1:
        return
    statistics = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    if statistics:
        raise SharedError(
            f"The network has a {type(statistics[0]).__name__}, whose statistics would "
            "be those of the rows of each process: fit it with shard=None."
        )
    network.load_state_dict(state_of_first(network, group))


def state_of_first(module: nn.Module, group: Group) -> dict[str, Any]:
    """What the first process has as the state of a module, on the host."""
    state = {
        name: value.cpu() if isinstance(value, Tensor) else value
        for name, value in module.state_dict().items()
    }
    return group.first(state)  # type: ignore[no-any-return]


def check_agreement(
    estimator: Any, X: Any, others: Any, batch_size: int, group: Group
) -> None:
    """Refuse what processes cannot fit together, in all of them.

    Parameters
    ----------
    estimator : estimator
        With a `shard`.
    X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
        What this process was passed.
    others : arrays
        What else: weights, classes.
    batch_size : int
    group : Group
    """
    _check_parameters(estimator, group)
    shard = estimator.shard
    kinds = group.each((issparse(X), str(X.dtype), X.shape[1]))
    if len(set(kinds)) > 1:
        found = ", ".join(
            f"{n} of {'sparse' if sparse else 'dense'} {dtype}"
            for sparse, dtype, n in kinds
        )
        raise SharedError(
            "X should have the same number of features, of one kind, in all "
            f"processes. Got {found}."
        )
    if shard == "auto" and len(set(group.each(_signature(X)))) > 1:
        raise SharedError(
            "With shard='auto' all processes must pass the same X, of which each takes "
            "its part, but these differ. Pass shard='local' if each has its own rows."
        )
    if shard == "auto" and len(set(group.each(str(joblib.hash(others))))) > 1:
        raise SharedError(
            "With shard='auto' all processes must pass the same y and sample_weight. "
            "Got different ones."
        )
    rows = group.each(X.shape[0])
    least = sum(rows) // group.size if shard == "local" else rows[0]
    if min(rows) == 0 or least < group.size or batch_size < group.size:
        raise SharedError(
            "Every process needs at least one row, and every batch at least one row of "
            f"each process. Got {rows} rows, {group.size} processes and "
            f"batch_size={batch_size}."
        )


def _check_parameters(estimator: Any, group: Group) -> None:
    """Refuse other plain parameters than in the other processes.

    Not those that are objects, nor seeds: the first process's are taken.
    """
    words = {
        name: value
        for name, value in parameters_in_words(estimator).items()
        if is_plain(value) and name != "random_state"
    }
    every = group.each(words)
    for name in dict.fromkeys(name for own in every for name in own):
        values = [own.get(name, "an object") for own in every]
        if len(set(values)) > 1:
            raise SharedError(
                f"The {name!r} parameter should be the same in all processes. Got "
                f"{', '.join(values)}."
            )


def _signature(X: Any) -> tuple[tuple[int, int], str]:
    """Shape, and a hash of some rows."""
    step = max(1, X.shape[0] // _COMPARED_ROWS)
    some = X[np.arange(0, X.shape[0], step)]
    return X.shape, str(joblib.hash(some.toarray() if issparse(X) else some))


@torch.no_grad()
def average_gradients(
    parameters: Iterable[nn.Parameter], loss: Tensor, n_rows: int, group: Group
) -> Tensor:
    """Turn gradients of sums over a process's rows into those of the mean over all.

    One message a step: gradients, loss and number of rows. (Not
    ``DistributedDataParallel``, which follows calls of ``forward``: here networks are
    called by ``encode`` and ``decode``, losses have parameters, and a process may have
    no row of a batch.)

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        In the same order in every process; their gradients change in place.
    loss : Tensor
        Sum over the rows of this process.
    n_rows : int
        How many these are.
    group : Group

    Returns
    -------
    loss : Tensor
        Mean over the rows of all processes.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    own = [*gradients, loss, loss.new_tensor(float(n_rows))]
    total = group.sum(torch.cat([part.reshape(-1) for part in own]))
    mean = total[:-1] / total[-1]
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, part in zip(gradients, mean[:-1].split(sizes), strict=True):
        gradient.copy_(part.view_as(gradient))
    return mean[-1]
