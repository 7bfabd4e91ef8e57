"""
New rows for a fitted model
===========================

A scanner has read digits, and :class:`~skdeepcluster.DEC` has clustered them. Then the
scanner ages: one lamp fades, or the paper slips by a pixel. What should be done with
the model?

There are four options: use it as it is; let its centres follow the new rows
(``partial_fit``); continue its training on all rows (``warm_start``); or start from
scratch. Labels are used only at the end, and ``score`` needs none.
"""

from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import shuffle

from skdeepcluster import DEC
from skdeepcluster.metrics import clustering_accuracy


def faded(X):
    """The same images at half the brightness."""
    return X / 2


def slipped(X):
    """The same images, one pixel to the right."""
    return np.roll(X.reshape(-1, 8, 8), 1, axis=2).reshape(len(X), -1)


# %%
# 900 images are available at first. 450 come later, from the aged scanner, and so do
# the images that are to be labelled after them.

X, y = shuffle(*load_digits(return_X_y=True), random_state=0)
first, later, test = X[:900], X[900:1350], X[1350:]
classes = y[1350:]

settings = {"hidden_layer_sizes": (200, 200), "pretrain_epochs": 150, "max_iter": 60}
model = DEC(n_clusters=10, warm_start=True, random_state=0, **settings).fit(first)


def answers(age):
    """A model for each way to go on."""
    everything = np.vstack([first, age(later)])
    return {
        "as it is": model,
        "partial_fit": deepcopy(model).partial_fit(age(later)),
        "warm_start": deepcopy(model).fit(everything),
        "anew": DEC(n_clusters=10, random_state=0, **settings).fit(everything),
    }


# %%
# If the lamp fades, the clusters of digits keep their shapes in the embedding and only
# move closer to each other: the centres can follow. If the paper slips, the network
# sees images of a kind that it has never seen, and its embedding mixes digits. No
# centre can correct this, and ``partial_fit`` may even do harm; ``warm_start`` lets the
# network learn. A network trained from scratch has to learn both kinds of images at
# once.

ages = {"lamp fades": faded, "paper slips": slipped}
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for axis, (title, age) in zip(axes, ages.items(), strict=True):
    models = answers(age)
    rows = age(test)
    accuracies = [
        clustering_accuracy(classes, m.predict(rows)) for m in models.values()
    ]
    scores = [m.score(rows) for m in models.values()]
    places = np.arange(len(models))
    axis.bar(places - 0.2, accuracies, 0.4, label="accuracy")
    axis.bar(places + 0.2, scores, 0.4, label="score, without labels")
    axis.set_xticks(places, list(models))
    axis.set_title(title)
    for name, accuracy, score in zip(models, accuracies, scores, strict=True):
        print(f"{title:12s}{name:12s} accuracy {accuracy:.3f}   score {score:.3f}")
axes[0].legend()
plt.show()
