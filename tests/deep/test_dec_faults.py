"""Faults that must be said, and settings changed after the fit."""

import numpy as np
import pytest
import torch
from dec_cases import X, make_dec
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from skdeepcluster.engine import TrainingDivergedError


def test_divergence_in_the_very_last_step():
    dec = make_dec(max_iter=1, batch_size=120, update_interval=1000)
    with pytest.raises(TrainingDivergedError, match="'clustering'.*1e\\+25"):
        dec.set_params(learning_rate=1e25).fit(X)
    assert not hasattr(dec, "labels_")


def test_rows_on_which_the_network_overflows():
    dec = make_dec().fit(X)
    with torch.no_grad():
        for parameter in dec.module_.parameters():
            parameter.fill_(1.0)
    far = np.full((1, 5), 1e38)
    dec.predict_proba(far / 1e38)
    with pytest.raises(ValueError, match="overflow"):
        dec.predict_proba(far)


def test_embeddings_on_which_the_decoder_overflows():
    with pytest.raises(ValueError, match="overflow"):
        make_dec().fit(X).inverse_transform(np.full((1, 2), 1e39))


@pytest.mark.parametrize("value", [0.1, 1e5 + 0.1])
def test_constant_data_that_are_not_exact_in_binary(value):
    dec = make_dec(n_clusters=1).fit(np.full((30, 3), value))
    assert (dec.labels_ == 0).all()


def test_a_frozen_pretrained_estimator_survives_a_search():
    source = make_dec().fit(X)
    dec = make_dec(pretrained=FrozenEstimator(source))
    direct = clone(dec).set_params(n_clusters=2).fit(X)
    again = make_dec(pretrained=source, n_clusters=2).fit(X)
    assert np.array_equal(direct.labels_, again.labels_)
    search = GridSearchCV(dec, {"n_clusters": [2, 3]}, cv=2).fit(X)
    assert search.best_params_["n_clusters"] == 3


def test_a_cloned_pretrained_estimator_says_what_to_do():
    dec = clone(make_dec(pretrained=make_dec().fit(X)))
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        dec.fit(X)


def test_precision_changed_after_the_fit():
    dec = make_dec().fit(X)
    labels = dec.set_params(precision="float64").predict(X)
    assert np.array_equal(labels, dec.labels_)


def test_unknown_device_after_the_fit():
    dec = make_dec().fit(X)
    with pytest.raises(ValueError, match="'device'.*Got 'cdua'"):
        dec.set_params(device="cdua").predict(X)
