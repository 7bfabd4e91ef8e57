"""
Topics of a text collection
===========================

Texts become rows of tf-idf weights: sparse, with thousands of columns, and with a
length that tells how long a text is and little about its topic. The cosine is the usual
measure for such rows, and :class:`~skdeepcluster.SphericalKMeans` is k-means with this
measure.

So that the example needs no download, the texts are ones that every reader has: the
documentation of SciPy's and scikit-learn's public functions and classes. The module
from which each text comes is not used for clustering; it serves as a label in the end.
"""

import re
from importlib import import_module
from inspect import getdoc

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import normalized_mutual_info_score
from sklearn.pipeline import make_pipeline

from skdeepcluster import SphericalKMeans

MODULES = """
scipy.fft scipy.integrate scipy.interpolate scipy.linalg scipy.ndimage scipy.optimize
scipy.signal scipy.sparse scipy.special scipy.stats sklearn.cluster sklearn.datasets
sklearn.decomposition sklearn.ensemble sklearn.feature_selection sklearn.linear_model
sklearn.metrics sklearn.model_selection sklearn.preprocessing
""".split()

# %%
# The texts
# ---------
# References and code examples are cut off: author names and ``plt.show()`` are not
# topics.


def documents(modules):
    """Texts by name, and the module of each."""
    texts, origin = {}, {}
    for name in modules:
        public = vars(import_module(name))
        for member in public["__all__"]:
            text = getdoc(public.get(member)) or ""
            text = re.split(r"\n(?:References|Examples)\n---", text)[0]
            if callable(public.get(member)) and len(text) > 200:
                texts[f"{name}.{member}"] = text
                origin[f"{name}.{member}"] = name
    return pd.Series(texts), pd.Series(origin)


texts, origin = documents(MODULES)
print(f"{len(texts)} texts of {texts.str.len().median():.0f} characters in the median")

# %%
# One pipeline from text to cluster
# ---------------------------------
# The matrix stays sparse throughout. ``n_init`` tries several starts and keeps the one
# with the lowest criterion.

pipeline = make_pipeline(
    TfidfVectorizer(
        stop_words="english",
        token_pattern="[a-z]{3,}",
        min_df=5,
        max_df=0.3,
        sublinear_tf=True,
    ),
    SphericalKMeans(n_clusters=20, n_init=10, random_state=0),
)
labels = pipeline.fit_predict(texts)
vectorizer, model = pipeline[0], pipeline[-1]

# %%
# What are the clusters about?
# ----------------------------
# A centre is a direction, with a weight for every word. Its largest weights show what
# the texts of the cluster have in common.

words = vectorizer.get_feature_names_out()
order = np.argsort(-model.cluster_centers_, axis=1)
top_words = [" ".join(words[row[:5]]) for row in order]
for label, size in enumerate(np.bincount(labels)):
    print(f"{label:2d} {size:4d}  {top_words[label]}")

# %%
# Where they come from
# --------------------
# The clusters were found from the words alone. A module with a topic of its own fills
# one or a few of them; large modules, such as ``scipy.special`` and ``scipy.stats``,
# are split into parts that a reader would recognise.

table = pd.crosstab(labels, origin.to_numpy(), normalize="columns")[MODULES]
rows = table.to_numpy().argmax(axis=1).argsort(kind="stable")

fig, ax = plt.subplots(figsize=(9, 6), layout="constrained")
image = ax.imshow(table.iloc[rows], cmap="Blues", vmin=0, vmax=1, aspect="auto")
ax.set_xticks(range(len(MODULES)), MODULES, rotation=60, ha="right")
ax.set_yticks(range(len(rows)), [top_words[row] for row in rows])
ax.tick_params(length=0)
ax.spines[:].set_visible(False)
fig.colorbar(image, label="share of the module's texts", shrink=0.6)

# %%
# New texts
# ---------
# New texts need not look like documentation. A text without a single known word would
# be a row of zeros; it has no direction and gets the label 0.

questions = [
    "draw random numbers from a heavy tailed probability distribution",
    "remove high frequency noise from a recorded signal",
    "smooth curve through measured points",
    "how good are predicted classes compared with the true ones",
]
for question, label in zip(questions, pipeline.predict(questions), strict=True):
    print(f"{question}\n    -> {top_words[label]}")

# %%
# Beside k-means
# --------------
# Both methods get the same rows, of length 1 as the vectorizer returns them, and one
# initialisation for each of the same ten seeds. The criterion is the mean cosine
# distance of the rows to the direction of their cluster; k-means minimises something
# else, as :ref:`spherical_kmeans_differences` explains. Chains of moves of single rows,
# ``local_search``, lower it further.

X = vectorizer.transform(texts)


def mean_cosine_distance(labels):
    """Criterion of a partition, divided by the number of rows."""
    sums = [X[labels == label].sum(axis=0) for label in np.unique(labels)]
    return 1 - sum(np.linalg.norm(part) for part in sums) / X.shape[0]


candidates = {
    "KMeans": KMeans(n_clusters=20, n_init=1),
    "SphericalKMeans": SphericalKMeans(n_clusters=20),
    "  with local search": SphericalKMeans(n_clusters=20, local_search=20),
}
print(f"{'mean of ten seeds':22s}{'criterion':>10s}{'NMI':>8s}")
for name, candidate in candidates.items():
    runs = [candidate.set_params(random_state=s).fit_predict(X) for s in range(10)]
    criterion = np.mean([mean_cosine_distance(labels) for labels in runs])
    nmi = np.mean([normalized_mutual_info_score(origin, labels) for labels in runs])
    print(f"{name:22s}{criterion:10.4f}{nmi:8.3f}")
