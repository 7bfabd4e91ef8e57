"""
Clusters of sentence embeddings
===============================

Sentence embeddings are trained for cosine similarity: two sentences are similar if
their vectors have nearly the same direction. :class:`~skdeepcluster.SphericalKMeans`
compares directions, whatever the lengths.

The sentences here are the summary lines of SciPy's documentation, which needs no
download. If the package sentence-transformers is installed and a model is available, it
embeds them. If not, as on the machine that built this page, a stand-in is used: latent
semantic analysis, that is tf-idf weights of the words, projected to 50 dimensions that
were learned from the full texts. It knows which words occur together but nothing about
word order, so it is weaker than a language model; it is used in the same way.
"""

import re
from importlib import import_module
from inspect import getdoc

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize

from skdeepcluster import SphericalKMeans
from skdeepcluster.metrics import neighborhood_score

MODULES = """
fft integrate interpolate linalg ndimage optimize signal sparse sparse.csgraph
sparse.linalg spatial special stats
""".split()

# %%
# The sentences
# -------------
# Each text contributes its first paragraph that is not a signature.

texts, sentences = [], []
for module in MODULES:
    public = vars(import_module(f"scipy.{module}"))
    members = [public.get(name) for name in public["__all__"]]
    for text in [getdoc(member) or "" for member in members if callable(member)]:
        paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
        prose = [p for p in paragraphs if not re.match(r"(\w+ = )?[\w.]+\(", p)]
        if prose and len(text) > 200:
            texts.append(text)
            sentences.append(prose[0])
print(f"{len(sentences)} sentences, such as\n  " + "\n  ".join(sentences[::250]))

# %%
# Embeddings
# ----------


def load_encoder():
    """Function from sentences to rows, and its name."""
    try:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer("all-MiniLM-L6-v2").encode, "all-MiniLM-L6-v2"
    except (ImportError, OSError):
        tfidf = TfidfVectorizer(
            stop_words="english", token_pattern="[a-z]{3,}", min_df=3, max_df=0.3
        )
        stand_in = make_pipeline(tfidf, TruncatedSVD(50, random_state=0)).fit(texts)
        return stand_in.transform, "latent semantic analysis"


encode, name = load_encoder()
X = encode(sentences)
print(f"{name}: {X.shape[1]} dimensions")

# %%
# Sentences without a known word have an embedding of zeros. They could be kept: with
# ``zero_rows="ignore"`` they are left out of the fit, with a warning. Here they are
# removed.

known = np.linalg.norm(X, axis=1) > 0
X, sentences = X[known], np.array(sentences)[known]
lengths = np.linalg.norm(X, axis=1)
print(f"{len(X)} rows of lengths from {lengths.min():.2f} to {lengths.max():.2f}")

# %%
# How many clusters?
# ------------------
# ``score`` measures how well a partition respects the neighbourhoods of the rows, by
# their cosine distance; it can be compared between numbers of clusters and between
# methods. The table shows means of three seeds, with k-means for comparison: on the
# rows as they are, and on rows of length 1.

numbers = [4, 8, 12, 16, 20, 30, 40, 60]
candidates = {
    "SphericalKMeans": (SphericalKMeans, X),
    "KMeans, unit rows": (KMeans, normalize(X)),
    "KMeans": (KMeans, X),
}
scores = {}
print(f"{'clusters':20s}" + "".join(f"{k:7d}" for k in numbers))
for title, (estimator, rows) in candidates.items():
    partitions = [
        [estimator(k, n_init=1, random_state=s).fit_predict(rows) for s in range(3)]
        for k in numbers
    ]
    scores[title] = [
        np.mean([neighborhood_score(X, labels, metric="cosine") for labels in runs])
        for runs in partitions
    ]
    print(f"{title:20s}" + "".join(f"{value:7.3f}" for value in scores[title]))

# %%
# On the rows as they are, k-means puts short ones together, because they are near zero,
# whatever their direction. On rows of length 1 it comes close to spherical k-means
# here: all clusters are tight, so their means have similar lengths. If this is not the
# case, as in :ref:`sphx_glr_auto_examples_plot_text_clustering.py`, the two differ.
#
# The best number of clusters is taken from the first row of the table. It is only a
# suggestion: near its maximum the curve is flat.

best = numbers[int(np.argmax(scores["SphericalKMeans"]))]
model = SphericalKMeans(best, n_init=10, random_state=0).fit(X)
sizes = np.bincount(model.labels_)
central = model.transform(X).argmin(axis=0)  # the row nearest to each centre

print(f"{best} clusters; the most central sentence of the ten largest:")
for cluster in np.argsort(-sizes)[:10]:
    print(f"{sizes[cluster]:5d}  {sentences[central[cluster]][:75]}")

# %%
# New sentences
# -------------
# New sentences are embedded and assigned to the nearest centre; below each, the
# sentence closest to this centre is printed.

questions = [
    "shortest path between two nodes of a graph",
    "solve a system of linear equations",
    "are the means of two samples different?",
    "random variable that counts rare events",
    "find the minimum of a function",
]
for question, cluster in zip(questions, model.predict(encode(questions)), strict=True):
    print(f"{question}\n    -> {sentences[central[cluster]][:75]}")

# %%
# The picture
# -----------
# On the left are the scores from above. On the right is a t-SNE map of the sentences,
# coloured by cluster; its axes have no meaning.

points = TSNE(metric="cosine", init="random", random_state=0).fit_transform(X)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for title, values in scores.items():
    left.plot(numbers, values, marker="o", label=title)
left.axvline(best, color="0.7", linestyle="--", zorder=0)
left.set(xlabel="n_clusters", ylabel="score", ylim=(0, None))
left.legend(loc="lower right")
right.scatter(*points.T, c=model.labels_, cmap="nipy_spectral", s=5)
right.set(title=f"{best} clusters of {len(X)} sentences", xticks=[], yticks=[])
