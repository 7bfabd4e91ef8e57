"""What a program has set for all of torch, kept out of an estimator's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_DEVICES = "cpu", "cuda", "mps"


@contextmanager
def own_torch_settings() -> Iterator[None]:
    """Context, or decorator, in which the caller's settings of torch do not hold.

    Under ``torch.autocast`` losses and centres would be rounded, and its cache would
    give every step the weights of the first one. With a default device, tensors would
    be made elsewhere than beside their rows. Under ``torch.inference_mode`` nothing
    can be learned. Only what is set is undone: a context of a device slows all of
    torch down.
    """
    with ExitStack() as undone:
        for device in filter(torch.is_autocast_enabled, _DEVICES):
            undone.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            undone.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            undone.enter_context(torch.inference_mode(False))
        yield
