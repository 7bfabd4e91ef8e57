"""Whether the columns of X are in different units, so that few of them decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdeepcluster.engine._columns import Columns, are_counts
from skdeepcluster.utils._group import Group
from skdeepcluster.utils._warnings import warn_user

# Columns of one unit come in all sizes between the smallest and the largest. A factor
# without any between is a gap, below which at least so many columns hold so little.
_GAP = 2.0
_LEAST_COLUMNS = 1 / 3
_LARGEST_SHARE = 0.01
# Spreads of fewer rows differ by chance.
_FEWEST_ROWS = 10
_NAMED = 3


class DataScaleWarning(UserWarning):
    """Some columns of X are so small beside others that they hardly count."""


def warn_of_units(
    X: Any, columns: Columns, group: Group, names: Sequence[str] | None = None
) -> None:
    """Warn where a part of the columns hardly counts for its unit alone.

    Parameters
    ----------
    X : {ndarray, StoredRows, CSR matrix} of shape (n_samples, n_features)
    columns : Columns
        Of `X`.
    group : Group
    names : sequence of str, optional
        Names of the columns; their numbers by default.
    """
    if columns.n_samples < _FEWEST_ROWS:
        return
    small, large = split_by_size(columns)
    if not len(small) or _are_rare_counts(X, columns, small, group):
        return
    squares = columns.squares
    share = squares[large].sum() / (squares[large].sum() + squares[small].sum())
    warn_user(
        f"{_named(large, names)} {_verb(large, 'has', 'have')} "
        f"{np.floor(1000 * share) / 10:.1f}% of the variance of X, so that "
        f"{_named(small, names)} hardly {_verb(small, 'counts', 'count')}: the units "
        "of the columns seem to differ. Scale X first (e.g. with StandardScaler) where "
        "all columns should count.",
        DataScaleWarning,
    )


def split_by_size(columns: Columns) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Columns that hardly count, and those that do; none and none without a gap.

    The size of a column is the mean of its absolute deviations, each weighted with
    itself. Unlike the standard deviation it has the unit of the column and nothing
    else: a word, a pixel or a category is no smaller for being rare.

    Returns
    -------
    small, large : ndarray of int
        Columns below and above a gap, the largest first. Constant ones are in neither.
    """
    varying = np.flatnonzero(~columns.constant & (columns.squares > 0))
    size = columns.squares[varying] / columns.deviations[varying]
    order = np.argsort(size, kind="stable")
    size, varying = size[order], varying[order]
    held = np.cumsum(columns.squares[varying])
    apart = size[1:] > _GAP * size[:-1]
    many = np.arange(1, len(size)) >= _LEAST_COLUMNS * len(size)
    if (
        len(size) == 0
        or not (fits := apart & many & (held[:-1] <= _LARGEST_SHARE * held[-1])).any()
    ):
        return varying[:0], varying[:0]
    stop = int(np.flatnonzero(fits)[-1]) + 1
    return varying[:stop][::-1], varying[stop:][::-1]


def _are_rare_counts(
    X: Any, columns: Columns, small: NDArray[np.intp], group: Group
) -> bool:
    """Whether the small columns count what is rare: their unit is one, as for all."""
    more_than_whether = small[columns.high[small] > 1]
    rare = 2 * (columns.low[more_than_whether] == 0).sum() > len(more_than_whether)
    return bool(rare) and are_counts(X, group)


def _named(columns: NDArray[np.intp], names: Sequence[str] | None) -> str:
    """The first few columns, and how many more."""
    known = [str(j) if names is None else repr(str(names[j])) for j in columns]
    shown, more = known[:_NAMED], len(known) - _NAMED
    if more > 0:
        return f"columns {', '.join(shown)} and {more} more"
    word = _verb(columns, "column", "columns")
    head = ", ".join(shown[:-1])
    return f"{word} {head} and {shown[-1]}" if head else f"{word} {shown[-1]}"


def _verb(columns: NDArray[np.intp], one: str, many: str) -> str:
    return one if len(columns) == 1 else many
