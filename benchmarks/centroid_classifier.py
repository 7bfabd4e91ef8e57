"""CentroidClassifier beside its softmax twin: accuracy, confidence, attacks.

    python -m benchmarks.centroid_classifier --output benchmarks/results/centroid.json

Both have the same convolutional encoder, batches, seeds and number of epochs. Measured
on rows that no fit has seen: accuracy; mean confidence in the chosen class on test
rows, on uniform noise and on images of another data set; and attacks on the first test
rows, counted as successful where a correct class changes to one of confidence above
0.1. Pixels are from 0 to 1, and so are the epsilons.

Nothing is tuned: the settings are the estimator's defaults, but for what ``--params``
says. Finished fits go to ``--output`` as lines of JSON, and are not run again when the
file has them. ``--table-only`` prints the tables of a file.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from benchmarks._data import load
from benchmarks._rows import Rows
from skdeepcluster import CentroidClassifier
from skdeepcluster.architectures import ConvAutoencoder
from skdeepcluster.robustness import attack_report, fgsm, pgd

LOSSES = ("softmax", "ga", "ct", "bce")
NETWORKS = {
    "digits": ConvAutoencoder((8, 8), channels=(16, 32), kernel_sizes=(3, 3)),
    "mnist": ConvAutoencoder((28, 28)),
}
N_TRAIN_MNIST = 60_000
N_NOISE = 1000


def split(name, n_train):
    """Training and test rows: the published split, or a fixed one."""
    X, y = load(name)
    if name == "mnist":
        rows, test = np.arange(N_TRAIN_MNIST), np.arange(N_TRAIN_MNIST, len(X))
    else:
        rows, test = train_test_split(
            np.arange(len(X)), test_size=1 / 3, random_state=0, stratify=y
        )
    if n_train is not None and n_train < len(rows):
        rows, _ = train_test_split(
            rows, train_size=n_train, random_state=0, stratify=y[rows]
        )
    return X[rows], y[rows], X[test], y[test]


def foreign_images(side):
    """Images of USPS, made as large as those of the training data."""
    X, _ = load("usps")
    images = torch.from_numpy(X).unflatten(1, (1, 16, 16))
    mode = "area" if side < 16 else "bilinear"
    resized = torch.nn.functional.interpolate(images, (side, side), mode=mode)
    return resized.flatten(1).clamp(0, 1).numpy()


def fit_one(args, dataset, loss, seed):
    """Fit one model; returns it and how long it took."""
    model = CentroidClassifier(
        loss=loss, architecture=NETWORKS[dataset], random_state=seed, device=args.device
    )
    model.set_params(**dict(args.params))
    X, y, *_ = split(dataset, args.n_train)
    start = time.perf_counter()
    model.fit(X, y)
    return model, time.perf_counter() - start


def mean_confidence(model, X):
    return float(model.confidence(X).max(axis=1).mean())


def attacks(args, model, X, y, seed):
    """Successes, and their mean confidence, by attack and epsilon."""
    X, y = X[: args.n_attacked], y[: args.n_attacked]
    found = {}
    for epsilon in args.epsilons:
        results = {
            "FGSM": fgsm(model, X, y, epsilon, clip=(0, 1)),
            "PGD": pgd(model, X, y, epsilon, clip=(0, 1), random_state=seed),
            "PGD for confidence": pgd(
                model,
                X,
                y,
                epsilon,
                clip=(0, 1),
                goal="confidence",
                random_state=seed,
            ),
        }
        for name, moved in results.items():
            report = attack_report(model, X, y, moved)
            found[f"{name}, {epsilon:g}"] = vars(report)
    return found


def measure(args, dataset, loss, seed):
    """One finished fit as a dictionary."""
    model, seconds = fit_one(args, dataset, loss, seed)
    _, _, X, y = split(dataset, args.n_train)
    side = round(X.shape[1] ** 0.5)
    noise = np.random.RandomState(0).uniform(size=(N_NOISE, X.shape[1]))
    return {
        "accuracy": model.score(X, y),
        "confidence on test rows": mean_confidence(model, X),
        "on uniform noise": mean_confidence(model, noise.astype(X.dtype)),
        "on USPS": mean_confidence(model, foreign_images(side)),
        "seconds": round(seconds, 1),
        "n_iter": model.n_iter_,
        "attacks": attacks(args, model, X, y, seed),
    }


def settings_of(args, dataset, loss, seed):
    return {
        "dataset": dataset,
        "loss": loss,
        "seed": seed,
        "n_train": args.n_train,
        "params": dict(args.params),
    }


def run(args, rows):
    for dataset in args.datasets:
        for seed in range(args.seeds):
            for loss in args.losses:
                settings = settings_of(args, dataset, loss, seed)
                if rows.find(**settings):
                    continue
                row = {**settings, **measure(args, dataset, loss, seed)}
                rows.add(row)
                print({k: v for k, v in row.items() if k != "attacks"}, flush=True)


MEASURES = ("accuracy", "confidence on test rows", "on uniform noise", "on USPS")


def spread(values, digits=3):
    values = np.asarray(values, dtype=float)
    return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"


def print_tables(rows):
    """Mean and spread over seeds, one table per data set, in Markdown."""
    kinds = {(r["dataset"], r["n_train"], str(r["params"])) for r in rows.find()}
    for dataset, n_train, params in sorted(kinds, key=str):
        chosen = [
            row
            for row in rows.find(dataset=dataset, n_train=n_train)
            if str(row["params"]) == params
        ]
        print(f"\n## {dataset}, n_train={n_train or 'all'}, {params}\n")
        by_loss = {
            loss: [row for row in chosen if row["loss"] == loss]
            for loss in LOSSES
            if any(row["loss"] == loss for row in chosen)
        }
        print_summary(by_loss)
        print_attacks(by_loss)


def print_summary(by_loss):
    print("| loss | seeds |", " | ".join(MEASURES), "| epochs | seconds |")
    print("|---" * (len(MEASURES) + 4) + "|")
    for loss, found in by_loss.items():
        cells = [spread([row[name] for row in found]) for name in MEASURES]
        seconds = np.median([row["seconds"] for row in found])
        cells += [str(found[0]["n_iter"]), f"{seconds:.0f}"]
        print(f"| {loss} | {len(found)} |", " | ".join(cells), "|")


def print_attacks(by_loss):
    first = next(iter(by_loss.values()))[0]
    n = next(iter(first["attacks"].values()))["n_samples"]
    print(f"\nOf {n} rows: successes (their mean confidence), then all changed\n")
    print("| attack, epsilon |", " | ".join(by_loss), "|")
    print("|---" * (len(by_loss) + 1) + "|")
    for name in first["attacks"]:
        cells = []
        for found in by_loss.values():
            reports = [row["attacks"][name] for row in found]
            successes = spread([r["n_successes"] for r in reports], 0)
            sure = [r["mean_confidence"] for r in reports]
            sure = f"{np.nanmean(sure):.2f}" if np.isfinite(sure).any() else "-"
            changed = spread([r["n_changed"] for r in reports], 0)
            cells.append(f"{successes} ({sure}); {changed}")
        print(f"| {name} |", " | ".join(cells), "|")


def parameter(text):
    """``name=value`` as a pair; numbers become numbers."""
    name, _, value = text.partition("=")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            pass
    return name, value


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--datasets", nargs="+", default=[*NETWORKS], choices=[*NETWORKS])
    add("--losses", nargs="+", default=LOSSES, choices=LOSSES)
    add("--seeds", type=int, default=3, help="from 0")
    add("--epsilons", nargs="+", type=float, default=[0.05, 0.1, 0.2, 0.3])
    add("--n-attacked", type=int, default=1000, help="the first test rows")
    add("--n-train", type=int, help="of the training rows; default: all")
    add("--params", nargs="+", type=parameter, default=[], metavar="NAME=VALUE")
    add("--device", default="auto")
    add("--output", type=Path, help="file for the finished fits")
    add("--table-only", action="store_true")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    rows = Rows(args.output)
    if not args.table_only:
        run(args, rows)
    print_tables(rows)


if __name__ == "__main__":
    main()
