"""Rows that are images: their shape, and its checks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skdeepcluster.architectures._base import Architecture
from skdeepcluster.architectures._layers import check_sizes

ImageShape = tuple[int, int, int]


def check_image_shape(shape: Any) -> ImageShape:
    """Return (channels, height, width), one channel where only two sides are given."""
    check_sizes("image_shape", shape)
    if len(shape) not in (2, 3):
        raise ValueError(
            "The 'image_shape' parameter must be (height, width) or (channels, "
            f"height, width). Got {shape!r} instead."
        )
    channels, height, width = (1, *shape)[-3:]
    return int(channels), int(height), int(width)


def check_features(shape: Any, n_features: int) -> None:
    """Refuse rows that are not images of `shape`."""
    size = math.prod(shape)
    if size != n_features:
        raise ValueError(
            f"image_shape={tuple(shape)} makes {size} features, but X has "
            f"{n_features} features."
        )


def check_stages(architecture: Architecture, channels: Any, kernel_sizes: Any) -> None:
    """Refuse anything but one number of channels and one kernel size a stage."""
    check_sizes("channels", channels)
    check_sizes("kernel_sizes", kernel_sizes)
    if len(channels) != len(kernel_sizes) or len(channels) == 0:
        raise ValueError(
            "The 'channels' and 'kernel_sizes' parameters of "
            f"{type(architecture).__name__} must have the same length, at least 1. "
            f"Got {channels!r} and {kernel_sizes!r} instead."
        )


def check_flag(architecture: Architecture, name: str) -> None:
    """Refuse a parameter that is not a bool."""
    value = getattr(architecture, name)
    if not isinstance(value, bool | np.bool_):
        raise ValueError(
            f"The {name!r} parameter of {type(architecture).__name__} must be a bool. "
            f"Got {value!r} instead."
        )


def too_small(shape: ImageShape, kernel_sizes: Any) -> ValueError:
    """Error for an image of which the kernels leave nothing."""
    return ValueError(
        f"Images of image_shape={shape} are too small for "
        f"kernel_sizes={tuple(kernel_sizes)}: use fewer stages or smaller kernels."
    )
