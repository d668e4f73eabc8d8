#ifndef PGWEIR_CORE_CONFIG_H
#define PGWEIR_CORE_CONFIG_H

/*
 * One immutable snapshot of everything that the operator wrote: built and
 * validated as a whole, then swapped in.  Readers on any thread hold a
 * reference for as long as they look at it; nothing in it ever changes.
 */
#include "core/config_data.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Reads and validates a file.  On failure NULL, and error (appended to, one
 * line per fault, "file:line: what, and what to do") says why.  Warnings
 * (keys without effect, with what replaced them) are appended, a line each,
 * to warnings.  The result carries one reference.
 */
struct config *config_load(const char *path, struct buf *error,
			   struct buf *warnings);

/*
 * The same from a text in memory, for which name stands in messages.  It can
 * include no file.
 */
struct config *config_load_text(const char *name, const char *text, size_t len,
				struct buf *error, struct buf *warnings);

/*
 * A copy in which one key of [pgweir] has another value, as SET wants it.
 * NULL when there is no such key, when only a restart can change it, or when
 * the value does not do: a line in error says why.  Warnings as above.  The
 * result carries one reference and the generation of the original.
 */
struct config *config_with(const struct config *config, const char *key,
			   const char *value, struct buf *error,
			   struct buf *warnings);

/* References; any thread.  The last one frees, secrets wiped. */
struct config *config_hold(const struct config *config);
void config_release(const struct config *config);

/*
 * The entry that serves this database name: its own, else "*", else NULL.
 */
const struct config_database *config_find_database(const struct config *config,
						   const char *name);
/*
 * The entry that stands for all when each leads to the same nodes as the same
 * server user: a connection that has no database can mean nothing else.  NULL
 * when they differ.
 */
const struct config_database *config_sole_cluster(const struct config *config);
const struct config_user *config_find_user(const struct config *config,
					   const char *name);

/* Effective values: user before database before global; 0 = off/unlimited. */
enum config_pool_mode config_mode_of(const struct config *config,
				     const struct config_database *database,
				     const struct config_user *user);
enum config_consistency config_consistency_of(
	const struct config *config, const struct config_database *database,
	const struct config_user *user);
enum config_transaction_reads config_transaction_reads_of(
	const struct config *config, const struct config_database *database,
	const struct config_user *user);
/* By the word that the file has for it; UNSET for any other. */
enum config_consistency config_consistency_named(const char *name);
int config_pool_size_of(const struct config *config,
			const struct config_database *database,
			const struct config_user *user);
uint64_t config_query_wait_us_of(const struct config *config,
				 const struct config_database *database,
				 const struct config_user *user);

/* As the file writes them; NULL for a mode that is not set. */
const char *config_pool_mode_name(enum config_pool_mode mode);
const char *config_sslmode_name(enum config_sslmode mode);

/* Appends the hosts of a line as the operator wrote them, between commas. */
void config_write_hosts(const struct config *config,
			const struct config_database *database,
			struct buf *out);

/* True when word is in a comma and blank separated list such as admin_users */
bool config_list_has(const char *list, const char *word);

/*
 * Differences that only a restart can bring into force, a line each, are
 * appended to out: "listen_port: 6432 stays until a restart".
 */
void config_explain_restart(const struct config *before,
			    const struct config *after, struct buf *out);

/*
 * SHOW CONFIG: calls row for every key of [pgweir] with its value, its
 * default and whether a reload can change it.  Secrets read "****".  Strings
 * are valid during the call only.
 */
struct config_show_sink {
	void (*row)(void *context, const char *key, const char *value,
		    const char *fallback, bool is_changeable);
	void *context;
};

void config_show(const struct config *config,
		 const struct config_show_sink *sink);

#endif
