#!/bin/sh
# Installs what demo and tests need: a virtual environment from hashed requirements, mosquitto, and where
# node is, the frame oracle. As root missing Debian packages are installed; otherwise mosquitto is unpacked
# below .tools without installing. Environment: PYTHON (python3), VENV (.venv).
set -eu
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
cd "$(dirname "$0")/.."

say() { echo "bootstrap: $*"; }
fail() { echo "bootstrap: $1" >&2; exit 69; }

apt_updated=
apt() {
    if [ -z "$apt_updated" ]; then apt-get update -qq || fail "apt-get update failed: is the network there?"; apt_updated=yes; fi
    # RUNLEVEL=1 keeps a package from starting its service: we start our own, on loopback
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

command -v "$PYTHON" >/dev/null || { root && apt python3; } || fail "no $PYTHON: install Python 3.11 or newer"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$PYTHON is older than 3.11: make PYTHON=python3.11 …"
if ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
    { root && apt python3-venv; } || fail "Python's venv module is missing: apt-get install python3-venv"
fi

if [ ! -x "$VENV/bin/python" ]; then
    say "making $VENV"
    "$PYTHON" -m venv "$VENV"
fi
say "installing requirements"
"$VENV/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
"$VENV/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .

find_mosquitto() { [ -n "${MOSQUITTO:-}" ] || command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || [ -x .tools/mosquitto/usr/sbin/mosquitto ]; }
if ! find_mosquitto; then
    if root; then
        say "installing mosquitto"
        apt mosquitto || fail "could not install mosquitto"
    else
        say "unpacking mosquitto below .tools"
        mkdir -p .tools/deb .tools/mosquitto
        packages="mosquitto libmosquitto1 libwrap0 libwebsockets17 libcjson1 libdlt2 libev4 libuv1"
        (cd .tools/deb && for p in $packages; do apt-get download -qq "$p" || true; done)
        for deb in .tools/deb/*.deb; do dpkg-deb -x "$deb" .tools/mosquitto; done
        find_mosquitto || fail "could not unpack mosquitto: apt-get install mosquitto"
    fi
fi

if command -v npm >/dev/null && [ ! -d .tools/node/node_modules/lora-packet ]; then
    say "installing the frame oracle lora-packet"
    npm install --silent --no-audit --no-fund --prefix .tools/node lora-packet@0.9.3 >/dev/null 2>&1 || say "lora-packet is not to be had: its tests will be skipped"
fi
say "ready"
