import pytest
import torch

from skdeepcluster.kmeans import _assignment, _rows, cluster_sums, nearest_center

pytestmark = pytest.mark.usefixtures("both_ways")


def rows(n, d, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=dtype)


def explicit(x, centers):
    """Squared distances, one centre at a time, from explicit differences."""
    x, centers = x.double(), centers.double()
    return torch.stack([(x - center).square().sum(1) for center in centers], dim=1)


def test_known_answer():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    labels, distances = nearest_center(x, torch.tensor([[6.0, 8.0], [0.0, 1.0]]))
    assert labels.dtype == torch.int64 and distances.dtype == torch.float64
    assert labels.tolist() == [1, 1, 0]
    assert distances.tolist() == [1.0, 18.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d", "k"), [(1, 1, 1), (50, 3, 7), (20_000, 40, 3)])
def test_against_explicit_differences(n, d, k, dtype):
    x, centers = rows(n, d, dtype=dtype), rows(k, d, seed=1)
    labels, distances = nearest_center(x, centers)
    expected = explicit(x, centers)
    assert torch.equal(labels, expected.argmin(1))
    torch.testing.assert_close(distances, expected.amin(1), rtol=1e-13, atol=0)


def test_ties_go_to_the_lowest_index():
    x = torch.zeros(3, 1)
    assert nearest_center(x, torch.tensor([[1.0], [-1.0]]))[0].tolist() == [0] * 3
    assert nearest_center(x, torch.tensor([[-1.0], [1.0]]))[0].tolist() == [0] * 3
    centers = rows(13, 9, seed=1)
    repeated = torch.cat([centers, centers.flip(0), centers])
    x = rows(500, 9)
    assert torch.equal(nearest_center(x, repeated)[0], nearest_center(x, centers)[0])


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_near_ties_far_from_the_origin(offset):
    # Rows on the middle plane, nudged by a rounding error or so to either side.
    centers = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64) + offset
    nudge = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]
    nudge = nudge * torch.finfo(torch.float64).eps * max(offset, 1.0) * 20
    x = torch.cat([nudge, torch.full_like(nudge, 0.5)], dim=1) + offset
    labels, distances = nearest_center(x, centers)
    assert torch.equal(labels, explicit(x, centers).sqrt().argmin(1))
    assert 0 < int(labels.sum()) < len(labels)
    torch.testing.assert_close(distances, explicit(x, centers).amin(1))


def test_large_common_offset_costs_no_digits():
    # Multiples of 1/8 below 8: exact in float32 also beside 1e4.
    x = (rows(400, 6) * 8).round().clamp(-60, 60).div(8).to(torch.float32)
    here = nearest_center(x, x[:5])
    there = nearest_center(x + 1e4, (x + 1e4)[:5])
    assert torch.equal(here[0], there[0])
    assert torch.equal(here[1], there[1])


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_the_matrix_product_decides_all_clear_cases(offset, monkeypatch):
    measured = []

    def explicit_distances(x, centers):
        measured.append(len(x))
        return torch.cdist(x, centers)

    monkeypatch.setattr(_assignment, "_FEW", 0)
    monkeypatch.setattr(_assignment, "explicit_distances", explicit_distances)
    x, centers = rows(20_000, 10) + offset, rows(10, 10, seed=1) + offset
    nearest_center(x, centers)
    assert sum(measured) < 5


@pytest.mark.parametrize("d", [1, 4, 65])
def test_a_row_answers_for_itself(d):
    x, centers = rows(700, d, dtype=torch.float32), rows(9, d, seed=1)
    labels, distances = nearest_center(x, centers)
    order = torch.randperm(700, generator=torch.Generator().manual_seed(2))
    shuffled = nearest_center(x[order], centers)
    assert torch.equal(shuffled[0], labels[order])
    assert torch.equal(shuffled[1], distances[order])
    alone = [nearest_center(row[None], centers) for row in x[:60]]
    assert torch.equal(torch.cat([a[0] for a in alone]), labels[:60])
    assert torch.equal(torch.cat([a[1] for a in alone]), distances[:60])


def test_no_rows():
    labels, distances = nearest_center(torch.empty(0, 2), torch.zeros(3, 2))
    assert labels.shape == distances.shape == (0,)


def test_rows_with_a_gradient_give_none():
    x = torch.ones(2, 1, requires_grad=True)
    assert not nearest_center(x, x[:1])[1].requires_grad
    assert not cluster_sums(x, torch.zeros(2).long(), 1)[0].requires_grad


def test_sums_known_answer():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    labels = torch.tensor([2, 0, 2])
    sums, weights = cluster_sums(x, labels, 3)
    assert sums.dtype == weights.dtype == torch.float64
    assert sums.tolist() == [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]]
    assert weights.tolist() == [1.0, 0.0, 2.0]
    sums, weights = cluster_sums(x, labels, 3, torch.tensor([0.5, 2.0, 0.0]))
    assert sums.tolist() == [[6.0, 8.0], [0.0, 0.0], [0.5, 1.0]]
    assert weights.tolist() == [2.0, 0.0, 0.5]


def test_sums_are_formed_in_float64():
    # In float32 the second million of ones would be lost beside 2**24.
    x = torch.ones(20_000, 1)
    x[0] = 2.0**24
    assert cluster_sums(x, torch.zeros(20_000).long(), 1)[0].item() == 2**24 + 19_999


def test_sums_over_many_blocks():
    x, weight = rows(40_000, 20, dtype=torch.float32), rows(40_000, 1).abs()[:, 0]
    labels = torch.arange(40_000) % 7
    sums, weights = cluster_sums(x, labels, 7, weight)
    for j in range(7):
        own = labels == j
        expected = (x[own].double() * weight[own, None]).sum(0)
        torch.testing.assert_close(sums[j], expected, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(weights[j], weight[own].sum())


@pytest.mark.parametrize(
    ("centers", "message"),
    [
        (torch.zeros(2, 4), r"centers should have shape .*, 3\), got \(2, 4\)"),
        (torch.zeros(0, 3), r"got \(0, 3\)"),
        (torch.full((1, 3), torch.nan), "centers should be finite.*row 0"),
    ],
)
def test_bad_centers(centers, message):
    with pytest.raises(ValueError, match=message):
        nearest_center(torch.zeros(5, 3), centers)


def test_bad_rows():
    with pytest.raises(ValueError, match=r"x should have shape .* got \(5,\)"):
        nearest_center(torch.zeros(5), torch.zeros(1, 1))
    with pytest.raises(TypeError, match="x should be float32 or float64, got torch.i"):
        nearest_center(torch.zeros(5, 1).long(), torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("labels", "weight", "message"),
    [
        ([0, 1], None, r"labels should have shape \(3,\), got \(2,\)"),
        ([0, 1, 2], None, r"labels should be in \[0, 2\), got 0 to 2"),
        ([0, -1, 1], None, "got -1 to 1"),
        ([0, 1, 1], [1.0, 1.0], r"weight should have shape \(3,\), got \(2,\)"),
        ([0, 1, 1], [1.0, -2.0, 1.0], "weight should be >= 0, got -2.0"),
    ],
)
def test_bad_labels_and_weights(labels, weight, message):
    weight = None if weight is None else torch.tensor(weight)
    with pytest.raises(ValueError, match=message):
        cluster_sums(torch.zeros(3, 1), torch.tensor(labels), 2, weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_an_accelerator_are_those_of_the_host(weighted, monkeypatch):
    x, labels = rows(5_000, 3), torch.arange(5_000) % 6
    weight = rows(5_000, 1, seed=1)[:, 0].abs() if weighted else None
    # In blocks; and one cluster has no rows.
    monkeypatch.setattr(_rows, "_BLOCK_ELEMENTS", 3_500)
    found = _assignment._products_by_label(x, labels, 7, weight)
    for part, expected in zip(found, cluster_sums(x, labels, 7, weight), strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-12, atol=1e-12)


def test_blocks_of_an_accelerator_are_larger():
    sizes = [
        [rows.stop - rows.start for rows in _rows.row_blocks(70_000, 10, device)]
        for device in (None, torch.device("cpu"), torch.device("cuda"))
    ]
    assert sizes == [[8192] * 8 + [4464], [8192] * 8 + [4464], [70_000]]
