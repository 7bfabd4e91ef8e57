"""The table of `benchmarks.paper_tables`, from its rows."""

import json
from collections import defaultdict

import numpy as np

from benchmarks._machine import environment
from benchmarks._paper_fit import KMEANS, START
from benchmarks._published import published
from benchmarks._scores import spread

HEADER = (
    "| data | method | seeds | ACC | NMI | ARI | seconds "
    "| published ACC / NMI / ARI |\n"
    "|---|---|---|---|---|---|---|---|"
)
EXPLANATION = """\
Mean ± standard deviation over the seeds. Seconds of AE + k-means are the mean of the
pretraining, those of a method what comes after it (the whole fit without one)."""


def table(rows):
    """Markdown: one line per data set and method, and the paired gains below."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["dataset"], row["method"]].append(row)
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    methods = [KMEANS, *sorted({r["method"] for r in rows if is_baseline(r)})]
    methods += [m for m in dict.fromkeys(r["method"] for r in rows) if m not in methods]
    pairs = [(d, m) for d in datasets for m in methods if (d, m) in groups]
    lines = [HEADER, *(_line(pair, groups) for pair in pairs)]
    own = [(d, m) for d, m in pairs if m != KMEANS and not m.startswith(START)]
    gains = [_gain(d, m, groups) for d, m in own]
    parts = ["\n".join(lines), EXPLANATION, "\n".join(filter(None, gains))]
    return "\n\n".join([*parts, describe(rows)])


def _line(pair, groups):
    own = groups[pair]
    cells = [*pair, str(len(own))]
    cells += [spread([row[name] for row in own]) for name in ("acc", "nmi", "ari")]
    seconds = _mean_seconds(own)
    cells.append("" if seconds is None else f"{seconds:.1f}")
    cells.append(published(*pair))
    return "| " + " | ".join(cells) + " |"


def _mean_seconds(rows):
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    return float(np.mean(known)) if known else None


def is_baseline(row):
    """Whether a row is of k-means on a pretrained embedding."""
    return row["method"].startswith(START)


def _gain(dataset, method, groups):
    """Difference to what the method started from, by seed."""
    both = [row for row in groups[dataset, method] if "initial" in row]
    if not both:
        return ""
    text = ", ".join(
        f"{n.upper()} {spread([row[n] - row['initial'][n] for row in both])}"
        for n in ("acc", "nmi", "ari")
    )
    return f"- {dataset}, {method} minus what it started from: {text}"


def describe(rows):
    """Versions and settings that the rows have, each once."""
    parts = []
    for name in [*environment(), "params"]:
        values = dict.fromkeys(json.dumps(r[name]) for r in rows if name in r)
        parts.append(f"{name} {' or '.join(v.strip(chr(34)) for v in values)}")
    return "Run with " + ", ".join(parts) + "."
