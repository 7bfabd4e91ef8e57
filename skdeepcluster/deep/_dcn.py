"""Deep Clustering Network (Yang, Fu, Sidiropoulos and Hong, 2017)."""

from __future__ import annotations

from numbers import Integral, Real

from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.objectives import Reconstruction, RunningKMeans
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._sklearn import Interval


@shared_docstring
class DCN(BaseDeepClusterer):
    r"""Deep Clustering Network: a k-means-friendly embedding.

    Reconstruction and k-means are minimised in turn, over the network and over hard
    assignments s and centres M:

    .. math::

        L = \frac{1}{n} \sum_i \Bigl( \lVert x_i - g(f(x_i)) \rVert^2
        + \frac{\lambda}{2} \lVert f(x_i) - M s_i \rVert^2 \Bigr)

    (equation 5 of [1]_). Each step trains the network on a batch with the assignments
    fixed; then the batch is embedded and assigned again, and every centre moves to the
    mean of all rows that it has counted so far (equation 8).

    Parameters
    ----------
    {n_clusters}
    {embedding_size}
    {hidden_layer_sizes}
    {architecture}
    clustering_weight : float, default=0.1
        :math:`\lambda`, beside a reconstruction that is summed over the features.
    count_init : int, default=100
        Rows that every centre has counted at the start: the more, the slower it moves.
    {pretraining}
    {max_iter}
    {assignment_interval}
    {tol}
    {batch_size}
    {dcn_learning_rate}
    {init}
    {n_init}
    {engine}

    Attributes
    ----------
    {clusterer_attributes}

    See Also
    --------
    DeepKMeans : K-means and network by one gradient.

    Notes
    -----
    Assignments are hard: there is no ``predict_proba``. At every update all rows are
    reassigned, and the centre of an empty cluster moves to the row that is farthest
    from its nearest centre; the paper does not say what happens to empty clusters.

    References
    ----------
    .. [1] B. Yang, X. Fu, N. D. Sidiropoulos and M. Hong, "Towards K-means-friendly
       Spaces: Simultaneous Deep Learning and Clustering", ICML 2017,
       https://arxiv.org/abs/1610.04794

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import DCN
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> dcn = DCN(n_clusters=3, hidden_layer_sizes=(16,), embedding_size=2,
    ...           pretrain_epochs=20, max_iter=5, random_state=0)
    >>> dcn.fit_predict(X).shape
    (60,)
    """

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "clustering_weight": [Interval(Real, 0, None, closed="left")],
        "count_init": [Interval(Integral, 0, None, closed="left")],
    }

    _is_soft = False

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
        clustering_weight=0.1,
        count_init=100,
        pretraining="end_to_end",
        pretrain_epochs="auto",
        pretrain_optimizer="sgd",
        pretrain_learning_rate=0.02,
        max_iter="auto",
        update_interval="auto",
        tol=1e-3,
        batch_size=256,
        learning_rate=1e-4,
        optimizer="adam",
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
        self.clustering_weight = clustering_weight
        self.count_init = count_init
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
        kmeans = RunningKMeans(self.n_clusters, self.n_init, self.count_init)
        yield from self._pretraining(budget)
        yield self._clustering_phase(
            budget,
            {kmeans: self.clustering_weight / 2, Reconstruction(reduction="sum"): 1.0},
        )
