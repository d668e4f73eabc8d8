/*
 * The table of commands and the reading of them.
 *
 * Whoever adds a command adds a row; SHOW HELP, the permissions and the
 * tests walk the rows.  Who may use what is judged in one place, before
 * anything runs.  Commands of PgBouncer that are not there yet are refused
 * by name: a script that pauses a database must not believe that it did.
 */
#include "control/admin_command.h"

#include "base/util.h"
#include "control/admin_act.h"
#include "control/admin_explain.h"
#include "control/admin_hold.h"
#include "control/admin_nodes.h"
#include "control/admin_routes.h"
#include "control/admin_show.h"
#include "control/admin_sockets.h"
#include "core/pgbuild.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* table: columns that several commands have */
#define SOCKET_COLUMNS                                                 \
	"type user database replication state addr port:i local_addr " \
	"local_port:i connect_time request_time wait:i wait_us:i "     \
	"close_needed:i ptr link remote_pid:i tls application_name "   \
	"prepared_statements:i id:q "
#define DEBUG_COLUMNS                                                 \
	"recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i " \
	"pkt_avail:i send_avail:i"
/* In the order of enum rates_figure: control/rates fills them by number. */
#define TOTAL_COLUMNS                                             \
	"total_server_assignment_count:n total_xact_count:n "     \
	"total_query_count:n total_received:n total_sent:n "      \
	"total_xact_time:n total_query_time:n total_wait_time:n " \
	"total_client_parse_count:n total_server_parse_count:n "  \
	"total_bind_count:n"
#define AVERAGE_COLUMNS                                              \
	"avg_server_assignment_count:n avg_xact_count:n "            \
	"avg_query_count:n avg_recv:n avg_sent:n avg_xact_time:n "   \
	"avg_query_time:n avg_wait_time:n avg_client_parse_count:n " \
	"avg_server_parse_count:n avg_bind_count:n"
#define PLAIN_COLUMNS                                             \
	"server_assignment_count:n xact_count:n query_count:n "   \
	"bytes_received:n bytes_sent:n xact_time:n query_time:n " \
	"wait_time:n client_parse_count:n server_parse_count:n "  \
	"bind_count:n"

static void show_help(struct admin_job *job);

/* table: */
static const struct admin_command commands[] = {
	{ .words = "SHOW ACTIVE_SOCKETS",
	  .reach = ADMIN_ALL,
	  .columns = SOCKET_COLUMNS DEBUG_COLUMNS,
	  .run = admin_show_active_sockets,
	  .help = "clients and servers at work" },
	{ .words = "SHOW CLIENTS",
	  .reach = ADMIN_ALL,
	  .columns = SOCKET_COLUMNS "node pinned channels:i",
	  .run = admin_show_clients,
	  .help = "clients, and the server that each is on" },
	{ .words = "SHOW CONFIG",
	  .columns = "key value default changeable",
	  .run = admin_show_config,
	  .help = "settings; changeable: by RELOAD" },
	{ .words = "SHOW DATABASES",
	  .columns = "name host port:i database force_user pool_size:i "
		     "min_pool_size:i reserve_pool_size:i server_lifetime:i "
		     "pool_mode load_balance_hosts max_connections:i "
		     "current_connections:i max_client_connections:i "
		     "current_client_connections:i paused:i disabled:i",
	  .run = admin_show_databases,
	  .help = "databases and their limits" },
	{ .words = "SHOW DNS_HOSTS",
	  .columns = "hostname ttl:q addrs",
	  .run = admin_show_dns_hosts,
	  .help = "host names and their addresses" },
	{ .words = "SHOW DNS_ZONES",
	  .columns = "zonename serial:q count:i",
	  .run = admin_show_nothing,
	  .help = "always empty: zones are not watched" },
	{ .words = "SHOW FDS",
	  .is_admin = true,
	  .columns = "fd:i task user database addr port:i cancel:q link:i "
		     "client_encoding std_strings datestyle timezone password "
		     "scram_client_key scram_server_key",
	  .run = admin_show_nothing,
	  .help = "always empty: sockets are not handed over" },
	{ .words = "SHOW HELP", .run = show_help, .help = "this text" },
	{ .words = "SHOW LISTS",
	  .columns = "list items:i",
	  .run = admin_show_lists,
	  .help = "how many there are of everything" },
	{ .words = "SHOW MEM",
	  .columns = "name size:i used:i free:i memtotal:q",
	  .run = admin_show_mem,
	  .help = "memory of the process" },
	{ .words = "SHOW NODES",
	  .reach = ADMIN_ALL,
	  .columns = "node host port:i address role up streaming lag_us:q "
		     "lag_bytes:q timeline:i lsn server_version probed state "
		     "lag_ms:n weight backup outstanding:i response_us:q "
		     "reads:q",
	  .run = admin_gather_nodes,
	  .finish = admin_show_nodes,
	  .help = "nodes, their roles, their lag and what they have to do" },
	{ .words = "SHOW PEERS",
	  .columns = "peer_id:i host port:i pool_size:i",
	  .run = admin_show_nothing,
	  .help = "always empty: there are no peers" },
	{ .words = "SHOW PEER_POOLS",
	  .columns = "peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i "
		     "sv_active_cancel:i sv_login:i",
	  .run = admin_show_nothing,
	  .help = "always empty: there are no peers" },
	{ .words = "SHOW POOLS",
	  .columns =
		  "database user cl_active:i cl_waiting:i "
		  "cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active:i "
		  "sv_active_cancel:i sv_being_canceled:i sv_idle:i sv_used:i "
		  "sv_tested:i sv_login:i maxwait:i maxwait_us:i pool_mode "
		  "load_balance_hosts",
	  .run = admin_show_pools,
	  .help = "pools, their clients and servers" },
	{ .words = "SHOW ROUTES",
	  .argument = ADMIN_ARGUMENT_MAYBE,
	  .shown = "[<count>]",
	  .reach = ADMIN_ALL,
	  .columns = "count:q class reason replica_percent:n kept_by "
		     "mean_us:q p99_us:q repeats:q statement",
	  .run = admin_gather_routes,
	  .finish = admin_show_routes,
	  .help = "statements by shape: where they go, how long they take" },
	{ .words = "SHOW SERVERS",
	  .reach = ADMIN_ALL,
	  .columns = SOCKET_COLUMNS "node role",
	  .run = admin_show_servers,
	  .help = "server connections" },
	{ .words = "SHOW SOCKETS",
	  .reach = ADMIN_ALL,
	  .columns = SOCKET_COLUMNS DEBUG_COLUMNS,
	  .run = admin_show_sockets,
	  .help = "clients and servers together" },
	{ .words = "SHOW STATE",
	  .columns = "key value",
	  .run = admin_show_state,
	  .help = "active, paused or suspended" },
	{ .words = "SHOW STATS",
	  .columns = "database " TOTAL_COLUMNS " " AVERAGE_COLUMNS,
	  .run = admin_show_stats,
	  .help = "statistics per database" },
	{ .words = "SHOW STATS_AVERAGES",
	  .columns = "database " PLAIN_COLUMNS,
	  .run = admin_show_stats_averages,
	  .help = "the averages of SHOW STATS" },
	{ .words = "SHOW STATS_TOTALS",
	  .columns = "database " PLAIN_COLUMNS,
	  .run = admin_show_stats_totals,
	  .help = "the totals of SHOW STATS" },
	{ .words = "SHOW TOTALS",
	  .columns = "name value:n",
	  .run = admin_show_totals,
	  .help = "statistics of all databases together" },
	{ .words = "SHOW USERS",
	  .columns =
		  "name pool_size reserve_pool_size pool_mode "
		  "max_user_connections:i current_connections:i "
		  "max_user_client_connections:i current_client_connections:i",
	  .run = admin_show_users,
	  .help = "users and their limits" },
	{ .words = "SHOW VERSION",
	  .columns = "version",
	  .run = admin_show_version,
	  .help = "the version" },
	{ .words = "SHOW application_name",
	  .columns = "application_name",
	  .run = admin_show_parameter },
	{ .words = "SHOW client_encoding",
	  .columns = "client_encoding",
	  .run = admin_show_parameter },
	{ .words = "SHOW datestyle",
	  .columns = "datestyle",
	  .run = admin_show_parameter },
	{ .words = "SHOW default_transaction_isolation",
	  .columns = "default_transaction_isolation",
	  .run = admin_show_parameter },
	{ .words = "SHOW extra_float_digits",
	  .columns = "extra_float_digits",
	  .run = admin_show_parameter },
	{ .words = "SHOW standard_conforming_strings",
	  .columns = "standard_conforming_strings",
	  .run = admin_show_parameter },
	{ .words = "SHOW timezone",
	  .columns = "timezone",
	  .run = admin_show_parameter },

	{ .words = "EXPLAIN ROUTE",
	  .argument = ADMIN_ARGUMENT_TEXT,
	  .shown = "[ON <db>] <statement>",
	  .columns = "target node class reason detail change",
	  .run = admin_explain_route,
	  .help = "where it would go, why, and what would change that" },
	{ .words = "RELOAD",
	  .is_admin = true,
	  .run = admin_reload,
	  .help = "read the configuration again" },
	{ .words = "KILL_CLIENT",
	  .argument = ADMIN_ARGUMENT_ONE,
	  .shown = "<id>",
	  .is_admin = true,
	  .reach = ADMIN_CLIENT,
	  .run = admin_kill_client,
	  .help = "end a client; SHOW CLIENTS has the id" },
	{ .words = "SHUTDOWN",
	  .is_admin = true,
	  .run = admin_shutdown,
	  .help = "end at once" },
	{ .words = "SHUTDOWN WAIT_FOR_CLIENTS",
	  .is_admin = true,
	  .run = admin_shutdown_clients,
	  .help = "refuse new clients, end when the last has left" },
	{ .words = "SHUTDOWN WAIT_FOR_SERVERS",
	  .is_admin = true,
	  .run = admin_shutdown_servers,
	  .help = "end when no transaction runs" },

	{ .words = "DISABLE",
	  .argument = ADMIN_ARGUMENT_ONE,
	  .shown = "<db>",
	  .is_admin = true,
	  .run = admin_disable,
	  .help = "let no new clients in" },
	{ .words = "ENABLE",
	  .argument = ADMIN_ARGUMENT_ONE,
	  .shown = "<db>",
	  .is_admin = true,
	  .run = admin_enable,
	  .help = "end DISABLE" },
	{ .words = "KILL",
	  .argument = ADMIN_ARGUMENT_MAYBE,
	  .shown = "[<db>]",
	  .is_admin = true,
	  .reach = ADMIN_ALL,
	  .begin = admin_begin_kill,
	  .run = admin_kill,
	  .help = "end all clients and servers, and PAUSE" },
	{ .words = "PAUSE",
	  .argument = ADMIN_ARGUMENT_MAYBE,
	  .shown = "[<db>]",
	  .is_admin = true,
	  .reach = ADMIN_ALL,
	  .begin = admin_begin_pause,
	  .run = admin_pause,
	  .goes_on = admin_pauses,
	  .help = "keep clients waiting, end when no server is left" },
	{ .words = "RECONNECT",
	  .argument = ADMIN_ARGUMENT_MAYBE,
	  .shown = "[<db>]",
	  .is_admin = true,
	  .reach = ADMIN_ALL,
	  .begin = admin_begin_reconnect,
	  .run = admin_reconnect,
	  .help = "close servers as they come to rest" },
	{ .words = "RESUME",
	  .argument = ADMIN_ARGUMENT_MAYBE,
	  .shown = "[<db>]",
	  .is_admin = true,
	  .reach = ADMIN_ALL,
	  .begin = admin_begin_resume,
	  .run = admin_resume,
	  .help = "end PAUSE or KILL" },
	{ .words = "SUSPEND",
	  .is_admin = true,
	  .run = admin_refuse,
	  .help = "not supported: sockets are not handed over" },
	{ .words = "WAIT_CLOSE",
	  .argument = ADMIN_ARGUMENT_MAYBE,
	  .shown = "[<db>]",
	  .is_admin = true,
	  .reach = ADMIN_ALL,
	  .begin = admin_begin_reconnect,
	  .run = admin_wait_close,
	  .goes_on = admin_waits_for_close,
	  .help = "wait until RECONNECT or RELOAD have closed theirs" },
	/* Drivers set their session up, so anybody may; it changes nothing. */
	{ .words = "SET",
	  .argument = ADMIN_ARGUMENT_SET,
	  .shown = "<key> = <value>",
	  .run = admin_set,
	  .help = "change a setting until RELOAD" },
};

const struct admin_command *admin_command_at(unsigned index)
{
	return index < sizeof(commands) / sizeof(*commands) ? &commands[index]
							    : NULL;
}

void admin_command_tag(const struct admin_command *command, char *out,
		       size_t room)
{
	(void)snprintf(out, room, "%.*s", (int)strcspn(command->words, " "),
		       command->words);
}

/* --- help ------------------------------------------------------------------
 */

static void show_help(struct admin_job *job)
{
	struct buf text = BUF_INIT;

	for (unsigned i = 0; admin_command_at(i); i++) {
		const struct admin_command *command = &commands[i];
		const char *shown = command->shown ? command->shown : "";
		int used = (int)(strlen(command->words) + strlen(shown));

		if (command->help)
			buf_printf(&text, "\n\t%s %s%*s %s", command->words,
				   shown, used < 26 ? 26 - used : 0, "",
				   command->help);
	}
	pgbuild_notice(&job->out,
		       &(struct pgbuild_error){ .severity = "NOTICE",
						.sqlstate = "00000",
						.message = "Console usage",
						.detail = buf_text(&text) });
	buf_free(&text);
}

/* --- reading ---------------------------------------------------------------
 */

/* More than any command has; longer texts are not for the console. */
enum { WORDS_MAX = 6, TEXT_MAX = 1000 };

struct words {
	unsigned count;
	char word[WORDS_MAX][ADMIN_ARGUMENT_ROOM];
};

/* Always false, so that a reader can end with it. */
static bool fail(struct admin_parsed *parsed, const char *sqlstate,
		 const char *hint)
{
	parsed->sqlstate = sqlstate;
	(void)util_copy(parsed->hint, sizeof(parsed->hint), hint);
	return false;
}

/* What names of databases and users may hold without quotes. */
static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_.*-+:/", c)) ||
	       (unsigned char)c >= 128;
}

/* Behind the opening quote; doubled quotes stand for one. */
static const char *read_quoted(const char *at, char *out, size_t room)
{
	char quote = *at++;
	size_t len = 0;

	for (; *at && (*at != quote || at[1] == quote); at++) {
		if (*at == quote)
			at++;
		if (len + 1 < room)
			out[len++] = *at;
		else
			return NULL;
	}
	out[len] = '\0';
	return *at ? at + 1 : NULL;
}

static const char *read_word(const char *at, char *out, size_t room)
{
	size_t len = 0;

	if (*at == '"' || *at == '\'')
		return read_quoted(at, out, room);
	if (*at == '=') {
		len = 1;
	} else {
		while (is_word_char(at[len]))
			len++;
	}
	if (len == 0 || len >= room)
		return NULL;
	memcpy(out, at, len);
	out[len] = '\0';
	return at + len;
}

/* Words up to the end or a semicolon that nothing follows. */
static bool read_words(const char *text, struct words *words)
{
	static const char blanks[] = " \t\r\n";
	const char *at = text + strspn(text, blanks);

	words->count = 0;
	while (*at && *at != ';') {
		if (words->count == WORDS_MAX)
			return false;
		at = read_word(at, words->word[words->count],
			       ADMIN_ARGUMENT_ROOM);
		if (!at)
			return false;
		words->count++;
		at += strspn(at, blanks);
	}
	return at[strspn(at, "; \t\r\n")] == '\0';
}

/* How many words of the row the text begins with; 0: not this command. */
static unsigned match(const struct admin_command *command,
		      const struct words *words)
{
	const char *at = command->words;
	unsigned count = 0;

	while (*at) {
		size_t len = strcspn(at, " ");

		if (count == words->count ||
		    strlen(words->word[count]) != len ||
		    strncasecmp(words->word[count], at, len) != 0)
			return 0;
		count++;
		at += len;
		at += strspn(at, " ");
	}
	return count;
}

/* The row with the most words. */
static const struct admin_command *find(const struct words *words,
					unsigned *matched)
{
	const struct admin_command *found = NULL;

	*matched = 0;
	for (unsigned i = 0; admin_command_at(i); i++) {
		unsigned count = match(&commands[i], words);

		if (count > *matched) {
			*matched = count;
			found = &commands[i];
		}
	}
	return found;
}

/* The longer the text, the more slips it may have; NULL: none is near. */
static const char *nearest(const char *text)
{
	unsigned limit = (unsigned)strlen(text) / 3 + 2;
	const char *near = NULL;

	for (unsigned i = 0; admin_command_at(i); i++) {
		unsigned distance =
			util_distance(text, commands[i].words, limit);

		if (distance < limit && commands[i].help) {
			limit = distance;
			near = commands[i].words;
		}
	}
	return near;
}

/* Sent by drivers that were not told to leave transactions alone. */
static bool is_transaction(const char *word)
{
	static const char *const words[] = { "BEGIN", "START",    "COMMIT",
					     "END",   "ROLLBACK", "ABORT" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasecmp(word, words[i]) == 0)
			return true;
	return false;
}

/* Says what could have been meant. */
static bool fail_unknown(struct admin_parsed *parsed, const struct words *words)
{
	char text[2 * ADMIN_ARGUMENT_ROOM + 2];
	const char *near;

	(void)snprintf(text, sizeof(text), "%s%s%s", words->word[0],
		       words->count > 1 ? " " : "",
		       words->count > 1 ? words->word[1] : "");
	near = nearest(text);
	(void)snprintf(parsed->error, sizeof(parsed->error),
		       "unknown command \"%.100s\"", text);
	(void)fail(parsed, "42601", "SHOW HELP lists the commands.");
	if (is_transaction(words->word[0]))
		(void)fail(parsed, "42601",
			   "The console has no transactions: set autocommit.");
	else if (near)
		(void)snprintf(parsed->hint, sizeof(parsed->hint),
			       "Did you mean %s?", near);
	return false;
}

/* name = value, name TO value */
static bool read_assignment(const struct words *words, unsigned at,
			    struct admin_parsed *parsed)
{
	if (words->count != at + 3 ||
	    (strcmp(words->word[at + 1], "=") != 0 &&
	     strcasecmp(words->word[at + 1], "TO") != 0))
		return false;
	(void)util_copy(parsed->argument, sizeof(parsed->argument),
			words->word[at]);
	(void)util_copy(parsed->value, sizeof(parsed->value),
			words->word[at + 2]);
	return true;
}

static bool read_argument(const struct words *words, unsigned at,
			  struct admin_parsed *parsed)
{
	unsigned rest = words->count - at;

	assert(at <= words->count);
	switch (parsed->command->argument) {
	case ADMIN_ARGUMENT_SET: return read_assignment(words, at, parsed);
	case ADMIN_ARGUMENT_NONE:
		if (rest != 0)
			return false;
		break;
	case ADMIN_ARGUMENT_TEXT: return false;
	case ADMIN_ARGUMENT_ONE:
		if (rest != 1)
			return false;
		break;
	case ADMIN_ARGUMENT_MAYBE:
	default:
		if (rest > 1)
			return false;
		break;
	}
	if (rest == 1)
		(void)util_copy(parsed->argument, sizeof(parsed->argument),
				words->word[at]);
	return true;
}

/* The one place where permission is judged. */
static bool may_use(const struct admin_command *command, bool is_admin,
		    struct admin_parsed *parsed)
{
	if (!command->is_admin || is_admin)
		return true;
	(void)snprintf(parsed->error, sizeof(parsed->error),
		       "permission denied for %s", command->words);
	return fail(parsed, "42501",
		    "This command is for those in admin_users.");
}

/*
 * Permission comes before the argument: who may not use a command need not be
 * told how.
 */
static bool judge(const struct words *words, bool is_admin,
		  struct admin_parsed *parsed)
{
	unsigned matched;

	parsed->command = find(words, &matched);
	if (!parsed->command)
		return fail_unknown(parsed, words);
	if (!may_use(parsed->command, is_admin, parsed))
		return false;
	if (read_argument(words, matched, parsed))
		return true;
	(void)snprintf(parsed->error, sizeof(parsed->error),
		       "the command is: %s%s%s", parsed->command->words,
		       parsed->command->shown ? " " : "",
		       parsed->command->shown ? parsed->command->shown : "");
	return fail(parsed, "42601", "SHOW HELP lists the commands.");
}

/* Behind the words of the row, in any case and with any blanks; or NULL. */
static const char *skip_words(const struct admin_command *command,
			      const char *text)
{
	static const char blanks[] = " \t\r\n";
	const char *at = command->words;

	while (*at) {
		size_t len = strcspn(at, " ");

		text += strspn(text, blanks);
		if (strncasecmp(text, at, len) != 0 || is_word_char(text[len]))
			return NULL;
		text += len;
		at += len;
		at += strspn(at, " ");
	}
	return text + strspn(text, blanks);
}

/* A command whose argument is a text of another language. */
static bool find_text(const char *text, struct admin_parsed *parsed)
{
	for (unsigned i = 0; admin_command_at(i); i++) {
		const char *rest = NULL;

		if (commands[i].argument == ADMIN_ARGUMENT_TEXT)
			rest = skip_words(&commands[i], text);
		if (!rest)
			continue;
		parsed->command = &commands[i];
		parsed->text = rest;
		return true;
	}
	return false;
}

/*
 * An empty text is no command and no fault.  SELECT is read as SHOW for drivers
 * that allow queries only: "SELECT version".
 */
bool admin_parse(const char *text, bool is_admin, struct admin_parsed *parsed)
{
	struct words words;

	*parsed = (struct admin_parsed){ .sqlstate = "" };
	if (find_text(text, parsed))
		return may_use(parsed->command, is_admin, parsed);
	if (strlen(text) > TEXT_MAX || !read_words(text, &words)) {
		(void)snprintf(parsed->error, sizeof(parsed->error),
			       "syntax error: this is the console, not a "
			       "database");
		return fail(parsed, "42601", "SHOW HELP lists the commands.");
	}
	if (words.count == 0)
		return true;
	if (strcasecmp(words.word[0], "SELECT") == 0)
		(void)util_copy(words.word[0], ADMIN_ARGUMENT_ROOM, "SHOW");
	return judge(&words, is_admin, parsed);
}
