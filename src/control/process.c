/*
 * Numbers about this process for the page of metrics, from getrusage(2) and
 * /proc/self, under the names that Prometheus' own clients use.
 */
#include "control/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t to_us(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

/* proc(5), /proc/pid/statm: size and resident, in pages. */
static void sample_memory(struct metrics_process *process)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char line[128];

	if (!file)
		return;
	if (fgets(line, sizeof(line), file)) {
		char *rest = line;

		process->virtual_bytes = strtoull(line, &rest, 10) * page;
		process->resident_bytes = strtoull(rest, NULL, 10) * page;
	}
	(void)fclose(file);
}

static void sample_fds(struct metrics_process *process)
{
	struct dirent **entries;
	struct rlimit limit;
	int count = scandir("/proc/self/fd", &entries, NULL, NULL);

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		process->max_fds = limit.rlim_cur;
	if (count < 0)
		return;
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	/* Not ".", "..", nor the descriptor of the listing itself. */
	process->open_fds = count > 3 ? (uint64_t)count - 3 : 0;
}

void process_sample(struct metrics_process *process)
{
	struct rusage usage;

	*process = (struct metrics_process){ 0 };
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		process->cpu_us = to_us(usage.ru_utime) + to_us(usage.ru_stime);
	sample_memory(process);
	sample_fds(process);
}
