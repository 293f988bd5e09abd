#!/usr/bin/env bash
# Checks the units: systemd-analyze verify has to be silent, and the exposure
# that systemd-analyze security computes must not exceed 2.0, with gpu.conf too.
# Exit 0: fine, or skipped with its reason; with SKIPS=fail, as in CI, a skip is a failure.
set -euo pipefail
cd "$(dirname "$0")"
export LC_ALL=C SYSTEMD_PAGER='' # the numbers are read below

skip() {
	echo "SKIP systemd/check.sh: $1"
	[ "${SKIPS:-}" != fail ] || exit 1
	exit 0
}
command -v systemd-analyze >/dev/null || skip "systemd-analyze is missing (apt-get install systemd)"
systemd-analyze security --help 2>/dev/null | grep -q -- --offline || skip "systemd-analyze is older than 250: it has no --offline"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail=0

# The binary is not installed where the unit expects it, so true stands in.
stage() { # FOLDER [DROP-IN…]
	mkdir -p "$work/$1/neurotriage.service.d"
	sed "s|^ExecStart=/usr/bin/neurotriage|ExecStart=$(command -v true)|" neurotriage.service >"$work/$1/neurotriage.service"
	for drop in "${@:2}"; do
		cp "neurotriage.service.d/$drop" "$work/$1/neurotriage.service.d/${drop%.example}"
	done
}

verify() { # FOLDER
	local words
	# Other units of the machine are not ours to judge.
	words=$(SYSTEMD_UNIT_PATH="$work/$1:" systemd-analyze verify --man=no "$work/$1/neurotriage.service" 2>&1 | grep -i neurotriage || true)
	if [ -n "$words" ]; then
		printf 'FAIL %s: systemd-analyze verify says:\n%s\n' "$1" "$words"
		fail=1
	else
		echo "ok   $1: systemd-analyze verify"
	fi
}

exposure() { # FOLDER LIMIT
	local found
	found=$(SYSTEMD_UNIT_PATH="$work/$1:" systemd-analyze security --offline=true "$work/$1/neurotriage.service" 2>&1 |
		sed -n 's/.*Overall exposure level for neurotriage.service: \([0-9.]*\).*/\1/p')
	if [ -z "$found" ]; then
		echo "FAIL $1: systemd-analyze security computed no exposure"
		fail=1
	elif awk -v found="$found" -v limit="$2" 'BEGIN { exit !(found > limit) }'; then
		echo "FAIL $1: exposure $found, allowed is $2"
		fail=1
	else
		echo "ok   $1: exposure $found, allowed is $2"
	fi
}

stage service
verify service
exposure service 2.0
stage with-gpu gpu.conf
verify with-gpu
exposure with-gpu 2.0
stage with-roots roots.conf.example
verify with-roots
stage with-port104 port104.conf.example
verify with-port104
exposure with-port104 2.0

# In an empty root: the user is made, and the configuration is root's to write
# and the user's to read.
root=$work/root
mkdir -p "$root/etc/neurotriage"
touch "$root/etc/neurotriage/neurotriage.yaml"
if [ "$(id -u)" != 0 ]; then
	echo "ok   sysusers.d, tmpfiles.d: not tried, since that needs root"
elif words=$(systemd-sysusers --root="$root" "$PWD/sysusers.d/neurotriage.conf" 2>&1 &&
	systemd-tmpfiles --create --root="$root" "$PWD/tmpfiles.d/neurotriage.conf" 2>&1); then
	group=$(awk -F: '$1 == "neurotriage" { print $3 }' "$root/etc/group")
	got=$(stat -c '%a %u %g' "$root/etc/neurotriage" "$root/etc/neurotriage/neurotriage.yaml" | tr '\n' ',')
	if [ -n "$group" ] && [ "$got" = "750 0 $group,640 0 $group," ]; then
		echo "ok   sysusers.d, tmpfiles.d"
	else
		echo "FAIL sysusers.d, tmpfiles.d: mode, owner and group are $got with group neurotriage = ${group:-missing}"
		fail=1
	fi
else
	printf 'FAIL sysusers.d, tmpfiles.d:\n%s\n' "$words"
	fail=1
fi
exit "$fail"
