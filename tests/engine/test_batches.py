import numpy as np
import pytest
import torch
from stores import Store

from skdeepcluster.engine import Compute, Scaling, StreamedRows, _batches
from skdeepcluster.engine._batches import (
    ShuffledBatches,
    batch_sizes,
    shuffled_batches,
)
from skdeepcluster.utils._stored import StoredRows


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


def streamed(n, batch_size, seed=0, d=1, dtype=np.float64):
    """Mixed batches of stored rows, ten times their number."""
    X = np.repeat(np.arange(n)[:, None] * 10, d, axis=1).astype(dtype)
    rows = StreamedRows(
        StoredRows(Store(X)),
        Scaling(np.zeros(d), 1.0),
        Compute.resolve("cpu", "float32"),
    )
    return shuffled_batches(rows, batch_size, torch.Generator().manual_seed(seed))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_batches, "_BLOCK_ROWS", 3)
    monkeypatch.setattr(_batches, "_MIXED_BLOCKS", 4)


@pytest.mark.parametrize("batch_size", [1, 5, 7, 12, 40, 500])
@pytest.mark.parametrize("n", [2, 11, 12, 13, 100, 101])
def test_mixed_batches_cover_every_row_once(n, batch_size, small_blocks):
    batches = streamed(n, batch_size)
    rows, indices = zip(*batches, strict=True)
    assert [len(index) for index in indices] == batch_sizes(n, batch_size)
    assert len(batches) == len(indices)
    index = torch.cat(indices)
    assert sorted(index.tolist()) == list(range(n))
    assert torch.equal(torch.cat(rows).squeeze(1), index * 10.0)


def test_mixtures_take_the_same_memory_again(small_blocks, monkeypatch):
    batches, seen = streamed(100, 7), []
    read = batches._read

    def noted(starts, buffer):
        seen.append(buffer)
        return read(starts, buffer)

    monkeypatch.setattr(batches, "_read", noted)
    assert sum(len(index) for _, index in batches) == 100
    assert len(seen) > 4
    assert len({id(buffer) for buffer in seen}) == 2


def test_few_rows_are_permuted_as_a_whole():
    expected, found = batches_of(1000, 64), streamed(1000, 64)
    for _ in range(2):  # epochs
        for (x, index), (y, other) in zip(expected, found, strict=True):
            assert torch.equal(index, other)
            assert torch.equal(x, y)


def test_every_epoch_mixes_other_blocks(small_blocks):
    batches = streamed(120, 12)
    first = [sorted(index.tolist()) for _, index in batches]
    second = [sorted(index.tolist()) for _, index in batches]
    assert first != second
    again = [sorted(index.tolist()) for _, index in streamed(120, 12)]
    assert first == again


def test_a_sorted_file_is_mixed():
    """Every batch has rows from all over it, nearly as in a permutation."""
    n = 200 * _batches._BLOCK_ROWS
    for _, index in streamed(n, 256):
        tenths = torch.bincount(index * 10 // n, minlength=10)
        assert tenths.min() > 0


def test_long_rows_make_small_blocks(monkeypatch):
    monkeypatch.setattr(_batches, "_BLOCK_BYTES", 10 * 3 * 2)
    assert streamed(50, 5, d=3, dtype=np.float16).block_rows == 10
    assert streamed(50, 5, d=1000).block_rows == 1


def test_only_blocks_are_read(small_blocks):
    batches = streamed(40, 10)
    list(batches)
    reads = [read for read in batches.x.X.x.reads if read != (0, 0)]
    assert sorted(reads) == [(a, min(a + 3, 40)) for a in range(0, 40, 3)]
    assert reads != sorted(reads)
