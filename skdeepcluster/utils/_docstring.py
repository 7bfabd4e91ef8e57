"""Parameter texts that several estimators share, written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from textwrap import indent
from typing import TypeVar

_CHECKPOINT_DIR = """
checkpoint_dir : str or os.PathLike, default=None
    Directory to which the state of the fit is saved, about every 30 seconds and after
    every phase; it is created if it does not exist. If a fit is killed or interrupted,
    calling ``fit`` again with the same arguments and data resumes from the saved state
    and, on the CPU, gives bit-identical results. Use a directory for one fit at a time:
    if another fit has left its state there, an error says what differs. The state is
    removed when the fit ends. Nothing in the file is executed, and a damaged one is an
    error.
"""

_SHARD = """
shard : {"auto", "local"}, default=None
    How to fit together with the other processes of ``torch.distributed``, which the
    user has started (``torchrun``). With "auto" all processes pass the same rows and
    each trains on its part; with "local" each process passes its own rows. All
    processes end with the same model, and `labels_` holds the labels of the rows that
    this process passed. With None there is no communication.
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
    Seed of the starts. The same int gives bit-identical results on the CPU. The global
    random generators are neither used nor changed.
verbose : int, default=0
    1 logs every start to the logger ``"skdeepcluster"`` (to standard error if logging
    is not configured).
"""

_LIMIT = """ With "sgd" and a
    reconstruction loss it is capped at what is stable on these data: the default rate
    of pretraining, divided by the weight of the reconstruction, and by the number of
    features if the error is summed over them."""


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
    Weight of each hidden layer in the reconstruction loss: the decoder's hidden layers
    should reproduce the outputs of the encoder's, computed without dropout. Not used
    for networks without ``layer_pairs``.
warmup_epochs : int or "auto", default="auto"
    Number of epochs, the first of `max_iter`, in which the initial labels are learnt.
    "auto" takes 10, but at least 500 and at most 5,000 steps, and at most half of
    `max_iter`.
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
    Learning rate of pretraining; 1e-3 is usual with "adam". With "sgd" it is relative
    to the data: it is divided by the share of the variance of X that the first
    principal component explains, which determines the curvature of the loss, so that
    one value suits data of any scale and shape. That share is taken to be at least
    0.01 (0.08 for convolutional networks, 0.2 with unpooling).
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
    The clustering phase ends when the share of the labels that change over 140 steps
    (or over one update interval, if that is longer) is smaller than `tol`. It is not
    checked in the first epoch.
""",
    "discriminative_tol": """
tol : float, default=1e-3
    The clustering phase ends when the share of the labels that change over 140 steps
    (or over one update interval, if that is longer) is smaller than `tol`. It is not
    checked during the warm-up and the first epoch after it.
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
    How the initial clusters are found in the pretrained embedding. "graph" agglomerates
    rows along the graph of their 20 nearest neighbours (Zhang, Zhao and Wang, 2013),
    which finds clusters of any shape and size. A clusterer is any estimator with
    ``fit_predict``, such as :class:`~sklearn.cluster.SpectralClustering`; it is cloned,
    its `n_clusters` is set, and so is its `random_state` if that is None. Only k-means
    uses sample weights.
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
memory : str, os.PathLike or joblib.Memory, default=None
    Directory that caches pretraining, as in :class:`~sklearn.pipeline.Pipeline`: a grid
    over parameters of the clustering phase, `n_clusters` among them, then pretrains
    once. Its entries are read without executing anything, and computed anew where they
    are damaged. A :class:`joblib.Memory` object keeps joblib's own format, whose
    entries are unpickled, which executes code: pass one only for a directory that you
    trust. Without effect where `random_state` is None or there is a `shard`.
pretrained : estimator, default=None
    A fitted deep estimator of this package, whose network and scaling are copied
    instead of pretraining; `architecture`, `hidden_layer_sizes` and `pretraining` are
    then not used. All layers of the copy are trained. In a grid search, or wherever
    else estimators are cloned, wrap it in a :class:`~sklearn.frozen.FrozenEstimator`:
    a clone of an estimator that is not frozen is unfitted.
warm_start : bool, default=False
    Whether a further call of `fit` continues from the previous one: with its network
    and scaling, with the epochs of pretraining by which `pretrain_epochs` exceeds those
    already done, and with its clusters, for up to `max_iter` more epochs. The rows may
    differ, but must have the same features. "auto" adds no pretraining to a network
    that has had some, and with `pretrained` none is ever added. Optimizers and
    annealing start afresh; `architecture`, `hidden_layer_sizes` and `memory` are not
    used.
"""
    + _CHECKPOINT_DIR.lstrip()
    + _SHARD.lstrip()
    + """random_state : int, RandomState instance or None, default=None
    Seed of weights, batches and k-means. The same int gives bit-identical results on
    the CPU with the same number of threads. The global random generators are neither
    used nor changed.
verbose : int, default=0
    1 logs phases and 2 also epochs, to the logger ``"skdeepcluster"`` (to standard
    error if logging is not configured).
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
    Precision of the products of dense rows with the mean directions, whatever the dtype
    of X; everything else is float64. "float32" is faster on a GPU, but the rounding
    error of a cosine is multiplied by the concentration: use it only if the
    concentrations stay below 10,000.
random_state : int, RandomState instance or None, default=None
    Seed of the starts and of `sample`. The same int gives bit-identical results on the
    CPU with the same number of threads. The global random generators are neither used
    nor changed.
verbose : int, default=0
    1 logs every start and 2 also iterations, to the logger ``"skdeepcluster"`` (to
    standard error if logging is not configured).
""",
}

_ATTRIBUTES = {
    "clusterer_attributes": """
labels_ : ndarray of shape (n_samples,)
    Cluster of each training row; equals ``predict(X)``.
cluster_centers_ : ndarray of shape (n_clusters, embedding_size)
    Centres, in the embedding. Clusters without a training row come last.
initial_labels_ : ndarray of shape (n_samples,)
    Labels with which the clustering phase started: those of the initial centres, the
    means of the clusters that `init` finds in the pretrained embedding. They are
    numbered independently of `labels_`; -1 for rows of weight 0.
n_iter_ : int
    Number of epochs of the clustering phase; the last one may be incomplete.
history_ : dict
    Per phase a dict of plain lists: ``"loss"`` per epoch and, for the clustering
    phase, ``"update_step"`` and ``"label_change"`` per update;
    ``"reclustering"``, where there is one, has ``"label_change"`` alone, and layer-wise
    pretraining also ``"layer_loss"``, a list per pair of layers.
module_ : torch.nn.Module
    The trained network, on the CPU; its input is X after the internal scaling.
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
