"""
Cluster handwritten digits with DEC
===================================

The digits that ship with scikit-learn are clustered without their labels, by k-means
and by :class:`~skdeepcluster.DEC`. The labels are used only at the end, to measure how
well each did.

Run as a script, this example takes ``--output`` and saves its picture there.
"""

import argparse

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score

from skdeepcluster import DEC
from skdeepcluster.metrics import clustering_accuracy, neighborhood_score

parser = argparse.ArgumentParser(description="Cluster digits by k-means and DEC.")
parser.add_argument("--output", help="where to save the picture of the embedding")
parser.add_argument("--random-state", type=int, default=0, help="seed (default: 0)")
parser.add_argument("--full", action="store_true", help="the default, wider network")
args = parser.parse_args()

# %%
# Models
# ------
# The data are 1,797 images of 8 x 8 pixels, as rows of 64 numbers. A third partition is
# k-means on the embedding of the pretrained autoencoder, from which DEC starts: it
# shows what the autoencoder achieved and what the clustering phase adds.

X, y = load_digits(return_X_y=True)

kmeans = KMeans(n_clusters=10, n_init=10, random_state=args.random_state).fit(X)
dec = DEC(
    n_clusters=10,
    hidden_layer_sizes=(500, 500, 2000) if args.full else (128, 256),
    random_state=args.random_state,
).fit(X)
partitions = {
    "KMeans": kmeans.labels_,
    "autoencoder + KMeans": dec.initial_labels_,
    "DEC": dec.labels_,
}

# %%
# How well did they do?
# ---------------------
# Accuracy is the share of rows that agree with the labels under the best matching of
# clusters to digits; NMI needs no matching. The last column needs no labels at all,
# and is what one has in practice.

print(f"{'':24s}{'accuracy':>10s}{'NMI':>8s}{'score':>8s}")
for name, labels in partitions.items():
    accuracy = clustering_accuracy(y, labels)
    nmi = normalized_mutual_info_score(y, labels)
    score = neighborhood_score(X, labels)
    print(f"{name:24s}{accuracy:10.3f}{nmi:8.3f}{score:8.3f}")

# %%
# The embedding
# -------------
# The embedding has ten dimensions; the plots show its first two principal components,
# coloured by cluster on the left, by digit on the right.

points = PCA(n_components=2).fit_transform(dec.transform(X))
fig, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for ax, colour, title in zip(
    axes, (dec.labels_, y), ("cluster found by DEC", "digit"), strict=True
):
    drawn = ax.scatter(*points.T, c=colour, cmap="tab10", s=6)
    ax.set(title=title, xticks=[], yticks=[])
    ax.legend(*drawn.legend_elements(), loc="best", fontsize="x-small")
if args.output:
    fig.savefig(args.output, dpi=150)
    print(f"saved {args.output}")
