"""Fits that are interrupted again and again, and what they end with."""

import torch

from skdeepcluster.engine import _checkpoints
from skdeepcluster.engine._progress import PhaseProgress


class Interruptions:
    """Raises KeyboardInterrupt at the n-th call of a function, until it is disarmed.

    Every epoch is kept, so that each attempt of a fit comes farther than the last.
    """

    def __init__(self, patch, owner=PhaseProgress, name="after_step"):
        self.calls, self.at = 0, None
        # Nothing is lost here with the power, and waiting for a disk is slow.
        patch.setattr(_checkpoints.os, "fsync", lambda handle: None)
        original = getattr(owner, name)

        def interrupted(*args, **kwargs):
            self.calls += 1
            if self.calls == self.at:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        patch.setattr(owner, name, interrupted)
        patch.setattr(_checkpoints, "SECONDS_BETWEEN", 0.0)

    def ends(self, model, *args, at, **kwargs):
        """Whether a fit comes to its end before call `at`."""
        self.calls, self.at = 0, at
        try:
            model.fit(*args, **kwargs)
        except KeyboardInterrupt:
            return False
        finally:
            self.at = None
        return True

    def fit_to_the_end(self, model, *args, at, **kwargs):
        """Fit, every attempt but the last interrupted at call `at`; how many were."""
        for attempt in range(100):
            if self.ends(model, *args, at=at, **kwargs):
                return attempt
        raise AssertionError("the fit does not come farther")


def state_bytes(module):
    state = module.state_dict()
    return {
        key: value.numpy().tobytes() if isinstance(value, torch.Tensor) else value
        for key, value in state.items()
    }


def outcome(model):
    """Everything that a fit has learnt, comparable to the bit."""
    found = {
        name: getattr(model, name).tobytes()
        for name in ("labels_", "initial_labels_", "cluster_centers_", "centroids_")
        if hasattr(model, name)
    }
    return {
        **found,
        "network": state_bytes(model.module_),
        "objective": state_bytes(model.objective_),
        "history": model.history_,
        "n_iter": model.n_iter_,
        "attributes": sorted(vars(model)),
    }
