import numpy as np
import pytest
import torch

from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine import Compute, RandomStreams, Trainer


@pytest.fixture
def make_trainer():
    """Trainer of a small network on standard normal rows, all from fixed seeds."""

    def make(n=50, batch_size=10, network=None, x=None, precision="float32", **kwargs):
        streams = RandomStreams(0)
        if network is None:
            generator = streams.generator("weights")
            network = MLPAutoencoder((6,)).build(4, 2, generator)
        if x is None:
            rows = np.random.RandomState(0).normal(size=(n, 4))
            x = torch.as_tensor(rows, dtype=torch.float32)
        compute = Compute.resolve("cpu", precision)
        return Trainer(
            network,
            x.to(compute.dtype),
            compute=compute,
            streams=streams,
            batch_size=batch_size,
            **kwargs,
        )

    return make
