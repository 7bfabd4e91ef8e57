"""
Choose the embedding size without labels
========================================

A grid search needs no ``scoring`` and no labels: ``score`` of every clusterer with a
network measures how well the partition respects the neighbourhoods of the rows that are
passed, so it can be compared between embedding sizes.
"""

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, KFold

from skdeepcluster import DEC

X, _ = load_digits(return_X_y=True)

# %%
# The search
# ----------
# ``KFold`` has to shuffle: the default for clusterers does not, and rows that are
# sorted by class would leave whole classes out of the training folds. ``memory``
# caches the pretraining, which is the same for every ``n_clusters``.

with TemporaryDirectory() as cache:
    search = GridSearchCV(
        DEC(
            hidden_layer_sizes=(128, 256),
            pretrain_epochs=30,
            max_iter=15,
            tol=1e-2,
            memory=cache,
            random_state=0,
        ),
        {"embedding_size": [2, 5, 10], "n_clusters": [8, 10]},
        cv=KFold(3, shuffle=True, random_state=0),
        refit=False,
    ).fit(X)
results = search.cv_results_

# %%
# The table
# ---------
# Look at the spread as well as at the winner: candidates within one standard error of
# the best one are tied, and among them the simplest is the better choice.

error = results["std_test_score"] / np.sqrt(search.n_splits_)
for parameters, mean, spread in zip(
    results["params"], results["mean_test_score"], error, strict=True
):
    print(f"{parameters}  score {mean:.3f} +- {spread:.3f}")

# %%
# With two dimensions the embedding is compact and the partition poor. A measure of
# compactness in the embedding would have selected it; this score does not.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for n_clusters in (8, 10):
    rows = results["param_n_clusters"] == n_clusters
    ax.errorbar(
        results["param_embedding_size"][rows].astype(int),
        results["mean_test_score"][rows],
        yerr=error[rows],
        marker="o",
        capsize=3,
        label=f"{n_clusters} clusters",
    )
ax.set(xlabel="embedding_size", ylabel="score on held-out rows")
ax.legend()
