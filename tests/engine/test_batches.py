import pytest
import torch

from skdeepcluster.engine._batches import ShuffledBatches, batch_sizes


def batches_of(n, batch_size, seed=0):
    x = torch.arange(float(n)).unsqueeze(1) * 10
    return ShuffledBatches(x, batch_size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "n, batch_size, sizes",
    [
        (10, 5, [5, 5]),
        (11, 5, [5, 6]),
        (12, 5, [5, 5, 2]),
        (14, 5, [5, 5, 4]),
        (3, 5, [3]),
        (5, 5, [5]),
        (1, 5, [1]),
        (6, 5, [6]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_sizes(n, batch_size, sizes):
    assert batch_sizes(n, batch_size) == sizes
    batches = batches_of(n, batch_size)
    assert [len(index) for _, index in batches] == sizes
    assert len(batches) == len(sizes)


@pytest.mark.parametrize("n", range(2, 40))
def test_no_batch_of_one_row(n):
    assert min(batch_sizes(n, 7)) > 1


@pytest.mark.parametrize("n", [3, 20, 21, 22, 29])
def test_an_epoch_covers_every_row_once(n):
    rows, indices = zip(*batches_of(n, 10), strict=True)
    index = torch.cat(indices)
    assert sorted(index.tolist()) == list(range(n))
    assert torch.equal(torch.cat(rows).squeeze(1), index * 10.0)


def test_every_epoch_is_shuffled_anew():
    batches = batches_of(20, 10)
    first = torch.cat([index for _, index in batches])
    second = torch.cat([index for _, index in batches])
    assert not torch.equal(first, second)
    assert not torch.equal(first, torch.arange(20))


def test_order_comes_from_the_generator_alone():
    before = torch.get_rng_state()
    first = torch.cat([index for _, index in batches_of(20, 10)])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    assert torch.equal(first, torch.cat([index for _, index in batches_of(20, 10)]))
    other = torch.cat([index for _, index in batches_of(20, 10, seed=1)])
    assert not torch.equal(first, other)
