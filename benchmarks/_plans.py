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
    "coil20-128": (128, 128),
}
AUTOENCODERS = ("DEC", "IDEC", "DCN", "DeepKMeans", "DEKM", "DCJC")
# Label -> estimator and the network that its paper has for images.
CONVOLUTIONAL = {
    "DEC (conv)": ("DEC", ConvAutoencoder),
    "IDEC (conv)": ("IDEC", ConvAutoencoder),
    "DEKM (conv)": ("DEKM", ConvAutoencoder),
    "DCJC (unpooling)": ("DCJC", UnpoolingAutoencoder),
}
# Label -> estimator and other parameters than the defaults.
VARIANTS = {
    "DeepKMeans (annealing)": (
        "DeepKMeans",
        {"alpha": "annealing", "max_iter": 200, "learning_rate": 1e-3},
    ),
    "DCJC (k-means)": (
        "DCJC",
        {"clustering_loss": "hard_kmeans", "clustering_weight": 0.1},
    ),
}
LABELS = (*AUTOENCODERS, *CONVOLUTIONAL, *VARIANTS)


@dataclass(frozen=True)
class Recipe:
    """An estimator with what a method prescribes on a data set."""

    estimator: str
    params: dict = field(default_factory=dict)
    network: str = ""


def recipe(label, dataset):
    """Recipe of a method's label; None where it has none for these data."""
    if label in VARIANTS:
        return Recipe(*VARIANTS[label])
    if label not in CONVOLUTIONAL:
        return Recipe(label)
    if dataset not in IMAGES:
        return None
    estimator, network = CONVOLUTIONAL[label]
    architecture = network(image_shape=IMAGES[dataset])
    kind = label[label.index("(") :]
    return Recipe(estimator, {"architecture": architecture}, kind)


# Data set -> seeds of the methods with an MLP, and of those with convolutions.
PLANS = {
    "full": {
        "usps": (5, 5),
        "coil20": (5, 5),
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
