"""Compose a method of deep clustering from its parts."""

from __future__ import annotations

from numbers import Real

from skdeepcluster.architectures import ConcatenatedLayers
from skdeepcluster.deep._clusterer import BaseDeepClusterer
from skdeepcluster.deep._losses import NAMES, build_losses, is_soft, takes_nearest
from skdeepcluster.engine import Ramp, Reclustering, label_change
from skdeepcluster.objectives import (
    ClusteringObjective,
    Denoising,
    KMeansReadout,
    Objective,
    Reconstruction,
    SelfAugmentation,
)
from skdeepcluster.utils._docstring import shared_docstring
from skdeepcluster.utils._sklearn import Interval, StrOptions


@shared_docstring
class DeepClustering(BaseDeepClusterer):
    r"""A method of deep clustering composed from the parts of the taxonomy.

    Architecture x layers of the embedding x non-clustering loss x clustering losses x
    schedule [1]_:

    .. math::

        L = \sum_m \lambda_m L_c^{(m)} + \rho L_{\mathrm{reconstruction}}
        + \sigma L_{\mathrm{augmentation}}

    The methods of the autoencoder family are points of this space, and this class with
    their settings gives their labels, bit for bit. The defaults are those of
    :class:`IDEC`.

    Parameters
    ----------
    {n_clusters}
    {embedding_size}
    {hidden_layer_sizes}
    {architecture}
    embedding_layers : tuple of int, default=(-1,)
        Which layers of the encoder make up the embedding, side by side; -1 is the
        innermost. Any others need an architecture with ``layer_pairs``.
    clustering_loss : str, Objective, tuple of these or None, default="hardening"
        The clustering losses. At most one that assigns rows: "hardening" (DEC, IDEC),
        "soft_kmeans" (Deep k-Means), "hard_kmeans" (centres follow at every update),
        "running_kmeans" (they follow every batch, as in DCN), "scatter" (DEKM),
        "classification" (a softmax layer learns the clusters of k-means),
        "mutual_information" (it learns balanced targets of its own); and any of
        "balance" (equal shares of a batch), "locality" (neighbours in X stay
        neighbours), "group_sparsity". Without one that assigns, labels come from
        k-means on the embedding. Objectives of
        :mod:`skdeepcluster.objectives` are deep-copied.
    clustering_weight : float or tuple of float, default=0.1
        Weight of each clustering loss.
    reconstruction_weight : float, default=1.0
        Weight of the reconstruction beside them; 0 leaves the decoder as pretrained.
    reconstruction_reduction : {"mean", "sum"}, default="mean"
        Whether the reconstruction error is a mean or a sum over the features.
    denoising : float, default=0.0
        Share of the entries of X that are set to their mean before they are
        reconstructed, in pretraining and after.
    augmentation : callable, default=None
        ``augmentation(x, generator)`` maps a batch of scaled rows, a tensor of shape
        (b, n_features), to a transformed one; a loss pulls their embeddings together.
    augmentation_weight : float, default=1.0
        Weight of the augmentation loss.
    schedule : {"pretrain", "joint", "ramp", "alternating"}, default="pretrain"
        "pretrain": reconstruction alone, then all losses. "joint": all losses from the
        start, on an untrained network. "ramp": as "pretrain", the clustering weights
        growing linearly from 0 over the first half of `max_iter`. "alternating": as
        "pretrain", but k-means moves the centres at every update, instead of the
        optimizer.
    recluster : bool, default=False
        Whether to cluster the final embedding from scratch, as specified by `init`.
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
    DEC : ``clustering_weight=1, reconstruction_weight=0, learning_rate=0.01``.
    DCJC : ``clustering_weight=1, learning_rate=0.01, recluster=True``.

    Notes
    -----
    There is a ``predict_proba`` where the loss that assigns rows has soft assignments.

    ``clustering_loss=None, reconstruction_weight=0`` trains nothing after pretraining:
    it is k-means on the autoencoder's embedding, the baseline of every method here.

    References
    ----------
    .. [1] E. Aljalbout, V. Golkov, Y. Siddiqui and D. Cremers, "Clustering with Deep
       Learning: Taxonomy and New Methods", 2018, https://arxiv.org/abs/1801.07648

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import DeepClustering
    >>> X, y = make_blobs(n_samples=60, centers=3, n_features=4, random_state=0)
    >>> model = DeepClustering(
    ...     n_clusters=3, hidden_layer_sizes=(16,), embedding_size=2,
    ...     clustering_loss=("hardening", "balance"), clustering_weight=(0.1, 0.5),
    ...     schedule="ramp", pretrain_epochs=20, max_iter=5, random_state=0)
    >>> model.fit_predict(X).shape
    (60,)
    """

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "embedding_layers": [tuple],
        "clustering_loss": [StrOptions(set(NAMES)), Objective, tuple, None],
        "clustering_weight": [Interval(Real, 0, None, closed="left"), tuple],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "reconstruction_reduction": [StrOptions({"mean", "sum"})],
        "denoising": [Interval(Real, 0, 1, closed="left")],
        "augmentation": [callable, None],
        "augmentation_weight": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({"pretrain", "joint", "ramp", "alternating"})],
        "recluster": ["boolean"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        embedding_size=None,
        hidden_layer_sizes=(500, 500, 2000),
        architecture=None,
        embedding_layers=(-1,),
        clustering_loss="hardening",
        clustering_weight=0.1,
        reconstruction_weight=1.0,
        reconstruction_reduction="mean",
        denoising=0.0,
        augmentation=None,
        augmentation_weight=1.0,
        schedule="pretrain",
        recluster=False,
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
        self.embedding_layers = embedding_layers
        self.clustering_loss = clustering_loss
        self.clustering_weight = clustering_weight
        self.reconstruction_weight = reconstruction_weight
        self.reconstruction_reduction = reconstruction_reduction
        self.denoising = denoising
        self.augmentation = augmentation
        self.augmentation_weight = augmentation_weight
        self.schedule = schedule
        self.recluster = recluster
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
        return is_soft(self.clustering_loss)

    @property
    def _takes_nearest(self):
        return takes_nearest(self.clustering_loss)

    def _make_network(self, rows, streams):
        scaling, network = super()._make_network(rows, streams)
        if tuple(self.embedding_layers) != (-1,):
            layers = self.embedding_layers
            network = ConcatenatedLayers(network, rows.X.shape[1], layers)
        return scaling, network

    def _representation(self):
        layers = tuple(self.embedding_layers)
        if layers == (-1,):
            return {}
        return {"embedding_layers": layers, "innermost": self.embedding_size}

    def _phases(self, budget):
        clustering = build_losses(
            self.clustering_loss, self.clustering_weight, self.n_clusters, self.n_init
        )
        non_clustering = self._non_clustering()
        options = {}
        if not non_clustering and {type(o) for o in clustering} == {KMeansReadout}:
            options["epochs"] = 0  # k-means on the pretrained embedding
        if self.schedule == "ramp":
            epochs = budget.max_iter(self.max_iter) // 2
            clustering = {o: Ramp(w, epochs) for o, w in clustering.items()}
            options["stop"] = label_change(self.tol, min_epochs=epochs)
        if any(getattr(o, "annealing_epochs", 0) for o in clustering):
            options["stop"] = None  # the schedule of alpha is run to its end
        if self.schedule == "alternating":
            _alternate(clustering)
        if self.schedule != "joint":
            yield from self._pretraining(budget)
        objectives = {**clustering, **non_clustering}
        phase = self._clustering_phase(budget, objectives, **options)
        yield phase
        if self.recluster:
            yield Reclustering(phase.clustering)

    def _non_clustering(self):
        losses = {}
        if self.reconstruction_weight > 0:
            losses[self._reconstruction()] = self.reconstruction_weight
        if self.augmentation is not None:
            augmentation = SelfAugmentation(self.augmentation)
            losses[augmentation] = self.augmentation_weight
        return losses

    def _reconstruction(self):
        if self.denoising > 0:
            return Denoising(self.denoising, reduction=self.reconstruction_reduction)
        return Reconstruction(self.reconstruction_reduction)

    def _pretraining_options(self):
        return {"loss": Denoising(self.denoising)} if self.denoising else {}


def _alternate(objectives):
    for objective in objectives:
        if isinstance(objective, ClusteringObjective):
            objective.alternate()
