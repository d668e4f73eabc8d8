# shellcheck shell=bash
# Builds beside the checkout, and running what was built. Sourced after
# report.sh by the scripts that test.
#
# All builds start from a copy of the sources in build/tree, because a
# checkout that was configured in place cannot be built elsewhere as well: make
# would find its objects. So ./pgweir and what lies around it stay untouched.

TREE=$BUILD/tree
TREE_PARTS='configure.ac Makefile.am LICENSE README.md Dockerfile
	.dockerignore docker-compose.replica.yml .clang-format .clang-tidy
	.ci src include etc tests scripts docs'

tree_list()
{
	local parts=()

	for part in $TREE_PARTS; do
		[ -e "$part" ] && parts+=("$part")
	done
	find "${parts[@]}" -type f ! -name '*.o' ! -name '*.a' \
	    ! -name '*.log' ! -name '*.trs' ! -name '*.py[co]' \
	    ! -name '*.gcda' ! -path tests/train/train \
	    ! -name .dirstamp ! -path '*/.deps/*' \
	    ! -path '*/.pytest_cache/*' ! -path '*/node_modules/*' \
	    ! \( -path 'tests/*/test_*' ! -name '*.*' \) \
	    ! \( -path 'tests/*/fuzz_*' ! -name '*.*' ! -path '*/corpus/*' \) |
	    LC_ALL=C sort
}

# Brings the copy up to date: what is gone goes, what is newer comes.
tree_copy()
{
	local list=$BUILD/tree.list

	mkdir -p "$TREE" && tree_list >"$list" || return 1
	if [ -f "$list.old" ]; then
		LC_ALL=C comm -13 "$list" "$list.old" |
		    (cd "$TREE" && tr '\n' '\0' | xargs -0 -r rm -f)
	fi
	tr '\n' '\0' <"$list" |
	    xargs -0 cp -p --update --parents -t "$TREE" &&
	    cp "$list" "$list.old"
}

tree_make()
{
	tree_copy && cd "$TREE" || return 1
	if [ configure -nt configure.ac ] && [ Makefile.in -nt Makefile.am ]
	then
		return 0
	fi
	autoreconf -fi
}

# build_configure NAME SWITCH...: build/NAME, configured, -Werror always.
build_configure()
{
	local dir=$BUILD/$1 switches
	shift

	switches="$*"
	mkdir -p "$dir" && cd "$dir" || return 1
	if [ -f Makefile ] && [ Makefile -nt "$TREE/configure" ] &&
	    [ "$(cat switches 2>/dev/null)" = "$switches" ]; then
		return 0
	fi
	"$TREE/configure" --quiet --enable-werror "$@" &&
	    echo "$switches" >switches
}

# build_make NAME TARGET...: one after the other, for each is a make of its
# own and two at once would trip over the same objects.
build_make()
{
	local dir=$BUILD/$1 target
	shift

	for target in "$@"; do
		make -s -k -C "$dir" -j "$JOBS" "$target" || return 1
	done
}

# build_names NAME TARGET: the programs that a target of Makefile.am names.
build_names()
{
	make -s -C "$BUILD/$1" -j "$JOBS" "$2" | tail -n 1
}

# unit_run NAME PROGRAM...: runs cmocka programs of build/NAME, counting
# their single tests. A program that dies, or runs none, is a failure too.
unit_run()
{
	local name=$1 program log status run passed skipped failed all=0
	local known=suppressions=$PWD_TOP/tests/lsan.supp:print_suppressions=0
	shift

	for program in "$@"; do
		log=$LOGS/$name-${program##*/}.log
		(cd "$BUILD/$name" && PGWEIR_SRCDIR=$PWD_TOP \
		    LSAN_OPTIONS=$known \
		    timeout -k 5 "${UNIT_TIMEOUT:-60}" $STILL "./$program") \
		    >"$log" 2>&1 </dev/null
		status=$?
		run=$(grep -o '\[ RUN      \]' "$log" | wc -l)
		passed=$(grep -o '\[       OK \]' "$log" | wc -l)
		skipped=$(grep -c '^\[  SKIPPED \] [^0-9]' "$log")
		skipped=$((skipped > run - passed ? run - passed : skipped))
		failed=$((run - passed - skipped))
		[ "$failed" != 0 ] || [ "$status" = 0 ] || failed=1
		[ "$run" != 0 ] || {
			failed=1
			echo 'no test was run' >>"$log"
		}
		[ "$status" = 0 ] || echo "exit status $status" >>"$log"
		report_count "$passed" "$failed" "$name ${program##*/}" \
		    "$log" || all=1
	done
	return $all
}
PWD_TOP=$PWD
