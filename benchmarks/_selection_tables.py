"""Tables of `benchmarks.score_selection` from its raw rows."""

from collections import defaultdict

import numpy as np
from scipy.stats import kendalltau, spearmanr

TRUTHS = ("NMI", "ACC", "ARI")
HEADER = (
    "| score | tau NMI | tau ACC | tau ARI | rho NMI | rho ACC | rho ARI "
    "| pick (E, k) | regret NMI | regret ACC | regret ARI |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)
EXPLANATION = """\
tau, rho: Kendall and Spearman correlation of a score with the hidden agreement, over
the cells (embedding size E, number of clusters k), each the mean over the seeds.
Pick: the cell with the best mean score. Regret: the agreement of the best cell minus
that of the pick."""


def tables(rows, settings):
    """Markdown: per data set one table at the true k and one over the whole grid."""
    parts = ["# Choosing a model without labels", _describe(settings), EXPLANATION]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        own = [row for row in rows if row["dataset"] == dataset]
        n_classes = own[0]["n_classes"]
        fixed = [row for row in own if row["n_clusters"] == n_classes]
        parts += [f"## {dataset}", _truth_line(own, n_classes)]
        parts += [f"k = {n_classes}, over E:", _table(fixed)]
        parts += ["Over E and k:", _table(own)]
    parts += ["## Mean over the data sets, over E and k", _summary(rows)]
    return "\n\n".join(parts) + "\n"


def _describe(settings):
    return "Settings: " + ", ".join(f"{k}={v}" for k, v in settings.items()) + "."


def _truth_line(rows, n_classes):
    """True quality per embedding size at the true number of clusters."""
    cells = _cells([row for row in rows if row["n_clusters"] == n_classes], "truth")
    values = (
        f"E={E} {v['NMI']:.3f} / {v['ACC']:.3f} / {v['ARI']:.3f}"
        for (E, _), v in cells.items()
    )
    return f"NMI / ACC / ARI at k = {n_classes}: " + ", ".join(values) + "."


def _cells(rows, kind):
    """Mean over the seeds of each score or truth, by (embedding size, k)."""
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["embedding_size"], row["n_clusters"]].append(row[kind])
    return {
        cell: {name: float(np.mean([v[name] for v in values])) for name in values[0]}
        for cell, values in sorted(grouped.items())
    }


def measure(rows):
    """Correlations, pick and regrets of every candidate score on one data set."""
    scores, truths = _cells(rows, "scores"), _cells(rows, "truth")
    cells = list(scores)
    result = {}
    for name in scores[cells[0]]:
        score = np.array([scores[cell][name] for cell in cells])
        best = int(score.argmax())
        numbers = {}
        for truth in TRUTHS:
            value = np.array([truths[cell][truth] for cell in cells])
            numbers[f"tau {truth}"] = _correlation(kendalltau, score, value)
            numbers[f"rho {truth}"] = _correlation(spearmanr, score, value)
            numbers[f"regret {truth}"] = float(value.max() - value[best])
        result[name] = {"pick": cells[best], **numbers}
    return result


def _correlation(function, score, value):
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(value) == 0:
        return float("nan")
    return float(function(score, value).statistic)


def _table(rows):
    return _format(measure(rows))


def _summary(rows):
    """Means over the data sets; there is no pick."""
    names = dict.fromkeys(row["dataset"] for row in rows)
    each = [measure([r for r in rows if r["dataset"] == name]) for name in names]
    mean = {
        score: {
            key: ""
            if key == "pick"
            else float(np.nanmean([m[score][key] for m in each]))
            for key in each[0][score]
        }
        for score in each[0]
    }
    return _format(mean)


def _format(measured):
    lines = [HEADER]
    for name, values in measured.items():
        columns = [f"{values[f'tau {t}']:.2f}" for t in TRUTHS]
        columns += [f"{values[f'rho {t}']:.2f}" for t in TRUTHS]
        columns += [str(values["pick"])]
        columns += [f"{values[f'regret {t}']:.3f}" for t in TRUTHS]
        lines.append(f"| {name} | " + " | ".join(columns) + " |")
    return "\n".join(lines)
