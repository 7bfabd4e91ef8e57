r"""The centre of greatest cosine for every row, exactly.

.. math::
    l_i = \arg\max_j \frac{x_i \cdot c_j}{\lVert x_i \rVert \lVert c_j \rVert}

Rounded products decide where they can: where no other centre is within twice the bound
on their error. Elsewhere float64 products of single pairs do. So a label depends on its
row and the centres alone: not on the rows beside it, the block, the number of threads,
the device, or whether the data are stored dense or sparse.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from skdeepcluster.kmeans._rows import consecutive, row_blocks
from skdeepcluster.kmeans.matrices import Centers, Matrix, float32_rounding

# Cosines that differ by less are equal but for the order of summation in float64.
_TIE = 2e-15


def nearest_by_cosine(matrix: Matrix, centers: Centers) -> tuple[Tensor, Tensor]:
    """Label every row.

    Parameters
    ----------
    matrix : DenseMatrix or SparseMatrix of shape (n, d)
    centers : DenseCenters or SparseCenters
        Of the kind of the matrix.

    Returns
    -------
    labels : Tensor of shape (n,), int64, on the host
        Index of the nearest centre; of several equally near, the lowest. A zero row is
        equally near to all.
    products : Tensor of shape (n,), float32 or float64, on the host
        Product of the row with that unit centre, rounded: its norm times the cosine.
    """
    own = matrix.own
    labels = torch.empty(len(own), dtype=torch.int64)
    products = torch.empty(len(own), dtype=own.dtype)
    for rows, block in own.blocks():
        index = torch.arange(rows.start, rows.stop)
        labels[rows], products[rows] = label_block(own, index, block, centers)
    return matrix.of_all(labels), matrix.of_all(products)


def cosine_blocks(matrix: Matrix, centers: Centers) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the rows with their cosines to all centres, (b, k), float64, rounded.

    0 for rows of zeros. On the host, as many rows at a time as it reads.
    """
    for rows, block in matrix.blocks():
        products = matrix.products(block, centers)
        for part in consecutive(len(products), matrix.read_rows):
            at = slice(rows.start + part.start, rows.start + part.stop)
            norms = matrix.norms[at, None].clamp(min=5e-324)
            yield at, products[part].to("cpu", torch.float64) / norms


def own_cosine_distances(matrix: Matrix, labels: Tensor, centers: Centers) -> Tensor:
    """``1 - cos`` of each row and the centre of its label, (n,), from differences.

    No digits cancel, however near the cosines are to 1. On the host.
    """
    own, unit = matrix.own, centers.unit()
    labels = labels[matrix.own_rows]
    distances = torch.empty(len(own), dtype=torch.float64)
    for rows in row_blocks(len(own), own.shape[1]):
        directions = own.gather(torch.arange(rows.start, rows.stop))
        directions /= own.norms[rows, None].clamp(min=5e-324)
        distances[rows] = (directions - unit[labels[rows]]).square_().sum(1) / 2
    return matrix.of_all(distances)


def label_block(
    matrix: Matrix, index: Tensor, block: Tensor, centers: Centers
) -> tuple[Tensor, Tensor]:
    """Label the rows of one block.

    Parameters
    ----------
    matrix : DenseMatrix or SparseMatrix of shape (n, d)
    index : Tensor of shape (b,)
        Which rows.
    block : Tensor
        The same rows, as ``matrix.take(index)`` gives them.
    centers : DenseCenters or SparseCenters

    Returns
    -------
    labels, products : Tensor of shape (b,)
        As `nearest_by_cosine` gives them.
    """
    scores = matrix.products(block, centers)  # (b, k)
    return label_scores(matrix, index, scores, matrix.error(block), centers)


def label_scores(
    matrix: Matrix,
    index: Tensor,
    scores: Tensor,
    error: float,
    centers: Centers,
    which: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Label the rows `index`, (b,), by their products, (b, k), which are overwritten.

    `error` bounds that of a product, relative to the norm of the row. Products with
    some of the centres only are those with `which`, (m,); labels are places in it.
    """
    best = scores.amax(1)
    norms = matrix.norms[index]
    margin = (norms * (2 * error)).to(best)
    near = scores.ge_((best - margin).unsqueeze(1))  # 0. or 1.
    found, n_near = _read(near)
    n_near[norms == 0] = 0
    unsure = (n_near > 1).nonzero().squeeze(1)
    if matrix.precision == "bfloat16":
        found[unsure] = near[unsure].argmax(1).to(found)
    elif len(unsure):
        of = _decide(matrix, index, near, unsure.cpu(), centers, which)
        found[unsure] = of.to(found)
    found[norms == 0] = 0
    return found.cpu().to(torch.int64), best.cpu()


def _read(near: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the near centre, if there is one only, and how many there are."""
    if near.device.type != "cpu" or float32_rounding() != 2.0**-24:
        return near.argmax(1), near.sum(1)
    # One product reads off both; argmax over a short axis takes several times as long.
    reading = near.new_ones(2, near.shape[1])
    torch.arange(near.shape[1], out=reading[0])
    found, n_near = (reading @ near.t()).unbind(0)
    return found, n_near


def _decide(
    matrix: Matrix,
    index: Tensor,
    near: Tensor,
    unsure: Tensor,
    centers: Centers,
    which: Tensor | None,
) -> Tensor:
    """Label the rows that rounding could mislead."""
    rows, of = near[unsure.to(near.device)].nonzero().cpu().unbind(1)
    pairs = index[unsure[rows]], of if which is None else which[of]
    exact = matrix.exact_products(*pairs, centers)
    scores = torch.full((len(unsure), near.shape[1]), -torch.inf, dtype=torch.float64)
    scores[rows, of] = exact
    tie = _TIE * matrix.norms[index[unsure]]
    near_best = scores >= (scores.amax(1) - tie).unsqueeze(1)
    return near_best.to(torch.uint8).argmax(1)
