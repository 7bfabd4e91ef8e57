"""
Cluster images with a convolutional autoencoder
===============================================

A row of pixels does not tell which pixels are neighbours.
:class:`~skdeepcluster.architectures.ConvAutoencoder` is therefore given the shape of
the images. Its decoder shows what a cluster stands for: centres are points of the
embedding, and ``inverse_transform`` turns them into images.
"""

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score

from skdeepcluster import DEKM, IDEC
from skdeepcluster.architectures import ConvAutoencoder
from skdeepcluster.metrics import clustering_accuracy

X, y = load_digits(return_X_y=True)
print(X.shape)

# %%
# The network
# -----------
# Images of 8 x 8 pixels are halved twice, to 4 x 4 and 2 x 2. For images of 28 x 28 the
# default network is that of the papers: three stages with kernels of 5, 5 and 3. Rows
# hold channel after channel: colour images with the channels last need
# ``transpose(0, 3, 1, 2)`` first.

network = ConvAutoencoder(image_shape=(8, 8), channels=(16, 32), kernel_sizes=(3, 3))
cache = TemporaryDirectory()
common = dict(
    n_clusters=10,
    architecture=network,
    max_iter=60,
    memory=cache.name,
    random_state=0,
)

# %%
# Two methods, one pretraining
# ----------------------------
# IDEC trains the decoder together with the encoder. DEKM sets it aside after
# pretraining.

idec = IDEC(**common).fit(X)
dekm = DEKM(**common).fit(X)
cache.cleanup()

kmeans = KMeans(n_clusters=10, n_init=10, random_state=0).fit(X)
partitions = {
    "KMeans on the pixels": kmeans.labels_,
    "autoencoder + KMeans": idec.initial_labels_,
    "IDEC": idec.labels_,
    "DEKM": dekm.labels_,
}
print(f"{'':24s}{'accuracy':>10s}{'NMI':>8s}")
for name, labels in partitions.items():
    accuracy = clustering_accuracy(y, labels)
    nmi = normalized_mutual_info_score(y, labels)
    print(f"{name:24s}{accuracy:10.3f}{nmi:8.3f}")

# %%
# The centres as images
# ---------------------
# The centres of k-means are means of images. Those of IDEC are decoded from the
# embedding, by the decoder that was trained with them. DEKM uses the pretrained
# decoder, from which its encoder has since moved away.

rows = {
    "KMeans": kmeans.cluster_centers_,
    "IDEC": idec.inverse_transform(idec.cluster_centers_),
    "DEKM": dekm.inverse_transform(dekm.cluster_centers_),
}
fig, axes = plt.subplots(3, 10, figsize=(10, 3.4), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
