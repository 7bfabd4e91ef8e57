"""
K-means as a factorization, and three ways to it
================================================

:class:`~skdeepcluster.MatrixFactorizationKMeans` factorizes the data matrix into
memberships, one 1 per row, and centres. Three solvers look for the same optimum: the
plots show how their objectives fall, and that a minimum cut of a graph is a k-means
problem too.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.cluster import SpectralClustering
from sklearn.datasets import load_digits, make_moons
from sklearn.metrics.pairwise import rbf_kernel

from skdeepcluster import KernelKMeans, MatrixFactorizationKMeans

# %%
# The objective of every iteration
# --------------------------------
# Lloyd's iteration ends when no row is nearer to another centre. Hartigan's moves
# continue from there: moving a row may lower the objective although its own centre is
# the nearest, since both centres move with it. PALM first lets rows belong to several
# clusters; their memberships become binary as a penalty grows, and Lloyd's iteration
# finishes.

X = load_digits().data
start = X[np.random.RandomState(6).choice(len(X), 10, replace=False)]

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for solver in ("palm", "lloyd", "hartigan"):
    model = MatrixFactorizationKMeans(10, solver=solver, init=start, tol=0).fit(X)
    ax.plot(model.objective_history_, label=f"{solver}: {model.inertia_:,.0f}")
ax.set(xlabel="iteration", ylabel="objective", xscale="log")
ax.legend()

# %%
# The two factors
# ---------------
# The product of the factors is the data matrix with every row replaced by its centre.

model = MatrixFactorizationKMeans(10, solver="hartigan", random_state=0).fit(X)
product = model.inverse_transform(model.membership_)
print("memberships", model.membership_.shape, "with", model.membership_.nnz, "ones")
print(
    "squared error",
    round(float(((X - product) ** 2).sum())),
    "of",
    round(X.var(0).sum() * len(X)),
)

fig, axes = plt.subplots(2, 10, figsize=(9, 2.1), layout="constrained")
for j in range(10):
    first = np.flatnonzero(model.labels_ == j)[0]
    axes[0, j].imshow(X[first].reshape(8, 8), cmap="gray_r")
    axes[1, j].imshow(product[first].reshape(8, 8), cmap="gray_r")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])

# %%
# A minimum cut is k-means
# ------------------------
# The normalised cut of a graph with weights W is kernel k-means, weighted by the
# degrees, with a kernel made from W. No eigenvectors are needed; but nearly every
# partition is nearly a fixed point, so random initialisations end in poor cuts.
# Spectral clustering, which relaxes the same problem, gives a good initial partition.
# From there the cut can only fall.

points, _ = make_moons(200, noise=0.05, random_state=0)
W = rbf_kernel(points, gamma=30)
degree = W.sum(axis=0)
K = np.diag(1 / degree) + W / np.outer(degree, degree)
relaxed = SpectralClustering(2, affinity="precomputed", random_state=0).fit(W)
cut = KernelKMeans(2, kernel="precomputed", solver="hartigan", init=relaxed.labels_)
cut.fit(K, sample_weight=degree)
by_chance = clone(cut).set_params(init="random", random_state=0)
by_chance.fit(K, sample_weight=degree)
print(f"objective from spectral clustering {cut.inertia_:.4f}")
print(f"the best of ten random starts      {by_chance.inertia_:.4f}")
plain = MatrixFactorizationKMeans(2, random_state=0).fit(points)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for ax, found, title in zip(
    axes, (plain, cut), ("k-means of the points", "k-means of the graph"), strict=True
):
    ax.scatter(*points.T, c=found.labels_, cmap="coolwarm", s=12)
    ax.set(title=title, xticks=[], yticks=[])
