"""Fits on a file larger than the memory they may have.

    python -m benchmarks.out_of_core --folder PATH --output results.json

The file holds the images of MNIST (70,000, from ``SKDEEPCLUSTER_DATA``) many times,
each time moved by up to two pixels and with noise, as float16 and **sorted by class**.

**Limit.** DEC and spherical k-means are fitted on the mapped file, once, with the first
seed, in a process that lowers its limit on private memory (``RLIMIT_DATA``) after the
imports to what it then has plus `--allowance`. A fit that would copy the file, or
convert it, breaks.

**Quality.** The same models, fitted in memory to a random part of the file with the
same number of optimizer steps; both label 10,000 images as they are in MNIST.

**Forms.** The same rows, sorted, once mapped and once as an array in memory, fitted
with the same seeds and steps: what the order of the rows on disk does to the quality.

**Speed.** Fits on the random part, sorted again: mapped, and as an array in memory, in
turn.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score

from benchmarks._data import load, thread_environment
from benchmarks._memory import Peak, limit_private_memory, status
from benchmarks._scores import spread
from skdeepcluster import DEC, SphericalKMeans
from skdeepcluster.metrics import clustering_accuracy

SIDE, N_FEATURES, N_CLASSES = 28, 784, 10
BATCH = 256


def write_images(path, gigabytes, seed=0):
    """Moved and noisy images, one class after the other; number of rows."""
    X, y = load("mnist")
    copies = max(1, int(gigabytes * 1e9) // (2 * X.size))
    rng = np.random.default_rng(seed)
    with open(path, "wb") as file:
        for digit in range(N_CLASSES):
            images = X[y == digit].reshape(-1, SIDE, SIDE)
            for _ in range(copies):
                moved = np.roll(images, rng.integers(-2, 3, size=2), axis=(1, 2))
                noise = rng.standard_normal(moved.shape, dtype=np.float32)
                rows = (moved + 0.05 * noise).clip(0, 1)
                file.write(rows.astype(np.float16).tobytes())
    return copies * len(X)


def mapped(path):
    """Rows of a file of `write_images`."""
    n_rows = Path(path).stat().st_size // (2 * N_FEATURES)
    return np.memmap(path, dtype=np.float16, mode="r", shape=(n_rows, N_FEATURES))


def models(settings, n_rows, seed):
    """Estimators whose optimizer steps do not depend on the number of rows."""
    steps, per_epoch = settings["steps"], -(-n_rows // BATCH)
    epochs = max(1, round(steps / per_epoch))
    made = {
        "DEC": DEC(
            N_CLASSES,
            pretrain_epochs=epochs,
            max_iter=epochs,
            update_interval=steps // 5 + 1000,
            tol=0.0,
            n_init=3,
            device="cpu",
            random_state=seed,
        ),
        "SphericalKMeans": SphericalKMeans(
            N_CLASSES, max_iter=10, device="cpu", random_state=seed
        ),
    }
    return {name: made[name] for name in settings["models"]}


def fit(name, model, X, images, classes):
    """Seconds, peak of private memory, and quality on images as they are."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"{name}: fit on {len(X)} rows ...", file=sys.stderr, flush=True)
    with Peak() as peak:
        model.fit(X)
    labels = model.predict(images)
    return {
        "model": name,
        "n_rows": len(X),
        "n_iter": int(model.n_iter_),
        "seconds": peak.seconds,
        "peak": peak.peak,
        "acc": clustering_accuracy(classes, labels),
        "nmi": normalized_mutual_info_score(classes, labels),
    }


def measure_limit(settings):
    """Fits on the whole file within the limit."""
    X, known, seed = mapped(settings["path"]), load("mnist10k"), settings["first_seed"]
    before = status("RssAnon")
    limit = limit_private_memory(settings["allowance"])
    return [
        {**fit(name, model, X, *known), "seed": seed, "before": before, "limit": limit}
        for name, model in models(settings, len(X), seed).items()
    ]


def seeds(settings):
    """Those of the fits that are taken more than once."""
    return range(settings["first_seed"], settings["first_seed"] + settings["seeds"])


def part_of(settings, seed):
    """Random rows of the file, in their order there, float32 in memory."""
    X = mapped(settings["path"])
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(X), min(settings["part_rows"], len(X)), replace=False)
    return X[np.sort(rows)].astype(np.float32)


def measure_quality(settings):
    """Fits in memory, one for each seed."""
    fits, known = [], load("mnist10k")
    for seed in seeds(settings):
        X = part_of(settings, seed)
        for name, model in models(settings, len(X), seed).items():
            fits.append({**fit(name, model, X, *known), "seed": seed})
    return fits


def measure_forms(settings):
    """Fits of the same sorted rows on disk and in memory, one pair for each seed."""
    fits, known = [], load("mnist10k")
    for seed in seeds(settings):
        with both_forms(settings, seed) as forms:
            for form, X in forms.items():
                for name, model in models(settings, len(X), seed).items():
                    found = fit(name, model, X, *known)
                    fits.append({**found, "seed": seed, "form": form})
    return fits


@contextmanager
def both_forms(settings, seed):
    """Random rows of the file, in their order there: mapped, and in memory."""
    in_memory = part_of(settings, seed)
    with tempfile.TemporaryDirectory(dir=settings["folder"]) as folder:
        path = str(Path(folder) / "part")
        in_memory.astype(np.float16).tofile(path)
        yield {"disk": mapped(path), "memory": in_memory}


def measure_speed(settings):
    """Seconds of fits on disk and in memory, in turn, on the same rows."""
    fits = []
    with both_forms(settings, 0) as forms:
        for repeat in range(settings["repeats"]):
            for form in list(forms)[:: 1 if repeat % 2 else -1]:
                X = forms[form]
                short = models({**settings, "steps": 1}, len(X), 0)  # one epoch each
                for name, model in short.items():
                    fits.append({"model": name, "form": form, **timed(model, X)})
    return fits


def timed(model, X):
    """Seconds of one fit."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    start = time.perf_counter()
    model.fit(X)
    return {"seconds": time.perf_counter() - start, "n_rows": len(X)}


PARTS = {
    "limit": measure_limit,
    "quality": measure_quality,
    "forms": measure_forms,
    "speed": measure_speed,
}


def in_process(part, settings, threads):
    """What a part measures, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.out_of_core", "--run", part]
    done = subprocess.run(
        [*command, "--settings", json.dumps(settings), "--folder", settings["folder"]],
        env=thread_environment(threads),
        stdout=subprocess.PIPE,
    )
    if done.returncode:
        raise SystemExit(f"The part {part!r} failed, see above.")
    return json.loads(done.stdout.splitlines()[-1])


def report(answers):
    """Tables of the parts, of those that were run."""
    for fit in answers.get("limit", []):
        print(
            f"\n{fit['model']}, {fit['n_rows']} rows mapped, seed {fit['seed']}: "
            f"{fit['seconds']:.0f} s, "
            f"{(fit['peak'] - fit['before']) / 1e9:.2f} GB above what was in use "
            f"after the imports, ACC {fit['acc']:.3f}, NMI {fit['nmi']:.3f}"
        )
    for fit in answers.get("quality", []):
        print(
            f"{fit['model']}, {fit['n_rows']} rows in memory, seed {fit['seed']}: "
            f"{fit['seconds']:.0f} s, ACC {fit['acc']:.3f}, NMI {fit['nmi']:.3f}"
        )
    report_forms(answers.get("forms", []))
    fits = answers.get("speed", [])
    for name in dict.fromkeys(fit["model"] for fit in fits):
        seconds = {
            form: [
                f["seconds"] for f in fits if (f["model"], f["form"]) == (name, form)
            ]
            for form in ("disk", "memory")
        }
        share = np.divide(seconds["memory"], seconds["disk"])
        print(
            f"{name}: rows per second from disk are {np.median(share):.2f} of those in "
            f"memory ({share.min():.2f} to {share.max():.2f})"
        )


def report_forms(fits):
    """Quality from disk and in memory, and the differences of the pairs."""
    for name in dict.fromkeys(fit["model"] for fit in fits):
        for score in ("acc", "nmi"):
            disk, memory = (
                np.array([f[score] for f in fits if (f["model"], f["form"]) == pair])
                for pair in ((name, "disk"), (name, "memory"))
            )
            apart = disk - memory
            print(
                f"{name}, {len(apart)} seeds, {fits[0]['n_rows']} sorted rows, "
                f"{score.upper()}: disk {spread(disk)}, memory {spread(memory)}, "
                f"difference {apart.mean():+.3f} ± "
                f"{apart.std(ddof=1) / np.sqrt(len(apart)):.3f} (standard error)"
            )


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--folder", required=True, help="where the file is written, and removed")
    add("--gigabytes", type=float, default=6.0)
    add("--allowance", type=float, default=2.0, help="GB of private memory for a fit")
    add("--steps", type=int, default=15_000, help="optimizer steps of each phase")
    add("--part-rows", type=int, default=200_000)
    add("--seeds", type=int, default=3)
    add("--first-seed", type=int, default=0, help="of all parts but the speed")
    add("--repeats", type=int, default=3)
    add("--threads", type=int, default=2)
    add("--models", nargs="+", default=["DEC", "SphericalKMeans"])
    add("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    add("--output", type=Path)
    add("--run", choices=PARTS, help=argparse.SUPPRESS)
    add("--settings", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    if args.run:
        print(json.dumps(PARTS[args.run](args.settings)))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "images.float16"
        n_rows = write_images(path, args.gigabytes)
        print(f"{n_rows} x {N_FEATURES}, {path.stat().st_size / 1e9:.2f} GB, float16")
        names = "allowance steps part_rows seeds first_seed repeats models".split()
        settings = {name: getattr(args, name) for name in names}
        settings.update(path=str(path), folder=folder)
        answers = {}
        for part in args.parts:
            answers[part] = in_process(part, settings, args.threads)
            if args.output is not None:
                args.output.write_text(json.dumps(answers))
    report(answers)


if __name__ == "__main__":
    main()
