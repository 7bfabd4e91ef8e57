"""VonMisesFisherMixture."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_clusterer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeepcluster import SphericalKMeans
from skdeepcluster.shallow._von_mises_fisher import VonMisesFisherMixture

# check_estimator_sparse_* ask any predict_proba for four columns.
ESTIMATORS = [
    VonMisesFisherMixture(n_components=4),
    VonMisesFisherMixture(n_components=4, n_init=2, init="random", precision="float32"),
    VonMisesFisherMixture(
        n_components=4, tied_concentration=True, equal_weights=True, assignment="hard"
    ),
]
EXTRA_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_param_validation",
]
ignore_convergence = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)
ignore_names = pytest.mark.filterwarnings(
    "ignore:X does not have valid feature names:UserWarning",
    "ignore:X has feature names, but:UserWarning",
)

ignore_zero_rows = pytest.mark.filterwarnings("ignore:X has .* rows of zeros")


@ignore_convergence
@ignore_zero_rows
@parametrize_with_checks(ESTIMATORS, xfail_strict=True)
def test_sklearn_checks(estimator, check):
    check(estimator)


@ignore_convergence
@ignore_names
@pytest.mark.parametrize("name", EXTRA_CHECKS)
def test_extra_sklearn_checks(name):
    getattr(estimator_checks, name)("VonMisesFisherMixture", clone(ESTIMATORS[0]))


def truth(d=5, kappas=(30.0, 60.0, 15.0), weights=(0.5, 0.3, 0.2)):
    """A mixture that is not fitted but given."""
    model = VonMisesFisherMixture(n_components=len(kappas), random_state=0)
    model.means_ = np.eye(d)[: len(kappas)]
    model.concentrations_ = np.array(kappas)
    model.weights_ = np.array(weights)
    model.n_features_in_ = d
    return model


X, Y = truth().sample(600)
ORDER = np.random.RandomState(0).permutation(len(X))
X, Y = X[ORDER] * np.linspace(0.1, 10, len(X))[:, None], Y[ORDER]


def fit(X=X, n_components=3, sample_weight=None, **params):
    params = {"random_state": 0, **params}
    model = VonMisesFisherMixture(n_components, **params)
    return model.fit(X, sample_weight=sample_weight)


def test_recovers_the_mixture_that_rows_come_from():
    model, given = fit(tol=1e-8), truth()
    cosines = given.means_ @ model.means_.T
    order = cosines.argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    assert (cosines.max(axis=1) > 0.995).all()
    assert_allclose(model.weights_[order], given.weights_, atol=0.06)
    assert_allclose(model.concentrations_[order], given.concentrations_, rtol=0.25)
    assert adjusted_rand_score(Y, model.labels_) > 0.9
    assert model.score(X) >= given.score(X)
    assert is_clusterer(model)


def test_conventions():
    model = fit()
    assert model.converged_
    assert_allclose(np.linalg.norm(model.means_, axis=1), 1, rtol=1e-14)
    assert_allclose(model.weights_.sum(), 1)
    assert_allclose(model.lower_bound_, model.score(X), rtol=1e-12)
    assert_allclose(model.score(X), model.score_samples(X).mean(), rtol=1e-12)
    assert_array_equal(fit(1000 * X).labels_, model.labels_)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@ignore_convergence
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("sparse", [False, True])
def test_labels_are_one_truth(sparse, dtype, precision):
    if sparse and dtype == np.float16:
        pytest.skip("scipy has no sparse float16")
    x = X.astype(dtype)
    x = sp.csr_matrix(x) if sparse else x
    for assignment in ("soft", "hard"):
        model = fit(x, 4, precision=precision, assignment=assignment, max_iter=4)
        p = model.predict_proba(x)
        assert p.dtype == (np.float64 if dtype == np.float64 else np.float32)
        assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        assert_array_equal(model.predict(x), p.argmax(axis=1))
        assert_array_equal(model.labels_, model.predict(x))
        assert_array_equal(clone(model).fit_predict(x), model.labels_)
        assert model.score_samples(x).dtype == np.float64


@ignore_convergence
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("d", [1, 3, 7, 130])
def test_a_row_is_answered_alone(d, precision):
    random = np.random.RandomState(0)
    x = random.standard_normal((1100, d))
    x[5] = 0
    thin = sp.csr_matrix(np.where(random.random_sample(x.shape) < 0.5, x, 0.0))
    for k in (1, 3, 5, 11):
        model = fit(x[6:200], k, max_iter=2, init="random", precision=precision)
        for rows in (x, thin):
            p, s = model.predict_proba(rows), model.score_samples(rows)
            order = random.permutation(len(x))
            assert_array_equal(model.predict_proba(rows[order]), p[order])
            for at in (slice(0, 1), slice(5, 6), slice(1023, 1030), slice(1099, 1100)):
                assert_array_equal(model.predict_proba(rows[at]), p[at])
                assert_array_equal(model.score_samples(rows[at]), s[at])


def test_dense_equals_sparse():
    dense, sparse = fit(), fit(sp.csr_matrix(X))
    assert_array_equal(dense.labels_, sparse.labels_)
    assert_allclose(dense.means_, sparse.means_, atol=1e-12)
    assert_allclose(dense.concentrations_, sparse.concentrations_, rtol=1e-10)
    assert_allclose(dense.score_samples(X), sparse.score_samples(sp.csr_matrix(X)))


@pytest.mark.parametrize("init", ["k-means", "k-means++", "random", "farthest"])
@pytest.mark.parametrize("sparse", [False, True])
def test_weights_are_repetitions(sparse, init):
    weight = np.random.RandomState(1).randint(0, 4, size=len(X))
    repeated = X.repeat(weight, axis=0)
    rows, given = (sp.csr_matrix(repeated), sp.csr_matrix(X)) if sparse else (
        repeated, X,
    )  # fmt: skip
    a = fit(rows, init=init)
    b = fit(given, init=init, sample_weight=weight)
    for name in ("weights_", "means_", "concentrations_", "lower_bound_"):
        assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-7, atol=1e-9)
    assert_allclose(a.score(rows), b.score(given, sample_weight=weight))
    assert_allclose(a.bic(rows), b.bic(given, sample_weight=weight))
    c = fit(given, init=init, sample_weight=weight * 0.125)
    assert_allclose(c.means_, b.means_, atol=1e-12)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_information_criteria_count_parameters(tied, equal):
    model = fit(tied_concentration=tied, equal_weights=equal)
    n, d, k = len(X), 5, 3
    free = k * (d - 1) + (1 if tied else k) + (0 if equal else k - 1)
    likelihood = model.score_samples(X).sum()
    assert_allclose(model.bic(X), -2 * likelihood + free * np.log(n))
    assert_allclose(model.aic(X), -2 * likelihood + 2 * free)
    if tied:
        assert np.ptp(model.concentrations_) == 0
    if equal:
        assert_allclose(model.weights_, 1 / 3, rtol=1e-15)


def test_bic_finds_the_number_of_components():
    found = {k: fit(n_components=k, n_init=3).bic(X) for k in (1, 2, 3, 4)}
    assert min(found, key=found.get) == 3


def test_grid_search_uses_the_likelihood():
    search = GridSearchCV(fit(), {"n_components": [1, 3]}, cv=3).fit(X[::3])
    assert search.best_params_ == {"n_components": 3}


@ignore_convergence
@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_likelihood_rises_with_iterations(assignment):
    bounds = [
        fit(max_iter=i, tol=0, assignment=assignment, init="random").lower_bound_
        for i in range(1, 12)
    ]
    assert (np.diff(bounds) >= -1e-12).all()


def test_more_starts_are_never_worse():
    bounds = [fit(n_init=n, init="random").lower_bound_ for n in (1, 2, 5)]
    assert (np.diff(bounds) >= 0).all()


def test_hard_equal_and_tied_keeps_the_labels_of_spherical_kmeans():
    start = SphericalKMeans(3, random_state=0).fit(X)
    model = fit(
        init=start.cluster_centers_,
        tied_concentration=True,
        equal_weights=True,
        assignment="hard",
        tol=0,
    )
    assert_array_equal(model.labels_, start.labels_)
    assert_allclose(model.means_, start.cluster_centers_, atol=1e-12)
    callable_start = fit(init=lambda X, n, random_state: start.cluster_centers_)
    assert_array_equal(callable_start.labels_, fit(init=start.cluster_centers_).labels_)


def test_sample_goes_back_in():
    model = fit(tol=1e-8)
    drawn, labels = model.sample(2000)
    assert drawn.shape == (2000, 5) and labels.shape == (2000,)
    assert_allclose(np.linalg.norm(drawn, axis=1), 1, rtol=1e-12)
    share = np.bincount(labels, minlength=3) / 2000
    assert_allclose(share, model.weights_, atol=0.04)
    assert adjusted_rand_score(model.predict(drawn), labels) > 0.85
    assert_array_equal(model.sample(2000)[0], drawn)
    with pytest.raises(ValueError, match="n_samples=0 should be >= 1"):
        model.sample(0)


def test_rows_of_zeros():
    x = np.vstack([X, np.zeros((2, 5))])
    with pytest.warns(UserWarning, match="2 rows of zeros"):
        model = fit(x)
    without = fit()
    assert_allclose(model.means_, without.means_, atol=1e-12)
    zero = np.zeros((1, 5))
    assert_array_equal(model.predict_proba(zero)[0], model.weights_)
    assert model.labels_[-1] == model.weights_.argmax()
    assert_allclose(model.score_samples(zero), -np.log(8 * np.pi**2 / 3))
    assert_allclose(model.score(x), model.score(X), rtol=1e-12)
    assert_allclose(model.bic(x), model.bic(X), rtol=1e-12)
    with pytest.raises(ValueError, match="2 rows of zeros only"):
        fit(x, zero_rows="error")
    with pytest.raises(ValueError, match="should have a row that is not zero"):
        model.score(zero)


@ignore_convergence
@pytest.mark.parametrize("model", [{}, {"tied_concentration": True}])
def test_degenerate_data_gives_numbers(model):
    eye = np.eye(3)
    for x in (
        np.ones((6, 3)),
        eye.repeat(3, axis=0),
        np.vstack([eye, -eye]),
        np.vstack([np.ones((5, 3)), [[1.0, 1.0, 1.0 + 1e-9]]]),
        np.array([[1.0], [2.0], [-3.0], [5.0]]),
        X[:3] * 1e300,
        X[:3] * 1e-300,
    ):
        fitted = fit(x, **model)
        for name in ("weights_", "means_", "concentrations_", "lower_bound_"):
            assert np.isfinite(getattr(fitted, name)).all()
        assert (fitted.concentrations_ <= 1e8).all()
        assert np.isfinite(fitted.predict_proba(x)).all()
        assert np.isfinite(fitted.score_samples(x)).all()
        labels = np.unique(fitted.labels_)
        assert_array_equal(labels, np.arange(len(labels)))


def test_warnings():
    with pytest.warns(ConvergenceWarning, match="max_iter=1") as caught:
        model = fit(tol=0, max_iter=1, init="random")
    assert not model.converged_ and caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(1\)"):
        fit(np.ones((5, 2)), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"init": np.ones((2, 5))}, r"should have shape .* = \(3, 5\), got \(2, 5\)"),
        ({"init": np.zeros((3, 5))}, "row of zeros at 0"),
        ({"precision": "bfloat16"}, "'precision' parameter"),
        ({"init": "kmeans"}, "'init' parameter"),
        ({"device": "nowhere"}, "'device' parameter"),
        ({"n_components": 601}, "n_samples=600 should be >= n_components=601"),
        ({"sample_weight": -np.ones(600)}, "Negative values"),
    ],
)
def test_bad_input_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        fit(**params)
    model = fit()
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((9, 4), np.nan))
    assert vars(model) == before


def test_mapped_and_read_only_rows(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert_array_equal(fit(mapped).means_, fit().means_)
    frozen = sp.csr_matrix(X)
    for part in (frozen.data, frozen.indices, frozen.indptr):
        part.flags.writeable = False
    fit(frozen).predict_proba(frozen)


def test_seeds(global_rng_untouched):
    with global_rng_untouched():
        a, b = fit(init="random"), fit(init="random")
        VonMisesFisherMixture(3, init="random").fit(X).sample(5)
    assert a.means_.tobytes() == b.means_.tobytes()
    assert a.lower_bound_ == b.lower_bound_


def test_verbose_shows_starts(caplog):
    with caplog.at_level("INFO", logger="skdeepcluster"):
        fit(n_init=2, verbose=1)
    shown = [r.message for r in caplog.records if "log-likelihood" in r.message]
    assert len(shown) == 2


def test_numpy_may_raise_where_numbers_vanish():
    X = np.random.default_rng(0).normal(size=(60, 5))
    expected = VonMisesFisherMixture(2, random_state=0).fit(X)
    with np.errstate(all="raise"):
        model = VonMisesFisherMixture(2, random_state=0).fit(X)
        np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
