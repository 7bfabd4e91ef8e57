"""The table of estimators that are tested for what every estimator promises.

A new estimator is one line in ``ESTIMATORS``, with settings that make it tiny.
"""

from functools import cache

import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs

from skdeepcluster import DEC

TINY = {
    "hidden_layer_sizes": (8,),
    "embedding_size": 2,
    "pretrain_epochs": 2,
    "max_iter": 2,
    "n_init": 2,
}
ESTIMATORS = [
    DEC(n_clusters=3, **TINY),
]
WIDE = {
    "hidden_layer_sizes": (500, 500, 2000),
    "embedding_size": 10,
    "pretrain_epochs": 1,
    "max_iter": 1,
}

N_SAMPLES = 61
X, Y = make_blobs(N_SAMPLES, n_features=4, centers=3, random_state=0)


def name_of(estimator):
    return type(estimator).__name__


each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)


def fresh(estimator, **params):
    return clone(estimator).set_params(**{"random_state": 0, **params})


@cache
def fitted(estimator):
    """A fitted estimator that tests share and must not change."""
    return fresh(estimator).fit(X)


def weights(estimator):
    state = estimator.module_.state_dict()
    return {name: value.numpy().tobytes() for name, value in state.items()}


def bits(estimator, X=X):
    """Everything that a fit gives, as bytes."""
    return (
        weights(estimator),
        estimator.labels_.tobytes(),
        estimator.cluster_centers_.tobytes(),
        estimator.predict_proba(X).tobytes(),
        estimator.transform(X).tobytes(),
    )
