"""Deep Embedded K-Means (Guo, Lin and Ye, 2021)."""

from __future__ import annotations

from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.objectives import ScatterReduction
from skdeepcluster.utils._docstring import shared_docstring


@shared_docstring
class DEKM(BaseDeepClusterer):
    r"""Deep Embedded K-Means: less scatter within clusters, one direction at a time.

    After pretraining the decoder is set aside. K-means on the embedding gives centres
    u and labels c. The direction v of the largest scatter within the clusters, that of
    the largest eigenvalue, says least about them, and the encoder learns to reduce it:

    .. math::

        S_w = \sum_k \sum_{i: c_i = k} (h_i - u_k)(h_i - u_k)^\top
            = V \Lambda V^\top, \qquad
        L = \frac{1}{n d} \sum_i \lVert V^\top f(x_i) - y_i' \rVert^2

    where :math:`y_i'` is :math:`V^\top h_i` with the last coordinate replaced by that
    of the row's centre (section III of [1]_). Holding the other coordinates where they
    were replaces the decoder. Everything is recomputed every `update_interval` steps,
    and the clusters keep their numbers.

    Parameters
    ----------
    {n_clusters}
    {embedding_size}
    {hidden_layer_sizes}
    {architecture}
    {pretraining}
    {max_iter}
    update_interval : int, default=40
        Optimizer steps between two runs of k-means and of the eigendecomposition; 40
        for images and 10 for texts in the authors' code.
    tol : float, default=5e-3
        The clustering phase ends when the share of the labels that change over 140
        steps (or over one update interval, if that is longer) is smaller than `tol`. It
        is not checked in the first epoch. The paper has 1e-3, its code 5e-3.
    {batch_size}
    {dekm_learning_rate}
    {init}
    n_init : int, default=20
        Restarts of the first k-means (100 in the authors' code). Later runs keep the
        best of one start from the current centres and a tenth as many new starts.
    {engine}

    Attributes
    ----------
    {clusterer_attributes}

    See Also
    --------
    skdeepcluster.architectures.ConvAutoencoder : The paper's network for images.

    Notes
    -----
    Assignments are hard: there is no ``predict_proba``. ``inverse_transform`` decodes
    with the pretrained decoder. At the end k-means is run once more on the final
    embedding.

    The rotation V need not be carried out: the loss equals that of
    :math:`h_i' = h_i - v v^\top (h_i - u_{c_i})` in the old basis.

    References
    ----------
    .. [1] W. Guo, K. Lin and W. Ye, "Deep Embedded K-Means Clustering", ICDM Workshops
       2021, https://arxiv.org/abs/2109.15149

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import DEKM
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> dekm = DEKM(n_clusters=3, hidden_layer_sizes=(16,), embedding_size=2,
    ...             pretrain_epochs=20, max_iter=5, random_state=0)
    >>> dekm.fit_predict(X).shape
    (60,)
    """

    _is_soft = False

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
        pretraining="end_to_end",
        pretrain_epochs="auto",
        pretrain_optimizer="sgd",
        pretrain_learning_rate=0.02,
        max_iter="auto",
        update_interval=40,
        tol=5e-3,
        batch_size=256,
        learning_rate=1e-3,
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
        scatter = ScatterReduction(self.n_clusters, self.n_init)
        yield from self._pretraining(budget)
        yield self._clustering_phase(budget, {scatter: 1.0})
