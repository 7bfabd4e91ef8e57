"""The only place that imports private names of scikit-learn.

Everything else imports them from here, so that a change in scikit-learn is
answered in one file.
"""

from sklearn.base import _fit_context
from sklearn.utils import ClassifierTags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import _check_sample_weight

try:  # scikit-learn >= 1.9
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # pragma: no cover - depends on the installed version

    class CallbackSupportMixin:
        """Stand-in where scikit-learn has no callbacks: nothing is ever called."""


class Interval(_Interval):
    """Numbers of an interval. A bool is none of them, though Python counts with it."""

    def is_satisfied_by(self, val):
        """Whether a value is in the interval."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)


def init_callback_context(estimator):
    """Root callback context of a fit, or None where callbacks do not exist.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        The estimator whose ``fit`` runs inside ``_fit_context``.

    Returns
    -------
    context : sklearn.callback.CallbackContext or None
    """
    if not hasattr(estimator, "_init_callback_context"):
        return None
    return estimator._init_callback_context(max_subtasks=None)


def tags_for_sparse(tags, estimator):
    """Tags of an estimator that takes sparse data.

    The checks of scikit-learn ask for those of a classifier where such an estimator has
    ``predict_proba``, be it one or not.

    Parameters
    ----------
    tags : sklearn.utils.Tags
        Changed in place.
    estimator : BaseEstimator

    Returns
    -------
    tags : sklearn.utils.Tags
    """
    tags.input_tags.sparse = True
    if tags.classifier_tags is None and hasattr(estimator, "predict_proba"):
        tags.classifier_tags = ClassifierTags(multi_class=True)
    return tags


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "_BaseComposition",
    "_check_sample_weight",
    "_fit_context",
    "init_callback_context",
    "tags_for_sparse",
]
