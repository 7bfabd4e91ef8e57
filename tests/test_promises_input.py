"""Every estimator: any form, type and scale of the data."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from estimators import (
    CLASSIFIERS,
    DEEP,
    MEANS,
    MIXTURES,
    N_SAMPLES,
    SHALLOW,
    TINY,
    X,
    Y,
    answers,
    bits,
    each_estimator,
    each_network,
    each_unsupervised,
    fitted,
    fresh,
    ignore_narrow_components,
    weights,
)
from sklearn.base import clone
from stores import Store, mapped

from skdeepcluster import DEC
from skdeepcluster.utils import _stored

pytestmark = ignore_narrow_components


@pytest.fixture
def read_only_memmap(tmp_path):
    return mapped(X, tmp_path)


@each_estimator
def test_read_only_memmap(estimator, read_only_memmap):
    assert not read_only_memmap.flags.writeable
    model = fresh(estimator).fit(read_only_memmap)
    assert bits(model, read_only_memmap) == bits(fitted(estimator))
    assert model.score(read_only_memmap) == fitted(estimator).score(X)


@pytest.fixture(params=["mapped", "store"])
def stored(request, tmp_path, monkeypatch):
    """Makes rows that are read block by block, however few they are."""
    monkeypatch.setattr(_stored, "_READ_AT_ONCE", 0)
    return (lambda X: mapped(X, tmp_path)) if request.param == "mapped" else Store


def needs_memory(estimator):
    """Whether a loss looks for neighbours among all rows."""
    return "locality" in getattr(estimator, "clustering_loss", ())


@each_estimator
def test_rows_on_disk_are_rows_in_memory(estimator, stored):
    if needs_memory(estimator):
        pytest.skip("refuses rows on disk")
    rows = stored(X)
    model = fresh(estimator).fit(rows)
    assert bits(model, rows) == bits(fitted(estimator))
    assert bits(model, X) == bits(fitted(estimator))
    assert model.score(rows) == fitted(estimator).score(X)


@pytest.mark.filterwarnings("ignore:X has [0-9]+ rows of zeros only:UserWarning")
@pytest.mark.parametrize("dtype", [np.float16, np.uint8, bool, ">f8"])
@each_estimator
def test_dtypes_on_disk(estimator, dtype, stored):
    if needs_memory(estimator):
        pytest.skip("refuses rows on disk")
    data = (X * 3 > 0 if dtype is bool else np.abs(X * 3)).astype(dtype)
    expected = data if estimator in SHALLOW + MIXTURES else data.astype(np.float64)
    expected_model = fresh(estimator).fit(expected)
    assert bits(fresh(estimator).fit(stored(data)), stored(data)) == bits(
        expected_model, expected
    )


@each_estimator
def test_weighted_rows_on_disk(estimator, stored):
    if needs_memory(estimator):
        pytest.skip("refuses rows on disk")
    weight = np.arange(N_SAMPLES) % 3 * 1.0
    expected = fresh(estimator).fit(X, sample_weight=weight)
    found = fresh(estimator).fit(stored(X), sample_weight=weight)
    assert bits(found, X) == bits(expected)


def test_neighbours_of_all_rows_are_refused_on_disk(stored):
    (model,) = filter(needs_memory, DEEP)
    with pytest.raises(ValueError, match="needs X in memory"):
        fresh(model).fit(stored(X))


def test_few_kinds_of_rows_on_disk(stored):
    rows = np.random.default_rng(0).integers(0, 2, size=(300, 4)) * 1.0
    model = DEC(n_clusters=3, **TINY, batch_size=20, random_state=0)
    assert bits(clone(model).fit(stored(rows)), rows) == bits(model.fit(rows), rows)


def test_layers_are_pretrained_on_disk(stored):
    """Not to the bit: what a layer gives is not kept, but computed batch by batch."""
    model = DEC(n_clusters=3, **TINY, pretraining="layerwise", random_state=0)
    expected = clone(model).fit(X).history_["pretraining"]
    found = model.fit(stored(X)).history_["pretraining"]
    np.testing.assert_allclose(found["layer_loss"], expected["layer_loss"], rtol=1e-5)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)


@each_estimator
def test_errors_of_rows_on_disk(estimator, stored):
    bad = X.copy()
    bad[-1, 2] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        fresh(estimator).fit(stored(bad))
    bad[-1, 2] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        fitted(estimator).predict(stored(bad))
    with pytest.raises(ValueError, match="is expecting 4 features"):
        fitted(estimator).predict(stored(X[:, :3]))


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


@pytest.mark.filterwarnings("ignore:X has [0-9]+ rows of zeros only:UserWarning")
@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.int64, np.uint8, bool])
@each_estimator
def test_other_dtypes_are_taken_as_float64(estimator, dtype):
    if dtype is np.float16 and estimator in SHALLOW:
        pytest.skip("float16 is used as it is")
    data = (X * 3 > 0 if dtype is bool else np.abs(X * 3)).astype(dtype)
    expected = fresh(estimator).fit(data.astype(np.float64))
    assert bits(fresh(estimator).fit(data), data) == bits(expected, data)


@each_estimator
def test_fit_leaves_data_and_parameters(estimator):
    data, model = X.copy(), fresh(estimator)
    params = model.get_params()
    answers(model.fit(data), data)
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


@each_estimator
def test_a_column_may_have_any_name(estimator):
    frame = pd.DataFrame(X, columns=["dtype", "shape", "columns", "ndim"])
    model = fresh(estimator).fit(frame)
    assert model.feature_names_in_.tolist() == list(frame.columns)
    assert bits(model, frame) == bits(fitted(estimator))


@each_estimator
def test_tensors(estimator):
    rows = torch.tensor(X, requires_grad=True)
    assert bits(fresh(estimator).fit(rows), rows) == bits(fitted(estimator))
    half = rows.detach().bfloat16()
    assert answers(fitted(estimator), half)["predict"].shape == (N_SAMPLES,)


@pytest.mark.parametrize(
    "y", [Y, Y.astype(str), Y[:2], np.full(N_SAMPLES, np.nan), "y", [[1, 2]] * 3]
)
@each_unsupervised
def test_fit_ignores_y(estimator, y):
    assert bits(fresh(estimator).fit(X, y)) == bits(fitted(estimator))
    np.testing.assert_array_equal(
        fresh(estimator).fit_predict(X, y), fitted(estimator).labels_
    )


def with_wide_indices(X):
    X = sp.csr_matrix(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def with_duplicates_and_zeros(X):
    """Entries in two halves, in no order, and the zeros stored as well."""
    row, column = np.indices(X.shape).reshape(2, -1)[:, ::-1]
    data = X[row, column] / 2
    ends = np.arange(0, X.size + 1, X.shape[1]) * 2
    halves = np.lexsort((np.r_[column, column][::-1], np.r_[row, row]))
    columns, data = np.r_[column, column][halves], np.r_[data, data][halves]
    return sp.csr_array((data, columns, ends), shape=X.shape)


@pytest.mark.parametrize(
    "form",
    [
        sp.csr_array,
        sp.csc_matrix,
        sp.coo_array,
        with_wide_indices,
        with_duplicates_and_zeros,
    ],
)
@each_network
def test_sparse_rows_are_dense_rows_to_the_bit(estimator, form):
    dense = X * (np.random.default_rng(0).random(X.shape) < 0.5)
    dense[7] = 0
    sparse = form(dense)
    model = fresh(estimator).fit(sparse)
    assert (
        bits(model, sparse)
        == bits(model, dense)
        == bits(fresh(estimator).fit(dense), dense)
    )
    assert model.score(sparse) == pytest.approx(model.score(dense), rel=1e-9)


@each_network
def test_sparse_rows_of_float32(estimator):
    rows = sp.csr_array(X.astype(np.float32))
    model = fresh(estimator).fit(rows)
    assert {a.dtype for a in answers(model, rows).values() if a.dtype.kind == "f"} == {
        np.dtype(np.float32)
    }


@each_estimator
def test_constant_features(estimator):
    data = np.hstack([X, np.full((N_SAMPLES, 2), 7.25), np.zeros((N_SAMPLES, 1))])
    model = fresh(estimator).fit(data)
    assert all(np.isfinite(answer).all() for answer in answers(model, data).values())
    if hasattr(model, "inverse_transform"):
        decoded = model.inverse_transform(model.transform(data))
        assert np.isfinite(decoded).all()


@each_network
def test_constant_rows_are_one_cluster(estimator):
    """However large they are, and however their mean is rounded."""
    weight = np.random.RandomState(0).uniform(0.1, 1, 32)
    cases = [(np.full((100, 3), 1e9 + 0.1), None), (np.full((32, 17), 7.3e12), weight)]
    for rows, sample_weight in cases:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            model = fresh(estimator).fit(rows, sample_weight=sample_weight)
        words = [str(warning.message) for warning in seen]
        assert len(words) == (0 if estimator in CLASSIFIERS else 1), words
        assert all("distinct clusters (1)" in message for message in words)
        assert len(set(model.predict(rows))) == 1


@pytest.mark.parametrize("factor", [1e-6, 1e6, 1e30])
@each_estimator
def test_scale_does_not_matter(estimator, factor):
    model = fresh(estimator).fit(X * factor)
    labels = model.predict(X * factor)
    np.testing.assert_array_equal(labels, fitted(estimator).predict(X))


@each_network
def test_origin_does_not_matter(estimator):
    model = fresh(estimator).fit(X + 1e6)
    labels = model.predict(X + 1e6)
    np.testing.assert_array_equal(labels, fitted(estimator).predict(X))


@each_estimator
def test_powers_of_two_leave_the_bits(estimator):
    model = fresh(estimator).fit(X * 1024)
    if estimator in MEANS and hasattr(model, "cluster_centers_"):
        model.cluster_centers_ /= 1024  # they are in the units of X
    assert weights(model) == weights(fitted(estimator))
