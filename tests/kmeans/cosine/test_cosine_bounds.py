import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skdeepcluster.kmeans.cosine import _elkan
from skdeepcluster.kmeans.cosine._assignment import nearest_by_cosine
from skdeepcluster.kmeans.cosine._bounds import HamerlyStep, Turns
from skdeepcluster.kmeans.cosine._elkan import ElkanStep
from skdeepcluster.kmeans.cosine._partition import Partition, converge, lloyd_step
from skdeepcluster.kmeans.matrices._matrix import as_matrix

STEPS = [HamerlyStep, ElkanStep]
every_step = pytest.mark.parametrize("step", STEPS, ids=["hamerly", "elkan"])
STORAGE = ["float32", "float64", "csr", "csr float64"]


@pytest.fixture(autouse=True)
def bounds_from_the_start(monkeypatch):
    """Small data settle at once: keep bounds from the second call on."""
    for step in STEPS:
        monkeypatch.setattr(step, "largest_turn", torch.inf)
        monkeypatch.setattr(step, "most_active", 1.0)
    monkeypatch.setattr(_elkan, "_FEWEST_ROWS", 16)


def signed_rows(n, d, seed, storage="float64"):
    """Overlapping groups of rows of any length: zero rows, copies, multiples."""
    rng = np.random.RandomState(seed)
    x = rng.randn(max(2, n // 40), d)[rng.randint(0, max(2, n // 40), n)]
    x = (x + rng.randn(n, d)) * np.exp(rng.randn(n, 1))
    if "csr" in storage:
        x[rng.rand(n, d) < 0.6] = 0
    x[rng.randint(0, n, n // 20)] = x[rng.randint(0, n, n // 20)]
    x[rng.randint(0, n, n // 20)] = 2 * x[rng.randint(0, n, n // 20)]
    x[rng.randint(0, n, 3)] = 0
    x = x.astype(storage.split()[-1] if "float" in storage else "float32")
    return sp.csr_matrix(x) if "csr" in storage else x


def start(x, k, seed=0, weight=None, precision="float32"):
    matrix = as_matrix(x, precision=precision)
    rng = np.random.RandomState(seed)
    rows = torch.from_numpy(rng.permutation(np.flatnonzero(matrix.norms))[:k])
    if weight is None:
        weight = torch.ones(len(matrix), dtype=torch.float64)
    return Partition(matrix, weight, matrix.centers_type(matrix.gather(rows)))


def turned(centers, angle, seed=0):
    """Centres that all turned by an angle, in any direction, (k, d)."""
    unit = centers.unit()
    generator = torch.Generator().manual_seed(seed)
    aside = torch.randn(unit.shape, generator=generator, dtype=torch.float64)
    aside -= (aside * unit).sum(1, keepdim=True) * unit
    aside /= aside.norm(dim=1, keepdim=True)
    return np.cos(angle) * unit + np.sin(angle) * aside


def cosines(matrix, centers):
    """All cosines in float64, (n, k); those of zero rows are 0."""
    rows = matrix.gather(torch.arange(len(matrix)))
    return rows @ centers.unit().t() / matrix.norms.clamp(min=5e-324)[:, None]


def run_both(partition, assign, max_iter=60):
    """Run to the fixed point; labels must be Lloyd's after every single call."""
    lloyd = lloyd_step(partition.matrix)
    for _ in range(max_iter):
        expected, products = lloyd(partition.centers)
        labels, bounds = assign(partition.centers)
        assert torch.equal(labels, expected)
        rounding = 1e-5 * partition.matrix.norms
        assert not (bounds > products + rounding).any()
        if not partition.relabel(labels, products):
            return
    raise AssertionError("it did not converge")


@every_step
@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize(
    ("n", "d", "k"), [(300, 2, 2), (300, 2, 12), (400, 10, 7), (500, 50, 40)]
)
def test_labels_are_lloyds_at_every_step(n, d, k, storage, step):
    for seed in range(3):
        partition = start(signed_rows(n, d, seed, storage), k, seed)
        assign = step(partition.matrix)
        run_both(partition, assign)
        assert assign.n_products < (partition.n_iter or 61) * n * k


@every_step
@pytest.mark.parametrize("storage", ["float32", "csr"])
def test_float64_products(storage, step):
    partition = start(signed_rows(400, 8, 0, storage), 9, precision="float64")
    run_both(partition, step(partition.matrix))


@every_step
@pytest.mark.parametrize("storage", ["float64", "csr"])
def test_weights(storage, step):
    weight = torch.from_numpy(np.random.RandomState(0).randint(0, 4, 400)).double()
    partition = start(signed_rows(400, 6, 1, storage), 12, weight=weight)
    run_both(partition, step(partition.matrix, partition.weight))


@every_step
@pytest.mark.parametrize("storage", ["float64", "csr"])
@pytest.mark.parametrize("largest_turn", [0.01, 0.1])
def test_whole_runs_agree(storage, largest_turn, step, monkeypatch):
    # With its own products: empty clusters must find the same rows.
    monkeypatch.setattr(step, "largest_turn", largest_turn)
    monkeypatch.setattr(step, "most_active", 0.6)
    weight = torch.from_numpy(np.random.RandomState(0).randint(0, 3, 300)).double()
    for seed in range(5):
        x = signed_rows(300, 3, seed, storage)
        found = start(x, 40, seed, weight)
        expected = start(x, 40, seed, weight)
        converge(found, step(found.matrix, found.weight), 100, 0.0)
        converge(expected, lloyd_step(expected.matrix), 100, 0.0)
        assert torch.equal(found.labels, expected.labels)
        assert found.n_iter == expected.n_iter


@every_step
@pytest.mark.parametrize("storage", ["float64", "csr"])
def test_empty_clusters_take_the_rows_that_lloyd_gives_them(storage, step):
    x = signed_rows(200, 3, 0, storage)
    matrix = as_matrix(x)
    assign = step(matrix)
    first = matrix.gather(matrix.norms.nonzero()[:20, 0])
    centers = matrix.centers_type(torch.cat([first, first[:5]]))
    for _ in range(3):
        labels, products = assign(centers)
        expected = nearest_by_cosine(matrix, centers)
        assert torch.equal(labels, expected[0])
        assert torch.equal(products, expected[1])


@every_step
@pytest.mark.parametrize("storage", ["float64", "csr"])
@pytest.mark.parametrize("angle", [1e-9, 1e-5, 0.01, 0.3, 1.5, 3.1])
def test_any_turn_of_the_centers(angle, storage, step):
    # Not only the turns that k-means makes: these rows do not follow.
    matrix = as_matrix(signed_rows(500, 5, 3, storage))
    centers = matrix.centers_type(matrix.gather(matrix.norms.nonzero()[:12, 0]))
    assign = step(matrix)
    for seed in range(8):
        assert torch.equal(assign(centers)[0], nearest_by_cosine(matrix, centers)[0])
        after = turned(centers, angle, seed)
        if "csr" not in storage:
            centers = matrix.centers_type(after)
            continue
        for j, direction in enumerate(after):
            centers = centers.with_direction(j, direction)


@every_step
@pytest.mark.parametrize("storage", ["float64", "csr"])
def test_ties(storage, step):
    # Rows on the middle between centres, two of which are the same.
    signs = np.array(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 4)).reshape(4, -1).T
    matrix = as_matrix(sp.csr_matrix(signs) if storage == "csr" else signs)
    axes = torch.eye(4, dtype=torch.float64)
    centers = matrix.centers_type(torch.cat([axes, -axes, axes[2:3]]))
    assign = step(matrix)
    expected = nearest_by_cosine(matrix, centers)[0]
    for _ in range(4):
        assert torch.equal(assign(centers)[0], expected)


@every_step
def test_bounds_hold_where_the_cheap_one_fails(step):
    # The row is at cosine -0.8 to a centre that turns towards it by arccos 0.6: their
    # cosine becomes 0, where u + sqrt((1 - u^2) (1 - p^2)) would say at most -0.32 and
    # leave the row with its own centre, which is at cosine -0.2.
    row = torch.tensor([[-0.8, 0.6]], dtype=torch.float64)
    own = -0.2 * row[0] + 0.96**0.5 * torch.tensor([-0.6, -0.8], dtype=torch.float64)
    towards = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    matrix = as_matrix(row.numpy())
    before, after = (matrix.centers_type(torch.stack([c, own])) for c in towards)
    cosine = cosines(matrix, before)[0, 0]
    cheap = cosine + ((1 - cosine**2) * (1 - 0.6**2)).sqrt()
    assert cheap == pytest.approx(-0.32) and cheap < cosines(matrix, after)[0, 1]
    assign = step(matrix)
    assert [assign(c)[0].item() for c in (before, before, after)] == [1, 1, 0]


@every_step
@pytest.mark.parametrize("storage", STORAGE)
def test_bounds_are_bounds(storage, step):
    # The first rows of the clusters go over to the next, a few more every time.
    for d, seed in [(2, 0), (5, 1), (40, 2)]:
        partition = start(signed_rows(400, d, seed, storage), 8, seed)
        matrix, assign = partition.matrix, step(partition.matrix)
        for n_moved in [0, 0, 0, 1, 3, 10, 40, 1]:
            labels, products = assign(partition.centers)
            labels[:n_moved] = (labels[:n_moved] + 1) % 8
            check_bounds(assign, cosines(matrix, partition.centers))
            partition.relabel(labels, products)


def check_bounds(assign, true):
    if not assign._bounded:
        return
    rows = assign.matrix.norms > 0
    own = assign._labels[:, None]
    angles = true.clamp(-1, 1).acos()
    others = angles.scatter(1, own, torch.inf).amin(1)
    assert (angles.gather(1, own)[:, 0] <= assign._own + 1e-7)[rows].all()
    assert (others >= assign._others - 1e-7)[rows].all()
    if isinstance(assign, ElkanStep):
        assert (true <= assign._pairs + assign._way)[rows].all()


def test_sparse_centers_know_how_far_they_turned():
    rng = np.random.RandomState(0)
    matrix = as_matrix(sp.random(300, 50, 0.1, "csr", random_state=rng))
    labels = torch.from_numpy(rng.randint(0, 6, 300))
    scale = torch.ones(300, dtype=torch.float64)
    centers = matrix.centers_type(matrix.sums(labels, scale, 6))
    turns = Turns()
    assert turns(centers) is None
    for n_moved in [0, 1, 5, 100, 300]:
        index = torch.from_numpy(rng.permutation(300)[:n_moved])
        after = torch.from_numpy(rng.randint(0, 5, n_moved))  # the last only loses
        before = centers.unit()
        centers = centers.moved(matrix, index, labels[index], after, scale[index])
        labels[index] = after
        if n_moved == 300:
            break  # its last centre is nothing
        chords = (centers.unit() - before).norm(dim=1)
        expected = 2 * (chords / 2).asin()
        found = turns(centers)
        assert (found >= expected - 1e-12).all()
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
        assert ((found == 0) == (chords == 0)).all()
    assert turns(centers)[5] > 1


def test_a_move_of_length_only_is_no_turn():
    matrix = as_matrix(sp.csr_matrix(np.eye(3)))
    centers = matrix.centers_type(torch.eye(3, dtype=torch.float64))
    first, none = torch.tensor([0]), torch.tensor([-1])
    turns = Turns()
    turns(centers)
    scale = torch.ones(1, dtype=torch.float64)
    centers = centers.moved(matrix, first, none, first, scale)
    assert centers.norms.tolist() == [2, 1, 1]
    assert float(turns(centers).max()) < 1e-4


def test_new_sparse_centers_start_anew():
    matrix = as_matrix(signed_rows(100, 4, 0, "csr"))
    turns = Turns()
    for seed in range(3):
        assert turns(start(matrix.x, 3, seed).centers) is None


@every_step
@pytest.mark.parametrize("storage", ["float32", "csr"])
def test_work_is_skipped(storage, step):
    rng = np.random.RandomState(0)
    x = np.repeat(np.eye(40), 50, axis=0) + 0.05 * rng.randn(2000, 40)
    x = x.astype("float32") if storage == "float32" else sp.csr_matrix(x)
    partition = start(x, 40)
    partition.centers = partition.matrix.centers_type(torch.eye(40).double())
    assign = step(partition.matrix)
    labels, products = assign(partition.centers)
    assert assign.n_products == 2000 * 40
    partition.relabel(labels, products)
    for _ in range(2):
        partition.relabel(*assign(partition.centers))
    seen = assign.n_products
    # One row goes over: two centres turn a little, and all rows stay where they are.
    labels = partition.labels.clone()
    labels[0] = (labels[0] + 1) % 40
    partition.relabel(labels, products)
    assert torch.equal(
        assign(partition.centers)[0],
        nearest_by_cosine(partition.matrix, partition.centers)[0],
    )
    assert assign.n_products - seen <= 0.2 * 2000 * 40
    seen = assign.n_products
    assign(partition.centers)
    assert assign.n_products - seen <= 0.2 * 2000 * 40


def test_elkan_skips_pairs():
    # Rows of a circle have two centres near them: Hamerly compares them with all.
    angles = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    x = np.stack([np.cos(angles), np.sin(angles)], 1)
    taken = []
    for step in STEPS:
        partition = start(x, 40)
        assign = step(partition.matrix)
        converge(partition, assign, 40, 0.0)
        taken.append(assign.n_products)
    assert taken[1] < taken[0] / 2, taken


@every_step
@pytest.mark.parametrize("length", [1e-300, 1e-40, 1e-27, 1e32, 1e200])
def test_rows_beyond_the_range_of_float32(length, step):
    x = signed_rows(200, 4, 5)
    x[::7] *= length
    run_both(start(x, 6), step(as_matrix(x)))


@every_step
def test_bfloat16_is_compared_in_full(step):
    partition = start(signed_rows(200, 4, 0, "float32"), 5, precision="bfloat16")
    assign = step(partition.matrix)
    for n_calls in range(1, 5):
        expected = nearest_by_cosine(partition.matrix, partition.centers)
        found = assign(partition.centers)
        assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])
        assert assign.n_products == n_calls * 200 * 5
        partition.relabel(*found)


@every_step
def test_one_cluster(step):
    partition = start(signed_rows(50, 3, 0), 1)
    converge(partition, step(partition.matrix), 10, 0.0)
    assert partition.labels.unique().tolist() == [0]


@every_step
def test_answers_are_not_shared(step):
    partition = start(signed_rows(60, 3, 0), 4)
    assign = step(partition.matrix)
    for _ in range(3):
        labels, products = assign(partition.centers)
        expected = labels.clone(), products.clone()
        labels.fill_(7)
        products.fill_(7)
        again = assign(partition.centers)
        assert torch.equal(again[0], expected[0])
