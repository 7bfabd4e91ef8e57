"""The centers that hardening starts from."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from skdeepcluster.objectives import Hardening


def random_rows(n):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, generator=generator, dtype=torch.float64)


def three_blobs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    centers = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    noise = torch.randn(60, 2, generator=generator)
    return (centers.repeat_interleave(20, dim=0) + noise).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_initialise_gives_the_centers_of_kmeans(dtype):
    z = three_blobs(dtype)
    objective = Hardening(3, n_init=4)
    assert objective.centers.numel() == 0
    objective.initialise(z, None, torch.Generator().manual_seed(0))
    assert objective.centers.dtype == dtype
    assert objective.centers.requires_grad
    reference = KMeans(3, n_init=4, random_state=0).fit(z.numpy())
    assert adjusted_rand_score(objective.assign(z), reference.labels_) == 1.0
    found = objective.centers.detach().numpy()
    order = np.argmin(
        np.linalg.norm(found[:, None] - reference.cluster_centers_, axis=2), axis=1
    )
    np.testing.assert_allclose(found, reference.cluster_centers_[order], rtol=1e-5)


def test_initialise_with_weights():
    z = torch.tensor([[0.0], [1.0], [10.0]])
    objective = Hardening(2, n_init=4)
    weight = torch.tensor([3.0, 1.0, 1.0])
    objective.initialise(z, weight, torch.Generator().manual_seed(0))
    assert sorted(objective.centers.flatten().tolist()) == pytest.approx([0.25, 10.0])


def test_initialise_depends_on_its_generator_alone():
    z = random_rows(50)

    def centers(seed):
        objective = Hardening(5, n_init=1)
        objective.initialise(z, None, torch.Generator().manual_seed(seed))
        return objective.centers.detach()

    torch.manual_seed(1)
    first = centers(0)
    torch.manual_seed(2)
    assert torch.equal(first, centers(0))
    assert any(not torch.equal(first, centers(seed)) for seed in (1, 2, 3))
