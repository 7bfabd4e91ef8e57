"""
What clustering does to an embedding
====================================

The same digits are drawn by t-SNE in three spaces: as pixels, in the embedding of an
autoencoder, and after the clustering phase of IDEC, which starts from this autoencoder.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score

from skdeepcluster import IDEC, DeepClustering

X, y = load_digits(return_X_y=True)

# %%
# Before and after
# ----------------
# Without a clustering loss ``DeepClustering`` is an autoencoder with k-means on its
# embedding. ``pretrained`` passes its network to IDEC, which trains a copy.

autoencoder = DeepClustering(
    n_clusters=10,
    hidden_layer_sizes=(128, 256),
    clustering_loss=None,
    max_iter=1,
    random_state=0,
).fit(X)
idec = IDEC(n_clusters=10, pretrained=autoencoder, max_iter=60, random_state=0).fit(X)

spaces = {
    "pixels": (X, KMeans(n_clusters=10, n_init=10, random_state=0).fit(X).labels_),
    "autoencoder": (autoencoder.transform(X), autoencoder.labels_),
    "after IDEC": (idec.transform(X), idec.labels_),
}

# %%
# The pictures
# ------------
# One row in three is drawn, coloured by its digit; the titles tell how well the
# clusters of each space agree with the digits. t-SNE shows which rows are neighbours.
# Sizes of islands and distances between them mean little, and more empty space between
# islands is not by itself a better partition: the clustering loss pulls rows of a
# cluster together, whether they belong together or not.

fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
for ax, (name, (space, labels)) in zip(axes, spaces.items(), strict=True):
    points = TSNE(random_state=0, init="pca").fit_transform(space[::3])
    drawn = ax.scatter(*points.T, c=y[::3], cmap="tab10", s=8)
    ari = adjusted_rand_score(y, labels)
    ax.set(title=f"{name}: ARI {ari:.2f}", xticks=[], yticks=[])
axes[-1].legend(*drawn.legend_elements(), loc="best", fontsize="x-small")
