"""Scorers to which a search may pass weights, where metadata are routed."""

from dataclasses import dataclass

from sklearn.utils.metadata_routing import MetadataRequest


def takes_weights(scorer):
    """Give a scorer, a function, the methods that metadata routing asks for.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y=None, sample_weight=None)``.

    Returns
    -------
    scorer : callable
        The same.
    """

    def set_score_request(*, sample_weight):
        """Scorer that asks for `sample_weight`, or not; this one stays as it is."""
        return RoutedScorer(scorer, sample_weight)

    scorer.set_score_request = set_score_request
    scorer.get_metadata_routing = RoutedScorer(scorer).get_metadata_routing
    return scorer


@dataclass(frozen=True)
class RoutedScorer:
    """A scorer that says whether it wants weights.

    Parameters
    ----------
    scorer : callable
    request : bool, None or str, default=None
        As scikit-learn's ``set_score_request(sample_weight=...)`` takes it.
    """

    scorer: object
    request: object = None

    def __call__(self, estimator, X, y=None, sample_weight=None):
        return self.scorer(estimator, X, y, sample_weight=sample_weight)

    def set_score_request(self, *, sample_weight):
        """Scorer with another request."""
        return RoutedScorer(self.scorer, sample_weight)

    def get_metadata_routing(self):
        """What is asked for, as scikit-learn's routers read it."""
        routing = MetadataRequest(owner=getattr(self.scorer, "__name__", "scorer"))
        routing.score.add_request(param="sample_weight", alias=self.request)
        return routing
