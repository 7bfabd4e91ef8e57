"""Every clusterer: a warning of empty clusters gives the cause that there is."""

import numpy as np
import pytest
from estimators import DEEP, MEANS, MIXTURES, SHALLOW, X, each, each_clusterer, fresh
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from skdeepcluster import (
    DEC,
    KernelKMeans,
    MatrixFactorizationKMeans,
    SphericalKMeans,
    VonMisesFisherMixture,
)


def warning_of(model, rows, **fit_params):
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(rows, **fit_params)
    return str(caught[0].message)


@each(DEEP[:1] + DEEP[6:9] + SHALLOW[:2] + MEANS + MIXTURES)
def test_duplicates_are_blamed_where_there_are_too_many(estimator):
    rows = np.repeat(X[[0, 20]], 9, axis=0)
    weight = np.ones(18)
    more, padded = np.r_[rows, X[30:40]], np.r_[weight, np.zeros(10)]
    for message in (
        warning_of(fresh(estimator), rows),
        warning_of(fresh(estimator), more, sample_weight=padded),
    ):
        assert "only 2 differ" in message
        assert "rows of X" in message


DISTINCT = np.random.RandomState(0).normal(size=(40, 3))
FAR = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])


COSINE = np.array([[-3.0, 2, -3], [3, 0, -1], [0, -3, -1]])
CAUSES = [
    (SphericalKMeans(3, fuzziness=2, init=np.ones((3, 3))), DISTINCT, "fuzziness"),
    (SphericalKMeans(8, batch_size=3, max_iter=1), DISTINCT[:12], "batch_size than 3"),
    (KernelKMeans(4, kernel="rbf", gamma=0), DISTINCT, "'rbf' may hardly tell"),
    (
        KernelKMeans(5, kernel="cosine"),
        np.concatenate([COSINE * factor for factor in (1, 2, 3, 5, 7, 0.1)]),
        "'cosine' may hardly tell",
    ),
]


@pytest.mark.parametrize("number", range(len(CAUSES)))
def test_other_causes_where_rows_differ(number):
    model, rows, cause = CAUSES[number]
    message = warning_of(model.set_params(random_state=13), rows)
    assert "distinct clusters" in message
    assert cause in message
    assert "duplicate" not in message and "same direction" not in message


def test_clusters_that_die_in_training():
    model = DEC(
        6, hidden_layer_sizes=(8,), pretrain_epochs=2, max_iter=30, learning_rate=50.0
    )
    model.set_params(optimizer="adam", random_state=0, tol=0.0)
    message = warning_of(model, X)
    assert "died in training" in message and "learning_rate" in message
    assert "duplicate" not in message and "Rows per cluster: [" in message


@pytest.mark.parametrize("width", [1e-7, 1e-8])
def test_the_limit_of_the_concentration_is_named(width):
    y = np.repeat([0, 1], 50)
    angles = 1e-6 * y + width * np.random.RandomState(0).normal(size=100)
    rows = np.column_stack([np.cos(angles), np.sin(angles)])
    message = warning_of(VonMisesFisherMixture(2, random_state=0), rows)
    assert "limit of the concentration, 1e+08" in message
    assert "same direction" not in message
    assert adjusted_rand_score(SphericalKMeans(2).fit_predict(rows), y) == 1


@pytest.mark.parametrize("offset", [1e5, 1e7])
def test_rows_far_from_the_origin_are_to_be_centred(offset):
    rows, y = make_blobs(150, centers=3, n_features=8, random_state=0)
    message = warning_of(VonMisesFisherMixture(3, random_state=0), rows + offset)
    assert "limit of the concentration, 1e+08" in message
    assert "centre X first" in message
    centred = StandardScaler(with_std=False).fit_transform(rows + offset)
    model = VonMisesFisherMixture(3, n_init=3, random_state=0).fit(centred)
    assert adjusted_rand_score(model.labels_, y) == 1


@each_clusterer
def test_no_warning_where_all_clusters_have_rows(estimator):
    fresh(estimator).fit(X)


def test_repeated_rows_in_all_components_are_named_by_the_limit():
    rows = np.repeat(FAR, 5, axis=0)
    message = warning_of(VonMisesFisherMixture(4, random_state=0), rows)
    assert "4 of 4 components are at the limit" in message
    MatrixFactorizationKMeans(4, random_state=0).fit(rows)
