"""Warnings that point to the user's line."""

import contextlib
import inspect
import sys
import warnings
from pathlib import Path

import sklearn

_PASSED = (
    str(Path(__file__).parents[1]),
    str(Path(inspect.getfile(sklearn)).parent),
    inspect.getfile(contextlib),
)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called the package, whatever is between.

    Parameters
    ----------
    message : str
    category : type of warning, default=UserWarning
    """
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_code.co_filename.startswith(_PASSED):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
