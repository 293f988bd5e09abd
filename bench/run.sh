#!/usr/bin/env bash
# bench/run.sh [REGEXP]: the Go benchmarks that match, and (without a REGEXP) the
# road from files on disk to a finding. Results go to bench/results.
set -euo pipefail
cd "$(dirname "$0")/.."
pattern=${1:-.}
study=${NEUROTRIAGE_DATA:-../shared/data}/dicom/t1-brain/t1-brain.zip
python=.venv-training/bin/python

# One package at a time: two at once would share the cores and measure that.
go test -p 1 -run '^$' -bench "$pattern" -benchmem ./... 2>&1 | go run ./bench/gobench -out bench/results

[ "$pattern" = . ] || exit 0
if command -v chromium >/dev/null; then # the list with many studies beside none, in more rounds
  page=$(mktemp -d)
  go test -run '^$' -bench '^BenchmarkFirstPaint$' -benchtime 40x ./daemon/browser 2>&1 | go run ./bench/gobench -out "$page"
  for kind in json md; do mv "$page/go.$kind" "bench/results/page.$kind"; done
  rmdir "$page"
else
  echo "no chromium: the page's paint is left out"
fi
go test -count=1 -timeout 20m -run '^TestMatrix$' ./dicomio/codec -results "$PWD/bench/results"
if command -v storescp >/dev/null; then
  go run ./bench/cstore -out bench/results
else
  echo "no storescp: reception by C-STORE is left out"
fi
[ -f "$study" ] || { echo "no study at $study: the road from files to a finding is left out; set NEUROTRIAGE_DATA"; exit 0; }
peer=()
if [ -x "$python" ] && "$python" -c 'import numpy, onnxruntime, pydicom' 2>/dev/null; then
  peer=(-python "$python")
else
  echo "no Python with numpy, onnxruntime and pydicom in ${python%/bin/python}: that peer is left out"
fi
go run ./bench/endtoend -study "$study" "${peer[@]}" -out bench/results
if command -v Orthanc >/dev/null && [ -f /usr/share/orthanc/plugins/libOrthancDicomWeb.so ]; then
  go run ./bench/roundtrip -study "$study" -out bench/results
else
  echo "no Orthanc with DICOMweb: the road from the last image to the report in the archive is left out"
fi
