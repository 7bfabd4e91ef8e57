"""
New rows for a fitted model
===========================

A scanner has read digits, and :class:`~skdeepcluster.DEC` has grouped them. Then the
scanner ages: one lamp fades, or the paper slips by a pixel. What becomes of the model?

Four answers: use it as it is; let its centres follow the new rows (``partial_fit``);
go on with its training on all rows (``warm_start``); or begin anew. Labels are used
only at the end, and ``score`` needs none.
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
# 900 images are there at first. 450 come later, from the aged scanner, and so will all
# that is to be labelled after them.

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
# Where the lamp fades, digits keep their shapes in the embedding, only nearer to each
# other: the centres can follow. Where the paper slips, the network sees what it has
# never seen, and its embedding mixes digits. No centre can undo this, and
# ``partial_fit`` may even do harm; ``warm_start`` lets the network learn. Beginning
# anew, it would have to learn both kinds of images at once.

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
