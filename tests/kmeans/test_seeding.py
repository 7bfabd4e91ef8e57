import pytest
import torch

from skdeepcluster.kmeans import kmeans_plus_plus
from skdeepcluster.kmeans._seeding import draw_rows

pytestmark = pytest.mark.usefixtures("both_ways")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


def drawn(mass, uniform):
    """Index of the first row at which the cumulated mass exceeds the draw."""
    target, cumulated = uniform * mass.sum(), 0.0
    for i, own in enumerate(mass.tolist()):
        cumulated += own
        if cumulated > target:
            return i
    raise AssertionError("the draw lies beyond the mass")


def by_the_book(x, n_clusters, n_trials, generator, weight):
    """Greedy k-means++ written out, one row and one candidate at a time."""

    def uniform(size):
        draws = torch.rand(size, dtype=torch.float64, generator=generator)
        return draws.tolist()

    centers = [x[drawn(weight, uniform(1)[0])]]
    closest = (x - centers[0]).square().sum(1)
    while len(centers) < n_clusters:
        trials = [x[drawn(weight * closest, u)] for u in uniform(n_trials)]
        left = [closest.minimum((x - t).square().sum(1)) for t in trials]
        potentials = [float((weight * own).sum()) for own in left]
        best = potentials.index(min(potentials))
        centers.append(trials[best])
        closest = left[best]
    return torch.stack(centers)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n_clusters", "n_trials"), [(2, 2), (7, 3), (9, 4)])
def test_agrees_with_the_algorithm_written_out(seed, n_clusters, n_trials):
    x = rows(60, 3, seed)
    weight = torch.rand(60, generator=seeded(seed), dtype=torch.float64)
    expected = by_the_book(x, n_clusters, n_trials, seeded(seed), weight)
    centers = kmeans_plus_plus(x, n_clusters, generator=seeded(seed), weight=weight)
    assert torch.equal(centers, expected)


def test_first_center_is_drawn_in_proportion_to_the_weight():
    x, weight = torch.tensor([[0.0], [1.0]]), torch.tensor([1.0, 3.0])
    generator = seeded()
    ones = sum(
        float(kmeans_plus_plus(x, 1, generator=generator, weight=weight))
        for _ in range(400)
    )
    assert 260 < ones < 340  # 300 expected, 4.6 standard deviations


@pytest.mark.parametrize("smallest", [1.0, 5e-324])
def test_the_extreme_draws_find_rows_that_have_mass(smallest, monkeypatch):
    # The largest draw times a subnormal total rounds to the total.
    extremes = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda size, **options: extremes)
    mass = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0], dtype=torch.float64) * smallest
    assert draw_rows(mass, 2, seeded()).tolist() == [1, 3]


def test_no_weight_is_unit_weight():
    x = rows(80, 2)
    plain = kmeans_plus_plus(x, 6, generator=seeded())
    unit = kmeans_plus_plus(x, 6, generator=seeded(), weight=torch.ones(80))
    assert torch.equal(plain, unit)


@pytest.mark.parametrize("seed", range(5))
def test_weights_equal_repetition(seed):
    x, counts = rows(50, 3), torch.arange(50) % 4
    weighted = kmeans_plus_plus(x, 6, generator=seeded(seed), weight=counts)
    repeated = kmeans_plus_plus(
        x.repeat_interleave(counts, 0), 6, generator=seeded(seed)
    )
    assert torch.equal(weighted, repeated)


def test_rows_of_weight_zero_are_never_drawn():
    x = torch.arange(12.0)[:, None] ** 2
    weight = torch.tensor([0.0, 0.0, 1.0, 0.0, 1.0, 1.0] + [0.0] * 6)
    for seed in range(30):
        centers = kmeans_plus_plus(x, 3, generator=seeded(seed), weight=weight)
        assert sorted(centers.flatten().tolist()) == [4.0, 16.0, 25.0]


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_distinct_rows_are_exhausted_before_any_repeats(offset):
    distinct = torch.tensor([[0.0], [0.5], [100.0], [100.5]]) + offset
    x = distinct.repeat(25, 1)
    for seed in range(10):
        centers = kmeans_plus_plus(x, 4, generator=seeded(seed))
        assert torch.equal(centers.sort(0).values, distinct.double())


def test_fewer_distinct_rows_than_clusters():
    x = torch.tensor([[0.1], [0.7], [0.1], [0.7], [0.1]])
    centers = kmeans_plus_plus(x, 5, generator=seeded())
    assert centers.unique().tolist() == x[:2].double().flatten().tolist()


def test_every_row_when_there_are_as_many_clusters():
    x = rows(20, 2)
    centers = kmeans_plus_plus(x, 20, generator=seeded())
    assert torch.equal(centers.unique(dim=0), x.unique(dim=0))


def test_many_blocks_of_rows():
    # Clusters so far apart that greedy seeding meets each one exactly once.
    truth = torch.arange(40_000) % 8
    x = rows(40_000, 30).float() * 0.01 + truth[:, None]
    centers = kmeans_plus_plus(x, 8, generator=seeded())
    assert centers.mean(1).round().sort().values.tolist() == list(range(8))


def test_the_generator_is_the_only_randomness(global_rng_untouched):
    x = rows(100, 3)
    torch.manual_seed(1)
    with global_rng_untouched():
        first = kmeans_plus_plus(x, 5, generator=seeded(3))
    torch.manual_seed(2)
    assert torch.equal(first, kmeans_plus_plus(x, 5, generator=seeded(3)))
    assert not torch.equal(first, kmeans_plus_plus(x, 5, generator=seeded(4)))


@pytest.mark.parametrize(
    ("x", "n_clusters", "weight", "message"),
    [
        (torch.zeros(3, 1), 4, None, "n_samples=3 should be >= n_clusters=4."),
        (torch.zeros(3, 1), 0, None, "n_clusters=0 should be >= 1."),
        (
            torch.tensor([[0.0], [torch.inf]]),
            1,
            None,
            "finite, got nan or inf in row 1",
        ),
        (torch.zeros(2, 1), 1, torch.zeros(2), "weight should have a sum > 0, got 0.0"),
        (torch.zeros(2, 1), 1, torch.tensor([2.0, -1.0]), ">= 0, got -1.0"),
        (torch.zeros(2, 1), 1, torch.ones(3), r"shape \(2,\), got \(3,\)"),
    ],
)
def test_bad_input(x, n_clusters, weight, message):
    with pytest.raises(ValueError, match=message):
        kmeans_plus_plus(x, n_clusters, generator=seeded(), weight=weight)
