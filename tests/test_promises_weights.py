"""Every estimator: rows of weight 0 are not there, but get a label."""

import warnings
from itertools import count

import numpy as np
import pytest
import scipy.sparse as sp
from estimators import DEEP, X, centers, each, fresh
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skdeepcluster import (
    KernelKMeans,
    MatrixFactorizationKMeans,
    SphericalKMeans,
    VonMisesFisherMixture,
)
from skdeepcluster.utils import _stored

SHALLOW = [
    SphericalKMeans(n_init=2),
    SphericalKMeans(batch_size=8),
    SphericalKMeans(batch_size=3, init="random"),
    SphericalKMeans(init="farthest"),
    SphericalKMeans(init="random", n_init=2, local_search=5),
    SphericalKMeans(fuzziness=1.5),
    VonMisesFisherMixture(),
    VonMisesFisherMixture(assignment="hard", init="random"),
    MatrixFactorizationKMeans(),
    MatrixFactorizationKMeans(solver="hartigan", init="random", n_init=2),
    MatrixFactorizationKMeans(solver="palm", n_init=1),
    KernelKMeans(),
    KernelKMeans(kernel="rbf", solver="hartigan", init="random", n_init=2),
    KernelKMeans(kernel="cosine", solver="hartigan"),
]
FITTED = ("inertia_", "lower_bound_", "n_iter_", "objective_history_", "weights_")


def learnt(model, rows):
    """All numbers of a fit, and what it says of the rows."""
    numbers = [np.asarray(getattr(model, name, 0)).tobytes() for name in FITTED]
    numbers.append(getattr(model, "concentrations_", np.zeros(0)).tobytes())
    return numbers, centers(model).tobytes(), model.predict(rows).tobytes()


@st.composite
def rows_with_ghosts(draw):
    """Rows, and the same ones with others of weight 0 between them."""
    random = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    k = draw(st.integers(1, 5))
    n, d = draw(st.integers(max(k, 4), 30)), draw(st.integers(1, 5))
    x = random.normal(size=(n, d)) * draw(st.sampled_from([1e-3, 1.0, 50.0]))
    weight = random.choice([0.5, 1.0, 2.0], size=n)
    if draw(st.booleans()):
        weight[:] = 1.0
    m = draw(st.integers(1, 15))
    ghosts = draw(st.sampled_from(["twins", "far", "zero"]))
    others = {
        "twins": x[random.randint(n, size=m)],
        "far": random.normal(size=(m, d)) * 1e6,
        "zero": np.zeros((m, d)),
    }[ghosts]
    at = random.randint(0, n + 1, size=m)
    return k, x, weight, np.insert(x, at, others, axis=0), np.insert(weight, at, 0.0)


@settings(max_examples=180, deadline=None, derandomize=True, database=None)
@given(
    estimator=st.sampled_from(SHALLOW),
    data=rows_with_ghosts(),
    form=st.sampled_from([np.asarray, np.asfortranarray, sp.csr_array]),
)
def test_rows_of_weight_zero_have_no_part_in_a_fit(estimator, data, form):
    k, x, weight, more, padded = data
    name = "n_components" if "n_components" in estimator.get_params() else "n_clusters"
    estimator = clone(estimator).set_params(**{name: k, "random_state": 0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        few = clone(estimator).fit(form(x), sample_weight=weight)
        many = clone(estimator).fit(form(more), sample_weight=padded)
    assert learnt(many, form(more)) == learnt(few, form(more))
    assert many.labels_.tobytes() == many.predict(form(more)).tobytes()
    np.testing.assert_array_equal(many.labels_[padded > 0], few.labels_)


def ghosted(rows):
    """Rows with far ones of weight 0 between them, and which ones count."""
    keep = np.arange(2 * len(rows)) % 2 == 1
    more = np.repeat(rows, 2, axis=0)
    more[~keep] = 30.0
    return more, keep


@each(DEEP)
def test_rows_of_weight_zero_have_no_part_in_a_deep_fit(estimator):
    rows = X[:40]
    more, keep = ghosted(rows)
    few = fresh(estimator, batch_size=16).fit(rows)
    many = fresh(estimator, batch_size=16).fit(more, sample_weight=keep * 1.0)
    assert centers(many).tobytes() == centers(few).tobytes()
    np.testing.assert_array_equal(many.labels_[keep], few.labels_)
    np.testing.assert_array_equal(many.labels_, many.predict(more))


def test_partial_fit_on_rows_of_weight_zero():
    few, many = (SphericalKMeans(3, random_state=0) for _ in range(2))
    for seed in range(3):
        rows = np.random.RandomState(seed).normal(size=(20, 4))
        more, keep = ghosted(rows)
        few.partial_fit(rows)
        many.partial_fit(more, sample_weight=keep * 1.0)
        assert learnt(many, more) == learnt(few, more)
        np.testing.assert_array_equal(many.labels_, many.predict(more))


def test_a_precomputed_kernel_with_rows_of_weight_zero():
    more, keep = ghosted(X[:30])
    kernel = more @ more.T
    labels = np.arange(30) % 3
    for init in ("k-means++", labels):
        settings = {"kernel": "precomputed", "random_state": 0}
        few = KernelKMeans(3, init=init, **settings).fit(kernel[keep][:, keep])
        spread = np.repeat(labels, 2) if init is labels else init
        many = KernelKMeans(3, init=spread, **settings)
        many.fit(kernel, sample_weight=keep * 1.0)
        assert many.inertia_ == few.inertia_
        assert many.dual_coef_.shape == (3, 60)
        np.testing.assert_array_equal(many.labels_[keep], few.labels_)
        np.testing.assert_array_equal(many.labels_, many.predict(kernel))


def test_a_large_file_with_rows_of_weight_zero(tmp_path, monkeypatch):
    monkeypatch.setattr(_stored, "_READ_AT_ONCE", 100)
    more, keep = ghosted(X)
    np.save(tmp_path / "x.npy", more)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for model in (SphericalKMeans(3), SphericalKMeans(3, batch_size=8)):
        model.set_params(random_state=0).fit(mapped, sample_weight=keep * 1.0)
        assert np.ptp(model.labels_[keep]) == 2
        assert model.labels_.tobytes() == model.predict(more).tobytes()


@pytest.mark.parametrize("estimator", SHALLOW[:1] + SHALLOW[3:])
def test_fewer_rows_with_a_weight_than_clusters(estimator):
    """As with copies of so few rows: a warning, and a cluster for each of them."""
    weight = np.where(np.arange(len(X)) < 7, 2.0, 0.0)
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(7\) found"):
        model = fresh(estimator).fit(X, sample_weight=weight)
    labels = getattr(model, "labels_", model.predict(X))
    assert sorted(labels[:7]) == list(range(7))


def test_the_row_of_zeros_is_named_by_its_place_among_all():
    numbers = count()
    rows = np.array([[next(numbers), 1.0] for _ in range(6)])
    rows[[1, 4]] = 0.0
    weight = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="1 row of zeros only.* row 4"):
        SphericalKMeans(2, zero_rows="error").fit(rows, sample_weight=weight)
