"""
Build your own method in ten lines
==================================

Methods of deep clustering are points in a small space: network x layers x
non-clustering loss x clustering losses x schedule.
:class:`~skdeepcluster.DeepClustering` has one parameter for each choice. Here it is
IDEC first, and then a method of our own; ``score``, which needs no labels, compares
them.
"""

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import IDEC, DeepClustering
from skdeepcluster.metrics import neighborhood_score

X, y = load_digits(return_X_y=True)
cache = TemporaryDirectory()
common = dict(
    n_clusters=10,
    hidden_layer_sizes=(128, 256),
    max_iter=60,
    memory=cache.name,
    random_state=0,
)

# %%
# The method
# ----------
# Hardening makes clusters, balance asks for similar sizes, the weights of both grow
# from zero over the first half of the training, and k-means has the last word. Balance
# is something that we know about these data: there are about as many of each digit.

own = DeepClustering(
    clustering_loss=("hardening", "balance"),
    clustering_weight=(0.1, 0.2),
    reconstruction_weight=1.0,
    denoising=0.0,
    schedule="ramp",
    recluster=True,
    **common,
).fit(X)

# %%
# A published method is another point: with its settings ``DeepClustering`` gives its
# labels, bit for bit. All share one pretraining, which ``memory`` keeps.

idec = IDEC(**common).fit(X)
composed = DeepClustering(**common).fit(X)
cache.cleanup()
print("IDEC and its settings agree:", np.array_equal(idec.labels_, composed.labels_))

# %%
# The comparison
# --------------
# The labels of the digits serve for the last column alone. One seed decides nothing:
# before claiming that one method is better, run several.

partitions = {
    "KMeans": KMeans(n_clusters=10, n_init=10, random_state=0).fit(X).labels_,
    "autoencoder + KMeans": idec.initial_labels_,
    "IDEC": idec.labels_,
    "our own": own.labels_,
}
print(f"{'':24s}{'score':>8s}{'ARI':>8s}")
for name, labels in partitions.items():
    score, ari = neighborhood_score(X, labels), adjusted_rand_score(y, labels)
    print(f"{name:24s}{score:8.3f}{ari:8.3f}")

# %%
# What the balance did
# --------------------
# Rows per cluster, in decreasing order. The largest cluster of the autoencoder holds
# two digits at least, as no digit has more than 183 images. A loss on its soft
# assignments takes some of its rows, but does not split it: what pretraining mixed,
# the clustering phase seldom takes apart.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, labels in partitions.items():
    ax.plot(np.sort(np.bincount(labels, minlength=10))[::-1], marker="o", label=name)
ax.axhline(len(X) / 10, color="grey", linewidth=1)
ax.set(xlabel="cluster", ylabel="rows", ylim=(0, None))
ax.legend()
