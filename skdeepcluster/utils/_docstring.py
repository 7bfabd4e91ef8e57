"""Parameter texts that several estimators share, written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from textwrap import indent
from typing import TypeVar

_CHECKPOINT_DIR = """
checkpoint_dir : str or os.PathLike, default=None
    Directory in which the state of the fit is kept, about every 30 seconds and after
    every phase; it is made where it is missing. A fit that was killed or interrupted,
    begun again with the same arguments and data, goes on from there and ends with the
    same bits on the CPU. One directory is for one fit at a time: a state that another
    fit has left is an error that names what differs. A fit that ends removes it.
"""

_SHARD = """
shard : {"auto", "local"}, default=None
    Fits together with the other processes of ``torch.distributed``, which the user has
    started (``torchrun``): with "auto" all pass the same rows and each takes its part,
    with "local" each passes rows of its own. All end with the same model; `labels_` are
    those of the rows that were passed. None never communicates.
"""
_SHALLOW_PRECISION = """
device : str, default="auto"
    "auto" (cuda, then mps, then cpu) or the name of a torch device. A fitted model
    can be used where that device does not exist.
precision : {"float32", "bfloat16", "float64"}, default="float32"
    Arithmetic of the matrix products, whatever the dtype of X. Labels are exact with
    any but "bfloat16": what rounding could mislead is decided in float64.
"""
_SHALLOW_SEED = """
random_state : int, RandomState instance or None, default=None
    Seed of the starts. The same int gives the same bits on the CPU. Global generators
    are neither read nor moved.
verbose : int, default=0
    1 logs every start, to the logger ``"skdeepcluster"`` (the standard error stream,
    where logging is not set up).
"""

_LIMIT = """ Beside a reconstruction that of "sgd" is
    limited to what is stable on these data: to the default rate of pretraining, divided
    by the weight of the reconstruction, and by the number of features where it is a
    sum."""


def _learning_rate(rate: str, optimizer: str, limit: str = "") -> str:
    return f"""
learning_rate : float, default={rate}
    Learning rate of the clustering phase.{limit}
optimizer : {{"sgd", "adam"}}, default="{optimizer}"
    Optimizer of the clustering phase; "sgd" has momentum 0.9. With "adam" learning
    rates of 1e-4 to 1e-3 are usual.
"""


_PARAMETERS = {
    "n_clusters": """
n_clusters : int, default=8
    Number of clusters, which is also the number of centres.
""",
    "embedding_size": """
embedding_size : int, default=None
    Number of columns of the embedding. None takes the size of a module passed as
    `architecture`, that of `pretrained`, an architecture's own default, and 10, as in
    the papers, for the others.
""",
    "bounded_embedding_size": """
embedding_size : int, default=None
    Number of columns of the embedding. None takes `n_clusters`, as in the paper, unless
    `architecture` or `pretrained` has a size of its own.
""",
    "hidden_layer_sizes": """
hidden_layer_sizes : tuple of int, default=(500, 500, 2000)
    Widths of the layers between input and embedding; the decoder mirrors them. Not
    used where `architecture` is given.
""",
    "architecture": """
architecture : None, Architecture or torch.nn.Module, default=None
    The network. None builds an
    :class:`~skdeepcluster.architectures.MLPAutoencoder` of `hidden_layer_sizes`; an
    architecture object builds its own, and a grid reaches its parameters as
    ``architecture__...``; a module with ``encode`` and ``decode`` is deep-copied with
    its weights and never trained in place.
""",
    "discriminative": """
reconstruction_weight : float, default=1.0
    Weight of the reconstruction in the clustering phase.
layer_weight : float, default=0.1
    Weight, in the reconstruction, of each hidden layer of the encoder: the decoder is
    to pass through what they give without dropout. Networks without ``layer_pairs``
    have none.
warmup_epochs : int or "auto", default="auto"
    The first of `max_iter` epochs, in which the first labels are learnt. "auto" takes
    10, but at least 500 and at most 5,000 steps, and at most half of `max_iter`.
""",
    "epoch_interval": """
update_interval : int or "auto", default="auto"
    Optimizer steps between two updates of the assignments of all rows. "auto" takes one
    epoch, as in the paper.
""",
    "pretraining": """
pretraining : {"end_to_end", "layerwise"}, default="end_to_end"
    How the autoencoder is learnt before clustering: all layers at once, or pair by
    pair as a stacked denoising autoencoder (half as many epochs for each pair, then
    all layers together).
pretrain_epochs : int or "auto", default="auto"
    Passes over the data in pretraining. "auto" sets a budget in optimizer steps: 100
    epochs, but at least 1,000 and at most 20,000 steps. 0 leaves the network as it is.
pretrain_optimizer : {"sgd", "adam"}, default="sgd"
    Optimizer of pretraining; "sgd" has momentum 0.9.
pretrain_learning_rate : float, default=0.02
    Learning rate of pretraining; with "adam" 1e-3 is usual. That of "sgd" is relative
    to the data: it is divided by the share of the first principal component in the
    variance of X, which sets the curvature of the loss, so that one value suits data of
    any scale and shape. For convolutions that share counts as at least 0.08 (0.2 with
    unpooling).
""",
    "max_iter": """
max_iter : int or "auto", default="auto"
    Epochs of the clustering phase, at most. "auto" sets a budget in optimizer steps:
    150 epochs, but at least 3,000 and at most 20,000 steps; `tol` mostly ends sooner.
""",
    "update_interval": """
update_interval : int or "auto", default="auto"
    Optimizer steps between two updates of the target from all data. "auto" takes 140,
    or one epoch where that is shorter.
""",
    "tol": """
tol : float, default=1e-3
    The clustering phase ends when a smaller share of the labels changes over 140 steps
    (over one update interval, where that is longer). Not looked at in the first epoch.
""",
    "discriminative_tol": """
tol : float, default=1e-3
    The clustering phase ends when a smaller share of the labels changes over 140 steps
    (over one update interval, where that is longer). Not looked at before the epoch
    after the warm-up is over.
""",
    "batch_size": """
batch_size : int, default=256
    Rows per optimizer step; all rows where there are fewer.
""",
    "learning_rate": _learning_rate("0.01", "sgd"),
    "dcjc_learning_rate": _learning_rate("0.01", "sgd", _LIMIT),
    "limited_learning_rate": _learning_rate("0.1", "sgd", _LIMIT),
    "dcn_learning_rate": _learning_rate("1e-4", "adam", _LIMIT),
    "dekm_learning_rate": _learning_rate("1e-3", "adam"),
    "discriminative_learning_rate": _learning_rate("1e-3", "adam", _LIMIT),
    "assignment_interval": """
update_interval : int or "auto", default="auto"
    Optimizer steps between two assignments of all rows. "auto" takes 140, or one epoch
    where that is shorter.
""",
    "label_interval": """
update_interval : int or "auto", default="auto"
    Optimizer steps between two looks at the labels of all rows, for `tol`. "auto" takes
    140, or one epoch where that is shorter.
""",
    "init": """
init : {"k-means", "graph"} or clusterer, default="k-means"
    What gives the first clusters, from the pretrained embedding. "graph" agglomerates
    rows along the graph of their 20 nearest neighbours (Zhang, Zhao and Wang,
    2013): clusters of any shape
    and size. A clusterer is any estimator with ``fit_predict``, such as
    :class:`~sklearn.cluster.SpectralClustering`; it is cloned, and its `n_clusters` and
    an open `random_state` are set. Only k-means heeds sample weights.
""",
    "n_init": """
n_init : int, default=20
    Restarts of the k-means that gives the first centres; the best one is taken.
""",
    "checkpoint_dir": _CHECKPOINT_DIR,
    "shard": _SHARD,
    "engine": """
device : str, default="auto"
    "auto" (cuda, then mps, then cpu) or the name of a torch device. A fitted model
    can be used where that device does not exist.
precision : {"float32", "bfloat16", "float64"}, default="float32"
    Arithmetic of the network, whatever the dtype of X. "bfloat16" is autocast:
    weights, losses and centres stay in float32. On cuda torch's own flags decide
    whether float32 convolutions round to TF32; by default they do.
memory : str or joblib.Memory, default=None
    Caches pretraining, as in :class:`~sklearn.pipeline.Pipeline`: a grid over
    parameters of the clustering phase, `n_clusters` among them, then pretrains once.
    Without effect where `random_state` is None or there is a `shard`.
pretrained : estimator, default=None
    A fitted deep estimator of this package whose network and scaling are copied;
    nothing is pretrained then, and `architecture`, `hidden_layer_sizes` and
    `pretraining` are not used. All layers of the copy learn. Where an estimator is
    cloned, as in a search, pass :class:`~sklearn.frozen.FrozenEstimator` of it:
    cloning unfits what is not frozen.
warm_start : bool, default=False
    Whether another call of `fit` goes on from the one before: with its network and
    scaling, with as many epochs of pretraining as `pretrain_epochs` is more than the
    network has had, and with its clusters, for up to `max_iter` further epochs. The
    rows may be others, of the same features. "auto" adds no pretraining to a network
    that has had some, and with `pretrained` none is ever added. Optimizers and
    annealing begin again; `architecture`, `hidden_layer_sizes` and `memory` are not
    used.
"""
    + _CHECKPOINT_DIR.lstrip()
    + _SHARD.lstrip()
    + """random_state : int, RandomState instance or None, default=None
    Seed of weights, batches and k-means. The same int gives the same bits on the CPU
    with the same number of threads. Global generators are neither read nor moved.
verbose : int, default=0
    1 logs phases and 2 also epochs, to the logger ``"skdeepcluster"`` (the standard
    error stream, where logging is not set up).
""",
    "zero_rows": """
zero_rows : {"ignore", "error"}, default="ignore"
    What is done with rows of zeros, which have no direction. "ignore" leaves them out
    of the fit, with a warning that gives their number; "error" refuses them.
""",
    "shallow_engine": _SHALLOW_PRECISION + _SHALLOW_SEED.lstrip(),
    "sharded_engine": _SHALLOW_PRECISION + _SHARD.lstrip() + _SHALLOW_SEED.lstrip(),
    "vmf_engine": """
device : str, default="auto"
    "auto" (cuda, then mps, then cpu) or the name of a torch device. A fitted model
    can be used where that device does not exist. Sparse rows are multiplied on the CPU.
precision : {"float32", "float64"}, default="float64"
    Arithmetic of the products of dense rows with the mean directions, whatever the
    dtype of X; all else is float64. "float32" is faster on a GPU, but its rounding of a
    cosine is multiplied by the concentration: use it where these stay below 10,000.
random_state : int, RandomState instance or None, default=None
    Seed of the starts and of `sample`. The same int gives the same bits on the CPU with
    the same number of threads. Global generators are neither read nor moved.
verbose : int, default=0
    1 logs every start and 2 also iterations, to the logger ``"skdeepcluster"`` (the
    standard error stream, where logging is not set up).
""",
}

_ATTRIBUTES = {
    "clusterer_attributes": """
labels_ : ndarray of shape (n_samples,)
    Cluster of each training row; equals ``predict(X)``.
cluster_centers_ : ndarray of shape (n_clusters, embedding_size)
    Centres, in the embedding. Clusters without a training row come last.
initial_labels_ : ndarray of shape (n_samples,)
    Labels by the first centres, the means of the clusters that `init` finds in the
    pretrained embedding: what the clustering phase started from, in its own numbering.
    -1 in rows of weight 0.
n_iter_ : int
    Epochs of the clustering phase that were run, the last one perhaps in part.
history_ : dict
    Per phase a dict of plain lists: ``"loss"`` per epoch and, for the clustering
    phase, ``"update_step"`` and ``"label_change"`` per update;
    ``"reclustering"``, where there is one, has ``"label_change"`` alone, and layer-wise
    pretraining also ``"layer_loss"``, a list per pair of layers.
module_ : torch.nn.Module
    The trained network, on the CPU; it takes X as scaled inside.
objective_ : torch.nn.Module
    The clustering loss with its centres, on the CPU.
n_features_in_ : int
    Number of features of X.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features, where X has names that are all strings.
""",
}

_Documented = TypeVar("_Documented", bound=Callable)


def shared_docstring(documented: _Documented) -> _Documented:
    """Fill ``{name}`` lines of a docstring with the texts kept here.

    Parameters
    ----------
    documented : class
        Its docstring has lines such as ``    {n_clusters}``.

    Returns
    -------
    documented : class
        The same object.
    """
    lines = inspect.getdoc(documented).splitlines()
    texts = {**_PARAMETERS, **_ATTRIBUTES}
    filled = []
    for line in lines:
        name = line.strip()
        key = name[1:-1] if name.startswith("{") and name.endswith("}") else None
        filled.append(texts[key].strip() if key in texts else line)
    documented.__doc__ = indent("\n".join(filled), "    ").lstrip()
    return documented
