#!/usr/bin/env bash
# Cluster the digits that ship with scikit-learn, on a fresh machine.
#
# Usage: bash scripts/run_digits.sh [--output digits_embedding.png] [--full]
#                                   [--random-state 0]
#
# Makes a virtual environment (see scripts/setup_venv.sh), prints accuracy and
# NMI of DEC beside KMeans, and saves a picture of the embedding.
set -euo pipefail
# A relative --output means the caller's folder.
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
source scripts/setup_venv.sh plot
if [ "$#" -eq 0 ]; then
    set -- --output digits_embedding.png
fi
case $python in /*) ;; *) python=$root/$python ;; esac
# One thread is enough for this network, and the numbers then do not depend on
# the number of cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
cd "$here"
exec "$python" "$root/examples/plot_quick_start.py" "$@"
