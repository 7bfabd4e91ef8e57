"""Fit wholly or not at all."""

from __future__ import annotations

import functools


def whole_or_nothing(fit):
    """Decorate ``fit`` so that it leaves the estimator untouched when it fails."""

    @functools.wraps(fit)
    def guarded(estimator, *args, **kwargs):
        before = dict(vars(estimator))
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return guarded
