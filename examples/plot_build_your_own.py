"""
Build your own method in ten lines
==================================

A deep clustering method is a combination of a few choices: network x layers x
non-clustering loss x clustering losses x schedule.
:class:`~skdeepcluster.DeepClustering` has one parameter for each choice. Here it is
used for a method of our own and to reproduce IDEC; ``score``, which needs no labels,
compares them.
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
# Hardening sharpens the clusters and balance favours similar sizes. The weights of both
# grow from zero over the first half of the training, and k-means on the final embedding
# gives the labels. We use the balance because we know something about these data: there
# are about as many images of each digit.

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
# A published method is another combination: with its settings ``DeepClustering`` gives
# its labels, bit for bit. All models share one pretraining, which ``memory`` caches.

idec = IDEC(**common).fit(X)
composed = DeepClustering(**common).fit(X)
cache.cleanup()
print("IDEC and its settings agree:", np.array_equal(idec.labels_, composed.labels_))

# %%
# The comparison
# --------------
# The labels of the digits are used only for the last column. One seed proves nothing:
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
# The plot shows the number of rows per cluster, in decreasing order. The largest
# cluster of the autoencoder contains at least two digits, as no digit has more than 183
# images. A loss on its soft assignments takes some of its rows away, but does not split
# it: the clustering phase seldom separates what pretraining mixed.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, labels in partitions.items():
    ax.plot(np.sort(np.bincount(labels, minlength=10))[::-1], marker="o", label=name)
ax.axhline(len(X) / 10, color="grey", linewidth=1)
ax.set(xlabel="cluster", ylabel="rows", ylim=(0, None))
ax.legend()
