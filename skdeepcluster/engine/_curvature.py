"""Learning rates relative to the curvature of reconstructing the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from skdeepcluster.engine._phases import OptimizerSpec
from skdeepcluster.engine._rows import Rows, SparseRows
from skdeepcluster.utils._group import Group, Shard

_CURVATURE_ROWS = 2048
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POWER_ITERATIONS = 30
_FLAT = 1e-12
# Of reconstruction, relative to the curvature: the default of pretraining.
_STABLE_RATE = 0.02
# What the first component of data counts at least where weights are shared: a kernel
# sees the sum over the image, which does not vanish where no direction stands out. On
# images of white noise convolutions diverge from about a quarter of this on (measured).
_CONVOLUTION_SHARE = 0.08
# And elsewhere: the layers within a network are as steep whatever the data.
_LEAST_SHARE = 0.01
# Features for each output of a first layer up to which the rate is that of the data.
_WIDE = 50


class DataCurvature:
    r"""How steep the error of reconstructing data is, and the learning rates for it.

    The largest stable learning rate of gradient descent is inverse to the largest
    curvature, and for a mean squared error over D features that goes with
    :math:`\lambda / D`, where :math:`\lambda` is the largest eigenvalue of
    :math:`E[x x^\top]`: iris, with one dominant direction, diverges at a rate at which
    text, with none, has hardly begun. So the rate of "sgd" is divided by it. Adam does
    this by itself.

    Parameters
    ----------
    x : Rows of shape (n_samples, n_features)
    batch_size : int, optional
        Rows of a step, of which one may be heavy; all rows by default.
    weight : Tensor of shape (n_samples,), optional
        Sample weights, of mean 1.
    shard : Shard, optional
        Where other processes have rows, too.
    network : nn.Module, optional
        Which reconstructs the rows: its layers may be steeper than the data.
    """

    def __init__(
        self,
        x: Rows,
        batch_size: int | None = None,
        weight: Tensor | None = None,
        shard: Shard | None = None,
        network: nn.Module | None = None,
    ) -> None:
        self.x = x
        self.batch_size = batch_size
        self.weight = weight
        self.shard = shard or Shard(len(x))
        self.network = network

    def relative(self, optimizer: OptimizerSpec) -> OptimizerSpec:
        """Optimizer for reconstructing the data, its rate relative to the curvature."""
        if optimizer.name != "sgd":
            return optimizer
        return replace(optimizer, learning_rate=self._over(optimizer.learning_rate))

    def limited(self, optimizer: OptimizerSpec, steepness: float) -> OptimizerSpec:
        """Optimizer for a loss with a reconstruction, its rate not beyond stability.

        `steepness` is that of the reconstruction with its weight, as
        ``Objective.steepness`` gives it; 0 sets no limit.
        """
        if optimizer.name != "sgd" or steepness == 0:
            return optimizer
        limit = self._over(_STABLE_RATE) / steepness
        return replace(optimizer, learning_rate=min(optimizer.learning_rate, limit))

    def _over(self, rate: float) -> float:
        """A learning rate over the curvature."""
        curvature = self.largest_eigenvalue() / self.x.shape[1]
        if curvature < _FLAT:  # constant data, but for rounding
            return rate
        curvature = max(curvature, self.share_of_batches(), self.heaviest_share())
        if self.network is not None:
            curvature = max(curvature, least_share_of(self.network))
            rate *= narrowness(self.network, self.x.shape[1])
        # Three digits: rounding of sums, which varies with the threads, does not show.
        return float(f"{rate / curvature:.3g}")

    @torch.no_grad()
    def largest_eigenvalue(self) -> float:
        """Largest eigenvalue of the second moments of (evenly spaced) rows."""
        shard = self.shard
        every = shard.evenly(_CURVATURE_ROWS)
        heavy = None if self.weight is None else self.weight[every].cpu().double()
        rows = _sample(self.x, every, heavy)
        total = float(-(-shard.total // shard.spacing(_CURVATURE_ROWS)))
        if heavy is not None:
            total = float(shard.group.sum(heavy.sum()))
        if total == 0:
            return 0.0
        direction = _longest(rows, shard.group)
        value = 0.0
        for _ in range(_POWER_ITERATIONS):
            norm = direction.norm()
            if norm == 0:
                return 0.0
            product = rows.moments_times(direction / norm)
            direction = shard.group.sum(product) / total
            value = float(direction.norm())
        return value

    def share_of_batches(self) -> float:
        """What the first component of a batch has at least.

        A batch of m rows has no more than m components, however many all rows have.
        """
        return 1 / max(1, min(self.batch_size or self.shard.total, self.shard.total))

    @torch.no_grad()
    def heaviest_share(self) -> float:
        r"""What the heaviest row makes of :math:`\lambda / D` in a batch that has it.

        On average it may hardly count, and yet overshoot by itself whenever it comes.
        Nothing stands out without weights.
        """
        if self.weight is None:
            return 0.0
        shard, share = self.shard, 0.0
        if len(self.weight):
            first = int(self.weight.argmax())
            row = self.x[slice(first, first + 1)].cpu().double()
            share = float(self.weight[first]) * float(row.square().mean())
        n_rows = min(self.batch_size or shard.total, shard.total)
        return max(shard.group.each(share)) / n_rows


def least_share_of(network: nn.Module) -> float:
    """What the first component of the data counts at least for a network.

    More for one with convolutions; a module may say more by its `least_share`.
    """
    modules = list(network.modules())
    known = [float(getattr(module, "least_share", 0.0)) for module in modules]
    shares = any(isinstance(module, _CONVOLUTIONS) for module in modules)
    return max(*known, _CONVOLUTION_SHARE if shares else _LEAST_SHARE)


def narrowness(network: nn.Module, n_features: int) -> float:
    r"""What the rate is multiplied by for a first layer that is narrow beside the data.

    With m outputs for D features, at the usual initial weights of the last layer (of
    variance 1 / (3 m)), the error has the curvature
    :math:`\frac{2}{D} \cdot \frac{D}{3 m} \cdot \lambda` in the weights of the first
    layer, which is :math:`\frac{2 D}{3 m}` times that of the data,
    :math:`\lambda / D`. Up to 50 features for each output nothing is changed.
    """
    widths = [
        layer.out_features
        for layer in network.modules()
        if isinstance(layer, nn.Linear) and layer.in_features == n_features
    ]
    return min(1.0, _WIDE * max(widths) / n_features) if widths else 1.0


def _longest(rows: _DenseSample | _SparseSample, group: Group) -> Tensor:
    """The row of the largest norm in any process, (d,)."""
    longest = group.concat(rows.longest()[None])
    return longest[longest.square().sum(dim=1).argmax()]


def _sample(
    x: Rows, every: slice, weight: Tensor | None
) -> _DenseSample | _SparseSample:
    if isinstance(x, SparseRows):
        return _SparseSample(x, every, weight)
    return _DenseSample(x, every, weight)


class _DenseSample:
    """Evenly spaced rows, in float64, each times the root of its weight."""

    def __init__(self, x: Rows, every: slice, weight: Tensor | None) -> None:
        rows = x[every].cpu().double()  # perhaps a view
        self.rows = rows if weight is None else rows * weight.sqrt()[:, None]

    def longest(self) -> Tensor:
        """The row of the largest norm, (d,); zeros where there is none."""
        if not len(self.rows):
            return self.rows.new_zeros(self.rows.shape[1])
        return self.rows[self.rows.square().sum(dim=1).argmax()]

    def moments_times(self, direction: Tensor) -> Tensor:
        """Product of the sums of squares and products, (d, d), with a vector."""
        return self.rows.T @ (self.rows @ direction)


class _SparseSample:
    """The same of sparse rows: as dense ones some thousand would fill the memory.

    A row is its sparse part, scaled but not shifted, and the shift that all rows share.
    """

    def __init__(self, x: SparseRows, every: slice, weight: Tensor | None) -> None:
        self.sparse = x.uncentred(every).astype(np.float64)
        self.shift = x.shift_of_uncentred.cpu().double().numpy()
        n_rows = self.sparse.shape[0]
        self.weight = np.ones(n_rows) if weight is None else weight.numpy()

    def longest(self) -> Tensor:
        """The row of the largest norm, (d,); zeros where there is none."""
        if not self.sparse.shape[0]:
            return torch.zeros(self.sparse.shape[1], dtype=torch.float64)
        squared = self.sparse.multiply(self.sparse).sum(axis=1)
        squared = squared + 2 * (self.sparse @ self.shift) + self.shift @ self.shift
        first = int((self.weight * squared).argmax())
        row = self.sparse[[first]].toarray()[0] + self.shift
        return torch.from_numpy(np.sqrt(self.weight[first]) * row)

    def moments_times(self, direction: Tensor) -> Tensor:
        """Product of the sums of squares and products, (d, d), with a vector."""
        along = direction.numpy()
        u = self.weight * (self.sparse @ along + self.shift @ along)
        return torch.from_numpy(self.sparse.T @ u + u.sum() * self.shift)
