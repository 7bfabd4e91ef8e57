"""Warnings point to the line that called the package."""

import numpy as np
import pytest
from estimators import each_clusterer, fresh
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdeepcluster import CentroidClassifier, SphericalKMeans
from skdeepcluster.engine import DataScaleWarning
from skdeepcluster.utils._warnings import warn_user

KINDS = np.repeat([[0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 2.0, 1.0]], 10, axis=0)
UNEVEN = np.random.RandomState(0).rand(40, 4) * [1e6, 1.0, 1.0, 1.0]


@each_clusterer
def test_of_clusters_that_are_not_there(estimator):
    model = fresh(estimator)
    for fit in (model.fit, model.fit_predict, make_pipeline(model).fit):
        with pytest.warns(UserWarning, match="Number of distinct clusters") as seen:
            fit(KINDS)
        assert seen[0].filename == __file__


def test_of_columns_that_dominate():
    model = CentroidClassifier(hidden_layer_sizes=(5,), warmup_epochs=1, max_iter=1)
    model = make_pipeline(FunctionTransformer(), model.set_params(random_state=0))
    with pytest.warns(DataScaleWarning) as seen:
        model.fit(UNEVEN, np.arange(40) % 2)
    assert seen[0].filename == __file__


def test_of_rows_of_zeros():
    for fit in (SphericalKMeans(2).fit, SphericalKMeans(2).partial_fit):
        with pytest.warns(UserWarning, match="1 row of zeros") as seen:
            fit(np.vstack([KINDS, np.zeros(4)]))
        assert seen[0].filename == __file__


def test_of_a_caller_outside_of_the_package():
    with pytest.warns(UserWarning, match="here") as seen:
        warn_user("here")
    assert seen[0].filename == __file__
