#ifndef PGWEIR_CONTROL_ADMIN_HOLD_H
#define PGWEIR_CONTROL_ADMIN_HOLD_H

/*
 * Commands that hold databases, or let them go: rows of the table in
 * control/admin_command.  What begins is done once, where the console is; the
 * rest on every worker.
 */
#include <stdbool.h>

struct admin_job;

bool admin_begin_pause(struct admin_job *job);
void admin_pause(struct admin_job *job);
bool admin_pauses(struct admin_job *job);

bool admin_begin_resume(struct admin_job *job);
void admin_resume(struct admin_job *job);

bool admin_begin_kill(struct admin_job *job);
void admin_kill(struct admin_job *job);

bool admin_begin_reconnect(struct admin_job *job);
void admin_reconnect(struct admin_job *job);

void admin_wait_close(struct admin_job *job);
bool admin_waits_for_close(struct admin_job *job);

void admin_disable(struct admin_job *job);
void admin_enable(struct admin_job *job);

#endif
