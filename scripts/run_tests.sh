#!/usr/bin/env bash
# Run the test suite and the doctests, on a fresh machine.
#
# Usage: bash scripts/run_tests.sh [arguments for pytest]
#
# Makes a virtual environment (see scripts/setup_venv.sh). Without arguments it
# runs everything but the tests marked slow, in two processes of one thread.
# Tests on published data sets are skipped unless SKDEEPCLUSTER_DATA names a
# folder that holds them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup_venv.sh test,plot,progress
export OMP_NUM_THREADS=1
if [ "$#" -eq 0 ]; then
    set -- -n 2
fi
exec "$python" -m pytest "$@"
