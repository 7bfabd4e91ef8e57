"""The method of Aljalbout, Golkov, Siddiqui and Cremers (2018)."""

from __future__ import annotations

from numbers import Real

from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.engine import Reclustering
from skdeepcluster.objectives import Hardening, HardKMeans, Reconstruction
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._sklearn import Interval, StrOptions


@shared_docstring
class DCJC(BaseDeepClusterer):
    r"""Joint reconstruction and clustering, then k-means on the final embedding.

    The case study of the taxonomy [1]_: pretrain an autoencoder, let reconstruction and
    cluster assignment hardening shape its embedding together, and cluster the result
    from scratch, by k-means or what `init` names.

    .. math::

        L = \lambda L_c + \frac{1}{n D} \sum_i \lVert x_i - g(f(x_i)) \rVert^2

    with :math:`L_c` the divergence of :class:`DEC`, or the k-means loss
    :math:`\frac{1}{n} \sum_i \lVert f(x_i) - \mu_{c_i} \rVert^2`.

    Parameters
    ----------
    {n_clusters}
    {embedding_size}
    {hidden_layer_sizes}
    {architecture}
    clustering_loss : {"hardening", "hard_kmeans"}, default="hardening"
        "hard_kmeans" is the variant that the authors compare with.
    clustering_weight : float, default=1.0
        :math:`\lambda`. The authors take 1 for "hardening" and 0.1 for "hard_kmeans".
    {pretraining}
    {max_iter}
    {update_interval}
    {tol}
    {batch_size}
    {dcjc_learning_rate}
    {init}
    {n_init}
    {engine}

    Attributes
    ----------
    {clusterer_attributes}

    See Also
    --------
    IDEC : The same losses; labels are those of the trained centres.
    skdeepcluster.architectures.UnpoolingAutoencoder : The authors' network.

    Notes
    -----
    Deviations from the authors' code: losses are means over the rows (theirs sums the
    divergence over a batch, so that its weight depends on the size of the batch); in
    the k-means variant distances are squared and the centres follow the embedding
    (theirs stay where they started).

    References
    ----------
    .. [1] E. Aljalbout, V. Golkov, Y. Siddiqui and D. Cremers, "Clustering with Deep
       Learning: Taxonomy and New Methods", 2018, https://arxiv.org/abs/1801.07648

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import DCJC
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> dcjc = DCJC(n_clusters=3, hidden_layer_sizes=(16,), embedding_size=2,
    ...             pretrain_epochs=20, max_iter=5, random_state=0)
    >>> dcjc.fit_predict(X).shape
    (60,)
    """

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "clustering_loss": [StrOptions({"hardening", "hard_kmeans"})],
        "clustering_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
        clustering_loss="hardening",
        clustering_weight=1.0,
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
        self.clustering_loss = clustering_loss
        self.clustering_weight = clustering_weight
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

    @property
    def _is_soft(self):
        return self.clustering_loss == "hardening"

    def _phases(self, budget):
        loss = Hardening if self._is_soft else HardKMeans
        clustering = loss(self.n_clusters, n_init=self.n_init)
        yield from self._pretraining(budget)
        yield self._clustering_phase(
            budget, {clustering: self.clustering_weight, Reconstruction(): 1.0}
        )
        yield Reclustering(clustering)
