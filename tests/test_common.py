"""What every estimator promises, on one table of instances.

A new estimator is one line in ``ESTIMATORS``, with settings that make it tiny.
"""

import copy
import os
import pickle
import subprocess
import sys
import textwrap
from dataclasses import fields, is_dataclass
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import DEC
from skdeepcluster.engine import TrainingDivergedError
from skdeepcluster.engine._trainer import PhaseProgress
from skdeepcluster.metrics import neighborhood_score

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

# Checks that scikit-learn runs on its own estimators only.
EXTRA_CHECKS = [
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_param_validation",
]
WIDE = {
    "hidden_layer_sizes": (500, 500, 2000),
    "embedding_size": 10,
    "pretrain_epochs": 1,
    "max_iter": 1,
}
WIDE_ESTIMATORS = [clone(estimator).set_params(**WIDE) for estimator in ESTIMATORS]

# All are provoked by checks on purpose.
ignore_convergence = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)
ignore_missing_names = pytest.mark.filterwarnings(
    "ignore:X does not have valid feature names:UserWarning",
    "ignore:X has feature names, but:UserWarning",
)

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


# --- scikit-learn's own checks ----------------------------------------------


@ignore_convergence
@parametrize_with_checks(ESTIMATORS, xfail_strict=True)
def test_sklearn_checks(estimator, check):
    check(estimator)


@ignore_convergence
@ignore_missing_names
@pytest.mark.parametrize("name", EXTRA_CHECKS)
@each_estimator
def test_extra_sklearn_checks(estimator, name):
    getattr(estimator_checks, name)(name_of(estimator), clone(estimator))


@pytest.mark.slow
@ignore_convergence
@parametrize_with_checks(WIDE_ESTIMATORS, xfail_strict=True)
def test_sklearn_checks_at_default_width(estimator, check):
    check(estimator)


@pytest.mark.slow
@ignore_convergence
@ignore_missing_names
@pytest.mark.parametrize("name", EXTRA_CHECKS)
@pytest.mark.parametrize("estimator", WIDE_ESTIMATORS, ids=name_of)
def test_extra_sklearn_checks_at_default_width(estimator, name):
    getattr(estimator_checks, name)(name_of(estimator), clone(estimator))


# --- one truth about labels -------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_estimator
def test_labels_are_predictions(estimator, dtype):
    data = X.astype(dtype)
    model = fresh(estimator)
    labels = model.fit_predict(data)
    assert labels is model.labels_
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, model.predict(data))
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_estimator
def test_probabilities(estimator, dtype):
    data = X.astype(dtype)
    model = fitted(estimator)
    proba = model.predict_proba(data)
    assert proba.dtype == dtype
    assert proba.shape == (N_SAMPLES, 3)
    assert proba.min() >= 0
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.predict(data))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_estimator
def test_outputs_have_the_dtype_of_the_data(estimator, dtype):
    model = fresh(estimator).fit(X.astype(dtype))
    embedding = model.transform(X.astype(dtype))
    assert type(embedding) is np.ndarray
    assert embedding.dtype == model.cluster_centers_.dtype == dtype
    assert model.inverse_transform(embedding).dtype == dtype
    assert {p.dtype for p in model.module_.parameters()} == {torch.float32}


# --- a row's answer is its own ----------------------------------------------


@cache
def fitted_on_many(estimator, dtype, wide):
    data, _ = make_blobs(300, n_features=6, centers=3, random_state=1)
    data = data.astype(dtype)
    return fresh(estimator, **(WIDE if wide else {})).fit(data), data


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("wide", [False, True], ids=["tiny", "wide"])
@each_estimator
def test_a_row_has_the_same_bits_in_any_company(estimator, wide, dtype, method):
    model, data = fitted_on_many(estimator, dtype, wide)
    answer = getattr(model, method)
    together = answer(data)
    order = np.random.RandomState(0).permutation(len(data))
    np.testing.assert_array_equal(answer(data[order]), together[order])
    for part in (slice(0, 1), slice(255, 257), slice(299, 300), slice(40, 177)):
        np.testing.assert_array_equal(answer(data[part]), together[part])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 7, 9, 13, 30])
@each_estimator
def test_row_bits_for_any_number_of_features(estimator, n_features, precision):
    """Matrix products of some narrow shapes round by the place of a row."""
    data, _ = make_blobs(260, n_features=n_features, centers=3, random_state=1)
    model = fresh(estimator, precision=precision, n_init=1).fit(data)
    order = np.random.RandomState(0).permutation(len(data))
    for answer in (model.predict_proba, model.transform):
        np.testing.assert_array_equal(answer(data[order]), answer(data)[order])


# --- copies and what is kept ------------------------------------------------


def through_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


@pytest.mark.parametrize(
    "copied",
    [
        lambda model, _: pickle.loads(pickle.dumps(model)),
        lambda model, _: copy.deepcopy(model),
        through_joblib,
    ],
    ids=["pickle", "deepcopy", "joblib"],
)
@each_estimator
def test_copies_answer_with_the_same_bits(estimator, copied, tmp_path):
    model = fitted(estimator)
    other = copied(model, tmp_path)
    assert other is not model
    assert bits(other) == bits(model)
    assert other.get_params().keys() == model.get_params().keys()
    assert bits(other.fit(X)) == bits(model)


@each_estimator
def test_clone_is_unfitted_and_fits_to_the_same_bits(estimator):
    model = fitted(estimator)
    other = clone(model)
    assert vars(other).keys() == vars(clone(estimator)).keys()
    assert bits(other.fit(X)) == bits(model)


def parts_of(value, path):
    """Every (path, object) inside of a fitted estimator."""
    yield path, value
    if isinstance(value, torch.nn.Module):
        inner = {**vars(value), **value.state_dict()}
    elif isinstance(value, dict):
        inner = value
    elif isinstance(value, (list, tuple)):
        inner = dict(enumerate(value))
    elif is_dataclass(value):
        inner = {f.name: getattr(value, f.name) for f in fields(value)}
    else:
        return
    for name, part in inner.items():
        yield from parts_of(part, f"{path}.{name}")


@each_estimator
def test_no_training_data_is_kept(estimator):
    kept = []
    for name, value in vars(fitted(estimator)).items():
        for path, part in parts_of(value, name):
            if np.ndim(part) if isinstance(part, np.ndarray) else False:
                kept += [path] if N_SAMPLES in part.shape else []
            elif isinstance(part, torch.Tensor):
                kept += [path] if N_SAMPLES in part.shape else []
            elif isinstance(part, (list, tuple)) and len(part) == N_SAMPLES:
                kept.append(path)
    assert set(kept) <= {"labels_", "initial_labels_"}


@each_estimator
def test_nothing_of_the_training_is_kept(estimator):
    forbidden = (torch.optim.Optimizer, torch.Generator, torch.utils.data.DataLoader)
    for name, value in vars(fitted(estimator)).items():
        for path, part in parts_of(value, name):
            assert not isinstance(part, forbidden), path
            if isinstance(part, torch.Tensor):
                assert not part.requires_grad, path
                assert part.grad is None, path
                assert part.device.type == "cpu", path
    assert not fitted(estimator).module_.training


@each_estimator
def test_a_pickle_grows_by_the_labels_only(estimator):
    def size(repeats):
        return len(pickle.dumps(fresh(estimator).fit(np.tile(X, (repeats, 1)))))

    small, large = size(1), size(4)
    assert small < 20_000
    assert large - small < 3 * N_SAMPLES * (4 + 4) + 500


# --- seeds ------------------------------------------------------------------


@each_estimator
def test_same_seed_same_bits_and_another_seed_differs(estimator):
    first = bits(fresh(estimator).fit(X))
    assert bits(fresh(estimator).fit(X)) == first
    assert bits(fresh(estimator, random_state=np.random.RandomState(0)).fit(X)) == first
    assert weights(fresh(estimator, random_state=1).fit(X)) != first[0]


@each_estimator
def test_fitting_again_forgets_the_first_fit(estimator):
    model = fresh(estimator).fit(X[:40, :3] + 5)
    assert bits(model.fit(X)) == bits(fitted(estimator))


@each_estimator
def test_no_seed_is_a_new_one_each_time(estimator):
    first, second = (fresh(estimator, random_state=None).fit(X) for _ in range(2))
    assert weights(first) != weights(second)


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("pretraining", ["end_to_end", "layerwise"])
@each_estimator
def test_global_generators_are_left_alone(
    estimator, pretraining, seed, global_rng_untouched
):
    model = fresh(estimator, random_state=seed, pretraining=pretraining)
    with global_rng_untouched():
        model.fit(X)
        model.predict(X)
        model.transform(X)
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
    X, _ = make_blobs(600, n_features=32, centers=3, random_state=0)
    found = set()
    for _ in range(4):
        estimator.fit(X)
        arrays = [v.numpy() for v in estimator.module_.state_dict().values()]
        arrays += [estimator.labels_, estimator.predict_proba(X)]
        found.add(hashlib.sha1(b"".join(a.tobytes() for a in arrays)).hexdigest())
    assert len(found) == 1, found
    assert torch.get_num_threads() == 8
"""


@each_estimator
def test_eight_threads_give_one_set_of_bits(estimator):
    short = {"pretrain_epochs": 1, "max_iter": 1, "n_init": 1}
    model = fresh(estimator, hidden_layer_sizes=(200,), **short)
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


# --- whole or nothing -------------------------------------------------------


def raise_at_step(monkeypatch, error, step):
    original = PhaseProgress.after_step
    steps = []

    def after_step(self, *args):
        steps.append(args)
        if len(steps) == step:
            raise error
        return original(self, *args)

    monkeypatch.setattr(PhaseProgress, "after_step", after_step)


def raise_at_the_end(monkeypatch, error, estimator):
    def soft_assign(self, X):
        assert hasattr(self, "module_")  # half of the attributes are written
        raise error

    monkeypatch.setattr(type(estimator), "_soft_assign", soft_assign)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ValueError()])
@pytest.mark.parametrize("when", [1, 4, "end"])
@pytest.mark.parametrize("first", [False, True], ids=["unfitted", "fitted"])
@each_estimator
def test_a_fit_that_fails_leaves_the_estimator(
    estimator, first, when, error, monkeypatch
):
    model = copy.deepcopy(fitted(estimator)) if first else fresh(estimator)
    answers = bits(model) if first else None
    before = dict(vars(model))
    with monkeypatch.context() as patch:
        if when == "end":
            raise_at_the_end(patch, error, estimator)
        else:
            raise_at_step(patch, error, when)
        with pytest.raises(type(error)) as caught:
            model.fit(X[:40] * 7)
    assert caught.value is error
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    if first:
        assert bits(model) == answers


@each_estimator
def test_invalid_input_leaves_a_fitted_estimator(estimator):
    model = copy.deepcopy(fitted(estimator))
    before = dict(vars(model))
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(np.full((20, 2), np.nan))
    assert vars(model) == before
    assert bits(model) == bits(fitted(estimator))


@pytest.mark.parametrize(
    "phase, params",
    [
        ("pretraining", {"pretrain_learning_rate": 1e9}),
        ("clustering", {"learning_rate": 1e38}),
    ],
)
@each_estimator
def test_divergence_names_phase_epoch_and_rate(estimator, phase, params):
    model = fresh(estimator, **params, pretrain_epochs=9, max_iter=9)
    before = dict(vars(model))
    pattern = f"phase '{phase}' is not finite in epoch \\d+ .*learning rate"
    with pytest.raises(TrainingDivergedError, match=pattern):
        model.fit(X)
    assert vars(model) == before
    with pytest.raises(NotFittedError):
        model.predict(X)


# --- score ------------------------------------------------------------------


@each_estimator
def test_score_is_that_of_the_predicted_partition(estimator):
    model = fitted(estimator)
    score = model.score(X)
    assert type(score) is float
    assert score == neighborhood_score(X, model.predict(X))
    assert score == neighborhood_score(X, 7 - 3 * model.labels_)


@pytest.mark.parametrize("y", [Y, Y.astype(str), Y[:3], None])
@each_estimator
def test_score_ignores_y(estimator, y):
    model = fitted(estimator)
    assert model.score(X, y) == model.score(X)


@each_estimator
def test_score_of_one_cluster_is_zero(estimator):
    assert fresh(estimator, n_clusters=1).fit(X).score(X) == 0.0


@each_estimator
def test_score_does_not_depend_on_the_order(estimator):
    model = fitted(estimator)
    order = np.random.RandomState(0).permutation(N_SAMPLES)
    assert model.score(X[order]) == pytest.approx(model.score(X), abs=1e-12)


@each_estimator
def test_score_is_higher_for_a_better_partition(estimator):
    model = fresh(estimator, pretrain_epochs=100).fit(X)
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    for parameter in shuffled.module_.parameters():
        parameter.normal_(generator=generator)
    assert model.score(X) > shuffled.score(X)


@pytest.mark.parametrize("n", [2000, 2001, 5000])
@each_estimator
def test_score_predicts_a_sample_only(estimator, n, monkeypatch):
    rows = []
    original = type(estimator)._soft_assign

    def spy(self, X):
        rows.append(len(X))
        return original(self, X)

    model = fitted(estimator)
    data = np.random.RandomState(0).normal(size=(n, 4))
    monkeypatch.setattr(type(estimator), "_soft_assign", spy)
    assert model.score(data) == model.score(data)
    assert rows == [2000, 2000]


# --- any form of X ----------------------------------------------------------


@pytest.fixture
def read_only_memmap(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


@each_estimator
def test_read_only_memmap(estimator, read_only_memmap):
    assert not read_only_memmap.flags.writeable
    model = fresh(estimator).fit(read_only_memmap)
    assert bits(model, read_only_memmap) == bits(fitted(estimator))
    assert model.score(read_only_memmap) == fitted(estimator).score(X)


def strided(X):
    padded = np.zeros((2 * len(X), 3 * X.shape[1]))
    padded[::2, ::3] = X
    return padded[::2, ::3]


@pytest.mark.parametrize(
    "form",
    [
        np.asfortranarray,
        strided,
        lambda X: X[::-1].copy()[::-1],
        lambda X: X.astype(">f8"),
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        pd.DataFrame,
    ],
    ids=["fortran", "strided", "reversed", "big-endian", "list", "object", "frame"],
)
@each_estimator
def test_the_form_of_the_array_changes_nothing(estimator, form):
    assert bits(fresh(estimator).fit(form(X)), X) == bits(fitted(estimator))


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.int64, np.uint8, bool])
@each_estimator
def test_other_dtypes_are_taken_as_float64(estimator, dtype):
    data = (X * 3 > 0 if dtype is bool else np.abs(X * 3)).astype(dtype)
    expected = fresh(estimator).fit(data.astype(np.float64))
    assert bits(fresh(estimator).fit(data), data) == bits(expected, data)


@each_estimator
def test_fit_leaves_data_and_parameters(estimator):
    data, model = X.copy(), fresh(estimator)
    params = model.get_params()
    model.fit(data).transform(data)
    np.testing.assert_array_equal(data, X)
    assert model.get_params() == params


@each_estimator
def test_feature_names(estimator):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = fresh(estimator).fit(frame)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert bits(model, frame) == bits(fitted(estimator))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("badc")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@pytest.mark.parametrize(
    "y", [Y, Y.astype(str), Y[:2], np.full(N_SAMPLES, np.nan), "y", [[1, 2]] * 3]
)
@each_estimator
def test_fit_ignores_y(estimator, y):
    assert bits(fresh(estimator).fit(X, y)) == bits(fitted(estimator))
    np.testing.assert_array_equal(
        fresh(estimator).fit_predict(X, y), fitted(estimator).labels_
    )


@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_matrix, sp.coo_array])
@each_estimator
def test_sparse_data_are_refused(estimator, form):
    with pytest.raises(TypeError, match="Sparse data was passed"):
        fresh(estimator).fit(form(X))
    with pytest.raises(TypeError, match="Sparse data was passed"):
        fitted(estimator).predict(form(X))


# --- bad input --------------------------------------------------------------


def spoiled(value):
    data = X.copy()
    data[3, 1] = value
    return data


BAD_DATA = {
    "nan": (spoiled(np.nan), "Input X contains NaN"),
    "na": (pd.DataFrame(X).astype("Float64").mask(X > 9), "contains NaN"),
    "inf": (spoiled(np.inf), "contains infinity"),
    "huge": (spoiled(1e300), r"values up to 1e\+300, which overflow float32; scale"),
    "1d": (X[0], "Expected 2D array, got 1D"),
    "3d": (X[None], "dim 3"),
    "no rows": (X[:0], r"Found array with 0 sample\(s\)"),
    "no columns": (X[:, :0], r"0 feature\(s\)"),
    "complex": (X + 1j, "Complex data not supported"),
    "strings": (X.astype(str).tolist() + [["a"] * 4], "could not convert string"),
    "category": (
        pd.DataFrame({"a": X[:, 0], "b": ["x"] * N_SAMPLES}),
        "could not convert string to float: 'x'",
    ),
}


@pytest.mark.parametrize("data, match", BAD_DATA.values(), ids=BAD_DATA)
@each_estimator
def test_bad_data(estimator, data, match):
    with pytest.raises(ValueError, match=match):
        fresh(estimator).fit(data)


@pytest.mark.parametrize("case", ["nan", "inf", "1d", "no rows", "complex"])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform", "score"])
@each_estimator
def test_bad_new_data(estimator, method, case):
    data, match = BAD_DATA[case]
    with pytest.raises(ValueError, match=match):
        getattr(fitted(estimator), method)(data)


@pytest.mark.parametrize("value", [1e300, -1e300])
@pytest.mark.parametrize("method", ["predict", "transform"])
@each_estimator
def test_new_data_that_overflow(estimator, method, value):
    with pytest.raises(ValueError, match="overflow float32"):
        getattr(fitted(estimator), method)(spoiled(value))


@each_estimator
def test_embeddings_that_cannot_be_decoded(estimator):
    with pytest.raises(ValueError, match="X has 3 columns, but the embedding .* 2"):
        fitted(estimator).inverse_transform(X[:, :3])
    with pytest.raises(ValueError, match="contains NaN"):
        fitted(estimator).inverse_transform(np.full((2, 2), np.nan))


@each_estimator
def test_fewer_rows_than_clusters(estimator):
    with pytest.raises(ValueError, match="n_samples=2 should be >= n_clusters=3"):
        fresh(estimator).fit(X[:2])
    model = fresh(estimator).fit(X[[0, 20, 40]])
    assert model.labels_.shape == (3,)


@pytest.mark.parametrize("data", [np.ones((20, 3)), np.tile(X[:2], (10, 1))])
@each_estimator
def test_fewer_distinct_rows_than_clusters(estimator, data):
    distinct = len(np.unique(data, axis=0))
    match = rf"distinct clusters \({distinct}\) found smaller than n_clusters \(3\)"
    with pytest.warns(ConvergenceWarning, match=match):
        model = fresh(estimator).fit(data)
    assert sorted(set(model.labels_)) == list(range(distinct))
    assert np.isfinite(model.predict_proba(data)).all()
    assert np.isfinite(model.transform(data)).all()
    assert np.isfinite(model.score(data))


@each_estimator
def test_constant_features(estimator):
    data = np.hstack([X, np.full((N_SAMPLES, 2), 7.25), np.zeros((N_SAMPLES, 1))])
    model = fresh(estimator).fit(data)
    assert np.isfinite(model.predict_proba(data)).all()
    decoded = model.inverse_transform(model.transform(data))
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("factor, shift", [(1e-6, 0), (1e6, 0), (1e30, 0), (1, 1e6)])
@each_estimator
def test_scale_and_origin_do_not_matter(estimator, factor, shift):
    model = fresh(estimator).fit(X * factor + shift)
    np.testing.assert_array_equal(model.labels_, fitted(estimator).labels_)


@each_estimator
def test_powers_of_two_leave_the_bits(estimator):
    model = fresh(estimator).fit(X * 1024)
    assert weights(model) == weights(fitted(estimator))


@pytest.mark.parametrize(
    "params",
    [
        {"n_clusters": 0},
        {"n_clusters": 2.5},
        {"n_clusters": "a"},
        {"embedding_size": 0},
        {"hidden_layer_sizes": 500},
        {"architecture": "mlp"},
        {"pretraining": "none"},
        {"pretrain_epochs": -1},
        {"pretrain_epochs": "some"},
        {"max_iter": 0},
        {"update_interval": 0},
        {"tol": -1.0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"pretrain_learning_rate": -0.1},
        {"optimizer": "lbfgs"},
        {"n_init": 0},
        {"device": 0},
        {"precision": "float16"},
        {"memory": 3},
        {"pretrained": 3},
        {"random_state": "seed"},
    ],
    ids=lambda params: "-".join(map(str, *params.items())),
)
@each_estimator
def test_wrong_parameters_are_named(estimator, params):
    (name, value), *_ = params.items()
    if name not in estimator.get_params():
        pytest.skip(f"{name_of(estimator)} has no {name!r}")
    with pytest.raises(ValueError, match=f"'{name}' parameter.*Got") as error:
        fresh(estimator, **params).fit(X)
    assert repr(value) in str(error.value)


@each_estimator
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
@each_estimator
def test_fitted_on_an_accelerator_used_on_the_cpu(estimator):
    model = fresh(estimator, device="cuda").fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    on_host = pickle.loads(pickle.dumps(model)).set_params(device="cpu")
    np.testing.assert_allclose(on_host.transform(X), model.transform(X), atol=1e-5)
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
@each_estimator
def test_unusual_settings_work(estimator, params):
    model = fresh(estimator, **params).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert np.isfinite(model.transform(X)).all()
    assert 1 <= model.n_iter_ <= 2


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform", "score"])
@each_estimator
def test_use_before_fit_and_with_other_features(estimator, method):
    with pytest.raises(NotFittedError):
        getattr(fresh(estimator), method)(X)
    with pytest.raises(ValueError, match="X has 3 features, but .* 4 features"):
        getattr(fitted(estimator), method)(X[:, :3])


@pytest.mark.slow
@each_estimator
def test_grid_search_in_processes_equals_a_serial_one(estimator):
    grid = {"n_clusters": [2, 3]}
    serial, parallel = (
        GridSearchCV(fresh(estimator), grid, cv=2, n_jobs=n).fit(X) for n in (1, 2)
    )
    np.testing.assert_array_equal(
        serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"]
    )
    assert bits(serial.best_estimator_) == bits(parallel.best_estimator_)
