"""Data sets of `benchmarks.spherical`: unit rows for speed, texts for quality."""

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer
from sklearn.preprocessing import normalize

from benchmarks._data import _dense, _read, _sparse


def _file(name):
    X, y = _sparse(name)
    return sp.csr_matrix(X, dtype=np.float32), y


def _counts_to_tfidf(name):
    X, y = _file(name)
    return TfidfTransformer().fit_transform(X).astype(np.float32), y


def newsgroups():
    """The raw texts, every word but the English stop words."""
    arrays = _read("20newsgroups_raw")
    blob, offsets = arrays["blob"].tobytes(), arrays["offsets"]
    texts = [
        blob[start:stop].decode("latin1")
        for start, stop in zip(offsets[:-1], offsets[1:], strict=True)
    ]
    vectorizer = TfidfVectorizer(stop_words="english", dtype=np.float32)
    return vectorizer.fit_transform(texts), arrays["y"]


def mixture(n_samples=100_000, n_features=384, random_state=0):
    """Overlapping clusters of signed rows: 150 in 32 dimensions, and noise in all."""
    rng = np.random.default_rng(random_state)
    y = rng.integers(150, size=n_samples)
    mixing = rng.standard_normal((32, n_features), dtype=np.float32)
    hidden = rng.standard_normal((150, 32), dtype=np.float32)[y]
    hidden += 0.7 * rng.standard_normal((n_samples, 32), dtype=np.float32)
    X = hidden @ (mixing / np.float32(np.sqrt(32)))
    X += rng.standard_normal((n_samples, n_features), dtype=np.float32)
    return X, y


_SPEED = {
    "stackoverflow": lambda: _dense("stackoverflow_minilm"),
    "mixture": mixture,
    "20news-2000": lambda: _file("20newsgroups_tfidf2000"),
    "20news-full": newsgroups,
    "la12": lambda: _file("cluto_la12"),
}

_QUALITY = {
    "20news-2000": lambda: _file("20newsgroups_tfidf2000"),
    "r8": lambda: _file("reuters_r8_tfidf2000"),
    "classic3": lambda: _counts_to_tfidf("classic3"),
    "hitech": lambda: _counts_to_tfidf("cluto_hitech"),
    "la12": lambda: _counts_to_tfidf("cluto_la12"),
    "re0": lambda: _counts_to_tfidf("cluto_re0"),
    "tr11": lambda: _counts_to_tfidf("cluto_tr11"),
    "stackoverflow": lambda: _dense("stackoverflow_minilm"),
}

SPEED_NAMES = tuple(_SPEED)
QUALITY_NAMES = tuple(_QUALITY)


def speed_rows(name):
    """Unit rows, float32: dense or CSR."""
    return normalize(_SPEED[name]()[0])


def quality_rows(name):
    """Unit rows, float32, and classes; counts as tf-idf."""
    X, y = _QUALITY[name]()
    return normalize(X), np.asarray(y, dtype=np.intp)


def re0_counts():
    """The counts of re0 as they are."""
    return _file("cluto_re0")[0]


def mean_cosine(X, labels, n_clusters):
    """Mean cosine of unit rows to the directions of their clusters' sums."""
    index = np.arange(len(labels))
    one_hot = sp.csr_matrix(
        (np.ones(len(labels)), (labels, index)), shape=(n_clusters, len(labels))
    )
    X = X.astype(np.float64)
    sums = one_hot @ X
    squares = sums.multiply(sums) if sp.issparse(sums) else np.square(sums)
    return float(np.sqrt(np.asarray(squares.sum(axis=1))).sum() / len(labels))
