"""Soft regularised k-means (Jabi et al., 2021)."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from skdeepcluster.deep._discriminative import BaseDiscriminativeClusterer
from skdeepcluster.deep._inference import check_answers
from skdeepcluster.objectives import SoftRegularizedKMeans
from skdeepcluster.utils._docstring import shared_docstring


@shared_docstring
class SRKMeans(BaseDiscriminativeClusterer):
    r"""Soft regularised k-means: discriminative clustering, written as k-means.

    .. math::

        \mathrm{SR} = \frac{1}{\lambda K} \, \frac{1}{n} \sum_i \Bigl(
        \sum_k q_{ik} \lVert z_i - c_k \rVert^2 - \lVert z_i \rVert^2 \Bigr)
        + \frac1n \sum_i \sum_k q_{ik} \ln q_{ik}

    [1]_, beside a reconstruction. Once per epoch centres and assignments are set for
    all rows by their closed forms,

    .. math::

        c_k = \frac{\sum_i q_{ik} z_i}{\sum_i q_{ik}}, \qquad
        q_i = \mathrm{softmax}_k
        \Bigl( -\frac{\lVert z_i - c_k \rVert^2}{\lambda K} \Bigr),

    and the network learns with both fixed. The posteriors of the softmax layer that
    belongs to it, with :math:`\theta_k = c_k / \lambda K` and
    :math:`b_k = \frac12 \ln \bar q_k - \lVert c_k \rVert^2 / 2 \lambda K`, are what
    ``predict_proba`` gives.

    Parameters
    ----------
    {n_clusters}
    {bounded_embedding_size}
    {hidden_layer_sizes}
    {architecture}
    reg : float, default=1e-4
        :math:`\lambda`. The assignments have the temperature :math:`\lambda K`, in
        units of a squared distance of the embedding, whose columns are between -1 and
        1: the default is nearly hard.
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
    MIADM : The discriminative side of the same.

    Notes
    -----
    The authors leave out the last term of :math:`b_k`, which is right where all centres
    have the same norm; with it the posteriors are
    :math:`p_{ik} \propto (q_{ik} \bar q_k)^{1/2}` whatever the norms are.

    With ``architecture=IdentityArchitecture()`` it is k-means with soft assignments on
    X, centred and divided by its root mean square; the two closed forms alternate until
    they converge. Above a temperature of twice the largest eigenvalue of the covariance
    (:func:`skdeepcluster.theory.critical_temperature`) centres near the mean merge.

    References
    ----------
    .. [1] M. Jabi, M. Pedersoli, A. Mitiche and I. Ben Ayed, "Deep Clustering: On the
       Link Between Discriminative Models and K-Means", IEEE TPAMI 43(6), 2021,
       https://arxiv.org/abs/1810.04246

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import SRKMeans
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> model = SRKMeans(n_clusters=3, hidden_layer_sizes=(16,), pretrain_epochs=20,
    ...                  warmup_epochs=5, max_iter=10, random_state=0)
    >>> model.fit_predict(X).shape, model.soft_assign(X).shape
    ((60,), (60, 3))
    """

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
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
        return SoftRegularizedKMeans(self.n_clusters, self.reg, **options)

    def soft_assign(self, X):
        """Soft assignments q of rows: the softmax of their distances to the centres.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to assign.

        Returns
        -------
        Q : ndarray of shape (n_samples, n_clusters)
            Rows sum to 1; in X's dtype. Their argmax is the nearest centre.
        """
        check_is_fitted(self)
        X = self._validate_new_data(X)
        return check_answers(self._infer(self.objective_.memberships, X))
