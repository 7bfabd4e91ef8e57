"""Data and a small DEC that its tests share."""

from sklearn.datasets import make_blobs

from skdeepcluster import DEC

X, Y = make_blobs(120, n_features=5, centers=3, cluster_std=0.2, random_state=2)


def make_dec(**params):
    settings = {
        "n_clusters": 3,
        "hidden_layer_sizes": (8,),
        "embedding_size": 2,
        "pretrain_epochs": 20,
        "max_iter": 5,
        "batch_size": 40,
        "n_init": 3,
        "random_state": 0,
    }
    return DEC(**{**settings, **params})
