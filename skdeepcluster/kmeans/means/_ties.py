"""Orders and choices in which rounding and the order of points have no say.

Where numbers are equal but for rounding, the points' rank decides, which belongs to
what a point is: so shuffled points, copies instead of weights, or sums that were formed
in another order lead to the same choices.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def first_largest(values: Tensor, error: Tensor, rank: Tensor) -> int:
    """Index of the largest value, (n,); of those equal but for rounding the first.

    Parameters
    ----------
    values, error : Tensor of shape (n,)
    rank : Tensor of shape (n,), int64
        On the host.
    """
    largest = (values + error >= (values - error).max()).nonzero().squeeze(1).cpu()
    return int(largest[rank[largest].argmin()])


def descending(values: Tensor, error: Tensor, rank: Tensor) -> Tensor:
    """Order of falling values, (n,); those equal but for rounding by rank.

    Parameters
    ----------
    values, error : Tensor of shape (n,)
        On the host; values may be -inf.
    rank : Tensor of shape (n,), int64
    """
    order = values.argsort(descending=True)
    ordered, wrong = values[order], error[order]
    # Two infinities differ by NaN, which is no gap.
    apart = ordered[:-1] - ordered[1:] > wrong[:-1] + wrong[1:]
    groups = np.concatenate([[0], np.cumsum(apart.numpy())])[: len(order)]
    return order[torch.from_numpy(np.lexsort((rank[order].numpy(), groups)))]
