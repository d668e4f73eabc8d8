#ifndef PGWEIR_CORE_CONFIG_SHARES_H
#define PGWEIR_CORE_CONFIG_SHARES_H

/*
 * How the hosts of a [databases] line share its reads: weight= and backup=.
 */
#include "core/config_data.h"

#include <stdbool.h>

struct buf;
struct config_hosts;

enum { CONFIG_WEIGHT_MAX = 1000 };

/*
 * weight: one for all hosts, or one for each, between commas; 0 gets no
 * reads.  backup: hosts of the list, as they are written there, with their
 * port or without.  NULL: not given.  Fills shares, one for each host.
 * False: what is wrong is appended to why.
 */
bool config_shares_parse(const char *weight, const char *backup,
			 const struct config_hosts *hosts,
			 struct config_share *shares, struct buf *why);

/*
 * Appends " weight=1,3 backup=b:5432" for a line that has either, as --check
 * and SHOW NODES tell it; nothing for hosts that are all alike.
 */
void config_shares_write(const struct config *config,
			 const struct config_database *database,
			 struct buf *out);

#endif
