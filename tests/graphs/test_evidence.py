"""Clusters that several partitions agree on."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from skdeepcluster.graphs import Evidence, Shares, _evidence


def partitions(n=80, n_members=4, seed=0):
    """A partition, with errors of each member."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    labels = np.stack([rng.permutation(4)[truth] for _ in range(n_members)], 1)
    wrong = rng.random(labels.shape) < 0.25
    return np.where(wrong, rng.integers(4, size=labels.shape), labels)


def distances(labels):
    return (labels[:, None] != labels[None]).mean(axis=2)


@pytest.mark.parametrize("method", ["average", "complete", "single"])
@pytest.mark.parametrize("seed", range(3))
def test_every_merge_is_of_the_nearest_groups(method, seed):
    """Ties may be broken otherwise than by SciPy, so heights are compared."""
    labels = partitions(seed=seed)
    heights = np.sort(
        linkage(squareform(distances(labels), checks=False), method)[:, 2]
    )
    for k in (2, 3, 5):
        evidence, place = Evidence.of(labels, np.ones(len(labels)))
        found = evidence.clusters(k, method)[place]
        assert len(np.unique(found)) == k
        if method == "single":
            limit = heights[len(labels) - k - 1]
            expected = fcluster(
                linkage(squareform(distances(labels), checks=False), method),
                limit,
                "distance",
            )
            if len(np.unique(expected)) == k:
                assert adjusted_rand_score(found, expected) == 1


def test_by_hand():
    labels = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1], [1, 1, 0], [0, 0, 0]])
    evidence, place = Evidence.of(labels, np.ones(5))
    assert evidence.profiles.tolist() == labels[:4].tolist()
    assert evidence.mass.tolist() == [2, 1, 1, 1]
    assert evidence.clusters(2)[place].tolist() == [0, 0, 1, 1, 0]
    shares = Shares.of(evidence.profiles, evidence.mass, np.array([0, 0, 1, 1]))
    # Of cluster 0 three rows: all in 0, all in 0, two in 0 of the last member.
    np.testing.assert_allclose(
        shares.agreement(np.array([[0, 0, 0], [1, 1, 1], [2, -1, 0]])),
        [[(1 + 1 + 2 / 3) / 3, 0.5 / 3], [1 / 9, 2.5 / 3], [2 / 9, 0.5 / 3]],
    )


def test_minus_one_agrees_with_nobody():
    labels = np.array([[0, 0], [0, 0], [-1, -1], [-1, -1], [1, 1]])
    evidence, _ = Evidence.of(labels, np.ones(5))
    shares = Shares.of(evidence.profiles, evidence.mass, np.arange(3))
    assert shares.agreement(np.array([[-1, -1]])).tolist() == [[0, 0, 0]]


def test_a_weight_is_so_many_rows():
    labels = partitions()
    weight = np.random.default_rng(1).integers(1, 4, size=len(labels))
    weighted, place = Evidence.of(labels, weight.astype(float))
    repeated, again = Evidence.of(np.repeat(labels, weight, 0), np.ones(weight.sum()))
    np.testing.assert_array_equal(
        np.repeat(weighted.clusters(3)[place], weight), repeated.clusters(3)[again]
    )


def test_light_profiles_join_the_nearest_cluster(monkeypatch):
    labels = partitions(400)
    evidence, place = Evidence.of(labels, np.ones(400))
    all_merged = evidence.clusters(3)[place]
    monkeypatch.setattr(_evidence, "_MOST_PROFILES", 30)
    found = evidence.clusters(3)[place]
    assert len(evidence.mass) > 60
    assert set(found) == {0, 1, 2}
    assert adjusted_rand_score(found, all_merged) > 0.8


def test_fewer_profiles_than_clusters():
    evidence, place = Evidence.of(np.array([[0], [1], [0]]), np.ones(3))
    assert evidence.clusters(5)[place].tolist() == [0, 1, 0]
