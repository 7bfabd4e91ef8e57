"""The limit of a training step: its matrix products or convolutions, nothing else.

A weighted layer has three products in a step: the output, the gradient of its weights
and that of its input (but for the first layer's). Their operands lie ready, in the
layout of a step and in that which suits the kernel best, and each product is computed
by whichever kernel is fastest here; weights that a kernel has packed beforehand do not
count, because they change with every step.
"""

import time
from functools import partial

import torch
from torch import nn
from torch.nn.functional import linear

from benchmarks._engine_loops import synchronise

CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d
REPEATS = 7  # of each kernel, before the fastest is taken


class Limit:
    """The products of one step, again and again.

    Parameters
    ----------
    network : nn.Module
    x : Tensor of shape (batch_size, n_features)
        One batch.
    precision : {"float32", "bfloat16"}
    n_steps : int
        In a block.

    Attributes
    ----------
    kernels : list of str
        Which kernel was the fastest, for each product.
    """

    @torch.no_grad()
    def __init__(self, network, x, precision, n_steps):
        self.n_steps = n_steps
        dtype = getattr(torch, precision)
        chosen = [fastest(calls, x.device) for calls in products(network, x, dtype)]
        self.kernels, self.calls = map(list, zip(*chosen, strict=True))
        self.run_block()

    @torch.no_grad()
    def run_block(self):
        for _ in range(self.n_steps):
            for call in self.calls:
                call()


def products(network, x, dtype):
    """For each product of a step the kernels that can compute it, by name."""
    backward = []
    for i, (layer, inputs, outputs) in enumerate(layers_of(network, x)):
        make = convolutions if isinstance(layer, CONVOLUTIONS) else matrix_products
        gradient = torch.randn_like(outputs).to(dtype)
        forward, of_weight, of_input = make(layer, inputs.to(dtype), gradient)
        yield forward
        backward[:0] = [of_weight, of_input] if i else [of_weight]
    yield from backward


def layers_of(network, x):
    """Layers with weights, each with its input and output, in their order."""
    seen = []

    def note(layer, inputs, outputs):
        seen.append((layer, inputs[0], outputs))

    weighted = nn.Linear | CONVOLUTIONS
    layers = [layer for layer in network.modules() if isinstance(layer, weighted)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    network.decode(network.encode(x))
    for handle in handles:
        handle.remove()
    return seen


def matrix_products(layer, x, gradient):
    """Kernels of output, gradient of the weights, gradient of the input."""
    weight = layer.weight.detach().to(x.dtype)
    operands = ((x, weight.T), (gradient.T, x), (gradient, weight))
    return [matrix_product(a, b) for a, b in operands]


def matrix_product(a, b):
    """Kernels for a product of two matrices."""
    out = torch.empty(len(a), b.shape[1], dtype=a.dtype, device=a.device)
    rows, columns = a.contiguous(), b.T.contiguous()
    calls = {
        "mm": partial(torch.mm, a, b, out=out),
        "mm of rows and columns": partial(torch.mm, rows, columns.T, out=out),
    }
    # PyTorch gives it bfloat16 by itself.
    if out.device.type == "cpu" and out.dtype == torch.float32:
        if torch.backends.mkldnn.is_available():
            calls["oneDNN"] = partial(linear, rows.to_mkldnn(), columns)
    return calls


def convolutions(layer, x, gradient):
    """As `matrix_products`, with the channels first or last."""
    kernels = [{}, {}, {}]
    for name in ("contiguous_format", "channels_last"):
        layout = getattr(torch, name)
        tensors = (x, layer.weight.detach().to(x.dtype), gradient)
        x_, weight, gradient_ = (t.contiguous(memory_format=layout) for t in tensors)
        calls = convolution(layer, x_, weight, gradient_)
        for kernel, call in zip(kernels, calls, strict=True):
            kernel[name] = call
    return kernels


def convolution(layer, x, weight, gradient):
    """Calls for output, gradient of the weights, gradient of the input."""
    transposed = isinstance(layer, nn.ConvTranspose2d)
    shape = (layer.stride, layer.padding, layer.dilation, transposed)
    options = (*shape, layer.output_padding, layer.groups)
    backward = partial(
        torch.ops.aten.convolution_backward, gradient, x, weight, None, *options
    )
    return (
        partial(torch.ops.aten.convolution, x, weight, None, *options),
        partial(backward, [False, True, False]),
        partial(backward, [True, False, False]),
    )


def fastest(calls, device):
    """Name and call of the kernel with the shortest time of a few."""
    times = {name: [] for name in calls}
    for _ in range(REPEATS):
        for name, call in calls.items():
            synchronise(device)
            start = time.perf_counter()
            call()
            synchronise(device)
            times[name].append(time.perf_counter() - start)
    best = min(times, key=lambda name: min(times[name][1:]))
    return best, calls[best]
