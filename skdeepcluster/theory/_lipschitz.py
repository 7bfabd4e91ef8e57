"""Upper bounds on how much a network can stretch a distance."""

import math
from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from skdeepcluster.utils._layered import SteepLayer, encoder_layers_of
from skdeepcluster.utils._numbers import is_integer, is_real

# Entries of a convolution's matrix, up to which it is written out.
_LARGEST_MATRIX = 1 << 22


def lipschitz_bound(module, input_shape=None, *, constants=None):
    r"""Upper bound on the Lipschitz constant of a network, in evaluation mode.

    The product of the bounds of its layers :math:`g_1, \dots, g_T`:

    .. math::

        \lVert f(x) - f(x') \rVert_2 \le L \lVert x - x' \rVert_2,
        \qquad L = \prod_{t=1}^{T} L_t

    ===================================================  ==============================
    layer                                                :math:`L_t`
    ===================================================  ==============================
    ``Linear``                                           largest singular value
    ``Conv2d``                                           see Notes
    ``BatchNorm1d``, ``BatchNorm2d``                     largest factor of a channel
    ``ReLU``, ``ReLU6``, ``Hardtanh``, ``Tanh``          1
    ``Identity``, ``Flatten``, ``Unflatten``             1
    ``Dropout``, ``Dropout2d``                           1
    ``LeakyReLU``, ``ELU``                               1, or slope or alpha if greater
    ``Sigmoid``, ``GELU``, ``SiLU``                      1/4, 1.13, 1.1
    ``MaxPool2d``, ``AvgPool2d``                         from the windows' overlap
    ``AdaptiveAvgPool2d(1)``, ``AdaptiveMaxPool2d(1)``   1
    ===================================================  ==============================

    Parameters
    ----------
    module : torch.nn.Module
        One of these layers, or a ``Sequential`` of them, nested or not. Subclasses
        count as what they are derived from. Of the network of an estimator,
        ``estimator.module_``, the bound is that of ``encode``, for rows as they are
        scaled inside; a network of your own, and embeddings of several layers, count as
        one layer that needs a constant. It is not changed.
    input_shape : tuple of int, default=None
        Shape of one input, without the batch. With it, convolutions whose matrix has
        at most 2^22 entries are measured exactly.
    constants : dict, default=None
        Bounds for further types of layers, ``{type: float}``; they go before the table.
        A function ``bound(layer, input_shape)`` may stand for a number.

    Returns
    -------
    bound : float
        Never below the true constant, up to the rounding of float64, and often far
        above it: layers seldom stretch the same direction.

    Raises
    ------
    TypeError
        If `module` is none. That of a fitted estimator is ``estimator.module_``.
    ValueError
        If no bound is known for a layer, its padding is not of zeros, or inputs of
        `input_shape` do not suit it.

    Notes
    -----
    The matrix of a convolution with weights :math:`w_{oiu}` (output channel, input
    channel, position u in the kernel) is seldom formed. Three bounds hold for every
    size of image, and the least of them is taken:

    .. math::

        \sqrt{\lVert T \rVert_1 \lVert T \rVert_\infty}, \qquad
        \sqrt{c} \, \lVert (w_{o, iu}) \rVert_2, \qquad
        \sum_u \lVert w_{\cdot \cdot u} \rVert_2

    with :math:`\lVert T \rVert_1` and :math:`\lVert T \rVert_\infty` the largest sum of
    absolute values that one input feeds and that one output collects, and c the number
    of outputs that read one pixel. (Power iteration would come to the largest singular
    value from below, which certifies nothing.)

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.theory import lipschitz_bound
    >>> layer = torch.nn.Linear(2, 2)
    >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.5]]))
    >>> lipschitz_bound(torch.nn.Sequential(layer, torch.nn.ReLU()))
    3.0
    """
    check_module(module)
    # float64, on the host, in evaluation mode: of a copy.
    layers = list(layers_of(deepcopy(module).cpu().double().eval()))
    shape = _checked_shape(input_shape)
    constants = _checked_constants(constants)
    bound = 1.0
    for layer in layers:
        after = _output_shape(layer, shape)
        bound *= _bound_of(layer, constants, shape)
        shape = after
    return float(bound)


def check_module(module):
    """Refuse what is no network, and say where an estimator has its own."""
    if isinstance(module, nn.Module):
        return
    said = f"module must be a torch.nn.Module. Got {_kind(module)}."
    if hasattr(module, "module_"):
        said += " Its network is estimator.module_."
    elif isinstance(module, BaseEstimator):
        said += " The network of a fitted deep estimator is estimator.module_."
    raise TypeError(said)


def _checked_shape(shape):
    if shape is None:
        return None
    sizes = list(shape) if isinstance(shape, tuple | list) else [None]
    if not all(is_integer(size) and size >= 1 for size in sizes):
        raise ValueError(
            "input_shape must be a tuple of ints in the range [1, inf), or None. Got "
            f"{shape!r}."
        )
    return tuple(map(int, sizes))


def _checked_constants(constants):
    """Bounds by type of layer, each a number or a function that gives one."""
    if constants is None:
        return {}
    if not isinstance(constants, Mapping):
        raise TypeError(
            "constants must be a dict from types of layers to bounds, or None. Got a "
            f"{type(constants).__name__}."
        )
    for kind, bound in constants.items():
        known = callable(bound) or (is_real(bound) and 0 <= bound < math.inf)
        if not isinstance(kind, type) or not known:
            raise ValueError(
                "constants must map types of layers to floats in the range [0, inf) or "
                f"to functions. Got {{{kind!r}: {bound!r}}}."
            )
    return constants


def _kind(value):
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else f"a {type(value).__name__}"


def layers_of(module):
    """Layers of a module in the order in which they are applied.

    A ``Sequential`` says so, and networks of this package those of their ``encode``;
    anything else is one layer, as it may do more than apply what it is made of.
    """
    if type(module).forward is nn.Sequential.forward:
        layers = list(module)
    else:
        layers = encoder_layers_of(module)
    if layers is None:
        yield module
        return
    for layer in layers:
        yield from layers_of(layer)


def spectral_norm(matrix):
    """Largest singular value; 0 of an empty matrix."""
    return float(np.linalg.norm(matrix, 2)) if np.size(matrix) else 0.0


def _bound_of(layer, constants, shape):
    for table in (constants, _CONSTANTS, _FORMULAS):
        for kind in type(layer).__mro__:
            if kind in table:
                known = table[kind]
                return known(layer, shape) if callable(known) else float(known)
    raise ValueError(
        f"No Lipschitz bound is known for the layer {type(layer).__name__}. Give one "
        f"that holds for it in constants, as {{{type(layer).__name__}: bound}}."
    )


@torch.no_grad()
def _output_shape(layer, shape):
    """Shape of one output; None where that of the input is not known."""
    if shape is None:
        return None
    try:
        output = layer(torch.zeros(1, *shape, dtype=torch.float64))
    except RuntimeError as error:
        raise ValueError(
            f"{type(layer).__name__} does not take inputs of shape {shape}: {error}"
        ) from error
    return tuple(output.shape[1:])


def _linear(layer, shape):
    return spectral_norm(_numpy(layer.weight))


def _batch_norm(layer, shape):
    if layer.running_var is None:
        raise ValueError(
            "A batch norm without running statistics has no Lipschitz bound: what it "
            "does to a row depends on the batch. Got track_running_stats=False."
        )
    scale = 1 / np.sqrt(_numpy(layer.running_var) + layer.eps)
    return np.abs(scale if layer.weight is None else scale * _numpy(layer.weight)).max()


def _convolution(layer, shape):
    if layer.padding_mode != "zeros":
        raise ValueError(
            "A convolution has a known Lipschitz bound with padding_mode='zeros'. Got "
            f"{layer.padding_mode!r}."
        )
    weight = _numpy(layer.weight).reshape(layer.groups, -1, *layer.weight.shape[1:])
    bound = max(_bound_of_kernel(group, layer) for group in weight)
    return bound if shape is None else min(bound, _exact_norm(layer, shape))


def _bound_of_kernel(weight, layer):
    """Least of three bounds, for weights (outputs, inputs, height, width)."""
    size = np.abs(weight)
    phases = _phases(layer)
    absolute = [size[..., rows, :][..., columns] for rows, columns in phases]
    feeds = max(part.sum(axis=(0, 2, 3)).max() for part in absolute)
    collects = size.sum(axis=(1, 2, 3)).max()
    readers = max(part.shape[2] * part.shape[3] for part in absolute)
    patches = math.sqrt(readers) * spectral_norm(weight.reshape(len(weight), -1))
    shifts = np.linalg.norm(weight, 2, axis=(0, 1)).sum()
    return min(math.sqrt(feeds * collects), patches, shifts)


def _phases(layer):
    """Positions of the kernel that read the same pixels, by rows and by columns.

    With a stride s, a pixel is read only by positions u of one remainder of u modulo s.
    """
    axes = []
    for axis, size in enumerate(_pair(layer.kernel_size)):
        step, gap = _pair(layer.stride)[axis], _pair(layer.dilation)[axis]
        remainder = np.arange(size) * gap % step
        axes.append([np.flatnonzero(remainder == r) for r in np.unique(remainder)])
    return [(rows, columns) for rows in axes[0] for columns in axes[1]]


@torch.no_grad()
def _exact_norm(layer, shape):
    """Largest singular value for this size of image; infinity where it is too large."""
    n_inputs = math.prod(shape)
    if n_inputs * math.prod(_output_shape(layer, shape)) > _LARGEST_MATRIX:
        return math.inf
    images = torch.eye(n_inputs, dtype=torch.float64).reshape(n_inputs, *shape)
    bias = 0 if layer.bias is None else layer.bias[:, None, None]
    return spectral_norm(_numpy((layer(images) - bias).flatten(1)))


def _max_pool(layer, shape):
    return math.sqrt(max(len(rows) * len(columns) for rows, columns in _phases(layer)))


def _mean_pool(layer, shape):
    size = math.prod(_pair(layer.kernel_size))
    fewest = size
    if layer.ceil_mode or not layer.count_include_pad:
        fewest = 1  # windows over the border are divided by what they hold
    per_axis = zip(_pair(layer.kernel_size), _pair(layer.stride), strict=True)
    readers = math.prod(math.ceil(k / step) for k, step in per_axis)
    if layer.divisor_override:
        return math.sqrt(readers * size) / layer.divisor_override
    return math.sqrt(readers / fewest)


def _global_pool(layer, shape):
    if set(_pair(layer.output_size)) != {1}:
        raise ValueError(
            f"A {type(layer).__name__} has a known Lipschitz bound with output size 1. "
            f"Got {layer.output_size}."
        )
    return 1.0


def _pair(value):
    return value if isinstance(value, tuple) else (value, value)


def _numpy(tensor):
    return tensor.detach().numpy()


_CONSTANTS = dict.fromkeys((nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Identity), 1.0)
_CONSTANTS |= dict.fromkeys((nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d), 1.0)
# The greatest slopes of the last two are 1.1290 and 1.0998.
_CONSTANTS |= {nn.Sigmoid: 0.25, nn.GELU: 1.13, nn.SiLU: 1.1}
_FORMULAS = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _mean_pool,
    nn.AdaptiveAvgPool2d: _global_pool,
    nn.AdaptiveMaxPool2d: _global_pool,
    nn.LeakyReLU: lambda layer, shape: max(1.0, abs(layer.negative_slope)),
    nn.ELU: lambda layer, shape: max(1.0, abs(layer.alpha)),
    SteepLayer: lambda layer, shape: layer.steepness,
}
