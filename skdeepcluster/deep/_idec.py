"""Improved Deep Embedded Clustering (Guo, Gao, Liu and Yin, 2017)."""

from __future__ import annotations

from numbers import Real

from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.objectives import Hardening, Reconstruction
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._sklearn import Interval


@shared_docstring
class IDEC(BaseDeepClusterer):
    r"""Improved Deep Embedded Clustering.

    DEC that keeps its decoder: the clustering loss may bend the embedding only as far
    as X can still be reconstructed from it.

    .. math::

        L = \frac{1}{n} \sum_i \Bigl( \tfrac{1}{D} \lVert x_i - g(f(x_i)) \rVert^2
        + \gamma \sum_j p_{ij} \log \frac{p_{ij}}{q_{ij}} \Bigr)

    (equations 1, 5 and 8 of [1]_), with the soft assignments q and the target p of
    :class:`DEC`. The weight :math:`\gamma` is on the clustering loss, and the
    reconstruction is a mean over the D features, as in the authors' code; with the sum
    that the paper writes, the same :math:`\gamma` would weigh D times less.

    Parameters
    ----------
    {n_clusters}
    {embedding_size}
    {hidden_layer_sizes}
    {architecture}
    gamma : float, default=0.1
        Weight of the clustering loss; 0.1 in the paper. 0 is k-means on the
        autoencoder's embedding, trained for longer.
    alpha : float, default=1.0
        Degrees of freedom of the Student-t kernel; 1 in the paper.
    {pretraining}
    {max_iter}
    {update_interval}
    {tol}
    {batch_size}
    {limited_learning_rate}
    {init}
    {n_init}
    {engine}

    Attributes
    ----------
    {clusterer_attributes}

    See Also
    --------
    DEC : Without the reconstruction.
    DCJC : The same losses with k-means on the final embedding.

    Notes
    -----
    ``inverse_transform`` decodes with the decoder that was trained along.

    References
    ----------
    .. [1] X. Guo, L. Gao, X. Liu and J. Yin, "Improved Deep Embedded Clustering with
       Local Structure Preservation", IJCAI 2017.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import IDEC
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> idec = IDEC(n_clusters=3, hidden_layer_sizes=(16,), embedding_size=2,
    ...             pretrain_epochs=20, max_iter=5, random_state=0)
    >>> idec.fit_predict(X).shape
    (60,)
    >>> idec.inverse_transform(idec.transform(X)).shape
    (60, 4)
    """

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "gamma": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
        gamma=0.1,
        alpha=1.0,
        pretraining="end_to_end",
        pretrain_epochs="auto",
        pretrain_optimizer="sgd",
        pretrain_learning_rate=0.02,
        max_iter="auto",
        update_interval="auto",
        tol=1e-3,
        batch_size=256,
        learning_rate=0.1,
        optimizer="sgd",
        init="k-means",
        n_init=20,
        device="auto",
        precision="float32",
        memory=None,
        pretrained=None,
        warm_start=False,
        checkpoint_dir=None,
        shard=None,
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.embedding_size = embedding_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.architecture = architecture
        self.gamma = gamma
        self.alpha = alpha
        self.pretraining = pretraining
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_optimizer = pretrain_optimizer
        self.pretrain_learning_rate = pretrain_learning_rate
        self.max_iter = max_iter
        self.update_interval = update_interval
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.init = init
        self.n_init = n_init
        self.device = device
        self.precision = precision
        self.memory = memory
        self.pretrained = pretrained
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.shard = shard
        self.random_state = random_state
        self.verbose = verbose

    def _phases(self, budget):
        hardening = Hardening(self.n_clusters, self.alpha, self.n_init)
        yield from self._pretraining(budget)
        yield self._clustering_phase(
            budget, {hardening: self.gamma, Reconstruction(): 1.0}
        )
