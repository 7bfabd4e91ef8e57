"""
Confidence on and off the data
==============================

A softmax layer divides the whole plane among the classes, and is most confident where
there has never been a row. :class:`~skdeepcluster.CentroidClassifier` gives every class
a centroid in the embedding, and is confident only near it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import train_test_split

from skdeepcluster import CentroidClassifier

# %%
# Two moons
# ---------
# For comparison, a twin with ``loss="softmax"`` has the same network, seed and number
# of epochs.

X, y = make_moons(400, noise=0.1, random_state=0)
params = dict(hidden_layer_sizes=(50, 50), embedding_size=2, random_state=0)
models = {
    "softmax": CentroidClassifier(loss="softmax", **params).fit(X, y),
    "centroids": CentroidClassifier(**params).fit(X, y),
}

side = np.linspace(-5, 5, 200)
grid = np.stack(np.meshgrid(side, side), axis=-1)
_, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    confidence = model.confidence(grid.reshape(-1, 2)).max(axis=1)
    image = ax.pcolormesh(
        side, side, confidence.reshape(200, 200), vmin=0, vmax=1, cmap="viridis"
    )
    ax.scatter(*X.T, c=y, s=6, cmap="coolwarm")
    ax.set(title=f"{name}: accuracy {model.score(X, y):.3f}", aspect="equal")
plt.colorbar(image, ax=axes, label="greatest confidence")

# %%
# Near means near in the embedding. The network has learned to tell the moons apart, and
# discards what does not matter for that: along the yellow bands it maps all rows to a
# centroid. The rest of the plane, which is most of it, gets no confidence.

# %%
# Digits, and what is none
# ------------------------
# We compare three kinds of images that were not used in the fit: test images, test
# images with shuffled pixels, and uniform noise.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=1 / 3, random_state=0, stratify=y
)
rng = np.random.default_rng(0)
kinds = {
    "test images": X_test,
    "shuffled pixels": rng.permuted(X_test, axis=1),
    "uniform noise": rng.uniform(0, 16, size=X_test.shape),
}
models = {
    name: CentroidClassifier(loss=loss, max_iter=100, random_state=0).fit(
        X_train, y_train
    )
    for name, loss in (("softmax", "softmax"), ("centroids", "ga"))
}

_, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    for kind, rows in kinds.items():
        confidence = model.confidence(rows).max(axis=1)
        ax.hist(confidence, np.linspace(0, 1, 26), alpha=0.6, density=True, label=kind)
    accuracy = model.score(X_test, y_test)
    ax.set(title=f"{name}: accuracy {accuracy:.3f}", xlabel="greatest confidence")
axes[0].set_ylabel("density")
axes[0].legend()

# %%
# Rejection
# ---------
# Rows with too little confidence are rejected. The choice of the threshold depends on
# how many good rows one can afford to lose along with the others.

model = models["centroids"]
print(f"{'threshold':>10s}" + "".join(f"{kind:>18s}" for kind in kinds))
for threshold in (0.1, 0.2, 0.3, 0.5):
    kept = [
        np.mean(model.predict_with_reject(rows, threshold=threshold) != -1)
        for rows in kinds.values()
    ]
    print(f"{threshold:10.1f}" + "".join(f"{share:18.3f}" for share in kept))

labels = model.predict_with_reject(X_test, threshold=0.2)
answered = labels != -1
print(f"accuracy of what is kept: {np.mean(labels[answered] == y_test[answered]):.3f}")

plt.show()
