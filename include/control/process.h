#ifndef PGWEIR_CONTROL_PROCESS_H
#define PGWEIR_CONTROL_PROCESS_H

/*
 * What the kernel counts of this process, for the page of metrics.
 */
#include "core/metrics_page.h"

/*
 * Fills in what the kernel says of this process; what it does not say (no
 * /proc) is 0.  Some 50 microseconds; any thread.
 */
void process_sample(struct metrics_process *process);

#endif
