import numpy as np
import pytest
import torch
from cosine_cases import (
    FORMS,
    HAND,
    HAND_CENTERS,
    HAND_CRITERION,
    blobs,
    criterion,
    setting,
    text,
    unit,
    weights_of,
)

from skdeepcluster.kmeans import Partition, nearest_by_cosine, spherical_kmeans
from skdeepcluster.kmeans.cosine._partition import converge, lloyd_step

FORM = pytest.mark.parametrize("form", FORMS)


def run(x, start, form="dense", weight=None, precision="float32", **params):
    """Lloyd's iteration from given centres."""
    matrix, centers = setting(x, start, form, precision)
    partition = Partition(matrix, weights_of(x, weight), centers)
    settings = {"max_iter": 300, "tol": 0.0, **params}
    return converge(partition, lloyd_step(matrix), **settings)


@FORM
def test_known_answer(form):
    found = run(HAND, HAND[[0, 2]], form)
    assert found.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(found.centers.norms, [1.974175] * 2, atol=1e-6)
    np.testing.assert_allclose(found.centers.unit(), HAND_CENTERS, atol=1e-6)
    assert found.criterion == pytest.approx(HAND_CRITERION, abs=1e-6)
    assert found.n_iter == 2


@FORM
def test_a_fixed_point_that_is_not_the_best(form):
    angles = np.array([0, 0.9, 1.7])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = run(x, [x[0] + x[1], x[2]], form)
    assert found.labels.tolist() == [0, 0, 1]
    assert float(found.centers.norms.sum()) == pytest.approx(2.800894, abs=1e-6)


@FORM
def test_one_cluster_is_the_normalised_sum(form):
    x, weight = blobs(), np.arange(300) % 4
    found = run(x, x[:1], form, weight)
    total = (unit(x) * weight[:, None]).sum(axis=0)
    np.testing.assert_allclose(found.centers.unit()[0], total / np.linalg.norm(total))
    expected = weight.sum() - np.linalg.norm(total)
    assert found.criterion == pytest.approx(expected, rel=1e-12)


@FORM
def test_as_many_clusters_as_rows(form):
    x = blobs(30)
    found = run(x, x, form)
    assert found.labels.tolist() == list(range(30))
    assert found.criterion == pytest.approx(0, abs=1e-13)
    np.testing.assert_allclose(found.centers.unit(), unit(x), rtol=1e-12)


@FORM
@pytest.mark.parametrize("data", [blobs, text])
def test_the_criterion_never_rises(form, data):
    x = data()
    values = [run(x, x[:8], form, max_iter=m).criterion for m in range(1, 15)]
    assert all(a >= b - 1e-11 for a, b in zip(values, values[1:], strict=False))
    assert values[0] > values[-1]
    found = run(x, x[:8], form)
    labels = found.labels.numpy()
    expected = criterion(x, labels, found.centers.unit().numpy())
    assert found.criterion == pytest.approx(expected, rel=1e-11)
    again, _ = nearest_by_cosine(found.matrix, found.centers)
    assert torch.equal(again, found.labels)


@pytest.mark.parametrize("data", [blobs, text])
def test_dense_equals_csr(data):
    x = data()
    dense, sparse = (run(x, x[:8], form) for form in FORMS)
    assert torch.equal(dense.labels, sparse.labels)
    assert dense.n_iter == sparse.n_iter
    difference = dense.centers.unit() - sparse.centers.unit()
    assert float(difference.abs().max()) < 1e-13


def test_half_of_the_inertia_of_unit_rows():
    x = blobs()
    found = run(x, x[:5])
    differences = unit(x) - found.centers.unit().numpy()[found.labels]
    assert found.criterion == pytest.approx(np.square(differences).sum() / 2)


@FORM
@pytest.mark.parametrize("lengths", [2.0 ** np.arange(-150, 150), 1e200, 1e-40, 3.0])
def test_the_length_of_a_row_does_not_matter(form, lengths):
    x = blobs()
    short, long = run(x, x[:5], form), run((x.T * lengths).T, x[:5], form)
    assert torch.equal(short.labels, long.labels)
    assert short.criterion == pytest.approx(long.criterion, rel=1e-12)


def test_a_rotation_turns_the_centres():
    x = blobs()
    turn, _ = np.linalg.qr(np.random.RandomState(0).normal(size=(5, 5)))
    here, there = run(x, x[:5]), run(x @ turn, x[:5] @ turn)
    assert torch.equal(here.labels, there.labels)
    turned = here.centers.unit().numpy() @ turn
    np.testing.assert_allclose(there.centers.unit(), turned, atol=1e-12)


@FORM
def test_weights_equal_repetition(form):
    x, counts = blobs(), np.arange(300) % 4
    weighted = run(x, x[:6], form, counts)
    order = np.random.RandomState(0).permutation(np.repeat(np.arange(300), counts))
    repeated = run(x[order], x[:6], form)
    assert weighted.n_iter == repeated.n_iter
    assert weighted.criterion == pytest.approx(repeated.criterion, rel=1e-12)
    assert torch.equal(weighted.labels[order], repeated.labels)
    np.testing.assert_allclose(
        weighted.centers.unit(), repeated.centers.unit(), atol=1e-13
    )


@FORM
def test_rows_of_zeros_or_without_weight_have_no_influence(form):
    x = blobs()
    ghosts = np.vstack([x, np.zeros((20, 5)), -x * 50])
    weight = np.concatenate([np.ones(320), np.zeros(300)])
    alone, haunted = run(x, x[:6], form), run(ghosts, x[:6], form, weight)
    assert torch.equal(alone.labels, haunted.labels[:300])
    assert torch.equal(alone.centers.unit(), haunted.centers.unit())
    assert alone.criterion == pytest.approx(haunted.criterion, rel=1e-13)


# --- clusters without rows, and without a sum -------------------------------


@FORM
def test_an_empty_cluster_takes_the_farthest_row(form):
    x = np.array([[1, 0.1], [1, 0], [1, -0.1], [0.2, 1]])
    found = run(x, [[1, 0], [-1, -1]], form)
    assert found.labels.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(found.centers.unit(), unit([[1, 0], [0.2, 1]]))


@FORM
def test_several_empty_clusters_are_filled(form):
    x = blobs(100)
    start = np.vstack([x.sum(axis=0)] * 6)
    found = run(x, start, form)
    assert set(found.labels.tolist()) == set(range(6))
    assert found.criterion < run(x, start[:1], form).criterion / 2


@FORM
def test_rows_of_weight_zero_fill_no_cluster(form):
    x = np.array([[1, 0.1], [1, 0], [0.2, 1], [-1, 0]])
    found = run(x, [[1, 0], [-1, -1]], form, [1, 1, 1, 0], max_iter=1)
    np.testing.assert_allclose(found.centers.unit()[1], unit([[0.2, 1]])[0])


@FORM
def test_all_rows_of_a_direction_move_together(form):
    x = np.array([[1, 0.1], [1, 0], [0.2, 1], [0.4, 2]])
    found = run(x, [[1, 0], [-1, -1]], form, max_iter=1)
    assert found.labels.tolist() == [0, 0, 1, 1]


@FORM
@pytest.mark.parametrize("k", [3, 5])
def test_fewer_directions_than_clusters(form, k):
    x = np.tile([[1.0, 0.0], [1.0, 1.0]], (6, 1))
    x *= np.arange(1, 13)[:, None]
    found = run(x, np.tile([[1.0, 0.2]], (k, 1)), form)
    assert found.n_iter < 10
    assert len(set(found.labels.tolist())) == 2
    assert found.criterion == pytest.approx(0, abs=1e-13)
    lengths = torch.linalg.vector_norm(found.centers.unit(), dim=1)
    np.testing.assert_allclose(lengths, np.ones(k))


@FORM
@pytest.mark.parametrize("weight", [1.0, 1e-60, 1e60])
def test_rows_that_cancel(form, weight):
    x = np.array([[1.0, 2.0], [-1.0, -2.0], [3.0, 6.0], [-3.0, -6.0]])
    found = run(x, [[1.0, 0.0]], form, [weight] * 4)
    assert found.criterion == pytest.approx(4 * weight)
    np.testing.assert_allclose(found.centers.unit(), unit([[1, 2]]))


@FORM
def test_a_cluster_that_cancels_beside_others(form):
    x = np.array([[1.0, 0], [-1, 0], [0, 5], [0.1, 5]])
    found = run(x, [[0, 1.0], [0, -1.0]], form)
    assert found.criterion < 1
    lengths = torch.linalg.vector_norm(found.centers.unit(), dim=1)
    np.testing.assert_allclose(lengths, [1, 1])


# --- when it ends -----------------------------------------------------------


def test_tolerance():
    x = blobs(2000, 8)
    exact, rough = run(x, x[:10]), run(x, x[:10], tol=0.01)
    assert 1 < rough.n_iter < exact.n_iter
    assert rough.criterion > exact.criterion
    assert run(x, x[:10], max_iter=3).n_iter == 3


def test_the_best_start_is_kept():
    x = blobs(k=6)
    matrix, _ = setting(x, x[:6])
    starts = [x[i : i + 6] for i in range(0, 60, 6)]
    single = [run(x, start) for start in starts]
    waiting = iter(starts)
    best = spherical_kmeans(
        matrix,
        weights_of(x),
        lambda: setting(x, next(waiting))[1],
        n_init=10,
        tol=0.0,
    )
    lowest = min(found.criterion for found in single)
    assert best.criterion == pytest.approx(lowest, rel=2e-9)
    assert best.criterion < max(found.criterion for found in single)


@FORM
def test_two_threads_give_the_same_bits(form):
    x = blobs(4200, 8)
    before = torch.get_num_threads()
    found = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            found.append(run(x, x[:9], form, max_iter=3))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0].labels, found[1].labels)
    assert torch.equal(found[0].centers.unit(), found[1].centers.unit())
    assert found[0].criterion == found[1].criterion


def narrow_cone(height):
    """Three blobs in the plane, seen from far below."""
    spread = np.random.default_rng(0).normal(size=(150, 2)) * 0.1
    plane = spread + np.repeat([[0.0, 0], [3, 0], [6, 0]], 50, axis=0)
    return np.column_stack([plane, np.full(150, height)])


@FORM
@pytest.mark.parametrize("height", [1e3, 1e4, 1e5])
@pytest.mark.parametrize("shift", [0, 30, 60, 120])
def test_an_empty_cluster_is_refilled_in_a_narrow_cone(form, height, shift):
    x = narrow_cone(height)
    found = run(np.roll(x, -shift, axis=0), np.stack([x[0], x[60], -x[0]]), form)
    assert torch.bincount(found.labels).tolist() == [50, 50, 50]


@FORM
@pytest.mark.parametrize("height", [1e5, 1e6, 1e7])
def test_the_criterion_keeps_its_digits_in_a_narrow_cone(form, height):
    x = narrow_cone(height)
    found = run(x, x[[0, 50, 100]], form)
    middle = x.reshape(3, 50, 3).mean(axis=1, keepdims=True)
    # So far away the squared angle is that of the plane, by the square of the height.
    flat = ((x.reshape(3, 50, 3) - middle) ** 2).sum() / 2 / height**2
    assert found.criterion == pytest.approx(flat, rel=1e-6, abs=0)
