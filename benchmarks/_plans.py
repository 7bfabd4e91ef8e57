"""What is run on what: the methods as their papers have them, and whole plans."""

from dataclasses import dataclass, field

from skdeepcluster.architectures import ConvAutoencoder, UnpoolingAutoencoder

IMAGES = {
    "digits": (8, 8),
    "optdigits": (8, 8),
    "usps": (16, 16),
    "mnist": (28, 28),
    "mnist10k": (28, 28),
    "mnist-test": (28, 28),
    "coil20": (32, 32),
    "coil20-28": (28, 28),
    "coil20-128": (128, 128),
}
AUTOENCODERS = ("DEC", "IDEC", "DCN", "DeepKMeans", "DEKM", "DCJC")


def noisy_autoencoder(image_shape):
    """Network of DEPICT, MIADM and SRKMeans, but for the padding of odd sides."""
    return ConvAutoencoder(
        image_shape,
        channels=(50, 50),
        kernel_sizes=(4, 5),
        activation="leaky_relu",
        initialisation="glorot",
        dropout=(0.1, 0.1),
    )


# Label -> estimator and the network that its paper has for images.
CONVOLUTIONAL = {
    "DEC (conv)": ("DEC", ConvAutoencoder),
    "IDEC (conv)": ("IDEC", ConvAutoencoder),
    "DEKM (conv)": ("DEKM", ConvAutoencoder),
    "DCJC (unpooling)": ("DCJC", UnpoolingAutoencoder),
}
# What the papers of these prescribe for training, where it is not our default. (The 200
# epochs of DEKM's pretraining stay "auto" where that would be over 20,000 steps.)
_ADAM = {"pretrain_optimizer": "adam", "pretrain_learning_rate": 1e-3}
PRESCRIBED = {
    "DEKM (conv)": {
        "": {**_ADAM, "pretrain_epochs": 200},
        "mnist": _ADAM,
    },
    "DCJC (unpooling)": {
        "": {"batch_size": 100},
        "coil20": {"batch_size": 10},
        "coil20-28": {"batch_size": 10},
        "coil20-128": {"batch_size": 10},
    },
}
# Label -> estimator and other parameters; on images with the noisy autoencoder.
DISCRIMINATIVE = {
    "MIADM": ("MIADM", {}),
    "MIADM (kl)": ("MIADM", {"objective": "kl"}),
    "MIADM (k-means start)": ("MIADM", {}),
    "SRKMeans": ("SRKMeans", {}),
    "SRKMeans (k-means start)": ("SRKMeans", {}),
}
# Where their authors start from an agglomerative clustering of the graph of 20 nearest
# neighbours.
GRAPH_STARTS = ("usps", "mnist-test")
# Label -> estimator and other parameters than the defaults.
VARIANTS = {
    **{f"{name} (graph start)": (name, {"init": "graph"}) for name in AUTOENCODERS},
    "MIADM (MLP)": ("MIADM", {}),
    "SRKMeans (MLP)": ("SRKMeans", {}),
    "DeepKMeans (annealing)": (
        "DeepKMeans",
        {"alpha": "annealing", "max_iter": 200, "learning_rate": 1e-3},
    ),
    "DCJC (k-means)": (
        "DCJC",
        {"clustering_loss": "hard_kmeans", "clustering_weight": 0.1},
    ),
}
LABELS = (
    *AUTOENCODERS,
    *CONVOLUTIONAL,
    *DISCRIMINATIVE,
    *VARIANTS,
)


@dataclass(frozen=True)
class Recipe:
    """An estimator with what a method prescribes on a data set."""

    estimator: str
    params: dict = field(default_factory=dict)
    network: str = ""
    start: str = "k-means"


def recipe(label, dataset):
    """Recipe of a method's label; None where it has none for these data."""
    if label in VARIANTS:
        estimator, params = VARIANTS[label]
        return Recipe(estimator, params, start=params.get("init", "k-means"))
    if label in DISCRIMINATIVE:
        return _discriminative(label, dataset)
    if label not in CONVOLUTIONAL:
        return Recipe(label)
    if dataset not in IMAGES:
        return None
    estimator, network = CONVOLUTIONAL[label]
    architecture = network(image_shape=IMAGES[dataset])
    prescribed = PRESCRIBED.get(label, {"": {}})
    training = prescribed.get(dataset, prescribed[""])
    kind = label[label.index("(") :]
    return Recipe(estimator, {"architecture": architecture, **training}, kind)


def _discriminative(label, dataset):
    estimator, params = DISCRIMINATIVE[label]
    from_kmeans = label.endswith("(k-means start)")
    if dataset not in IMAGES:
        return None if from_kmeans else Recipe(estimator, params)
    architecture = noisy_autoencoder(IMAGES[dataset])
    params = {**params, "architecture": architecture, **_ADAM}
    if from_kmeans or dataset not in GRAPH_STARTS:
        return Recipe(estimator, params, "(noisy)")
    return Recipe(estimator, {**params, "init": "graph"}, "(noisy)", "graph")


# Data set -> seeds of the methods with an MLP, and of those with convolutions.
PLANS = {
    "full": {
        "usps": (5, 5),
        "coil20": (5, 5),
        "coil20-28": (0, 5),
        "mnist": (3, 1),
        "pendigits": (3, 0),
        "optdigits": (3, 0),
        "reuters_r8": (3, 0),
        "20news": (3, 0),
        "stackoverflow": (3, 0),
    },
    "small": {"usps": (5, 0), "coil20": (5, 0), "pendigits": (3, 0)},
}


def planned(plan, methods):
    """Triples of data set, method and seed, in the order of a plan."""
    for dataset, (n_seeds, n_convolutional) in PLANS[plan].items():
        for seed in range(max(n_seeds, n_convolutional)):
            for label in methods:
                limit = n_convolutional if label in CONVOLUTIONAL else n_seeds
                if seed < limit and recipe(label, dataset) is not None:
                    yield dataset, label, seed
