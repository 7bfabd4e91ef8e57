"""Deep Embedded Clustering (Xie, Girshick and Farhadi, 2016)."""

from __future__ import annotations

from numbers import Real

from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.objectives import Hardening
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._sklearn import Interval


@shared_docstring
class DEC(BaseDeepClusterer):
    r"""Deep Embedded Clustering.

    An autoencoder is learnt first; then its encoder and the cluster centres move
    together, so that soft assignments :math:`q` of the embedding come closer to a
    sharper version :math:`p` of themselves:

    .. math::

        q_{ij} \propto \left(1 + \lVert z_i - \mu_j \rVert^2 / \alpha
        \right)^{-(\alpha+1)/2}, \qquad
        p_{ij} \propto q_{ij}^2 \Big/ \sum_i q_{ij}, \qquad
        L = \frac{1}{n} \sum_{i,j} p_{ij} \log \frac{p_{ij}}{q_{ij}}

    (equations 1 to 3 of [1]_). The target :math:`p` is computed from all data and held
    constant for `update_interval` steps.

    Parameters
    ----------
    {n_clusters}
    {embedding_size}
    {hidden_layer_sizes}
    {architecture}
    alpha : float, default=1.0
        Degrees of freedom of the Student-t kernel; 1 in the paper.
    {pretraining}
    {max_iter}
    {update_interval}
    {tol}
    {batch_size}
    {learning_rate}
    {init}
    {n_init}
    {engine}

    Attributes
    ----------
    {clusterer_attributes}

    See Also
    --------
    sklearn.cluster.KMeans : The baseline to compare with, always.

    Notes
    -----
    ``transform`` gives the embedding. The clustering phase leaves the decoder as it
    was, so ``inverse_transform`` decodes with the pretrained decoder.

    Clusters that no row prefers at the end are reported in a
    :class:`~sklearn.exceptions.ConvergenceWarning`.

    References
    ----------
    .. [1] J. Xie, R. Girshick and A. Farhadi, "Unsupervised Deep Embedding for
       Clustering Analysis", ICML 2016, https://arxiv.org/abs/1511.06335

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import DEC
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> dec = DEC(n_clusters=3, hidden_layer_sizes=(16,), embedding_size=2,
    ...           pretrain_epochs=20, max_iter=5, random_state=0)
    >>> dec.fit_predict(X).shape
    (60,)
    >>> dec.transform(X).shape, dec.predict_proba(X).shape
    ((60, 2), (60, 3))
    """

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
        alpha=1.0,
        pretraining="end_to_end",
        pretrain_epochs="auto",
        pretrain_optimizer="sgd",
        pretrain_learning_rate=0.02,
        max_iter="auto",
        update_interval="auto",
        tol=1e-3,
        batch_size=256,
        learning_rate=0.01,
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
        yield self._clustering_phase(budget, {hardening: 1.0})
