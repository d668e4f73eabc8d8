#!/usr/bin/env bash
# Packages: which ones pgweir's scripts need, and how they get installed.
#
# Sourced, it offers install_packages; run, it installs the sets that are named
# (build check run test conformance), or prints what a user without root's
# rights must run. Nothing happens where all of them are there already.
#
# Installing starts no service and makes no PostgreSQL cluster of the system's
# own: what the packages would set up by themselves is held back for as long
# as apt runs, and a service that came with them is not enabled either.

# shellcheck disable=SC2034 # the sets are read by name
{
# What ./configure && make want.
PACKAGES_build='autoconf automake make gcc libc6-dev pkg-config libevent-dev
	libssl-dev libpq-dev libinih-dev libxxhash-dev'
# What make check wants besides.
PACKAGES_check='libcmocka-dev universal-ctags python3'
# What quickstart runs.
PACKAGES_run='postgresql-15 postgresql-client-15 python3 python3-psycopg
	openssl curl procps util-linux'
# What the whole test run wants besides.
PACKAGES_test='libpg-query-dev clang-14 clang-tidy-14 clang-format-14
	libclang-rt-14-dev llvm-14 cppcheck gcovr shellcheck python3-pytest
	python3-psycopg2 python3-asyncpg prometheus docker-compose pgbouncer
	patroni etcd-server'
# What PostgreSQL's own suites are built with.
PACKAGES_conformance='postgresql-server-dev-15 libreadline-dev'
}

# The packages of the named sets that dpkg does not know as installed.
install_missing()
{
	local set package list=''

	for set in "$@"; do
		list="$list $(eval "echo \$PACKAGES_$set")"
	done
	for package in $list; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" \
		    2>/dev/null | grep -qx installed || echo "$package"
	done
}

# Holds services and clusters back while apt runs; undone by install_release.
install_hold()
{
	INSTALL_POLICY='' INSTALL_CLUSTER=''
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		INSTALL_POLICY=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' >"$INSTALL_POLICY"
		chmod 755 "$INSTALL_POLICY"
	fi
	if [ ! -d /usr/lib/postgresql ]; then
		INSTALL_CLUSTER=/etc/postgresql-common/createcluster.d
		mkdir -p "$INSTALL_CLUSTER"
		INSTALL_CLUSTER=$INSTALL_CLUSTER/pgweir-install.conf
		echo 'create_main_cluster = false' >"$INSTALL_CLUSTER"
	fi
}

install_release()
{
	[ -z "$INSTALL_POLICY" ] || rm -f "$INSTALL_POLICY"
	[ -z "$INSTALL_CLUSTER" ] || rm -f "$INSTALL_CLUSTER"
}

# A service that came with a package just installed shall not start at the
# next boot.
install_disable()
{
	local package

	command -v deb-systemd-helper >/dev/null || return 0
	for package in "$@"; do
		case $package in
		pgbouncer | prometheus)
			deb-systemd-helper disable "$package.service" || :
			;;
		patroni | etcd-server)
			deb-systemd-helper disable \
			    "${package%-server}.service" || :
			;;
		esac
	done
}

install_apt()
{
	DEBIAN_FRONTEND=noninteractive apt-get -q -y \
	    -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold \
	    "$@" </dev/null
}

# install_packages SET...: true when every package is there afterwards.
install_packages()
{
	local missing status

	if ! command -v dpkg-query >/dev/null; then
		echo 'not a Debian system: install the like of' \
		    "$(for s in "$@"; do eval "echo \$PACKAGES_$s"; done)" >&2
		return 0
	fi
	missing=$(install_missing "$@" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		printf 'missing packages; as root, run:\n\n    %s %s\n\n' \
		    'apt-get install --no-install-recommends' \
		    "$missing" >&2
		return 1
	fi
	echo "installing: $missing"
	trap 'install_release; exit 1' INT TERM
	install_hold
	# shellcheck disable=SC2086 # a list of words
	if install_apt update >/dev/null &&
	    install_apt install --no-install-recommends $missing; then
		status=0
	else
		status=1
	fi
	install_release
	trap - INT TERM
	[ $status = 0 ] || return 1
	# shellcheck disable=SC2086
	install_disable $missing
}

# node-postgres, for the tests that speak through it: Debian's package, or
# npm's where nodejs is not Debian's. Prints the NODE_PATH that finds it.
install_node_postgres()
{
	local own=$1 path=/usr/share/nodejs:$1/node_modules

	if ! NODE_PATH=$path node -e 'require("pg")' 2>/dev/null; then
		if [ "$(id -u)" = 0 ] &&
		    install_apt -s install nodejs node-pg >/dev/null 2>&1; then
			install_apt install --no-install-recommends \
			    nodejs node-pg >&2
		elif command -v npm >/dev/null; then
			mkdir -p "$own" && npm install --silent --no-audit \
			    --no-fund --prefix "$own" pg@8 >&2
		fi
		NODE_PATH=$path node -e 'require("pg")' 2>/dev/null ||
		    echo 'node-postgres is missing: apt-get install' \
			'nodejs node-pg' >&2
	fi
	echo "$path"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	if [ $# = 0 ]; then
		echo "usage: $0 build|check|run|test|conformance ..." >&2
		exit 2
	fi
	install_packages "$@"
fi
