/*
 * The options of pgweir: keys, words and effects are PgBouncer's wherever
 * PgBouncer has them (https://www.pgbouncer.org/config.html), so that its
 * files and the habits of its operators keep working.
 *
 * Only data.  Where a default differs from PgBouncer's, the help says so.  A
 * key of PgBouncer that has no use here stays in the table and says what
 * replaced it; a word that would make a login less strict than it reads is
 * refused, never ignored.  Constant; any thread.
 */
#include "core/option_table.h"

#define COUNT(rows) ((unsigned)(sizeof(rows) / sizeof(*(rows))))

/* Where the value lives. */
#define FIELD(type, member) \
	.offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)

/* Settings are named as their fields; a time's field ends in _us. */
#define SETTING(member) .name = #member, FIELD(struct config_settings, member)
#define SETTING_TIME(member)                  \
	.name = #member, .type = OPTION_TIME, \
	FIELD(struct config_settings, member##_us)

#define DATABASE(member) .name = #member, FIELD(struct config_database, member)
#define DATABASE_TIME(member)                 \
	.name = #member, .type = OPTION_TIME, \
	FIELD(struct config_database, member##_us)

#define USER(member) .name = #member, FIELD(struct config_user, member)
#define USER_TIME(member)                     \
	.name = #member, .type = OPTION_TIME, \
	FIELD(struct config_user, member##_us)

/*
 * Upper limits: where the kernel or the protocol has none, what no sane file
 * reaches.
 */
enum {
	PORT_MAX = 65535,
	CONNECTIONS_MAX = 1000000,
	STATEMENTS_MAX = 100000,
	BACKLOG_MAX = 65535,
	WORKERS_MAX = 64, /* as many queues as proxy/quota has */
	VERBOSE_MAX = 3,
	PROBES_MAX = 100, /* in a row */
	KEEPALIVE_MAX = 32767,
	SCRAM_ITERATIONS_MAX = 1000000,
	SOCKET_BUFFER_MAX = 1 << 30
};

/* Of a probe: shorter ones would be load, longer ones blindness. */
#define PROBE_MIN_US INT64_C(10000)
#define PROBE_MAX_US INT64_C(3600000000)

/*
 * What the length field of a message can say; the least leaves room for a
 * start-up message.
 */
#define PACKET_MAX INT64_C(2147483647)
#define PACKET_MIN INT64_C(1024)

/* PgBouncer's own default: an expired password is none. */
#define AUTH_QUERY                                                   \
	"SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL " \
	"ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND "  \
	"rolcanlogin"

/* As in pgbouncer.ini; UNSET has no word, since it is the absence of one. */
static const struct option_choice pool_modes[] = {
	{ "session", POOL_MODE_SESSION, NULL },
	{ "transaction", POOL_MODE_TRANSACTION, NULL },
	{ "statement", POOL_MODE_STATEMENT, NULL },
	{ NULL, 0, NULL },
};

/* From weak to strong. */
static const struct option_choice consistencies[] = {
	{ "eventual", CONSISTENCY_EVENTUAL, NULL },
	{ "bounded", CONSISTENCY_BOUNDED, NULL },
	{ "session", CONSISTENCY_SESSION, NULL },
	{ "global", CONSISTENCY_GLOBAL, NULL },
	{ "strong", CONSISTENCY_STRONG, NULL },
	{ "primary", CONSISTENCY_PRIMARY, NULL },
	{ NULL, 0, NULL },
};

static const struct option_choice transaction_reads[] = {
	{ "primary", TRANSACTION_READS_PRIMARY, NULL },
	{ "until_write", TRANSACTION_READS_UNTIL_WRITE, NULL },
	{ NULL, 0, NULL },
};

/* Refused, not ignored: each would let in whom the operator wants out. */
static const struct option_choice auth_types[] = {
	{ "any", AUTH_ANY, NULL },
	{ "trust", AUTH_TRUST, NULL },
	{ "plain", AUTH_PLAIN, NULL },
	{ "md5", AUTH_MD5, NULL },
	{ "scram-sha-256", AUTH_SCRAM, NULL },
	{ "cert", AUTH_CERT, "is not supported by this version" },
	{ "hba", AUTH_HBA, "is not supported by this version" },
	{ "pam", AUTH_PAM, "is not supported by this version" },
	{ "ldap", AUTH_LDAP, "is not supported by this version" },
	{ NULL, 0, NULL },
};

/* As libpq names them, from lax to strict. */
static const struct option_choice sslmodes[] = {
	{ "disable", SSLMODE_DISABLE, NULL },
	{ "allow", SSLMODE_ALLOW, NULL },
	{ "prefer", SSLMODE_PREFER, NULL },
	{ "require", SSLMODE_REQUIRE, NULL },
	{ "verify-ca", SSLMODE_VERIFY_CA, NULL },
	{ "verify-full", SSLMODE_VERIFY_FULL, NULL },
	{ NULL, 0, NULL },
};

/* Stored in a bool. */
static const struct option_choice balance_words[] = {
	{ "round-robin", true, NULL },
	{ "disable", false, NULL },
	{ NULL, 0, NULL },
};

/* 0 is kept for "one per core", known only when the program runs. */
static const struct option_choice worker_words[] = {
	{ "auto", 0, NULL },
	{ NULL, 0, NULL },
};

/* What base/log knows; the words alone count. */
static const struct option_choice facilities[] = {
	{ "daemon", 0, NULL }, { "auth", 0, NULL },   { "authpriv", 0, NULL },
	{ "user", 0, NULL },   { "local0", 0, NULL }, { "local1", 0, NULL },
	{ "local2", 0, NULL }, { "local3", 0, NULL }, { "local4", 0, NULL },
	{ "local5", 0, NULL }, { "local6", 0, NULL }, { "local7", 0, NULL },
	{ NULL, 0, NULL },
};

/* table: settings */

/* What the operating system sees of the program. */
static const struct option process_rows[] = {
	{ SETTING(workers), .type = OPTION_INT, .fallback = "auto",
	  .choices = worker_words, .max = WORKERS_MAX, .needs_restart = true,
	  .help = "Threads that serve clients; auto (0) is one per core." },
	{ SETTING(worker_fill), .type = OPTION_INT, .fallback = "60",
	  .max = 100,
	  .help = "Percent of a core that a worker uses before new clients go "
		  "to the next one; 0 deals them out in turn." },
	{ SETTING(pidfile), .fallback = "", .needs_restart = true,
	  .help = "Where the process id is written; needed for -d." },
	{ SETTING(user), .fallback = "", .needs_restart = true,
	  .help = "System user to become when started as root." },
	{ SETTING(job_name), .fallback = "pgweir", .state = OPTION_NO_EFFECT,
	  .note = "syslog_ident is the name in the system's log",
	  .help = "Name of the process in the system's log." },
	{ .name = "service_name",
	  .state = OPTION_ALIAS,
	  .note = "job_name",
	  .help = "Another name of job_name." },
	{ SETTING_TIME(stats_period), .fallback = "60", .min = 1000000,
	  .help = "How often averages are made and the statistics line is "
		  "logged." },
};

/* Reopened and changed by a reload, all of them. */
static const struct option log_rows[] = {
	{ SETTING(logfile), .fallback = "",
	  .help = "Log file, opened anew on reload; empty: none." },
	{ SETTING(verbose), .type = OPTION_INT, .fallback = "0",
	  .max = VERBOSE_MAX, .help = "How much is logged; as -v." },
	{ SETTING(syslog), .type = OPTION_BOOL, .fallback = "0",
	  .help = "Log to syslog too." },
	{ SETTING(syslog_ident), .fallback = "pgweir",
	  .help = "Name under which syslog lines appear." },
	{ SETTING(syslog_facility), .fallback = "daemon", .choices = facilities,
	  .help = "Facility of syslog lines." },
	{ SETTING(log_connections), .type = OPTION_BOOL, .fallback = "1",
	  .help = "Log each login." },
	{ SETTING(log_disconnections), .type = OPTION_BOOL, .fallback = "1",
	  .help = "Log each disconnection, with its reason." },
	{ SETTING(log_pooler_errors), .type = OPTION_BOOL, .fallback = "1",
	  .help = "Log the errors that pgweir itself sends to clients." },
	{ SETTING(log_stats), .type = OPTION_BOOL, .fallback = "1",
	  .help = "Log a line of statistics every stats_period." },
};

/* Sockets are opened once, so most of these need a restart. */
static const struct option listen_rows[] = {
	{ SETTING(listen_addr), .type = OPTION_LIST, .fallback = "127.0.0.1",
	  .needs_restart = true,
	  .help = "Addresses to listen on, between commas; * is all of them; "
		  "empty: the Unix socket alone. PgBouncer's default is "
		  "empty." },
	{ SETTING(listen_port), .type = OPTION_INT, .fallback = "6432",
	  .min = 1, .max = PORT_MAX, .needs_restart = true,
	  .help = "Port of the addresses and of the Unix socket." },
	{ SETTING(listen_backlog), .type = OPTION_INT, .fallback = "128",
	  .min = 1, .max = BACKLOG_MAX, .needs_restart = true,
	  .help = "Connections that the kernel keeps until they are "
		  "accepted." },
	{ SETTING(unix_socket_dir), .fallback = "/tmp", .needs_restart = true,
	  .help = "Folder of the Unix socket; @name is an abstract one; "
		  "empty: none." },
	{ SETTING(unix_socket_mode), .type = OPTION_MODE, .fallback = "0777",
	  .needs_restart = true, .help = "Permissions of the Unix socket." },
	{ SETTING(unix_socket_group), .fallback = "", .needs_restart = true,
	  .help = "Group of the Unix socket." },
	{ SETTING(tcp_defer_accept), .type = OPTION_BOOL, .fallback = "1",
	  .needs_restart = true,
	  .help = "Accept a connection only when its first bytes are there." },
	{ SETTING(tcp_keepalive), .type = OPTION_BOOL, .fallback = "1",
	  .help = "Keepalive probes on client and server connections." },
	{ SETTING(tcp_keepcnt), .type = OPTION_INT, .fallback = "0",
	  .max = KEEPALIVE_MAX, .unit = "probes",
	  .help = "Lost probes that end a connection; 0: the system's." },
	{ SETTING(tcp_keepidle), .type = OPTION_INT, .fallback = "0",
	  .max = KEEPALIVE_MAX, .unit = "seconds",
	  .help = "Silence before the first probe; 0: the system's." },
	{ SETTING(tcp_keepintvl), .type = OPTION_INT, .fallback = "0",
	  .max = KEEPALIVE_MAX, .unit = "seconds",
	  .help = "Time between probes; 0: the system's." },
	{ SETTING(tcp_user_timeout), .type = OPTION_INT, .fallback = "0",
	  .unit = "milliseconds",
	  .help = "How long sent bytes may stay without an answer; 0: the "
		  "system's." },
	{ SETTING(tcp_socket_buffer), .type = OPTION_INT, .fallback = "0",
	  .max = SOCKET_BUFFER_MAX, .unit = "bytes",
	  .help = "Size of the kernel's socket buffers; 0: the system's." },
	{ SETTING(stats_addr), .fallback = "127.0.0.1", .needs_restart = true,
	  .help = "Address of the stats port: /metrics, /healthz, /readyz." },
	{ SETTING(stats_port), .type = OPTION_INT, .fallback = "9127",
	  .max = PORT_MAX, .needs_restart = true,
	  .help = "The stats port; 0: none." },
	{ SETTING(stats_compat_pgbouncer), .type = OPTION_BOOL, .fallback = "1",
	  .help = "Offer pgbouncer_exporter's metrics beside our own." },
};

/* Sizes change live: surplus servers go when they are free. */
static const struct option pool_rows[] = {
	{ SETTING(pool_mode), .type = OPTION_CHOICE, .fallback = "transaction",
	  .choices = pool_modes,
	  .help = "When a server is free for another client: after the "
		  "session, the transaction or the statement. PgBouncer's "
		  "default is session." },
	{ SETTING(max_client_conn), .type = OPTION_INT, .fallback = "100",
	  .min = 1, .max = CONNECTIONS_MAX,
	  .help = "Clients that may be connected at a time." },
	{ SETTING(default_pool_size), .type = OPTION_INT, .fallback = "20",
	  .max = CONNECTIONS_MAX,
	  .help = "Server connections per node, database and user; 0: no "
		  "limit." },
	{ SETTING(min_pool_size), .type = OPTION_INT, .fallback = "0",
	  .max = CONNECTIONS_MAX,
	  .help = "Server connections that are kept ready in a pool that has "
		  "clients." },
	{ SETTING(reserve_pool_size), .type = OPTION_INT, .fallback = "0",
	  .max = CONNECTIONS_MAX,
	  .help = "Server connections on top of a pool's size for clients "
		  "that have waited reserve_pool_timeout." },
	{ SETTING_TIME(reserve_pool_timeout), .fallback = "5",
	  .help = "How long a client waits before the reserve helps; 0: it "
		  "never does." },
	{ SETTING(max_db_connections), .type = OPTION_INT, .fallback = "0",
	  .max = CONNECTIONS_MAX,
	  .help = "Server connections per database, over all users; 0: no "
		  "limit." },
	{ SETTING(max_db_client_connections), .type = OPTION_INT,
	  .fallback = "0", .max = CONNECTIONS_MAX,
	  .help = "Clients per database; 0: no limit." },
	{ SETTING(max_user_connections), .type = OPTION_INT, .fallback = "0",
	  .max = CONNECTIONS_MAX,
	  .help = "Server connections per user, over all databases; 0: no "
		  "limit." },
	{ SETTING(max_user_client_connections), .type = OPTION_INT,
	  .fallback = "0", .max = CONNECTIONS_MAX,
	  .help = "Clients per user; 0: no limit." },
	{ SETTING(server_round_robin), .type = OPTION_BOOL, .fallback = "0",
	  .help = "Use idle servers in turn, not the latest one first." },
	{ SETTING(max_prepared_statements), .type = OPTION_INT,
	  .fallback = "200", .max = STATEMENTS_MAX,
	  .help = "Prepared statements that a server connection keeps for "
		  "its clients; 0 counts as 1." },
	{ SETTING(share_unnamed), .type = OPTION_BOOL, .fallback = "1",
	  .help = "Unnamed statements that come again and again are prepared "
		  "once on a server, not parsed for each use." },
	{ SETTING(ignore_startup_parameters), .type = OPTION_LIST,
	  .fallback = "",
	  .help = "Startup parameters that are accepted and dropped." },
	{ SETTING(track_extra_parameters), .type = OPTION_LIST,
	  .fallback = "IntervalStyle", .state = OPTION_NO_EFFECT,
	  .note = "all parameters of a client follow it",
	  .help = "More parameters that follow a client from server to "
		  "server." },
	{ SETTING(application_name_add_host), .type = OPTION_BOOL,
	  .fallback = "0",
	  .help = "Append the client's address to its application_name." },
	{ SETTING(disable_pqexec), .type = OPTION_BOOL, .fallback = "0",
	  .help = "Disconnect clients that use the simple query protocol." },
	{ SETTING(max_packet_size), .type = OPTION_SIZE,
	  .fallback = "2147483647", .min = PACKET_MIN, .max = PACKET_MAX,
	  .help = "Longest message that a client may send." },
};

/* Of clients; how servers are logged into follows from their secrets. */
static const struct option auth_rows[] = {
	{ SETTING(auth_type), .type = OPTION_CHOICE, .fallback = "md5",
	  .choices = auth_types,
	  .help = "How clients prove who they are: any (everybody, under the "
		  "database's user), trust (everybody, under his own name), "
		  "plain (password), md5 (SCRAM where the secret is one), "
		  "scram-sha-256." },
	{ SETTING(auth_file), .fallback = "",
	  .help = "File of users: \"name\" \"secret\", a line each; read "
		  "again on reload." },
	{ SETTING(auth_hba_file), .fallback = "", .state = OPTION_UNSUPPORTED,
	  .help = "Rules in the form of pg_hba.conf." },
	{ SETTING(auth_ident_file), .fallback = "", .state = OPTION_UNSUPPORTED,
	  .help = "User maps in the form of pg_ident.conf." },
	{ SETTING(auth_user), .fallback = "",
	  .help = "User who runs auth_query for users that are not in "
		  "auth_file." },
	{ SETTING(auth_query), .fallback = AUTH_QUERY,
	  .help = "Query that answers a user's name and secret." },
	{ SETTING(auth_dbname), .fallback = "",
	  .help = "Database where auth_query runs; empty: the client's." },
	{ .name = "auth_ldap_options",
	  .fallback = "",
	  .state = OPTION_UNSUPPORTED,
	  .help = "How LDAP is asked." },
	{ SETTING(admin_users), .type = OPTION_LIST, .fallback = "",
	  .help = "Users who may do everything on the console." },
	{ SETTING(stats_users), .type = OPTION_LIST, .fallback = "",
	  .help = "Users who may look at the console's lists." },
	{ SETTING(scram_iterations), .type = OPTION_INT, .fallback = "4096",
	  .min = 1, .max = SCRAM_ITERATIONS_MAX, .unit = "rounds",
	  .help = "Rounds of SCRAM for secrets that are plain passwords." },
};

/* How long a server connection is kept, and how it is trusted. */
static const struct option server_rows[] = {
	{ SETTING(server_reset_query), .fallback = "DISCARD ALL",
	  .help = "Cleans a server between two clients of a session pool, "
		  "and where a client has left something behind in the other "
		  "modes; empty: nothing does, in session pooling." },
	{ SETTING(server_reset_query_always), .type = OPTION_BOOL,
	  .fallback = "0",
	  .help = "Run server_reset_query after every use, in every pool "
		  "mode." },
	{ SETTING(server_check_query), .fallback = "<empty>",
	  .state = OPTION_NO_EFFECT,
	  .note = "a server that goes is noticed at once",
	  .help = "Proves that an idle server is alive; <empty>: a query "
		  "without text; empty: no check." },
	{ SETTING_TIME(server_check_delay), .fallback = "30",
	  .state = OPTION_NO_EFFECT,
	  .note = "a server that goes is noticed at once",
	  .help = "How long an idle server is taken for alive without a "
		  "check." },
	{ SETTING(server_fast_close), .type = OPTION_BOOL, .fallback = "0",
	  .help = "In session pooling, close servers that RECONNECT or a "
		  "reload has left to go at the end of the transaction, not "
		  "of the session; their clients are closed." },
	{ SETTING_TIME(server_lifetime), .fallback = "3600",
	  .help = "Age at which a free server is closed; 0: after one use." },
	{ SETTING_TIME(server_idle_timeout), .fallback = "600",
	  .help = "Idleness at which a server is closed; 0: never." },
	{ SETTING_TIME(server_connect_timeout), .fallback = "15",
	  .help = "Longest time for connecting and logging in; 0: any." },
	{ SETTING_TIME(server_login_retry), .fallback = "15",
	  .help = "Longest pause after failed connections or logins: pauses "
		  "begin with 0.1 s and double up to this, or up to 2 s." },
	{ SETTING_TIME(dns_max_ttl), .fallback = "15",
	  .help = "How long the address of a host name is kept." },
};

/* 0 is "no limit" here, as in PgBouncer. */
static const struct option timeout_rows[] = {
	{ SETTING_TIME(client_login_timeout), .fallback = "60",
	  .help = "Longest login of a client; 0: any." },
	{ SETTING_TIME(client_idle_timeout), .fallback = "0",
	  .help = "Idleness at which a client is closed; 0: never." },
	{ SETTING_TIME(query_timeout), .fallback = "0",
	  .help = "Longest query, its wait for a server included; the client "
		  "and the server are closed; 0: any." },
	{ SETTING_TIME(query_wait_timeout), .fallback = "120",
	  .help = "Longest wait for a server; then the client is closed; 0: "
		  "any." },
	{ SETTING_TIME(query_wait_notify), .fallback = "5",
	  .help = "Wait after which the client is told by a notice; 0: "
		  "never." },
	{ SETTING_TIME(sequence_keep), .fallback = "0.1",
	  .help = "Idleness at which a client that has asked for currval() "
		  "gives its server to those who wait; 0: never." },
	{ SETTING_TIME(failover_timeout), .fallback = "30",
	  .help = "Longest wait for a primary while there is none; then the "
		  "client is closed; 0: query_wait_timeout alone." },
	{ SETTING_TIME(cancel_wait_timeout), .fallback = "10",
	  .help = "Longest wait of a cancel request; 0: any." },
	{ SETTING_TIME(idle_transaction_timeout), .fallback = "0",
	  .help = "Idleness inside a transaction at which the client is "
		  "closed; 0: never." },
	{ SETTING_TIME(transaction_timeout), .fallback = "0",
	  .help = "Longest transaction; then the client is closed; 0: any." },
	{ SETTING_TIME(suspend_timeout), .fallback = "10",
	  .state = OPTION_UNSUPPORTED,
	  .help = "Longest wait for buffers to empty on SUSPEND." },
	{ SETTING_TIME(autodb_idle_timeout), .fallback = "3600",
	  .state = OPTION_NO_EFFECT,
	  .note = "its pools go with their last client and server",
	  .help = "When an unused database that came from \"*\" is "
		  "forgotten." },
};

/* Files are read anew on reload; new connections use them. */
static const struct option client_tls_rows[] = {
	{ SETTING(client_tls_sslmode), .type = OPTION_CHOICE,
	  .fallback = "disable", .choices = sslmodes,
	  .help = "TLS towards clients; verify-ca and verify-full demand a "
		  "certificate." },
	{ SETTING(client_tls_key_file), .fallback = "",
	  .help = "Private key." },
	{ SETTING(client_tls_cert_file), .fallback = "",
	  .help = "Certificate that clients see." },
	{ SETTING(client_tls_ca_file), .fallback = "",
	  .help = "Authorities that clients' certificates must come from." },
	{ SETTING(client_tls_protocols), .type = OPTION_LIST,
	  .fallback = "secure",
	  .help = "Versions: tlsv1.2, tlsv1.3; secure and all are both." },
	{ SETTING(client_tls_ciphers), .fallback = "default",
	  .help = "Ciphers of TLS 1.2, as OpenSSL writes them; default, "
		  "secure, fast, normal, all are known." },
	{ SETTING(client_tls13_ciphers), .fallback = "",
	  .help = "Cipher suites of TLS 1.3; empty: OpenSSL's." },
	{ SETTING(client_tls_dheparams), .fallback = "auto",
	  .help = "DHE key exchange: auto or none." },
	{ SETTING(client_tls_ecdhcurve), .fallback = "auto",
	  .help = "Curve of ECDH: auto, none or a name." },
};

/* prefer is the default since PgBouncer 1.20, and libpq's. */
static const struct option server_tls_rows[] = {
	{ SETTING(server_tls_sslmode), .type = OPTION_CHOICE,
	  .fallback = "prefer", .choices = sslmodes,
	  .help = "TLS towards servers, as libpq's sslmode." },
	{ SETTING(server_tls_key_file), .fallback = "",
	  .help = "Private key, for servers that want a certificate." },
	{ SETTING(server_tls_cert_file), .fallback = "",
	  .help = "Certificate, for servers that want one." },
	{ SETTING(server_tls_ca_file), .fallback = "",
	  .help = "Authorities that servers' certificates must come from." },
	{ SETTING(server_tls_protocols), .type = OPTION_LIST,
	  .fallback = "secure",
	  .help = "Versions: tlsv1.2, tlsv1.3; secure and all are both." },
	{ SETTING(server_tls_ciphers), .fallback = "default",
	  .help = "Ciphers of TLS 1.2, as for clients." },
	{ SETTING(server_tls13_ciphers), .fallback = "",
	  .help = "Cipher suites of TLS 1.3; empty: OpenSSL's." },
};

/* Ours alone: PgBouncer has none of these. */
static const struct option split_rows[] = {
	{ SETTING(split_reads), .type = OPTION_BOOL, .fallback = "1",
	  .help = "Send reads to replicas; 0: everything to the primary." },
	{ SETTING_TIME(monitor_interval), .fallback = "0.5",
	  .min = PROBE_MIN_US, .max = PROBE_MAX_US,
	  .help = "How often every node is asked for role, position and "
		  "lag." },
	{ SETTING_TIME(monitor_timeout), .fallback = "5", .min = PROBE_MIN_US,
	  .max = PROBE_MAX_US, .help = "Silence after which a node is down." },
	{ SETTING(monitor_user), .fallback = "",
	  .help = "User who asks the nodes; empty: auth_user, else the "
		  "database's user, else postgres." },
	{ SETTING(monitor_password), .type = OPTION_SECRET, .fallback = "",
	  .help = "His password; empty: none is needed." },
	{ SETTING(monitor_dbname), .fallback = "postgres",
	  .help = "Database where the nodes are asked." },
	{ SETTING(monitor_rise), .type = OPTION_INT, .fallback = "2", .min = 1,
	  .max = PROBES_MAX,
	  .help = "Answers in a row after which a replica that was down gets "
		  "reads again." },
	{ SETTING(monitor_fall), .type = OPTION_INT, .fallback = "1", .min = 1,
	  .max = PROBES_MAX,
	  .help = "Questions in a row without an answer after which a replica "
		  "is down." },
	{ SETTING_TIME(slow_start), .fallback = "10",
	  .help = "Time in which the share of a replica that was down grows "
		  "from a tenth to all of it; 0: at once." },
	{ SETTING_TIME(max_replica_lag), .fallback = "5",
	  .help = "Replay delay beyond which a replica gets no reads." },
	{ SETTING(consistency), .type = OPTION_CHOICE, .fallback = "session",
	  .choices = consistencies,
	  .help = "What a read on a replica must show at least: whatever is "
		  "there, what is at most max_staleness old, what this client "
		  "has seen, what any client of this pgweir has, what anybody "
		  "has; primary: no reads on replicas. A client may ask for "
		  "another one by SET pgweir.consistency." },
	{ SETTING(transaction_reads), .type = OPTION_CHOICE,
	  .fallback = "primary", .choices = transaction_reads,
	  .help = "Where plain reads of a READ COMMITTED transaction run: all "
		  "on the primary, or those in front of its first other "
		  "statement on a replica." },
	{ SETTING_TIME(max_staleness), .fallback = "1",
	  .help = "Age that consistency = bounded allows." },
	{ SETTING_TIME(causal_wait), .fallback = "0.02",
	  .help = "How long a read waits for a replica to show what it must, "
		  "before it goes to the primary." },
	{ SETTING_TIME(begin_wait), .fallback = "0.1",
	  .help = "How long a BEGIN waits for the transaction's first "
		  "statement, so that it decides on the node, and no server "
		  "is held meanwhile; 0: BEGIN is sent at once." },
	{ SETTING_TIME(read_after_write_window), .fallback = "0",
	  .help = "How long all reads of a session stay on the primary after "
		  "its last write, whatever replicas have; 0: not at all." },
	{ SETTING_TIME(catalog_refresh), .fallback = "60", .min = PROBE_MIN_US,
	  .help = "How often functions and relations are read anew, so that "
		  "statements are judged rightly." },
};

/* Known from PgBouncer; nothing to do with them here. */
static const struct option idle_rows[] = {
	{ .name = "conffile",
	  .fallback = "",
	  .state = OPTION_NO_EFFECT,
	  .note = "the file is named on the command line",
	  .help = "The file of options." },
	{ .name = "resolv_conf",
	  .fallback = "",
	  .state = OPTION_NO_EFFECT,
	  .note = "the system's resolver is used",
	  .help = "Another resolv.conf." },
	{ .name = "so_reuseport",
	  .type = OPTION_BOOL,
	  .fallback = "0",
	  .state = OPTION_NO_EFFECT,
	  .note = "one process uses all cores, see workers",
	  .help = "Several processes on one port." },
	{ .name = "peer_id",
	  .type = OPTION_INT,
	  .fallback = "0",
	  .state = OPTION_UNSUPPORTED,
	  .help = "Number of this process among its peers." },
	{ .name = "dns_nxdomain_ttl",
	  .type = OPTION_TIME,
	  .fallback = "15",
	  .state = OPTION_NO_EFFECT,
	  .note = "the last good answer stays in use",
	  .help = "How long it is kept that a name is unknown." },
	{ .name = "dns_zone_check_period",
	  .type = OPTION_TIME,
	  .fallback = "0",
	  .state = OPTION_NO_EFFECT,
	  .note = "names are looked up again after dns_max_ttl",
	  .help = "How often zones are asked for changes." },
	{ .name = "pkt_buf",
	  .type = OPTION_INT,
	  .fallback = "4096",
	  .state = OPTION_NO_EFFECT,
	  .note = "buffers are sized by load",
	  .help = "Size of packet buffers." },
	{ .name = "sbuf_loopcnt",
	  .type = OPTION_INT,
	  .fallback = "5",
	  .state = OPTION_NO_EFFECT,
	  .note = "work per connection and turn is bounded by itself",
	  .help = "Rounds on one connection before the next." },
	{ .name = "pool_idle_timeout",
	  .type = OPTION_TIME,
	  .fallback = "0",
	  .state = OPTION_NO_EFFECT,
	  .note = "an empty pool costs nothing",
	  .help = "When empty pools are freed." },
	{ .name = "login_notify_message",
	  .fallback = "",
	  .state = OPTION_UNSUPPORTED,
	  .help = "A notice to every client after its login." },
};

#define GROUP(text, list)                                             \
	{                                                             \
		.title = (text), .rows = (list), .count = COUNT(list) \
	}

static const struct option_group settings_groups[] = {
	GROUP("Process", process_rows),
	GROUP("Log", log_rows),
	GROUP("Listening and sockets", listen_rows),
	GROUP("Pools and limits", pool_rows),
	GROUP("Authentication", auth_rows),
	GROUP("Server connections", server_rows),
	GROUP("Time limits", timeout_rows),
	GROUP("TLS towards clients", client_tls_rows),
	GROUP("TLS towards servers", server_tls_rows),
	GROUP("Splitting reads from writes", split_rows),
	GROUP("Keys of PgBouncer without effect here", idle_rows),
};

const struct option_table option_settings = {
	.section = "pgweir",
	.groups = settings_groups,
	.group_count = COUNT(settings_groups),
};

/* table: databases */

/* Without a default a key is unset, and the setting of its name holds. */
static const struct option database_rows[] = {
	{ .name = "host",
	  .type = OPTION_LIST,
	  FIELD(struct database_draft, host),
	  .help = "Nodes, between commas: a name, an address, [address]:port, "
		  "name:port, a folder with a Unix socket; default the socket "
		  "in /var/run/postgresql. Who is primary is found out." },
	{ .name = "port",
	  .type = OPTION_LIST,
	  FIELD(struct database_draft, port),
	  .help = "Port of nodes without one of their own, or a port per "
		  "node, between commas; default 5432." },
	{ .name = "weight",
	  .type = OPTION_LIST,
	  FIELD(struct database_draft, weight),
	  .help = "Share of the reads that a host gets while it is a replica, "
		  "one for all or one per host, between commas, 0 to 1000; 0: "
		  "none; default 1." },
	{ .name = "backup",
	  .type = OPTION_LIST,
	  FIELD(struct database_draft, backup),
	  .help = "Hosts of the list, between commas, that get reads only "
		  "when no other replica can serve them." },
	{ DATABASE(dbname),
	  .help = "Name of the database on the server; default: as the client "
		  "says." },
	{ DATABASE(user),
	  .help = "User of all server connections; default: the client's." },
	{ DATABASE(password), .type = OPTION_SECRET,
	  .help = "Password of user; default: from auth_file." },
	{ DATABASE(auth_user), .help = "As the setting, for this database." },
	{ DATABASE(auth_query), .help = "As the setting, for this database." },
	{ DATABASE(auth_dbname), .help = "As the setting, for this database." },
	{ DATABASE(pool_mode), .type = OPTION_CHOICE, .choices = pool_modes,
	  .help = "As the setting, for this database." },
	{ DATABASE(consistency), .type = OPTION_CHOICE,
	  .choices = consistencies,
	  .help = "As the setting, for this database." },
	{ DATABASE(transaction_reads), .type = OPTION_CHOICE,
	  .choices = transaction_reads,
	  .help = "As the setting, for this database." },
	{ DATABASE(pool_size), .type = OPTION_INT, .max = CONNECTIONS_MAX,
	  .help = "As default_pool_size, for this database." },
	{ DATABASE(min_pool_size), .type = OPTION_INT, .max = CONNECTIONS_MAX,
	  .help = "As the setting, for this database." },
	{ DATABASE(reserve_pool_size), .type = OPTION_INT,
	  .max = CONNECTIONS_MAX,
	  .help = "As the setting, for this database." },
	{ .name = "reserve_pool",
	  .state = OPTION_ALIAS,
	  .note = "reserve_pool_size",
	  .help = "Another name of reserve_pool_size." },
	{ DATABASE(max_db_connections), .type = OPTION_INT,
	  .max = CONNECTIONS_MAX,
	  .help = "As the setting, for this database." },
	{ DATABASE(max_db_client_connections), .type = OPTION_INT,
	  .max = CONNECTIONS_MAX,
	  .help = "As the setting, for this database." },
	{ DATABASE_TIME(server_lifetime),
	  .help = "As the setting, for this database." },
	{ DATABASE_TIME(query_wait_timeout),
	  .help = "As the setting, for this database." },
	{ .name = "load_balance_hosts",
	  .type = OPTION_CHOICE,
	  FIELD(struct config_database, load_balance),
	  .fallback = "round-robin",
	  .choices = balance_words,
	  .state = OPTION_NO_EFFECT,
	  .note = "of the addresses of a host one is used at a time",
	  .help = "Spread over the addresses of a host; disable: use the "
		  "first that answers." },
	{ DATABASE(connect_query),
	  .help = "SQL that is run on each new server connection, and again "
		  "where its settings were reset." },
	{ DATABASE(client_encoding),
	  .help = "client_encoding of new server connections." },
	{ DATABASE(datestyle), .help = "DateStyle of new server connections." },
	{ DATABASE(timezone), .help = "TimeZone of new server connections." },
	{ DATABASE(application_name),
	  .help = "application_name of new server connections." },
};

static const struct option_group database_groups[] = {
	GROUP("Keys of a database", database_rows),
};

const struct option_table option_database = {
	.section = "databases",
	.groups = database_groups,
	.group_count = COUNT(database_groups),
};

/* table: users */

/* What the operator says of a user goes before all else. */
static const struct option user_rows[] = {
	{ USER(pool_mode), .type = OPTION_CHOICE, .choices = pool_modes,
	  .help = "As the setting, for this user; before the database's." },
	{ USER(consistency), .type = OPTION_CHOICE, .choices = consistencies,
	  .help = "As the setting, for this user; before the database's." },
	{ USER(transaction_reads), .type = OPTION_CHOICE,
	  .choices = transaction_reads,
	  .help = "As the setting, for this user; before the database's." },
	{ USER(pool_size), .type = OPTION_INT, .max = CONNECTIONS_MAX,
	  .help = "As default_pool_size, for this user; before the "
		  "database's." },
	{ USER(reserve_pool_size), .type = OPTION_INT, .max = CONNECTIONS_MAX,
	  .help = "As the setting, for this user; before the database's." },
	{ USER(max_user_connections), .type = OPTION_INT,
	  .max = CONNECTIONS_MAX, .help = "As the setting, for this user." },
	{ USER(max_user_client_connections), .type = OPTION_INT,
	  .max = CONNECTIONS_MAX, .help = "As the setting, for this user." },
	{ USER_TIME(query_timeout), .help = "As the setting, for this user." },
	{ USER_TIME(query_wait_timeout),
	  .help = "As the setting, for this user." },
	{ USER_TIME(idle_transaction_timeout),
	  .help = "As the setting, for this user." },
	{ USER_TIME(transaction_timeout),
	  .help = "As the setting, for this user." },
	{ USER_TIME(client_idle_timeout),
	  .help = "As the setting, for this user." },
};

static const struct option_group user_groups[] = {
	GROUP("Keys of a user", user_rows),
};

const struct option_table option_user = {
	.section = "users",
	.groups = user_groups,
	.group_count = COUNT(user_groups),
};
