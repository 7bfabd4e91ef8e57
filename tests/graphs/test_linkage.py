"""Agglomeration along random walks."""

import numpy as np
import pytest
import scipy.sparse as sp

from skdeepcluster.graphs import NeighborGraph
from skdeepcluster.graphs._linkage import path_integral_linkage
from skdeepcluster.neighbors import nearest_neighbors


def walk_on(X, n_neighbors):
    return NeighborGraph.of(*nearest_neighbors(X, n_neighbors), len(X)).walk()


def rows(n=60, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=3, size=(4, 3))
    return centers[rng.integers(4, size=n)] + rng.normal(size=(n, 3))


def path_integral(P, group, within, z):
    """Discounted paths between rows of `group` that stay in `within`, per pair."""
    inside = np.linalg.inv(np.eye(len(within)) - z * P[np.ix_(within, within)])
    chosen = np.isin(within, group)
    return inside[np.ix_(chosen, chosen)].sum() / len(group) ** 2


def exact_affinity(P, a, b, z=0.01):
    """The authors' affinity, from its definition."""
    both = np.concatenate([a, b])
    return sum(
        path_integral(P, group, both, z) - path_integral(P, group, group, z)
        for group in (a, b)
    )


def degree_linkage(P, a, b):
    there, back = P[np.ix_(a, b)], P[np.ix_(b, a)]
    return (there @ back).sum() / len(a) ** 2 + (back @ there).sum() / len(b) ** 2


def grown(merges, labels):
    """Groups before each merge, and the pair that it joins."""
    groups = {g: np.flatnonzero(labels == g) for g in range(labels.max() + 1)}
    for m, (a, b) in enumerate(merges, start=len(groups)):
        yield dict(groups), int(a), int(b)
        groups[m] = np.concatenate([groups.pop(int(a)), groups.pop(int(b))])


def test_every_merge_has_the_greatest_affinity():
    walk = walk_on(rows(), 6)
    P, labels = walk.toarray(), np.arange(60) // 2
    merges = path_integral_linkage(walk, labels)
    assert len(merges) >= 20
    for groups, a, b in grown(merges, labels):
        found = degree_linkage(P, groups[a], groups[b])
        numbers = sorted(groups)
        best = max(
            degree_linkage(P, groups[i], groups[j])
            for i in numbers
            for j in numbers
            if i < j
        )
        np.testing.assert_allclose(found, best, rtol=1e-12)


def test_it_is_the_path_integral_at_a_small_discount():
    walk = walk_on(rows(seed=1), 6)
    P, labels, z = walk.toarray(), np.arange(60) // 3, 0.01
    compared = 0
    for groups, a, b in grown(path_integral_linkage(walk, labels), labels):
        exact = exact_affinity(P, groups[a], groups[b], z)
        leading = z**2 * degree_linkage(P, groups[a], groups[b])
        # Longer detours add z for each step inside of either group, and z² more.
        assert leading <= exact <= leading * (1 + 3 * z)
        compared += 1
    assert compared >= 10


def test_three_rows_by_hand():
    walk = sp.csr_array(np.array([[0, 0.25, 0.75], [0.5, 0, 0.5], [0.9, 0.1, 0]]))
    # Pairs: 2 p01 p10 = .25, 2 p02 p20 = 1.35, 2 p12 p21 = .1.
    merges = path_integral_linkage(walk, np.arange(3))
    assert merges.tolist() == [[0, 2], [1, 3]] or merges.tolist() == [[2, 0], [1, 3]]


def test_one_way_streets_and_islands_are_not_merged():
    P = np.zeros((5, 5))
    P[0, 1] = P[1, 0] = 1.0  # there and back
    P[2, 0] = 1.0  # no way back
    P[3, 4] = P[4, 3] = 1.0  # another island
    merges = path_integral_linkage(sp.csr_array(P), np.arange(5))
    assert sorted(sorted(m) for m in merges.tolist()) == [[0, 1], [3, 4]]


@pytest.mark.parametrize("seed", range(3))
def test_order_of_the_rows_does_not_matter(seed):
    X = rows(40, seed)
    order = np.random.default_rng(seed).permutation(40)
    sets = []
    for data, back in ((X, np.arange(40)), (X[order], order)):
        walk = walk_on(data, 5)
        # Steps that are alike make ties, which the order of the rows decides.
        near = nearest_neighbors(data, 5)[1].ravel()
        walk.data = np.exp(-near)
        labels = np.arange(40)
        sets.append([
            {frozenset(back[groups[a]]), frozenset(back[groups[b]])}
            for groups, a, b in grown(path_integral_linkage(walk, labels), labels)
        ])  # fmt: skip
    assert sets[0] == sets[1]
