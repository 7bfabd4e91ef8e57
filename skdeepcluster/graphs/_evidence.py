r"""Evidence accumulation: clusters of rows that several partitions put together.

Two rows are as far from each other as the share of the partitions that put them apart,

.. math::
    d_{ij} = 1 - \frac{1}{M} \sum_{m=1}^{M} [c_m(i) = c_m(j)] ,

and agglomerative clustering of these distances is the consensus. Rows with the same
clusters in all partitions are one profile, so that few points are to be merged.

A. L. N. Fred and A. K. Jain, "Combining multiple clusterings using evidence
accumulation", IEEE Transactions on Pattern Analysis and Machine Intelligence 27, 2005.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LINKAGES = ("average", "complete", "single")

# Profiles that are merged step by step, the heaviest; others join the nearest cluster.
_MOST_PROFILES = 2000


@dataclass(frozen=True)
class Evidence:
    """What several partitions say of the same rows.

    Parameters
    ----------
    profiles : ndarray of shape (n_profiles, n_members), int
        Distinct rows of labels; -1 for a row that a member leaves out, which agrees
        with nobody.
    mass : ndarray of shape (n_profiles,)
        Weight of the rows of each profile.
    """

    profiles: NDArray
    mass: NDArray[np.float64]

    @classmethod
    def of(cls, labels: NDArray, weight: NDArray) -> tuple[Evidence, NDArray]:
        """Profiles in the order of their first rows, and that of each row.

        Parameters
        ----------
        labels : ndarray of shape (n_samples, n_members), int
        weight : ndarray of shape (n_samples,)
        """
        profiles, first, place = np.unique(
            labels, axis=0, return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        place = np.argsort(order)[place.ravel()]
        mass = np.bincount(place, weight).astype(np.float64)
        return cls(profiles[order], mass), place

    def clusters(self, n_clusters: int, linkage: str = "average") -> NDArray[np.intp]:
        """Cluster of each profile, 0..n_clusters-1, or fewer of fewer profiles.

        Parameters
        ----------
        n_clusters : int
        linkage : {"average", "complete", "single"}
        """
        heavy = np.sort(np.argsort(-self.mass, kind="stable")[:_MOST_PROFILES])
        profiles, mass = self.profiles[heavy], self.mass[heavy]
        apart = np.array([1 - agreement(profiles, p) for p in profiles])
        merged = _merge(apart, mass, n_clusters, linkage)
        labels = np.full(len(self.mass), -1)
        labels[heavy] = merged
        left = np.flatnonzero(labels < 0)
        if len(left):
            shares = Shares.of(profiles, mass, merged)
            labels[left] = shares.agreement(self.profiles[left]).argmax(axis=1)
        return labels


@dataclass(frozen=True)
class Shares:
    """Of each cluster, what share of its rows every member has put where.

    Parameters
    ----------
    of_label : list of ndarray of shape (n_labels, n_clusters)
        For each member and each of its labels.
    """

    of_label: list[NDArray[np.float64]]

    @classmethod
    def of(cls, profiles: NDArray, mass: NDArray, clusters: NDArray) -> Shares:
        """Count them.

        Parameters
        ----------
        profiles : ndarray of shape (n_profiles, n_members), int
        mass : ndarray of shape (n_profiles,)
        clusters : ndarray of shape (n_profiles,), int
        """
        total = np.bincount(clusters, mass)
        shares = []
        for label in profiles.T:
            known = label >= 0
            counts = np.zeros((label.max() + 1, len(total)))
            np.add.at(counts, (label[known], clusters[known]), mass[known])
            shares.append(counts / np.where(total > 0, total, 1.0))
        return cls(shares)

    def agreement(self, profiles: NDArray) -> NDArray[np.float64]:
        """Mean agreement of profiles with the rows of each cluster, (n, n_clusters).

        The share of pairs of a member and a row of the cluster that the member has put
        where it has put the profile.
        """
        n_clusters = self.of_label[0].shape[1]
        total = np.zeros((len(profiles), n_clusters))
        for label, shares in zip(profiles.T, self.of_label, strict=True):
            known = (label >= 0) & (label < len(shares))
            total[known] += shares[label[known]]
        return total / len(self.of_label)


def agreement(profiles: NDArray, profile: NDArray) -> NDArray[np.float64]:
    """Share of the members that put rows together with one, (n_profiles,)."""
    return ((profiles == profile) & (profile >= 0)).mean(axis=1)


def _merge(
    apart: NDArray, mass: NDArray, n_clusters: int, linkage: str
) -> NDArray[np.intp]:
    """Merge the two nearest groups again and again; the first of equally near ones."""
    n = len(mass)
    group, mass = np.arange(n), mass.astype(float).copy()
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(axis=1)
    least = apart[np.arange(n), nearest]
    for _ in range(n - n_clusters):
        i = int(least.argmin())
        i, j = sorted((i, int(nearest[i])))
        joined = _between(apart[i], apart[j], mass[i], mass[j], linkage)
        joined[[i, j]] = np.inf
        apart[i] = apart[:, i] = joined
        apart[j] = apart[:, j] = np.inf
        mass[i] += mass[j]
        group[group == j] = i
        least[j] = np.inf
        for row in np.flatnonzero((nearest == i) | (nearest == j) | (joined < least)):
            nearest[row] = apart[row].argmin()
            least[row] = apart[row, nearest[row]]
        nearest[i] = joined.argmin()
        least[i] = joined[nearest[i]]
    return np.unique(group, return_inverse=True)[1].astype(np.intp)


def _between(a: NDArray, b: NDArray, m: float, n: float, linkage: str) -> NDArray:
    """Distances to two groups that are one now."""
    if linkage == "complete":
        return np.maximum(a, b)
    if linkage == "single":
        return np.minimum(a, b)
    both = (m * a + n * b) / (m + n) if m + n > 0 else (a + b) / 2
    return np.where(np.isinf(a), np.inf, both)
