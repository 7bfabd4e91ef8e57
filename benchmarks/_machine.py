"""What a benchmark ran on."""

import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np
import sklearn
import torch

import skdeepcluster


def describe(packages):
    """Versions, cores, and what the processor has for bfloat16.

    Parameters
    ----------
    packages : sequence of str
        Names of distributions.
    """
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    flags = {flag for line in lines if "flags" in line for flag in line.split()}
    models = [line for line in lines if line.startswith("model name")]
    model = models[0].split(":")[1].strip() if models else platform.processor()
    units = "yes" if "amx_bf16" in flags else "no"
    vectors = "yes" if "avx512_bf16" in flags else "no"
    return (
        f"{', '.join(versions)}; {model}, {os.cpu_count()} cores, "
        f"{torch.backends.cpu.get_cpu_capability()}; matrix units for bfloat16 "
        f"(amx_bf16): {units}, vector instructions (avx512_bf16): {vectors}"
    )


def environment():
    """Versions and hardware, for the row."""
    return {
        "skdeepcluster": skdeepcluster.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
