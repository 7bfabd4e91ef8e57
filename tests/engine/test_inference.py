import pytest
import torch

from skdeepcluster.architectures import MLPAutoencoder
from skdeepcluster.engine import map_blocks


def rows(n, d=3):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 9])
def test_every_block_has_one_shape(n):
    x, shapes, reads = rows(n), [], []

    def double(block):
        shapes.append(tuple(block.shape))
        return 2 * block

    class Reader:
        def __len__(self):
            return n

        def __getitem__(self, rows):
            reads.append((rows.start, rows.stop))
            return x[rows]

    assert torch.equal(map_blocks(double, Reader(), block_rows=4), 2 * x)
    assert set(shapes) == {(4, 3)}
    assert reads == [(a, min(a + 4, n)) for a in range(0, n, 4)]


def test_padding_is_zero():
    seen = []
    x = rows(3)
    map_blocks(lambda b: seen.append(b) or b, x, block_rows=5)
    assert torch.equal(seen[0][:3], x)
    assert not seen[0][3:].any()


def test_no_gradient():
    x = rows(3).requires_grad_()
    assert not map_blocks(lambda b: b * 2, x).requires_grad


def encoded(network, x):
    return map_blocks(network.encode, x)


@pytest.mark.parametrize("hidden", [(8,), (500, 500, 2000)], ids=["tiny", "wide"])
def test_a_row_has_the_same_bits_in_any_company(hidden):
    generator = torch.Generator().manual_seed(0)
    network = MLPAutoencoder(hidden).build(20, 10, generator)
    x = rows(300, 20)
    together = encoded(network, x)
    order = torch.randperm(300, generator=generator)
    assert torch.equal(encoded(network, x[order]), together[order])
    for row in (0, 255, 256, 299):
        assert torch.equal(encoded(network, x[row : row + 1])[0], together[row])
    assert torch.equal(encoded(network, x[100:137]), together[100:137])
