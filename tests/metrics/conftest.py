"""Shared fixtures of the metrics tests."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).normal(size=(250, 6))
    return X, np.random.default_rng(1).integers(0, 4, size=250)
