"""
Mutual information is k-means
=============================

A softmax layer that is trained without labels to be informative, and k-means with soft
assignments, are nearly the same method [1]_. Here both are trained on the same rows,
without a network, to see where they agree, how their losses differ, and what the
temperature of k-means does.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import MIADM, SRKMeans
from skdeepcluster.architectures import IdentityArchitecture
from skdeepcluster.theory import (
    critical_temperature,
    equivalence_gap,
    sr_kmeans_assignments,
    sr_kmeans_centers,
)

X, y = make_blobs(600, centers=4, center_box=(-5, 5), cluster_std=1.2, random_state=6)
common = dict(n_clusters=4, architecture=IdentityArchitecture(), random_state=0)

# %%
# Two methods, one partition
# --------------------------
# ``MIADM`` trains its layer by gradient descent, with targets computed from its own
# predictions; ``SRKMeans`` alternates centres and assignments. Both give a softmax
# layer: ``coef_`` and ``intercept_``.

reg = 0.05  # lambda; the temperature of the assignments is four times as much
discriminative = MIADM(reg=reg, **common).fit(X)
generative = SRKMeans(reg=reg, **common).fit(X)
agreement = adjusted_rand_score(discriminative.labels_, generative.labels_)
print(f"agreement of the two partitions (ARI): {agreement:.3f}")
for model in (discriminative, generative):
    score = adjusted_rand_score(y, model.labels_)
    print(f"{type(model).__name__} with the classes: {score:.3f}")

# %%
# The plot shows the borders between clusters. Those of k-means are halfway between the
# centres; those of the softmax layer need not be. The posteriors tell how certain an
# assignment is.

grid_x, grid_y = np.meshgrid(np.linspace(-9, 9, 150), np.linspace(-9, 9, 150))
grid = np.column_stack([grid_x.ravel(), grid_y.ravel()])
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
for ax, model in zip(axes, (discriminative, generative), strict=True):
    certainty = model.predict_proba(grid).max(axis=1).reshape(grid_x.shape)
    shades = ax.contourf(grid_x, grid_y, certainty, levels=12, cmap="Blues")
    ax.contour(
        grid_x,
        grid_y,
        model.predict(grid).reshape(grid_x.shape),
        levels=[0.5, 1.5, 2.5],
        colors="k",
        linewidths=0.8,
    )
    ax.scatter(*X.T, c=model.labels_, cmap="tab10", s=6)
    ax.set_title(type(model).__name__)
figure.colorbar(shades, ax=axes, label="largest posterior")

# %%
# What the gap consists of
# ------------------------
# For the assignments and centres of k-means, and the softmax layer that corresponds to
# them, the losses differ by two terms: the log-partition of the softmax, and the
# balance, which is zero for clusters of equal size. The identity holds up to rounding.

z = generative.transform(X)
q = generative.soft_assign(X)
gap = equivalence_gap(q, z, sr_kmeans_centers(q, z), reg=reg)
print(f"mutual information, regularised  {gap.mutual_information:9.5f}")
print(f"soft regularised k-means         {gap.sr_kmeans:9.5f}")
print(f"log-partition                    {gap.log_partition:9.5f}")
print(f"balance                          {gap.balance:9.5f}")
rest = gap.mutual_information - gap.sr_kmeans - gap.log_partition - gap.balance
print(f"what is left                     {rest:9.1e}")

# %%
# The phase transition
# --------------------
# At temperatures above twice the largest eigenvalue of the covariance, centres near the
# mean return to it. Below, they separate: first along the first principal component,
# then further, as the temperature falls.

critical = critical_temperature(z)
temperatures = critical * np.geomspace(1.3, 0.01, 50)
rng = np.random.default_rng(0)
centers = z.mean(axis=0) + 1e-3 * rng.normal(size=(4, 2))
paths = []
for temperature in temperatures:
    centers = centers + 1e-6 * rng.normal(size=centers.shape)  # to leave the saddle
    for _ in range(100):
        assignments = sr_kmeans_assignments(z, centers, temperature / 4)
        centers = sr_kmeans_centers(assignments, z)
    paths.append(centers)

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(temperatures / critical, np.array(paths)[:, :, 0])
ax.axvline(1.0, color="k", linestyle=":", label=r"$2 \lambda_{\max}(\mathrm{Cov})$")
ax.set(
    xscale="log",
    xlabel="temperature / critical temperature",
    ylabel="first coordinate of the centres",
)
ax.legend()
plt.show()

# %%
# .. rubric:: References
#
# .. [1] M. Jabi, M. Pedersoli, A. Mitiche and I. Ben Ayed, "Deep Clustering: On the
#    Link Between Discriminative Models and K-Means", IEEE TPAMI 43(6), 2021.
