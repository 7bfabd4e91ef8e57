"""The network of a fitted estimator, for another one to go on from."""

from __future__ import annotations

import copy

from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdeepcluster.architectures import ConcatenatedLayers
from skdeepcluster.deep._inference import EmbeddingMixin
from skdeepcluster.engine import embedding_size_of


def unfrozen(source):
    """The estimator within a `FrozenEstimator`, or `source` itself."""
    return source.estimator if isinstance(source, FrozenEstimator) else source


def copy_pretrained(source, n_features, names, embedding_size, decodes):
    """Scaling and network of a fitted estimator; the network is a copy that learns.

    Parameters
    ----------
    source : estimator
        The 'pretrained' parameter.
    n_features : int
        Of X.
    names : ndarray of str or None
        Of the features of X, where they have any.
    embedding_size : int or None
        What was asked for; None takes what there is.
    decodes : bool
        Whether the network must have a decoder.

    Returns
    -------
    scaling : Scaling
    network : nn.Module
    """
    source = unfrozen(source)
    if not isinstance(source, EmbeddingMixin):
        raise TypeError(
            "The 'pretrained' parameter must be a fitted deep estimator of this "
            f"package, or a FrozenEstimator of one. Got {type(source).__name__}."
        )
    check_is_fitted(
        source,
        msg="The 'pretrained' %(name)s is not fitted. Where an estimator is "
        "cloned, as in a search, pass FrozenEstimator(fitted).",
    )
    if source.n_features_in_ != n_features:
        raise ValueError(
            f"X has {n_features} features, but 'pretrained' was fitted with "
            f"{source.n_features_in_} features."
        )
    known = getattr(source, "feature_names_in_", None)
    if names is not None and known is not None and list(names) != list(known):
        raise ValueError(
            "The feature names should match those that 'pretrained' was fitted with, "
            f"in the same order. Got {list(names)}, fitted with {list(known)}."
        )
    network = trainable_copy(source.module_, n_features, embedding_size, "'pretrained'")
    if decodes and not hasattr(network, "decode"):
        raise TypeError(
            "The 'pretrained' parameter must be an estimator whose network has a "
            f"decoder. Got {type(source).__name__}."
        )
    return source._scaling, network


def trainable_copy(network, n_features, embedding_size, owner, learning=None):
    """Copy of a trained network that learns.

    Parameters
    ----------
    network : nn.Module
    n_features : int
        Of X.
    embedding_size : int or None
        What was asked for; None takes what there is.
    owner : str
        Where the network comes from, for the error where that is another size.
    learning : frozenset of str, optional
        Names of the parameters that learn; all of them by default.
    """
    network = copy.deepcopy(network)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(learning is None or name in learning)
    if isinstance(network, ConcatenatedLayers):  # a representation, not a network
        network = network.network
    size = embedding_size_of(network, n_features)
    if embedding_size not in (None, size):
        raise ValueError(
            f"embedding_size={embedding_size} conflicts with {owner}, "
            f"whose embedding has {size} columns: pass {size} or None."
        )
    return network
