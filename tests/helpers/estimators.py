"""The table of estimators that are tested for what every estimator promises.

A new estimator is one line in ``DEEP``, ``SHALLOW``, ``MEANS``, ``GRAPHS``,
``MIXTURES`` or ``CLASSIFIERS``, with settings that make it tiny.
"""

from functools import cache

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_blobs

from skdeepcluster import (
    DCJC,
    DCN,
    DEC,
    DEKM,
    IDEC,
    MIADM,
    CentroidClassifier,
    ConsensusClustering,
    DeepClustering,
    DeepKMeans,
    KernelKMeans,
    MatrixFactorizationKMeans,
    PathIntegralClustering,
    SpectralKMeans,
    SphericalKMeans,
    SRKMeans,
    VonMisesFisherMixture,
)

# Four components of few rows: one often has a single direction.
ignore_narrow_components = pytest.mark.filterwarnings(
    "ignore:[0-9]+ of [0-9]+ components are at the limit"
    ":sklearn.exceptions.ConvergenceWarning"
)

TINY = {
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "pretrain_epochs": 2,
    "max_iter": 2,
    "n_init": 2,
}


class Noise:
    """A transformation that can be pickled, and written the same everywhere."""

    def __call__(self, x, generator):
        return x + 0.1 * x.new_empty(x.shape).normal_(generator=generator)

    def __repr__(self):
        return "Noise()"


# With a network; `score` is that of the neighbourhoods.
DEEP = [
    DEC(n_clusters=3, **TINY),
    DEC(n_clusters=3, init="graph", **TINY),
    IDEC(n_clusters=3, **TINY),
    DCN(n_clusters=3, **TINY),
    DeepKMeans(n_clusters=3, **TINY),
    DeepKMeans(n_clusters=3, assignment="hard", **TINY),
    DEKM(n_clusters=3, **TINY),
    DCJC(n_clusters=3, **TINY),
    MIADM(n_clusters=3, warmup_epochs=1, **TINY),
    SRKMeans(n_clusters=3, warmup_epochs=1, **TINY),
    DeepClustering(
        n_clusters=3,
        clustering_loss=("classification", "locality", "balance"),
        denoising=0.2,
        augmentation=Noise(),
        schedule="ramp",
        recluster=True,
        # Batches of one row move a softmax layer too far by SGD at its default rate.
        optimizer="adam",
        learning_rate=1e-3,
        **TINY,
    ),
]
# Without one; `score` is that of the neighbourhoods by the cosine.
SHALLOW = [
    SphericalKMeans(n_clusters=3),
    SphericalKMeans(n_clusters=4, fuzziness=1.5),
    SphericalKMeans(n_clusters=3, init="random"),
]
# Without one; `score` is that of the neighbourhoods.
MEANS = [
    MatrixFactorizationKMeans(n_clusters=3),
    MatrixFactorizationKMeans(n_clusters=4, solver="hartigan", init="random"),
    MatrixFactorizationKMeans(n_clusters=3, solver="palm", n_init=2),
    KernelKMeans(n_clusters=3),
    KernelKMeans(n_clusters=3, kernel="cosine", solver="hartigan"),
]
# Without centres; `score` is that of the neighbourhoods. Soft, so of four clusters.
GRAPHS = [
    PathIntegralClustering(n_clusters=4),
    SpectralKMeans(n_clusters=4, n_init=2),
    ConsensusClustering(n_clusters=4),
]
# `score` is the mean log-likelihood.
MIXTURES = [
    VonMisesFisherMixture(n_components=4),
]
# With a network and classes; `score` is the accuracy.
TINY_CLASSIFIER = {
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "warmup_epochs": 20,
    "max_iter": 9,
}
CLASSIFIERS = [
    CentroidClassifier(**TINY_CLASSIFIER),
    CentroidClassifier(loss="softmax", **TINY_CLASSIFIER),
]
UNSUPERVISED = DEEP + SHALLOW + MEANS + GRAPHS + MIXTURES
NETWORKS = DEEP + CLASSIFIERS
ESTIMATORS = UNSUPERVISED + CLASSIFIERS
WIDE = {
    "hidden_layer_sizes": (500, 500, 2000),
    "embedding_size": 10,
    "pretrain_epochs": 1,
    "max_iter": 1,
}

N_SAMPLES = 61
X, Y = make_blobs(N_SAMPLES, n_features=4, centers=3, random_state=0)
ANSWERS = (
    "predict",
    "predict_proba",
    "transform",
    "decision_function",
    "confidence",
    "margin",
)


def classes_of(X):
    """Those of the blobs, again and again."""
    return np.resize(Y, X.shape[0] if hasattr(X, "shape") else len(X))


class Taught(CentroidClassifier):
    """Knows the classes of the rows, so that tests of all estimators need no y."""

    def fit(self, X, y=None, sample_weight=None):
        y = classes_of(X) if y is None else y
        return super().fit(X, y, sample_weight)

    def score(self, X, y=None, sample_weight=None):
        y = classes_of(X) if y is None else y
        return super().score(X, y, sample_weight)


def name_of(estimator):
    return type(estimator).__name__


def each(estimators):
    return pytest.mark.parametrize("estimator", estimators, ids=name_of)


each_estimator = each(ESTIMATORS)
each_unsupervised = each(UNSUPERVISED)
each_network = each(NETWORKS)
each_deep = each(DEEP)
each_clusterer = each(DEEP + SHALLOW + MEANS + GRAPHS)
each_transformer = each([e for e in ESTIMATORS if hasattr(e, "transform")])
each_kind = each(list({type(e): e for e in reversed(ESTIMATORS)}.values()))


def each_method(*methods, estimators=ESTIMATORS):
    """Parametrize a test with every estimator and those of the methods that it has."""
    pairs = [
        (e, method) for e in estimators for method in methods if hasattr(e, method)
    ]
    ids = [f"{name_of(estimator)}-{method}" for estimator, method in pairs]
    return pytest.mark.parametrize("estimator, method", pairs, ids=ids)


def known(estimator, params):
    """Those of the parameters that an estimator has."""
    return {name: params[name] for name in params if hasattr(estimator, name)}


# Both draw four classes, and take each `predict_proba` for that of a classifier.
FOUR_CLASSES = "check_estimator_sparse_array", "check_estimator_sparse_matrix"


def with_clusters(estimator, k):
    """The estimator with so many clusters or components; a classifier as it is."""
    sizes = dict.fromkeys(("n_clusters", "n_components"), k)
    return clone(estimator).set_params(**known(estimator, sizes))


def expected_failed_checks(estimator):
    """Checks of scikit-learn that an estimator fails, each with the reason."""
    sizes = [getattr(estimator, n, 4) for n in ("n_clusters", "n_components")]
    if is_classifier(estimator) or not hasattr(estimator, "predict_proba"):
        return {}
    return {} if sizes == [4, 4] else dict.fromkeys(FOUR_CLASSES, "asks for 4 columns")


def fresh(estimator, **params):
    params = {"random_state": 0, **params}
    if not hasattr(estimator, "random_state"):  # nothing is drawn
        del params["random_state"]
    model = clone(estimator).set_params(**params)
    return Taught(**model.get_params(deep=False)) if is_classifier(model) else model


@cache
def fitted(estimator):
    """A fitted estimator that tests share and must not change."""
    return fresh(estimator).fit(X)


def answers(estimator, X=X):
    """What an estimator says of rows, by method."""
    methods = [name for name in ANSWERS if hasattr(estimator, name)]
    return {name: getattr(estimator, name)(X) for name in methods}


def centers(estimator):
    """Centres, the means of a mixture or a kernel, or the classes."""
    if hasattr(estimator, "dual_coef_"):
        return estimator.dual_coef_.toarray()
    names = ("means_", "cluster_centers_", "centroids_", "classes_")
    found = [getattr(estimator, name) for name in names if hasattr(estimator, name)]
    return found[0] if found else np.arange(estimator.n_clusters)


def weights(estimator):
    """What was learnt, as bytes."""
    if not hasattr(estimator, "module_"):
        return {"centers": centers(estimator).tobytes()}
    state = estimator.module_.state_dict()
    return {name: value.numpy().tobytes() for name, value in state.items()}


def bits(estimator, X=X):
    """Everything that a fit gives, as bytes."""
    found = answers(estimator, X)
    return (
        weights(estimator),
        getattr(estimator, "labels_", found["predict"]).tobytes(),
        centers(estimator).tobytes(),
        {name: answer.tobytes() for name, answer in found.items()},
    )
