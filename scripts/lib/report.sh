# shellcheck shell=bash
# What scripts/test and the scripts under it share: running one check at a
# time, showing how it went, and counting.
#
# Sourced by bash after cd to the top of the checkout. Every check appends a
# line "passed failed name" to $REPORT; the sum of that file is the sum of the
# run. A script that is run alone makes its own and ends with report_sum.

JOBS=${JOBS:-$(nproc)}
BUILD=$PWD/build
LOGS=$BUILD/logs
mkdir -p "$LOGS"
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3

REPORT_OWN=''
if [ -z "${REPORT:-}" ]; then
	REPORT=$(mktemp)
	export REPORT
	REPORT_OWN=yes
	trap 'rm -f "$REPORT"' EXIT
fi

# Address space randomisation of more bits than the sanitizers of gcc 12 and
# clang 14 know makes them fail at start; so it is off where that is allowed.
STILL="setarch $(uname -m) -R"
$STILL true 2>/dev/null || STILL=''

report_stage()
{
	printf '\n== %s\n' "$*"
}

# report_count PASSED FAILED NAME [LOG]: one line, and the log's tail when
# something failed.
report_count()
{
	printf '%d %d %s\n' "$1" "$2" "$3" >>"$REPORT"
	if [ "$2" = 0 ]; then
		printf 'ok    %-44s %4d passed  %s\n' "$3" "$1" "${took:-}"
		return 0
	fi
	printf 'FAIL  %-44s %4d passed, %d failed  %s\n' "$3" "$1" "$2" \
	    "${took:-}"
	if [ -n "${4:-}" ] && [ -f "$4" ]; then
		echo "----- ${4#"$PWD"/}, its end:"
		tail -n "${TAIL:-40}" "$4"
		echo '-----'
	fi
	return 1
}

# report_check NAME COMMAND...: one check in a subshell, its output in a log.
report_check()
{
	local name=$1 start=$SECONDS took log status
	shift

	log=$LOGS/$(echo "$name" | tr -cs 'A-Za-z0-9_.\n' -).log
	("$@") >"$log" 2>&1 </dev/null
	status=$?
	took="$((SECONDS - start))s"
	if [ $status = 0 ]; then
		report_count 1 0 "$name"
	else
		echo "exit status $status of: $*" >>"$log"
		report_count 0 1 "$name" "$log"
	fi
}

# The sum of everything, as the last line; true when nothing failed.
report_sum()
{
	local passed failed

	read -r passed failed <<-SUM
	$(awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }' "$REPORT")
	SUM
	[ $((passed + failed)) -gt 0 ] || failed=1
	if [ "$failed" != 0 ]; then
		echo
		echo 'Failed:'
		awk '$2 > 0 { f = $2; $1 = $2 = ""; print "  " $0 " (" f ")" }' \
		    "$REPORT"
	fi
	printf '%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" = 0 ]
}

# report_end: for a script that may run alone or under scripts/test.
report_end()
{
	[ -z "$REPORT_OWN" ] || report_sum
}
