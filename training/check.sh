#!/usr/bin/env bash
# Format, lint and types of the training code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
bin=../.venv-training/bin
[ -x $bin/ruff ] || ./setup.sh
$bin/ruff format --check .
$bin/ruff check .
$bin/mypy
