#!/usr/bin/env bash
# A private PostgreSQL primary and a streaming replica: what the quickstart,
# the system tests and the containers of docker-compose.replica.yml all use.
#
# Sourced, it offers the functions cluster_*; run, it offers the commands that
# cluster_usage lists. It never touches the system's own cluster and never
# runs PostgreSQL as root: root drops to the user named by CLUSTER_USER.
#
# Settings come in the environment:
#   PGDATA, PGPORT         data directory and port of one node
#   CLUSTER_LISTEN         listen_addresses (127.0.0.1)
#   CLUSTER_AUTH           pg_hba method for every login (scram-sha-256)
#   CLUSTER_DURABLE        yes = safe settings, no = fast throw-away data (no)
#   CLUSTER_MAX_CONNECTIONS (200)  CLUSTER_SLOT (replica1)
#   POSTGRES_PASSWORD, REPLICATOR_PASSWORD, MONITOR_PASSWORD
#   APP_USER, APP_PASSWORD, APP_DB   the application's role and database (app)
#   PRIMARY_HOST, PRIMARY_PORT       where a replica finds its primary

CLUSTER_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CLUSTER_USER=${CLUSTER_USER:-postgres}

cluster_fail()
{
	printf 'cluster: %s\n' "$*" >&2
	return 1
}

# The newest PostgreSQL of this machine, or a message that names the package.
cluster_bindir()
{
	local dir newest=''

	for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V); do
		[ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] && newest=$dir
	done
	if [ -z "$newest" ] && command -v initdb >/dev/null; then
		newest=$(dirname "$(readlink -f "$(command -v initdb)")")
	fi
	[ -n "$newest" ] || cluster_fail \
	    'no PostgreSQL server found: apt-get install postgresql-15' ||
	    return 1
	printf '%s\n' "$newest"
}

# Runs a command without root's rights, in a directory that everybody may be
# in, and without a process in between, so that the pid that the caller sees is
# the command's own. Paths among the arguments are absolute.
cluster_run()
{
	if [ "$(id -u)" = 0 ]; then
		HOME=/ env -C / setpriv --reuid="$CLUSTER_USER" \
		    --regid="$(id -gn "$CLUSTER_USER")" --init-groups -- "$@"
	else
		"$@"
	fi
}

cluster_exec()
{
	if [ "$(id -u)" = 0 ]; then
		HOME=/ exec env -C / setpriv --reuid="$CLUSTER_USER" \
		    --regid="$(id -gn "$CLUSTER_USER")" --init-groups -- "$@"
	else
		exec "$@"
	fi
}

# The first port from $1 on that nobody listens on.
cluster_free_port()
{
	local port=$1

	while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		port=$((port + 1))
	done
	printf '%s\n' "$port"
}

# A directory $1 that belongs to CLUSTER_USER. Where that user cannot walk to
# it (a checkout under /root), a temporary directory takes its place and $1
# becomes a symlink to it.
cluster_make_dir()
{
	local dir real

	dir=$(realpath -m "$1")
	mkdir -p "$dir" || return 1
	if [ "$(id -u)" = 0 ] && [ ! -L "$dir" ]; then
		chown "$CLUSTER_USER" "$dir" || return 1
	fi
	cluster_run test -w "$dir/" -a -x "$dir/" && return 0
	rmdir "$dir" || return 1
	real=$(mktemp -d /tmp/pgweir-var.XXXXXX) || return 1
	chmod 755 "$real"
	[ "$(id -u)" != 0 ] || chown "$CLUSTER_USER" "$real"
	ln -s "$real" "$dir"
}

# SQL string literal of $1.
cluster_quote()
{
	printf "'%s'" "${1//\'/\'\'}"
}

# One file of settings, included by postgresql.conf of both nodes (the
# replica gets it with its base backup).
cluster_write_settings()
{
	cat <<-END
	max_connections = ${CLUSTER_MAX_CONNECTIONS:-200}
	unix_socket_directories = ''
	wal_level = replica
	hot_standby = on
	hot_standby_feedback = on
	max_wal_senders = 10
	max_replication_slots = 10
	max_prepared_transactions = 200
	wal_keep_size = 256MB
	password_encryption = scram-sha-256
	shared_preload_libraries = 'pg_stat_statements'
	pg_stat_statements.track = top
	pg_stat_statements.max = 5000
	log_min_messages = warning
	log_line_prefix = '%m [%p] %u@%d '
	END
	if [ "${CLUSTER_DURABLE:-no}" = yes ]; then
		cat <<-END
		fsync = on
		END
	else
		cat <<-END
		fsync = off
		full_page_writes = off
		shared_buffers = 64MB
		max_wal_size = 512MB
		END
	fi
}

# Who may log in: one method for everybody, from this host and its networks.
cluster_write_hba()
{
	local auth=${CLUSTER_AUTH:-scram-sha-256}

	cat <<-END
	host  replication  replicator  127.0.0.1/32  $auth
	host  replication  replicator  samenet       $auth
	host  all          all         127.0.0.1/32  $auth
	host  all          all         ::1/128       $auth
	host  all          all         samenet       $auth
	END
}

# Statements for single-user mode: one on each line.
cluster_write_roles()
{
	local app=${APP_USER:-app}

	cat <<-END
	CREATE ROLE replicator LOGIN REPLICATION PASSWORD $(cluster_quote "${REPLICATOR_PASSWORD:-replicator}");
	CREATE ROLE pgweir_monitor LOGIN PASSWORD $(cluster_quote "${MONITOR_PASSWORD:-monitor}");
	GRANT pg_monitor TO pgweir_monitor;
	CREATE ROLE "$app" LOGIN PASSWORD $(cluster_quote "${APP_PASSWORD:-app}");
	CREATE DATABASE "${APP_DB:-app}" OWNER "$app";
	SELECT pg_create_physical_replication_slot($(cluster_quote "${CLUSTER_SLOT:-replica1}"));
	END
}

cluster_single()
{
	local bin=$1 database=$2

	cluster_run "$bin/postgres" --single -D "$PGDATA" \
	    -c shared_preload_libraries=pg_stat_statements "$database" \
	    >/dev/null
}

# Makes the primary's data in $PGDATA unless it is there already. The work is
# done beside its place and moved there whole, so that a start cut short
# leaves nothing that looks finished.
cluster_init_primary()
{
	local final=$PGDATA bin password_file sync=()

	[ ! -s "$final/PG_VERSION" ] || return 0
	bin=$(cluster_bindir) || return 1
	[ "${CLUSTER_DURABLE:-no}" = yes ] || sync=(-N)
	local PGDATA=$final/new
	rm -rf "$PGDATA"
	password_file=$(mktemp) || return 1
	printf '%s\n' "${POSTGRES_PASSWORD:-postgres}" >"$password_file"
	[ "$(id -u)" != 0 ] || chown "$CLUSTER_USER" "$password_file"
	cluster_run "$bin/initdb" "${sync[@]}" -D "$PGDATA" -U postgres \
	    -E UTF8 --locale=C.UTF-8 --auth=scram-sha-256 \
	    --pwfile="$password_file" >/dev/null || return 1
	rm -f "$password_file"
	cluster_write_settings >"$PGDATA/pgweir.conf"
	echo "include 'pgweir.conf'" >>"$PGDATA/postgresql.conf"
	cluster_write_hba >"$PGDATA/pg_hba.conf"
	[ "$(id -u)" != 0 ] || chown "$CLUSTER_USER" "$PGDATA/pgweir.conf"
	cluster_write_roles | cluster_single "$bin" postgres || return 1
	echo 'CREATE EXTENSION pg_stat_statements;' |
	    cluster_single "$bin" postgres || return 1
	echo 'CREATE EXTENSION pg_stat_statements;' |
	    cluster_single "$bin" "${APP_DB:-app}" || return 1
	cluster_adopt "$PGDATA" "$final"
}

# Makes the replica's data in $PGDATA by a base backup of the primary.
cluster_init_replica()
{
	local final=$PGDATA bin sync=()
	local host=${PRIMARY_HOST:-127.0.0.1} port=${PRIMARY_PORT:-5432}

	[ ! -s "$final/PG_VERSION" ] || return 0
	bin=$(cluster_bindir) || return 1
	[ "${CLUSTER_DURABLE:-no}" = yes ] || sync=(-N)
	cluster_wait_ready "$host" "$port" 60 || return 1
	rm -rf "$final/new"
	PGPASSWORD=${REPLICATOR_PASSWORD:-replicator} \
	    cluster_run "$bin/pg_basebackup" "${sync[@]}" -h "$host" \
	    -p "$port" -U replicator -D "$final/new" -R -X stream -c fast \
	    -S "${CLUSTER_SLOT:-replica1}" || return 1
	cluster_adopt "$final/new" "$final"
}

# Moves a finished data directory from $1 up into $2; PG_VERSION last, as it
# is the mark of a finished one.
cluster_adopt()
{
	cluster_run chmod 700 "$2" &&
	    cluster_run find "$1" -mindepth 1 -maxdepth 1 ! -name PG_VERSION \
	    -exec mv -t "$2" {} + &&
	    cluster_run mv "$1/PG_VERSION" "$2/" && cluster_run rmdir "$1"
}

# Becomes the server of $PGDATA; used as the last step of an entry script.
cluster_become_server()
{
	local bin

	bin=$(cluster_bindir) || return 1
	cluster_exec "$bin/postgres" -D "$PGDATA" -p "${PGPORT:-5432}" \
	    -c "listen_addresses=${CLUSTER_LISTEN:-127.0.0.1}"
}

cluster_wait_ready()
{
	local host=$1 port=$2 limit=${3:-30} bin

	bin=$(cluster_bindir) || return 1
	local deadline=$((SECONDS + limit))
	until "$bin/pg_isready" -q -h "$host" -p "$port"; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			cluster_fail "$host:$port not ready in ${limit}s"
			return 1
		fi
		sleep 0.1
	done
}

# The superuser's psql on local port $1: unaligned tuples of the statement $2,
# in database $3.
cluster_sql()
{
	PGPASSWORD=${POSTGRES_PASSWORD:-postgres} psql -X -q -At \
	    -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$1" -U postgres \
	    -d "${3:-postgres}" -c "$2"
}

cluster_wait_streaming()
{
	local port=$1 limit=${2:-30} count
	local deadline=$((SECONDS + limit))

	while :; do
		count=$(cluster_sql "$port" "SELECT count(*) FROM
		    pg_stat_replication WHERE state = 'streaming'" \
		    2>/dev/null) || count=0
		[ "$count" = 0 ] || return 0
		if [ "$SECONDS" -ge "$deadline" ]; then
			cluster_fail "no replica streams from port $port"
			return 1
		fi
		sleep 0.1
	done
}

# The postmaster's pid of data directory $1, or failure when none runs.
cluster_pid()
{
	local pid

	pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || return 1
	[ "$(readlink -f "/proc/$pid/cwd")" = "$(readlink -f "$1")" ] ||
	    return 1
	printf '%s\n' "$pid"
}

# Starts the node $2 (primary or replica) of cluster directory $1 in the
# background by its entry script, out of reach of the terminal's Ctrl-C.
cluster_start()
{
	local dir=$1 node=$2

	cluster_make_dir "$dir" && dir=$(readlink -f "$dir") &&
	    cluster_make_dir "$dir/$node" || return 1
	[ ! -f "$dir/$node.port" ] || PGPORT=$(cat "$dir/$node.port")
	printf '%s\n' "$PGPORT" >"$dir/$node.port"
	PGDATA=$dir/$node PGPORT=$PGPORT setsid \
	    "$CLUSTER_HERE/../docker/$(cluster_entry "$dir" "$node")" \
	    >>"$dir/$node.log" 2>&1 </dev/null &
	if ! cluster_wait_ready 127.0.0.1 "$PGPORT" 60; then
		tail -n 20 "$dir/$node.log" >&2
		return 1
	fi
}

# A replica that was promoted has become a primary; its data says which.
cluster_entry()
{
	if [ "$2" = replica ] && { [ ! -s "$1/$2/PG_VERSION" ] ||
	    [ -f "$1/$2/standby.signal" ]; }; then
		echo replica-entry
	else
		echo primary-entry
	fi
}

cluster_stop()
{
	local data mode=${2:-fast} bin

	data=$(readlink -f "$1") || return 0
	cluster_pid "$data" >/dev/null || return 0
	bin=$(cluster_bindir) || return 1
	cluster_run "$bin/pg_ctl" stop -s -w -t 30 -m "$mode" -D "$data"
}

cluster_promote()
{
	local bin

	bin=$(cluster_bindir) || return 1
	cluster_run "$bin/pg_ctl" promote -s -w -t 30 -D "$(readlink -f "$1")"
}

# Primary and replica in directory $1, streaming; ports $2 and $3, or free
# ones. Prints PRIMARY_PORT= and REPLICA_PORT= for the caller to read.
cluster_up()
{
	local dir=$1 primary=${2:-} replica=${3:-}

	primary=${primary:-$(cluster_free_port 5501)}
	replica=${replica:-$(cluster_free_port $((primary + 1)))}
	PGPORT=$primary cluster_start "$dir" primary || return 1
	PRIMARY_PORT=$primary PGPORT=$replica \
	    cluster_start "$dir" replica || return 1
	cluster_wait_streaming "$primary" || return 1
	printf 'PRIMARY_PORT=%s\nREPLICA_PORT=%s\n' "$primary" "$replica"
}

# Stops both nodes of directory $1 and removes their data.
cluster_down()
{
	local dir=$1 node real

	[ -d "$dir" ] || return 0
	real=$(readlink -f "$dir")
	for node in replica primary; do
		cluster_stop "$real/$node" fast ||
		    cluster_stop "$real/$node" immediate || return 1
	done
	rm -rf "$real/primary" "$real/replica" \
	    "$real"/{primary,replica}.{log,port}
	if [ -L "$dir" ]; then
		case $real in
		*/pgweir-var.??????) rm -rf "$real" && rm -f "$dir" ;;
		esac
	else
		rmdir --ignore-fail-on-non-empty "$dir"
	fi
}

cluster_usage()
{
	cat <<-END
	usage: cluster.sh up DIR [PRIMARY_PORT REPLICA_PORT]
	       cluster.sh down DIR
	       cluster.sh start DIR primary|replica
	       cluster.sh stop DIR primary|replica [fast|immediate|smart]
	       cluster.sh promote DIR primary|replica
	       cluster.sh wait-streaming PRIMARY_PORT
	       cluster.sh pid DIR primary|replica
	       cluster.sh bindir
	END
}

cluster_main()
{
	case ${1:-} in
	up) shift; cluster_up "$@" ;;
	down) cluster_down "$2" ;;
	start) PGPORT='' cluster_start "$2" "$3" ;;
	stop) cluster_stop "$2/$3" "${4:-fast}" ;;
	promote) cluster_promote "$2/$3" ;;
	wait-streaming) cluster_wait_streaming "$2" ;;
	pid) cluster_pid "$2/$3" ;;
	bindir) cluster_bindir ;;
	*) cluster_usage >&2; return 2 ;;
	esac
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	cluster_main "$@"
fi
