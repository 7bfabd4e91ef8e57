"""Training loops for `benchmarks.engine`: the engine's, and the shortest one."""

import copy
import os
import time
from contextlib import ExitStack

import numpy as np
import torch
from torch.nn.functional import mse_loss

from benchmarks._data import VARIABLE, load
from skdeepcluster.architectures import ConvAutoencoder
from skdeepcluster.engine import (
    Compute,
    Observer,
    OptimizerSpec,
    Phase,
    RandomStreams,
    Scaling,
    Trainer,
    build_network,
    reuse_host_memory,
)
from skdeepcluster.engine._batches import ShuffledBatches
from skdeepcluster.engine._progress import PhaseProgress
from skdeepcluster.objectives import Reconstruction

HIDDEN = (500, 500, 2000)
EMBEDDING_SIZE = 10
# Name -> architecture, and steps in a block: the convolutions take long.
NETWORKS = {"mlp": (None, 20), "conv": (ConvAutoencoder((28, 28)), 5)}
SPECS = {"adam": OptimizerSpec("adam", 1e-3), "sgd": OptimizerSpec("sgd", 0.1)}


def make_rows(n_samples):
    """MNIST where it is at hand, else rows of rank 50 with 150 constant columns."""
    if os.environ.get(VARIABLE):
        X = load("mnist")[0]
        X = X[np.random.RandomState(0).choice(len(X), n_samples, replace=False)]
    else:
        rng = np.random.RandomState(0)
        hidden = rng.normal(size=(n_samples, 50))
        X = np.maximum(hidden @ rng.normal(size=(50, 784)), 0).astype(np.float32)
        X[:, rng.permutation(784)[:150]] = 0
    return Scaling.fit(X).apply(X)


def make_network(name, n_features, device):
    """Untrained network, the same for every loop."""
    architecture = NETWORKS[name][0]
    streams = RandomStreams(0)
    network = build_network(architecture, HIDDEN, n_features, EMBEDDING_SIZE, streams)
    return network.to(device)


def synchronise(device):
    """Wait for an accelerator; what a CPU was asked for is done."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


class BareLoop:
    """The shortest training loop that does the same, in float32."""

    def __init__(self, network, x, spec, batch_size):
        self.network = copy.deepcopy(network).train()
        self.x, self.batch_size = x.clone(), batch_size
        self.optimizer = spec.build(self.network.parameters())
        self.generator = torch.Generator().manual_seed(0)
        self.run_block()

    def run_block(self):
        """One pass over the rows."""
        order = torch.randperm(len(self.x), generator=self.generator)
        for index in order.to(self.x.device).split(self.batch_size):
            x = self.x.index_select(0, index)
            self.optimizer.zero_grad(set_to_none=True)
            loss = mse_loss(self.network.decode(self.network.encode(x)), x)
            loss.backward()
            self.optimizer.step()
        loss.item()


class FirstEpoch(Observer):
    """Notes when the first epoch begins."""

    began = None

    def epoch_begins(self, phase):
        self.began = self.began or time.perf_counter()


class EngineLoop:
    """A reconstruction phase of the engine, continued epoch by epoch.

    The first epoch runs as the trainer runs it; `seconds_to_start` is what comes before
    its first step. Every further one is one more epoch of the same skorch net, with its
    optimizer, callbacks and history.
    """

    def __init__(self, network, x, spec, batch_size, precision):
        compute = Compute.resolve(str(x.device), precision)
        observer = FirstEpoch()
        trainer = Trainer(
            copy.deepcopy(network),
            x.clone(),
            compute=compute,
            streams=RandomStreams(0),
            batch_size=batch_size,
            observer=observer,
        )
        phase = Phase("overhead", {Reconstruction(): 1.0}, 1, spec)
        start = time.perf_counter()
        reuse_host_memory()
        progress = PhaseProgress(trainer, phase)
        progress.begin()
        progress.train()
        self.seconds_to_start = observer.began - start
        self.net = progress.net
        self.recording = ExitStack()  # of all blocks, not of each
        self.recording.enter_context(self.net.recording())
        generator = trainer.streams.generator("batches/further")
        self.batches = ShuffledBatches(trainer.x, batch_size, generator)

    def run_block(self):
        """One epoch."""
        self.net.fit_loop(self.batches, epochs=1)
