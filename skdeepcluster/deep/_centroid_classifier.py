"""Classification by centroids in the embedding: the "Gauss" network of Hess et al."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from skdeepcluster.deep._classifier import BaseDeepClassifier
from skdeepcluster.deep._confidence import ConfidenceMixin
from skdeepcluster.engine import OptimizerSpec, Phase
from skdeepcluster.objectives import CentroidHead, SoftmaxHead
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._numbers import is_real
from skdeepcluster.utils._sklearn import Interval, StrOptions


@shared_docstring
class CentroidClassifier(ConfidenceMixin, BaseDeepClassifier):
    r"""Classifier with one centroid per class, confident only near the centroids.

    The encoder f and a softmax layer are trained first. The layer is then replaced by
    centroids, which start as class means of the embedding and learn with the encoder:

    .. math::

        \ell_k(x) = -\gamma_k \lVert f(x) - m_k \rVert^2, \qquad
        \text{confidence}_k(x) = e^{\ell_k(x)} \in (0, 1]

    A softmax layer only distinguishes in which cone of the embedding a row lies, and is
    the more confident the farther out the row is. Here every class has a location, and
    a row that is far from all centroids gets a low confidence for every class.

    Parameters
    ----------
    loss : {"ga", "ct", "bce", "softmax"}, default="ga"
        What centroids are trained with, y being the row's class:

        - "ga": :math:`-\ell_y + \ln(e^{\ell_y} + \sum_{k \ne y} e^{\delta_k \ell_k})
          - \delta_y \ell_y`, cross-entropy with a margin that the deltas learn, and a
          pull to the centroid;
        - "ct": :math:`-\ell_y + \ln \sum_k e^{\ell_k} - \ell_y`;
        - "bce": :math:`-\ell_y - \sum_{k \ne y} \ln(1 - e^{\ell_k})`.

        "softmax" keeps the softmax layer and trains it for as many epochs: the baseline
        to compare with.
    embedding_size : int, default=None
        Number of columns of the embedding. None takes the size of a module passed as
        `architecture`, that of `pretrained`, an architecture's own default, and the
        number of classes, but at least 10, for the others.
    hidden_layer_sizes : tuple of int, default=(100,)
        Widths of the layers between input and embedding. Not used where `architecture`
        is given.
    architecture : None, Architecture or torch.nn.Module, default=None
        The network, as in the clusterers; only its encoder is used. None builds that of
        an :class:`~skdeepcluster.architectures.MLPAutoencoder` of `hidden_layer_sizes`.
    gamma_init : float or "auto", default="auto"
        :math:`\gamma_k` at the start. "auto" takes the inverse of the mean squared
        distance of the rows to their centroid, but at most 1.
    gamma_bounds : tuple of two floats, default=(0.05, 1000.0)
        Bounds into which every :math:`\gamma_k` is brought back after each step.
    delta_init : float, default=0.9
        Initial :math:`\delta_k` of "ga"; they are kept between 0.001 and 0.9.
    weight_decay : float, default=5e-4
        Weight decay of the network; not applied to centroids and gammas.
    warmup_epochs : int or "auto", default="auto"
        Epochs with the softmax layer. "auto" is 10, but between 500 and 5,000 steps.
    max_iter : int or "auto", default="auto"
        Epochs with the centroids; 0 leaves them where the class means are. "auto" sets
        a budget in optimizer steps: 150 epochs, but at least 3,000 and at most 20,000
        steps.
    batch_size : int, default=128
        Rows per optimizer step; all rows where there are fewer.
    learning_rate : float, default=0.05
        Learning rate of the warm-up. Centroids are trained with a fifth of it, and in
        the last third of their epochs with a fifth of that; a softmax layer continues
        with the same rate, and with a tenth of it in the last third.
    optimizer : {"sgd", "adam"}, default="sgd"
        "sgd" has momentum 0.9. With "adam" a learning rate of 1e-3 is usual.
    device : str, default="auto"
        "auto" (cuda, then mps, then cpu) or the name of a torch device. A fitted model
        can be used where that device does not exist.
    precision : {"float32", "bfloat16", "float64"}, default="float32"
        Arithmetic of the network, whatever the dtype of X.
    pretrained : estimator, default=None
        A fitted deep estimator of this package whose encoder and scaling are copied;
        `architecture` and `hidden_layer_sizes` are not used then.
    {checkpoint_dir}
    {shard}
    random_state : int, RandomState instance or None, default=None
        Seed of weights and batches. The same int gives bit-identical results on the CPU
        with the same number of threads. The global random generators are neither used
        nor changed.
    verbose : int, default=0
        1 logs phases and 2 also epochs, to the logger ``"skdeepcluster"`` (to standard
        error if logging is not configured).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    centroids_ : ndarray of shape (n_classes, embedding_size)
        The centroids, in the embedding. Not set if ``loss="softmax"``.
    gamma_ : ndarray of shape (n_classes,)
        :math:`\gamma_k`. Not set if ``loss="softmax"``.
    n_iter_ : int
        Number of epochs, including those of the warm-up.
    history_ : dict
        Per phase a dict with ``"loss"``, a list with one value per epoch. The phases
        are ``"warm_up"``, ``"centroids"`` (or ``"softmax"``) and ``"refinement"``.
    module_ : torch.nn.Module
        The trained encoder, on the CPU; it takes X as scaled inside.
    objective_ : torch.nn.Module
        The last layer, on the CPU.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    skdeepcluster.robustness.pgd : Attacks to try it with.
    sklearn.neighbors.NearestCentroid : Class means of X itself.

    Notes
    -----
    ``predict_proba`` is the softmax of the logits, as scikit-learn asks: rows sum to 1.
    It is not the confidence, and neither is calibrated.

    Training follows the authors' code, except that the learning rate is half of theirs
    and that their initial :math:`\gamma_k` is 1. If classes overlap so much that the
    pull of "ga" and "ct" towards the centroids outweighs the rest of the loss, all
    centroids collapse into one point; with "bce" they do not.

    If all distinct rows fit into one batch, repeated rows are merged, and an integer
    weight is exactly equivalent to repeating the row.

    References
    ----------
    .. [1] S. Hess, W. Duivesteijn and D. Mocanu, "Softmax-based Classification is
       k-means Clustering: Formal Proof, Consequences for Adversarial Attacks, and
       Improvement through Centroid Based Tailoring", 2020,
       https://arxiv.org/abs/2001.01987

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import CentroidClassifier
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> model = CentroidClassifier(warmup_epochs=50, max_iter=50, random_state=0)
    >>> model.fit(X, y).score(X, y)
    1.0
    >>> model.predict_with_reject([X[0], 100 * X[0]]).tolist() == [y[0], -1]
    True
    """

    _parameter_constraints: dict = {
        **BaseDeepClassifier._parameter_constraints,
        "loss": [StrOptions({"ga", "ct", "bce", "softmax"})],
        "gamma_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "gamma_bounds": [tuple, list],
        "delta_init": [Interval(Real, 0.001, 0.9, closed="both")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "max_iter": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        *,
        loss="ga",
        embedding_size=None,
        hidden_layer_sizes=(100,),
        architecture=None,
        gamma_init="auto",
        gamma_bounds=(0.05, 1000.0),
        delta_init=0.9,
        weight_decay=5e-4,
        warmup_epochs="auto",
        max_iter="auto",
        batch_size=128,
        learning_rate=0.05,
        optimizer="sgd",
        device="auto",
        precision="float32",
        pretrained=None,
        checkpoint_dir=None,
        shard=None,
        random_state=None,
        verbose=0,
    ):
        self.loss = loss
        self.embedding_size = embedding_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.architecture = architecture
        self.gamma_init = gamma_init
        self.gamma_bounds = gamma_bounds
        self.delta_init = delta_init
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.device = device
        self.precision = precision
        self.pretrained = pretrained
        self.checkpoint_dir = checkpoint_dir
        self.shard = shard
        self.random_state = random_state
        self.verbose = verbose

    def _phases(self, budget):
        softmax = SoftmaxHead(self._codes, len(self.classes_))
        warmup_epochs = budget.warmup_epochs(self.warmup_epochs)
        epochs = budget.max_iter(self.max_iter)
        last = epochs // 3
        yield self._phase("warm_up", softmax, warmup_epochs, 1.0)
        if self.loss == "softmax":
            yield self._phase("softmax", softmax, epochs - last, 1.0)
            yield self._phase("refinement", softmax, last, 0.1)
            return
        centroids = self._centroid_head()
        yield self._phase("centroids", centroids, epochs - last, 0.2)
        yield self._phase("refinement", centroids, last, 0.04)

    def _phase(self, name, head, epochs, factor):
        rate = factor * self.learning_rate
        optimizer = OptimizerSpec(self.optimizer, rate, self.weight_decay)
        return Phase(name, {head: 1.0}, epochs, optimizer)

    def _centroid_head(self):
        return CentroidHead(
            self._codes,
            len(self.classes_),
            self.loss,
            None if self.gamma_init == "auto" else self.gamma_init,
            _checked_bounds(self.gamma_bounds),
            self.delta_init,
        )

    def _fitted_attributes(self, trainer, objective):
        attributes = super()._fitted_attributes(trainer, objective)
        if isinstance(objective, CentroidHead):
            head = attributes["objective_"]
            attributes["centroids_"] = head.centers.numpy().copy()
            attributes["gamma_"] = head.gamma.numpy().copy()
        return attributes

    def _finish(self, trainer, objective, rows):
        for name in ("centroids_", "gamma_"):
            vars(self).pop(name, None)  # of an earlier fit
        super()._finish(trainer, objective, rows)
        if self.loss != "softmax":
            self.centroids_ = self.centroids_.astype(rows.X.dtype)
            self.gamma_ = self.gamma_.astype(rows.X.dtype)


def _checked_bounds(bounds):
    """Two numbers in order, above zero."""
    numbers = all(is_real(bound) for bound in bounds)
    if len(bounds) != 2 or not numbers or not 0 < bounds[0] <= bounds[1] < np.inf:
        raise ValueError(
            "The 'gamma_bounds' parameter of CentroidClassifier must be two floats in "
            f"(0, inf), the lower one first. Got {bounds!r} instead."
        )
    return tuple(bounds)
