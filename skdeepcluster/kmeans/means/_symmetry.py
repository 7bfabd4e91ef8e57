"""An order of points by their products, whatever their place."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skdeepcluster.kmeans._rows import row_blocks
from skdeepcluster.kmeans.means._content import rank_of

# Sums of products that differ by a smaller part of what they are bound by are the same:
# products are rounded, too.
_ROUNDING = 1e-12
# Points that are told from their likes by fiat, at most; each takes passes over all
# products.
_MOST_SINGLED = 32
# Passes in which pairs of points are told apart by what the two have in common.
_MOST_PAIRED = 2
# Rounds of refinement at most, each of which takes passes over all products: along a
# chain of points every round tells one pair apart. Where contents decide, few do.
_MOST_ROUNDS, _MOST_ROUNDS_BEFORE_CONTENT = 64, 8
_LEAST_EXPONENT = -1000  # whose inverse is a float
_GOLDEN = (5**0.5 - 1) / 2


def kernel_rank(
    kernel: Tensor, weight: Tensor, twins: Tensor, content: Tensor | None = None
) -> Tensor:
    """Place of each point in an order that their products give, (n,), int64.

    Points are told apart by the sums of their products with all points, by their
    squares, and by the sums of their products with the classes of those told apart
    before. Where a class is left with several points, what they hold decides. Where
    only products are known, it is what pairs of them have in common, and then one point
    is singled out, and the others are told apart by it. So to shuffle the points leads
    to the same order, or to one that a symmetry of the products makes of it: on a ring,
    say, all points are alike.

    Parameters
    ----------
    kernel : Tensor of shape (n, n)
    weight : Tensor of shape (n,), float64
        On the device of `kernel`.
    twins : Tensor of shape (n,), int64
        Index of the first point that is equal to each, on the host.
    content : Tensor of shape (n,), int64, default=None
        Place of each point in an order by what it holds, where that is known.

    Returns
    -------
    rank : Tensor of shape (n,), int64
        On the host; equal points follow each other.
    """
    products, equal = Products(kernel), twins.numpy()
    classes = np.zeros(len(equal), dtype=np.int64)
    for values, error in products.sums(weight):
        classes = _split(classes, values, error)
    classes = _split(classes, products.squares, _ROUNDING * np.abs(products.squares))
    rounds = _MOST_ROUNDS if content is None else _MOST_ROUNDS_BEFORE_CONTENT
    classes = _told_apart(products, weight, classes, equal, rounds)
    for number in range(_MOST_PAIRED + _MOST_SINGLED):
        shared = _shared(classes, equal)
        if not len(shared) or content is not None:
            break
        if number < _MOST_PAIRED:
            products = products.paired(weight)
            classes = _told_apart(products, weight, classes, equal)
            continue
        first = equal[classes == shared[0]].min()
        classes = _split(classes, -1.0 * (equal == first), np.zeros(len(equal)))
        classes = _told_apart(products, weight, classes, equal)
    last = equal if content is None else content.numpy()
    return rank_of(np.lexsort((last, classes)))


class Products:
    """Sums of the products of points, and how far they can be trusted."""

    def __init__(self, kernel: Tensor) -> None:
        self.kernel = kernel
        largest = max(abs(float(end)) for end in kernel.aminmax())
        # Squares of products might leave the range of float64.
        self._unit = math.ldexp(1.0, -max(math.frexp(largest)[1], _LEAST_EXPONENT))
        squares = kernel.diagonal().to(torch.float64) * self._unit
        self.squares = squares.cpu().numpy()
        self._lengths = squares.abs().sqrt()

    def paired(self, weight: Tensor) -> Products:
        """Pairs of points that also know what the two have in common."""
        kernel = self.kernel.to(torch.float64) * self._unit
        common = kernel @ (kernel * weight[:, None]) / weight.sum()
        # Any function would do that hardly ever takes two pairs for each other.
        return Products(kernel + torch.cos(1 + _GOLDEN * common))

    def sums(self, weighted: Tensor) -> list[tuple[NDArray, NDArray]]:
        """Weighted sums of products, and of their squares, each with its error."""
        shape = 3, len(self.kernel)
        sums = torch.empty(shape, dtype=torch.float64, device=self.kernel.device)
        for rows in row_blocks(*self.kernel.shape):
            block = self.kernel[rows].to(torch.float64) * self._unit
            sums[0, rows] = block @ weighted
            sums[1, rows] = block.abs() @ weighted
            sums[2, rows] = block.square() @ weighted
        bound = sums[1] + self._lengths * (self._lengths @ weighted)
        widest = self._lengths.square()
        squared = sums[2] + widest * (widest @ weighted)
        plain, plain_error = sums[0], _ROUNDING * bound
        parts = plain, plain_error, sums[2], _ROUNDING * squared
        values = [part.cpu().numpy() for part in parts]
        return [(values[0], values[1]), (values[2], values[3])]


def _told_apart(
    products: Products,
    weight: Tensor,
    classes: NDArray,
    equal: NDArray,
    rounds: int = _MOST_ROUNDS,
) -> NDArray:
    """Classes of which no two points differ in their sums with any class."""
    for _ in range(rounds):
        if not len(_shared(classes, equal)):
            break
        before = classes.max()
        # Irrational numbers: hardly any two sets of classes have the same sum.
        colors = (1 + classes) * _GOLDEN % 1 + 0.5
        weighted = torch.from_numpy(colors).to(weight.device) * weight
        for values, error in products.sums(weighted):
            classes = _split(classes, values, error)
        if classes.max() == before:
            break
    return classes


def _shared(classes: NDArray, equal: NDArray) -> NDArray:
    """Classes of several different points."""
    pairs = np.unique(np.stack([classes, equal]), axis=1)
    return np.flatnonzero(np.bincount(pairs[0]) > 1)


def _split(classes: NDArray, values: NDArray, error: NDArray) -> NDArray:
    """Classes of the points that were in one class and have one value, in order."""
    order = np.lexsort((values, classes))
    wrong = error[order]
    apart = np.diff(values[order]) > wrong[1:] + wrong[:-1]
    apart |= np.diff(classes[order]) > 0
    split = np.empty_like(classes)
    split[order] = np.concatenate([[0], np.cumsum(apart)])
    return split
