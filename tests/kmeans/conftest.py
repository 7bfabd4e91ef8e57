"""Shared fixtures of the k-means tests."""

import pytest

from skdeepcluster.kmeans import _assignment


@pytest.fixture(params=["explicit", "matrix product"])
def both_ways(request, monkeypatch):
    """Measure small inputs explicitly, as usual, and then as large ones are."""
    if request.param == "matrix product":
        monkeypatch.setattr(_assignment, "_FEW", 0)
