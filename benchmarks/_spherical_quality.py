"""The parts of `benchmarks.spherical` about optima: text sets, and starts on re0."""

import time
import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from benchmarks._scores import scores, spread
from benchmarks._spherical_data import mean_cosine, quality_rows, re0_counts
from skdeepcluster import SphericalKMeans

EXPLANATION = """\
Mean ± standard deviation over the seeds; one start per seed. Counts come as tf-idf of
`TfidfTransformer()`, all rows with unit norm. Phi / n is 1 minus the mean cosine of the
rows to the directions of their clusters' sums, for all methods from their labels."""

# K: mean and best criterion of 20 starts, plain and with first variation.
REFERENCE = {
    5: {"plain": (754.90, 744.71), "search": (752.56, 744.61)},
    10: {"plain": (667.28, 655.61), "search": (664.53, 654.89)},
    13: {"plain": (641.56, 632.44), "search": (637.44, 631.94)},
}
REFERENCE_STARTS = 20
# Criteria nearer to each other, relatively, differ by rounding.
_SAME = 1e-9


def methods(chain_length):
    """Estimator of (number of clusters, seed), by name."""
    found = {
        "KMeans, unit rows": lambda k, seed: KMeans(k, random_state=seed),
        "spherical, random rows": lambda k, seed: _ours(k, seed, init="random"),
        "spherical": _ours,
    }
    if chain_length:
        found[f"spherical, chains of {chain_length}"] = lambda k, seed: _ours(
            k, seed, local_search=chain_length
        )
    return found


def _ours(n_clusters, seed, **params):
    return SphericalKMeans(
        n_clusters, n_init=1, random_state=seed, device="cpu", **params
    )


def report_quality(args, rows):
    """Fit what is not in the rows; print the table."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    makers = methods(args.chain_length)
    for dataset in args.datasets:
        X, y = quality_rows(dataset)
        for seed in range(args.seeds):
            for method, make in makers.items():
                key = {"part": "quality", "dataset": dataset}
                key |= {"method": method, "seed": seed}
                if not rows.find(**key):
                    rows.add({**key, **_evaluate(make, X, y, seed)})
    print(
        "\n| data | classes | method | seeds | ACC | NMI | Phi / n | iterations "
        "| seconds |\n" + 9 * "|---" + "|"
    )
    for dataset in args.datasets:
        for method in makers:
            found = rows.find(part="quality", dataset=dataset, method=method)
            print(_line(dataset, method, [r for r in found if r["seed"] < args.seeds]))
    print(f"\n{EXPLANATION}")


def _evaluate(make, X, y, seed):
    n_clusters = len(np.unique(y))
    start = time.perf_counter()
    model = make(n_clusters, seed).fit(X)
    seconds = time.perf_counter() - start
    criterion = 1 - mean_cosine(X, model.labels_, n_clusters)
    details = {"n_iter": int(model.n_iter_), "seconds": seconds}
    shape = {"n_clusters": n_clusters, "shape": list(X.shape)}
    return {"criterion": criterion, **scores(y, model.labels_), **details, **shape}


def _line(dataset, method, found):
    n, d = found[0]["shape"]
    cells = [f"{dataset} {n} x {d}", found[0]["n_clusters"], method, len(found)]
    cells += [spread([row[name] for row in found]) for name in ("acc", "nmi")]
    cells.append(spread([row["criterion"] for row in found], digits=5))
    cells.append(f"{np.mean([row['n_iter'] for row in found]):.1f}")
    cells.append(f"{np.mean([row['seconds'] for row in found]):.2f}")
    return "| " + " | ".join(map(str, cells)) + " |"


def report_re0(args, rows):
    """Random starts on re0 beside the reference; fails where local search is worse."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X = re0_counts()
    print(
        "\n| K | | starts | mean Phi | sd | best | reference mean | best | difference "
        "of means / its standard error | iterations | seconds |\n" + 11 * "|---" + "|"
    )
    verdicts = []
    for n_clusters, reference in REFERENCE.items():
        found = {}
        for kind, chain_length in (("plain", 0), ("search", args.chain_length)):
            if kind == "search" and not chain_length:
                continue
            settings = {"n_clusters": n_clusters, "chain_length": chain_length}
            found[kind] = _starts(X, rows, settings, args.starts)
            print(_re0_line(n_clusters, chain_length, found[kind], reference[kind]))
        if "search" in found:
            verdicts.append(_compare(n_clusters, found))
    print("\n" + "\n".join(verdicts))
    print(
        f"\nThe reference is one draw of {REFERENCE_STARTS} starts: the standard error "
        "is that of both means, with our standard deviation for both."
    )
    if any("WORSE" in verdict for verdict in verdicts):
        raise SystemExit("Local search ended above Lloyd's iteration.")


def _starts(X, rows, settings, n_starts):
    """Rows of all starts, seeds from 0."""
    key = {"part": "re0", **settings}
    found = {row["seed"]: row for row in rows.find(**key)}
    for seed in range(n_starts):
        if seed not in found:
            start = time.perf_counter()
            model = _ours(
                settings["n_clusters"],
                seed,
                init="random",
                local_search=settings["chain_length"],
            ).fit(X)
            seconds = time.perf_counter() - start
            details = {"n_iter": int(model.n_iter_), "seconds": seconds}
            found[seed] = {**key, "seed": seed, "phi": float(model.inertia_), **details}
            rows.add(found[seed])
    return [found[seed] for seed in range(n_starts)]


def _re0_line(n_clusters, chain_length, found, reference):
    phi = np.array([row["phi"] for row in found])
    deviation = phi.std(ddof=1) if len(phi) > 1 else np.nan
    error = deviation * np.sqrt(1 / len(phi) + 1 / REFERENCE_STARTS)
    kind = f"chains of {chain_length}" if chain_length else "Lloyd"
    mean, best = reference
    return (
        f"| {n_clusters} | {kind} | {len(phi)} | {phi.mean():.2f} | {deviation:.2f} "
        f"| {phi.min():.2f} | {mean:.2f} | {best:.2f} | {phi.mean() - mean:+.2f} / "
        f"{error:.2f} = {(phi.mean() - mean) / error:+.1f} "
        f"| {np.mean([row['n_iter'] for row in found]):.1f} "
        f"| {np.mean([row['seconds'] for row in found]):.3f} |"
    )


def _compare(n_clusters, found):
    """Local search against Lloyd from the same start, start by start."""
    plain, search = (
        np.array([r["phi"] for r in found[kind]]) for kind in ("plain", "search")
    )
    worse = int((search > plain * (1 + _SAME)).sum())
    better = int((search < plain * (1 - _SAME)).sum())
    verdict = f"{worse} times WORSE" if worse else "never worse"
    return (
        f"- K = {n_clusters}: local search better from {better} of {len(plain)} "
        f"starts, {verdict}, by {(plain - search).mean():.2f} in the mean."
    )
