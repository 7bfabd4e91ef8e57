"""Mutual information by alternating directions (Jabi et al., 2021)."""

from __future__ import annotations

from numbers import Real

from skdeepcluster.deep._discriminative import BaseDiscriminativeClusterer
from skdeepcluster.objectives import MutualInformation
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._sklearn import Interval, StrOptions


@shared_docstring
class MIADM(BaseDiscriminativeClusterer):
    r"""Mutual information clustering by an alternating direction method.

    Softmax posteriors :math:`p_i = \mathrm{softmax}(\Theta z_i + b)` on the embedding
    should carry as much information as possible about the rows:

    .. math::

        \max \; \mathcal H(\bar p) - \frac{1}{n} \sum_i \mathcal H(p_i)
        - \lambda \sum_k \lVert \theta_k \rVert^2

    [1]_. Auxiliary assignments q stand in for p, and the two are updated in turn. Once
    per epoch the assignments are set for all rows,

    .. math::

        q_{ik} \propto \frac{p_{ik}^2}{\bigl( \sum_{i'} p_{i'k}^2 \bigr)^{1/2}},

    and network and layer learn them by cross-entropy, beside a reconstruction.

    Parameters
    ----------
    {n_clusters}
    {bounded_embedding_size}
    {hidden_layer_sizes}
    {architecture}
    objective : {"mi", "kl"}, default="mi"
        "mi" is the mutual information. "kl" is the divergence of DEPICT [2]_, whose
        rule has :math:`p_{ik}` in the place of its square.
    reg : float, default=1e-4
        :math:`\lambda`, weight of the squared norms of the layer's weights.
    {discriminative}
    {pretraining}
    {max_iter}
    {epoch_interval}
    {discriminative_tol}
    {batch_size}
    {discriminative_learning_rate}
    {init}
    {n_init}
    {engine}

    Attributes
    ----------
    {clusterer_attributes}
    coef_ : ndarray of shape (n_clusters, embedding_size)
        Weights :math:`\theta_k` of the softmax layer.
    intercept_ : ndarray of shape (n_clusters,)
        Its biases :math:`b_k`.

    See Also
    --------
    SRKMeans : The same objective, written as k-means.

    Notes
    -----
    With ``architecture=IdentityArchitecture()`` it is a softmax layer on X itself.
    :mod:`skdeepcluster.theory` has the equations that tie it to k-means. The embedding
    is bounded by tanh, as in the paper.

    References
    ----------
    .. [1] M. Jabi, M. Pedersoli, A. Mitiche and I. Ben Ayed, "Deep Clustering: On the
       Link Between Discriminative Models and K-Means", IEEE TPAMI 43(6), 2021,
       https://arxiv.org/abs/1810.04246

    .. [2] K. Ghasedi Dizaji, A. Herandi, C. Deng, W. Cai and H. Huang, "Deep Clustering
       via Joint Convolutional Autoencoder Embedding and Relative Entropy Minimization",
       ICCV 2017, https://arxiv.org/abs/1704.06327

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import MIADM
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> model = MIADM(n_clusters=3, hidden_layer_sizes=(16,), pretrain_epochs=20,
    ...               warmup_epochs=5, max_iter=10, random_state=0)
    >>> model.fit_predict(X).shape, model.coef_.shape
    ((60,), (3, 3))
    """

    _parameter_constraints: dict = {
        **BaseDiscriminativeClusterer._parameter_constraints,
        "objective": [StrOptions({"mi", "kl"})],
        "reg": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
        objective="mi",
        reg=1e-4,
        reconstruction_weight=1.0,
        layer_weight=0.1,
        warmup_epochs="auto",
        pretraining="end_to_end",
        pretrain_epochs="auto",
        pretrain_optimizer="sgd",
        pretrain_learning_rate=0.02,
        max_iter="auto",
        update_interval="auto",
        tol=1e-3,
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
        self.objective = objective
        self.reg = reg
        self.reconstruction_weight = reconstruction_weight
        self.layer_weight = layer_weight
        self.warmup_epochs = warmup_epochs
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

    def _objective(self, **options):
        return MutualInformation(
            self.n_clusters, self.reg, objective=self.objective, **options
        )
