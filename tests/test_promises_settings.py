"""Every estimator: wrong parameters are named, unusual ones work, on any device."""

import copy
import pickle

import numpy as np
import pytest
import torch
from estimators import (
    ESTIMATORS,
    N_SAMPLES,
    X,
    bits,
    each_deep,
    each_estimator,
    each_kind,
    each_network,
    each_unsupervised,
    fitted,
    fresh,
)
from sklearn.utils._param_validation import Interval

# Parameters and values that no estimator which has them takes.
WRONG = [
    ("n_clusters", 0),
    ("n_clusters", 2.5),
    ("n_clusters", "a"),
    ("embedding_size", 0),
    ("hidden_layer_sizes", 500),
    ("architecture", "mlp"),
    ("pretraining", "none"),
    ("pretrain_epochs", -1),
    ("pretrain_epochs", "some"),
    ("max_iter", -1),
    ("update_interval", 0),
    ("tol", -1.0),
    ("batch_size", 0),
    ("learning_rate", 0.0),
    ("pretrain_learning_rate", -0.1),
    ("optimizer", "lbfgs"),
    ("n_init", 0),
    ("device", 0),
    ("precision", "float16"),
    ("memory", 3),
    ("pretrained", 3),
    ("checkpoint_dir", 3),
    ("random_state", "seed"),
]


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [(e, name, value) for e in ESTIMATORS for name, value in WRONG if hasattr(e, name)],
    ids=str,
)
def test_wrong_parameters_are_named(estimator, name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter.*Got") as error:
        fresh(estimator, **{name: value}).fit(X)
    assert repr(value) in str(error.value)


@each_kind
def test_a_bool_is_no_number(estimator):
    for name, constraints in estimator._parameter_constraints.items():
        if not any(isinstance(c, Interval) for c in constraints if c != "verbose"):
            continue
        for value in (True, False, np.True_):
            with pytest.raises(ValueError, match=f"'{name}' parameter.*Got") as error:
                fresh(estimator, **{name: value}).fit(X)
            assert repr(value) in str(error.value)


@each_network
def test_wrong_layer_sizes_are_named(estimator):
    with pytest.raises(ValueError, match=r"'hidden_layer_sizes'.*\(8, 0\)"):
        fresh(estimator, hidden_layer_sizes=(8, 0)).fit(X)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator")
@each_estimator
def test_device_that_does_not_exist(estimator):
    with pytest.raises(ValueError, match="available devices.*'cpu'.*Got 'cuda'"):
        fresh(estimator, device="cuda").fit(X)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator")
@each_estimator
def test_a_model_of_a_missing_device_infers_on_the_cpu(estimator):
    model = copy.deepcopy(fitted(estimator)).set_params(device="cuda")
    assert bits(model) == bits(fitted(estimator))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@each_unsupervised
def test_fitted_on_an_accelerator_used_on_the_cpu(estimator):
    model = fresh(estimator, device="cuda").fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    on_host = pickle.loads(pickle.dumps(model)).set_params(device="cpu")
    np.testing.assert_allclose(on_host.transform(X), model.transform(X), atol=1e-5)
    if hasattr(model, "module_"):
        assert {p.device.type for p in model.module_.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    "params",
    [
        {"embedding_size": 9},
        {"embedding_size": None},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": [8]},
        {"batch_size": 1},
        {"batch_size": 10**6},
        {"batch_size": N_SAMPLES - 1},
        {"pretrain_epochs": 0},
        {"optimizer": "adam"},
        {"pretraining": "layerwise"},
        {"precision": "float64"},
        {"precision": "bfloat16"},
    ],
    ids=lambda params: "-".join(map(str, *params.items())),
)
@each_deep
def test_unusual_settings_work(estimator, params):
    model = fresh(estimator, **params).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert np.isfinite(model.transform(X)).all()
    assert 1 <= model.n_iter_ <= 2
