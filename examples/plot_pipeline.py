"""
DEC in a pipeline
=================

The columns of a table have different units. DEC divides all of them by one number, so
that the proportions between columns stay as they are; if all columns should have the
same weight, put a scaler in front.
"""

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import DEC

X, y = load_breast_cancer(return_X_y=True, as_frame=True)

# %%
# One pipeline, new rows
# ----------------------
# The last hundred rows are held out of the fit. ``predict`` and ``predict_proba`` pass
# them through the scaler and the network.

pipeline = make_pipeline(
    StandardScaler(),
    DEC(
        n_clusters=2,
        embedding_size=5,
        hidden_layer_sizes=(64, 64),
        random_state=0,
    ),
).set_output(transform="pandas")
pipeline.fit(X[:-100])
labels = pipeline.predict(X[-100:])
probabilities = pipeline.predict_proba(X[-100:])

baseline = make_pipeline(
    StandardScaler(), KMeans(n_clusters=2, n_init=10, random_state=0)
).fit(X[:-100])

print(f"adjusted Rand index of DEC     {adjusted_rand_score(y[-100:], labels):.3f}")
print(
    "adjusted Rand index of k-means "
    f"{adjusted_rand_score(y[-100:], baseline.predict(X[-100:])):.3f}"
)

# %%
# On a table of a few hundred rows k-means is the first thing to try, and a hundred rows
# are too few to tell which of two good partitions is better. In addition DEC has an
# embedding, here as a data frame.

print(pipeline.transform(X[-100:]).head())

# %%
# Soft assignments
# ----------------
# Rows between the clusters have probabilities between 0 and 1. Training sharpens these
# probabilities, so they rank the rows but are not calibrated.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for label in (0, 1):
    ax.hist(
        probabilities[labels == label, 1],
        bins=20,
        range=(0, 1),
        alpha=0.6,
        label=f"cluster {label}",
    )
ax.set(xlabel="probability of cluster 1", ylabel="held-out rows")
ax.legend()
