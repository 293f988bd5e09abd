#!/usr/bin/env bash
# Makes the pictures of docs/WORKLIST.md from generated studies, with the browser tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
shots=$(mktemp -d)
trap 'rm -rf "$shots"' EXIT
NEUROTRIAGE_SCREENSHOTS=$shots go test -count=1 -run '^TestPages$' ./daemon/browser
for pair in list-assessed:list study:study operations:operations; do
  cp "$shots/${pair%%:*}.png" "docs/images/${pair##*:}.png"
done
