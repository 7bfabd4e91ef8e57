"""What scikit-learn's checks ask of every estimator.

The table ``ESTIMATORS`` is in ``helpers/estimators.py``: a new estimator is one line
there. The tests of what our estimators promise beyond these checks, on the same
table, are in ``test_promises_*.py``.
"""

import pytest
from estimators import (
    ESTIMATORS,
    FOUR_CLASSES,
    NETWORKS,
    WIDE,
    each_estimator,
    each_kind,
    each_transformer,
    each_unsupervised,
    expected_failed_checks,
    known,
    name_of,
    with_clusters,
)
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

# Checks that scikit-learn runs on its own estimators only.
EXTRA_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_param_validation",
]
EXTRA_TRANSFORMER_CHECKS = [
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
]
WIDE_ESTIMATORS = [clone(e).set_params(**known(e, WIDE)) for e in NETWORKS]

# All are provoked by checks on purpose.
ignore_convergence = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)
ignore_zero_rows = pytest.mark.filterwarnings(
    "ignore:X has [0-9]+ rows? of zeros only:UserWarning"
)
ignore_missing_names = pytest.mark.filterwarnings(
    "ignore:X does not have valid feature names:UserWarning",
    "ignore:X has feature names, but:UserWarning",
)


@ignore_convergence
@ignore_zero_rows
@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=expected_failed_checks, xfail_strict=True
)
def test_sklearn_checks(estimator, check):
    check(estimator)


@ignore_convergence
@ignore_zero_rows
@each_kind
def test_sparse_checks_with_four_columns(estimator):
    """What is expected to fail at other numbers of clusters is not the sparse data."""
    four = with_clusters(estimator, 4)
    assert not expected_failed_checks(four)
    for name in FOUR_CLASSES if expected_failed_checks(estimator) else ():
        getattr(estimator_checks, name)(name_of(estimator), clone(four))


@pytest.mark.slow
@ignore_convergence
@ignore_missing_names
@ignore_zero_rows
@pytest.mark.parametrize("k", [2, 5, 8])
@each_unsupervised
def test_sklearn_checks_as_a_user_calls_them(estimator, k):
    """With 8 clusters, the default, as with others."""
    model = with_clusters(estimator, k)
    expected = expected_failed_checks(model)
    results = estimator_checks.check_estimator(
        model, on_skip=None, expected_failed_checks=expected
    )
    failed = {r["check_name"] for r in results if r["status"] == "xfail"}
    assert failed == set(expected)


@ignore_convergence
@ignore_missing_names
@ignore_zero_rows
@pytest.mark.parametrize("name", EXTRA_CHECKS)
@each_estimator
def test_extra_sklearn_checks(estimator, name):
    getattr(estimator_checks, name)(name_of(estimator), clone(estimator))


@ignore_convergence
@ignore_missing_names
@ignore_zero_rows
@pytest.mark.parametrize("name", EXTRA_TRANSFORMER_CHECKS)
@each_transformer
def test_extra_sklearn_checks_of_transformers(estimator, name):
    getattr(estimator_checks, name)(name_of(estimator), clone(estimator))


@pytest.mark.slow
@ignore_convergence
@parametrize_with_checks(
    WIDE_ESTIMATORS, expected_failed_checks=expected_failed_checks, xfail_strict=True
)
def test_sklearn_checks_at_default_width(estimator, check):
    check(estimator)


@pytest.mark.slow
@ignore_convergence
@ignore_missing_names
@pytest.mark.parametrize("name", EXTRA_CHECKS + EXTRA_TRANSFORMER_CHECKS)
@pytest.mark.parametrize("estimator", WIDE_ESTIMATORS, ids=name_of)
def test_extra_sklearn_checks_at_default_width(estimator, name):
    getattr(estimator_checks, name)(name_of(estimator), clone(estimator))
