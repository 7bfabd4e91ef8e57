"""Which fit a checkpoint belongs to."""

from __future__ import annotations

import numpy as np

from skdeepcluster.engine import (
    Checkpoints,
    RandomStreams,
    circumstances,
    class_path,
    data_in_words,
    in_words,
    parameters_in_words,
)
from skdeepcluster.utils._group import SharedError


def open_checkpoints(estimator, data, compute, group):
    """Checkpoints of a fit that begins, or that goes on in `checkpoint_dir`.

    Parameters
    ----------
    estimator : BaseDeepEstimator
        Unfitted.
    data : tuple of arrays
        Everything that the fit learns from.
    compute : Compute
    group : Group

    Returns
    -------
    checkpoints : Checkpoints
        With the random streams of the fit.
    """
    streams = RandomStreams.from_random_state(estimator.random_state)
    streams = RandomStreams(group.first(streams.entropy))
    directory = _common_directory(estimator.checkpoint_dir, group)
    if directory is None:
        return Checkpoints(streams)
    fingerprint = {
        "estimator": class_path(estimator),
        **_parameters_in_words(estimator, streams),
        **circumstances(compute),
        "number of processes": str(group.size),
        "the fit to go on from (warm_start)": in_words(estimator._last_fit),
        "data (X, y or sample_weight)": " ".join(group.each(data_in_words(*data))),
    }
    return Checkpoints.open(directory, fingerprint, streams, group)


def _common_directory(directory, group):
    """That of the first process, which is the one that reads and writes."""
    directories = group.each(directory)
    if directories[0] is None and any(directories):
        raise SharedError(
            "checkpoint_dir is None in the first process, which is the one that "
            "writes, but not in others: pass it there, too."
        )
    return directories[0]


def _parameters_in_words(estimator, streams):
    words = parameters_in_words(estimator)
    if isinstance(estimator.random_state, np.random.RandomState):
        words["random_state"] = f"a RandomState that drew {streams.entropy}"
    return words
