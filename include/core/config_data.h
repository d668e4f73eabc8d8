#ifndef PGWEIR_CORE_CONFIG_DATA_H
#define PGWEIR_CORE_CONFIG_DATA_H

/*
 * The values of one configuration, as plain structs: what core/config hands
 * out and what the rows of core/option_table point into.  No code here; who
 * reads a configuration includes core/config.h.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_pool_mode {
	POOL_MODE_UNSET,
	POOL_MODE_SESSION,
	POOL_MODE_TRANSACTION,
	POOL_MODE_STATEMENT
};

/* How fresh an answer must be; from weak to strong. */
enum config_consistency {
	CONSISTENCY_UNSET,
	CONSISTENCY_EVENTUAL, /* whatever a healthy replica has */
	CONSISTENCY_BOUNDED,  /* not older than max_staleness */
	CONSISTENCY_SESSION,  /* what this client has seen */
	CONSISTENCY_GLOBAL,   /* ... what any client of this pgweir has */
	CONSISTENCY_STRONG,   /* ... what anybody has, when the read arrives */
	CONSISTENCY_PRIMARY   /* no reads on replicas */
};

/* Where reads run in a transaction that may write. */
enum config_transaction_reads {
	TRANSACTION_READS_UNSET,
	TRANSACTION_READS_PRIMARY,
	TRANSACTION_READS_UNTIL_WRITE /* on a replica in front of all else */
};

enum config_auth_type {
	AUTH_ANY,
	AUTH_TRUST,
	AUTH_PLAIN,
	AUTH_MD5,
	AUTH_SCRAM,
	AUTH_CERT,
	AUTH_HBA,
	AUTH_PAM,
	AUTH_LDAP
};

enum config_sslmode {
	SSLMODE_DISABLE,
	SSLMODE_ALLOW,
	SSLMODE_PREFER,
	SSLMODE_REQUIRE,
	SSLMODE_VERIFY_CA,
	SSLMODE_VERIFY_FULL
};

/* A limit that the scope does not set: the wider scope's value holds. */
#define CONFIG_UNSET    (-1)
#define CONFIG_UNSET_US UINT64_MAX

/* A server that can be connected to; equal (host, port) share one entry. */
struct config_node {
	char *host; /* name, address, or directory of a Unix socket */
	uint16_t port;
	bool is_unix;
	char *label; /* "host:port" as shown in logs and metrics */
};

/* How a host of a line shares its reads, while it is a replica. */
struct config_share {
	unsigned weight; /* 0: it gets none */
	bool is_backup;  /* used when no other replica can be */
};

/* A line of [databases].  Strings are NULL when not given. */
struct config_database {
	char *name;   /* "*" for the fallback */
	char *dbname; /* NULL: the name that the client asked for */
	char *user;   /* forced server user */
	char *password;
	char *auth_user;
	char *auth_query;
	char *auth_dbname;
	char *connect_query;
	char *client_encoding;
	char *datestyle;
	char *timezone;
	char *application_name;
	enum config_pool_mode pool_mode;
	enum config_consistency consistency;
	enum config_transaction_reads transaction_reads;
	int pool_size;
	int min_pool_size;
	int reserve_pool_size;
	int max_db_connections;
	int max_db_client_connections;
	uint64_t server_lifetime_us;
	uint64_t query_wait_timeout_us;
	bool load_balance; /* load_balance_hosts = round-robin */
	unsigned node_count;
	unsigned *nodes;             /* indexes into config.nodes */
	struct config_share *shares; /* of these */
	unsigned line;               /* in the file, for messages */
};

/* A line of [users]. */
struct config_user {
	char *name;
	enum config_pool_mode pool_mode;
	enum config_consistency consistency;
	enum config_transaction_reads transaction_reads;
	int pool_size;
	int reserve_pool_size;
	int max_user_connections;
	int max_user_client_connections;
	uint64_t query_timeout_us;
	uint64_t query_wait_timeout_us;
	uint64_t idle_transaction_timeout_us;
	uint64_t transaction_timeout_us;
	uint64_t client_idle_timeout_us;
};

/*
 * Settings of [pgweir], named as their keys; times in microseconds.  Strings
 * are never NULL here: "" when not set.
 */
struct config_settings {
	/*
	 * A time or a number of 0 is "no limit" or "off" unless the help of
	 * its row in core/option_table says otherwise.
	 */
	/* process */
	char *logfile;
	char *pidfile;
	char *user;
	char *job_name;
	uint64_t stats_period_us;
	int verbose;
	int workers; /* 0: one per core */
	int worker_fill;
	char *syslog_ident;
	char *syslog_facility;
	/* listening */
	char *listen_addr;
	int listen_port;
	int listen_backlog;
	char *unix_socket_dir;
	int unix_socket_mode;
	char *unix_socket_group;
	int tcp_keepcnt;
	int tcp_keepidle;
	int tcp_keepintvl;
	int tcp_user_timeout; /* milliseconds */
	int tcp_socket_buffer;
	char *stats_addr;
	int stats_port;
	/* pools */
	enum config_pool_mode pool_mode;
	enum config_consistency consistency;
	enum config_transaction_reads transaction_reads;
	int max_client_conn;
	int default_pool_size;
	int min_pool_size;
	int reserve_pool_size;
	uint64_t reserve_pool_timeout_us;
	int max_db_connections;
	int max_db_client_connections;
	int max_user_connections;
	int max_user_client_connections;
	int max_prepared_statements;
	char *ignore_startup_parameters;
	char *track_extra_parameters;
	uint64_t max_packet_size;
	/* authentication */
	enum config_auth_type auth_type;
	int scram_iterations;
	char *auth_file;
	char *auth_hba_file;
	char *auth_ident_file;
	char *auth_user;
	char *auth_query;
	char *auth_dbname;
	char *admin_users;
	char *stats_users;
	/* server checks and limits */
	char *server_reset_query;
	char *server_check_query;
	uint64_t server_check_delay_us;
	uint64_t server_lifetime_us;
	uint64_t server_idle_timeout_us;
	uint64_t server_connect_timeout_us;
	uint64_t server_login_retry_us;
	uint64_t client_login_timeout_us;
	uint64_t client_idle_timeout_us;
	uint64_t query_timeout_us;
	uint64_t query_wait_timeout_us;
	uint64_t query_wait_notify_us;
	uint64_t sequence_keep_us;
	uint64_t failover_timeout_us;
	uint64_t cancel_wait_timeout_us;
	uint64_t idle_transaction_timeout_us;
	uint64_t transaction_timeout_us;
	uint64_t suspend_timeout_us;
	uint64_t autodb_idle_timeout_us;
	uint64_t dns_max_ttl_us;
	/* TLS */
	enum config_sslmode client_tls_sslmode;
	enum config_sslmode server_tls_sslmode;
	char *client_tls_key_file;
	char *client_tls_cert_file;
	char *client_tls_ca_file;
	char *client_tls_protocols;
	char *client_tls_ciphers;
	char *client_tls13_ciphers;
	char *client_tls_dheparams;
	char *client_tls_ecdhcurve;
	char *server_tls_key_file;
	char *server_tls_cert_file;
	char *server_tls_ca_file;
	char *server_tls_protocols;
	char *server_tls_ciphers;
	char *server_tls13_ciphers;
	/* splitting */
	uint64_t monitor_interval_us;
	uint64_t monitor_timeout_us;
	char *monitor_user;
	char *monitor_password;
	char *monitor_dbname;
	int monitor_rise;
	int monitor_fall;
	uint64_t slow_start_us;
	uint64_t max_replica_lag_us;
	uint64_t max_staleness_us;
	uint64_t causal_wait_us;
	uint64_t begin_wait_us;
	uint64_t read_after_write_window_us;
	uint64_t catalog_refresh_us;
	/* switches of all groups, together for the sake of size */
	bool syslog;
	bool log_connections;
	bool log_disconnections;
	bool log_pooler_errors;
	bool log_stats;
	bool tcp_defer_accept;
	bool tcp_keepalive;
	bool server_round_robin;
	bool share_unnamed;
	bool application_name_add_host;
	bool disable_pqexec;
	bool server_reset_query_always;
	bool server_fast_close;
	bool split_reads;
	bool stats_compat_pgbouncer;
};

struct config {
	struct config_settings settings;
	char *path;
	unsigned database_count;
	struct config_database *databases;
	unsigned user_count;
	struct config_user *users;
	unsigned node_count;
	struct config_node *nodes;
	uint64_t generation; /* set by the owner; grows with each reload */
};

#endif
