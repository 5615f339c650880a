#!/bin/sh
# Makes .venv from requirements.lock and installs the packages of this tree into it, editable.
# Whatever is missing on the machine is said in one line.
set -eu
cd "$(dirname "$0")/../.."

refuse() {
    echo "decorum: $1" >&2
    exit 1
}

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'
python=''
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$supported" 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    if [ "$(uname -s)" = Darwin ]; then
        refuse "Python 3.11 to 3.14 is needed: brew install python@3.13"
    fi
    refuse "Python 3.11 to 3.14 is needed: sudo apt-get install python3 python3-venv (or make PYTHON=/path/to/python3.12)"
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    refuse "$python cannot make virtual environments: sudo apt-get install python3-venv || sudo apt-get install python$version-venv"
fi

if [ ! -x .venv/bin/python ] || [ "$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" != "$version" ]; then
    echo "decorum: making .venv with Python $version"
    "$python" -m venv --clear .venv
fi
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    refuse "pip is missing in .venv: sudo apt-get install python3-venv python3-pip, then remove .venv"
fi
pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip"
# The lock is the slow part, so it is installed again only when it changed.
if ! cmp -s requirements.lock .venv/.requirements.lock; then
    echo "decorum: installing requirements.lock (about a minute, once)"
    $pip install --quiet --require-hashes -r requirements.lock
    cp requirements.lock .venv/.requirements.lock
fi
$pip install --quiet --no-deps --no-build-isolation \
    -e shared -e services/scheduler -e services/compliance-gate -e services/notifier -e services/ledger \
    -e deploy/local -e deploy/simulation
touch .venv/.installed
