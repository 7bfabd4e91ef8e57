"""Every estimator: one seed, one result, in any thread or process."""

import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from estimators import (
    X,
    answers,
    bits,
    each_deep,
    each_estimator,
    each_kind,
    each_network,
    each_unsupervised,
    fitted,
    fresh,
    ignore_narrow_components,
    known,
    weights,
)
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

pytestmark = ignore_narrow_components


@each_estimator
def test_same_seed_same_bits(estimator):
    first = bits(fresh(estimator).fit(X))
    assert bits(fresh(estimator).fit(X)) == first
    assert bits(fresh(estimator, random_state=np.random.RandomState(0)).fit(X)) == first


@each_network
def test_another_seed_differs(estimator):
    assert (
        weights(fresh(estimator, random_state=1).fit(X)) != bits(fitted(estimator))[0]
    )


@each_estimator
def test_fitting_again_forgets_the_first_fit(estimator):
    model = fresh(estimator).fit(X[:40, :3] + 5)
    assert bits(model.fit(X)) == bits(fitted(estimator))


@each_network
def test_no_seed_is_a_new_one_each_time(estimator):
    first, second = (fresh(estimator, random_state=None).fit(X) for _ in range(2))
    assert weights(first) != weights(second)


@pytest.mark.parametrize("seed", [0, None])
@each_deep
def test_global_generators_are_left_alone_layer_by_layer(
    estimator, seed, global_rng_untouched
):
    model = fresh(estimator, random_state=seed, pretraining="layerwise")
    with global_rng_untouched():
        model.fit(X)


@pytest.mark.parametrize("seed", [0, None])
@each_estimator
def test_global_generators_are_left_alone(estimator, seed, global_rng_untouched):
    model = fresh(estimator, random_state=seed)
    with global_rng_untouched():
        model.fit(X)
        model.predict(X)
        answers(model)
        model.score(X)


@each_estimator
def test_global_generators_have_no_influence(estimator):
    expected = bits(fitted(estimator))
    before = np.random.get_state()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(123)
            np.random.seed(123)
            assert bits(fresh(estimator).fit(X)) == expected
    finally:
        np.random.set_state(before)


@each_estimator
def test_fits_in_threads_equal_serial_ones(estimator):
    def fit(seed):
        return bits(fresh(estimator, random_state=seed).fit(X))

    parallel = Parallel(n_jobs=8, backend="threading")
    assert parallel(delayed(fit)(seed) for seed in range(8)) == [
        fit(seed) for seed in range(8)
    ]


EIGHT_THREADS = """
    import hashlib, pickle
    import torch
    from sklearn.datasets import make_blobs
    estimator = pickle.loads(bytes.fromhex({estimator!r}))
    torch.set_num_threads(8)  # beyond the cores of a small machine as well
    X, y = make_blobs(600, n_features=32, centers=3, random_state=0)
    found = set()
    for _ in range(4):
        estimator.fit(X, y)
        ask = getattr(estimator, "transform", None) or estimator.predict_proba
        arrays = [estimator.predict(X), ask(X)]
        if hasattr(estimator, "module_"):
            arrays += [v.numpy() for v in estimator.module_.state_dict().values()]
        else:
            arrays += [getattr(estimator, "cluster_centers_", arrays[0])]
        found.add(hashlib.sha1(b"".join(a.tobytes() for a in arrays)).hexdigest())
    assert len(found) == 1, found
    assert torch.get_num_threads() == 8
"""


@each_kind
def test_eight_threads_give_one_set_of_bits(estimator):
    short = {"hidden_layer_sizes": (200,), "pretrain_epochs": 1, "max_iter": 1}
    seed = {"n_init": 1, "warmup_epochs": 1, "random_state": 0}
    model = clone(estimator).set_params(**known(estimator, {**seed, **short}))
    code = textwrap.dedent(EIGHT_THREADS).format(estimator=pickle.dumps(model).hex())
    paths = [path for path in sys.path if path]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "8",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": os.pathsep.join([os.getcwd(), *paths]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@each_estimator
def test_thread_counts_are_never_set(estimator, monkeypatch):
    def refuse(n):
        raise AssertionError("the number of threads was set")

    monkeypatch.setattr(torch, "set_num_threads", refuse)
    monkeypatch.setattr(torch, "set_num_interop_threads", refuse)
    fresh(estimator).fit(X).predict(X)


@pytest.mark.slow
@each_unsupervised
def test_grid_search_in_processes_equals_a_serial_one(estimator):
    mixture = hasattr(estimator, "n_components")
    grid = {"n_components" if mixture else "n_clusters": [2, 3]}
    serial, parallel = (
        GridSearchCV(fresh(estimator), grid, cv=2, n_jobs=n).fit(X) for n in (1, 2)
    )
    np.testing.assert_array_equal(
        serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"]
    )
    assert bits(serial.best_estimator_) == bits(parallel.best_estimator_)
