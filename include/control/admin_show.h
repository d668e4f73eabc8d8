#ifndef PGWEIR_CONTROL_ADMIN_SHOW_H
#define PGWEIR_CONTROL_ADMIN_SHOW_H

/*
 * The listings of the console that one worker can answer for all: from its
 * snapshots and from the sums of the metrics.  Each appends its rows to the
 * job; the columns stand in the table of commands.
 */
#include <stdbool.h>
#include <stddef.h>

struct admin_job;
struct config_node;
struct node_address;

void admin_show_config(struct admin_job *job);
void admin_show_databases(struct admin_job *job);
void admin_show_dns_hosts(struct admin_job *job);
void admin_show_lists(struct admin_job *job);
void admin_show_mem(struct admin_job *job);
void admin_show_nothing(struct admin_job *job);
void admin_show_pools(struct admin_job *job);
void admin_show_state(struct admin_job *job);
void admin_show_stats(struct admin_job *job);
void admin_show_stats_averages(struct admin_job *job);
void admin_show_stats_totals(struct admin_job *job);
void admin_show_totals(struct admin_job *job);
void admin_show_users(struct admin_job *job);
void admin_show_version(struct admin_job *job);

/* An address as text; "" while it is not known. */
void admin_format_address(const struct node_address *address, char *out,
			  size_t room);

/* True when the host is a name that had to be looked up. */
bool admin_is_host_name(const struct config_node *node);

#endif
