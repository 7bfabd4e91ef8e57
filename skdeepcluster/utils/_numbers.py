"""Checks of single numbers, for which a bool is none."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn.utils import check_scalar


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, and no bool, with which Python counts, too."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_real(value: Any) -> bool:
    """Whether a value is a real number, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_number(value: Any, name: str, kind: type, minimum: float) -> None:
    """Refuse what is no number of a kind, or less than a minimum.

    Parameters
    ----------
    value : object
    name : str
        Of the parameter.
    kind : {Integral, Real}
    minimum : float
    """
    if isinstance(value, bool):
        number = "an int" if kind is Integral else "a float"
        raise TypeError(f"{name} must be {number}, not a bool. Got {value!r}.")
    check_scalar(value, name, kind, min_val=minimum)
