# Sourced by the other scripts: makes the virtual environment if there is none,
# installs this checkout into it with the pinned distributions, and sets $python.
#
# Usage: source scripts/setup_venv.sh EXTRAS
#
#   PYTHON               interpreter to start from (default: the first of
#                        python3.11, python3.12, python3.13, python3 that is
#                        3.11 or newer)
#   SKDEEPCLUSTER_VENV   where the environment goes (default: .venv)

extras=$1
venv=${SKDEEPCLUSTER_VENV:-.venv}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2
    return 1
}

python=$venv/bin/python
if [ ! -x "$python" ]; then
    base=$(find_python)
    "$base" -m venv "$venv"
fi
# Nothing is installed again unless what is asked for has changed.
stamp=$venv/installed-${extras//,/-}-$(cat pyproject.toml constraints.txt | cksum | cut -d " " -f 1)
if [ ! -e "$stamp" ]; then
    echo "Installing skdeepcluster[$extras] into $venv ..." >&2
    "$python" -m pip install --quiet -c constraints.txt -e ".[$extras]"
    touch "$stamp"
fi
