"""Deep k-Means (Moradi Fard, Thonet and Gaussier, 2020)."""

from __future__ import annotations

import math
from numbers import Real

from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.objectives import Reconstruction, SoftKMeans
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._sklearn import Interval, StrOptions


@shared_docstring
class DeepKMeans(BaseDeepClusterer):
    r"""Deep k-Means: network and centres by one gradient.

    .. math::

        L = \frac{1}{n} \sum_i \Bigl( \lVert x_i - g(f(x_i)) \rVert^2
        + \lambda \sum_k G_{ik} \lVert f(x_i) - r_k \rVert^2 \Bigr), \qquad
        G_{ik} = \frac{e^{-\alpha \lVert f(x_i) - r_k \rVert^2}}
                      {\sum_{k'} e^{-\alpha \lVert f(x_i) - r_{k'} \rVert^2}}

    (equations 2 to 4 of [1]_). The gradient flows through the soft assignments G too,
    so that nothing has to alternate. As :math:`\alpha` grows, G becomes the hard
    assignment of k-means.

    Parameters
    ----------
    {n_clusters}
    embedding_size : int, default=None
        Number of columns of the embedding. None takes `n_clusters`, as in the paper,
        unless `architecture` or `pretrained` has a size of its own.
    {hidden_layer_sizes}
    {architecture}
    alpha : float or "annealing", default=1000.0
        Inverse temperature. A number is held fixed after pretraining. "annealing" does
        no pretraining, starts from random centres if `init` is "k-means", and increases
        alpha through 40 values, each for an equal share of `max_iter` epochs (200 in
        the paper).
    assignment : {"soft", "hard"}, default="soft"
        "hard" is the limit of infinite `alpha`: the distance to the nearest centre,
        the k-means loss of the taxonomy. There is then no ``predict_proba``, a numeric
        `alpha` is not used, and ``alpha="annealing"`` raises an error.
    clustering_weight : float, default=1.0
        :math:`\lambda`, beside a reconstruction that is summed over the features.
    {pretraining}
    {max_iter}
    {label_interval}
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
    DCN : Alternates between network and centres.

    Notes
    -----
    The authors continue with the Adam optimizer of their pretraining, at 1e-3. A new
    Adam optimizer takes its first steps at full length in every weight, so the default
    here is a tenth of that; for "annealing", which trains from scratch, use 1e-3.

    The unit of `alpha` is one over a squared distance in the embedding. With
    "annealing" the schedule is run to its end, whatever `tol` is.

    References
    ----------
    .. [1] M. Moradi Fard, T. Thonet and E. Gaussier, "Deep k-Means: Jointly clustering
       with k-Means and learning representations", Pattern Recognition Letters 138,
       2020, https://arxiv.org/abs/1806.10069

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import DeepKMeans
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> model = DeepKMeans(n_clusters=3, hidden_layer_sizes=(16,), pretrain_epochs=20,
    ...                    max_iter=5, random_state=0)
    >>> model.fit_predict(X).shape, model.transform(X).shape
    ((60,), (60, 3))
    """

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "alpha": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"annealing"}),
        ],
        "assignment": [StrOptions({"soft", "hard"})],
        "clustering_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
        alpha=1000.0,
        assignment="soft",
        clustering_weight=1.0,
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
        self.alpha = alpha
        self.assignment = assignment
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
        return self.assignment == "soft"

    def _default_embedding_size(self):
        return self.n_clusters

    def _phases(self, budget):
        reconstruction = Reconstruction(reduction="sum")
        if self.alpha == "annealing" and not self._is_soft:
            raise ValueError(
                "alpha='annealing' needs assignment='soft'. "
                f"Got assignment={self.assignment!r}."
            )
        if self.alpha == "annealing":
            epochs = budget.max_iter(self.max_iter)
            kmeans = SoftKMeans(self.n_clusters, annealing_epochs=epochs)
            options = {"stop": None}
        else:
            alpha = self.alpha if self._is_soft else math.inf
            kmeans = SoftKMeans(self.n_clusters, alpha, self.n_init)
            options = {}
            yield from self._pretraining(budget)
        yield self._clustering_phase(
            budget, {kmeans: self.clustering_weight, reconstruction: 1.0}, **options
        )
