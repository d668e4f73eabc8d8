/*
 * What opening the house and reloading it have in common: the parts of a
 * configuration that are put in force again and again while the rest stays.
 *
 * Below both in the order of modules, so that neither calls the other.  Owns
 * nothing: the house does.  Main thread.
 */
#include "main/house_parts.h"

#include "base/log.h"
#include "base/util.h"
#include "core/config.h"
#include "proxy/local.h"

#include <assert.h>
#include <event2/event.h>

bool house_open_log(struct house *house, const struct config *config)
{
	const struct config_settings *settings = &config->settings;
	unsigned level = (unsigned)LEVEL_INFO + house->line->verbose;
	struct log_target target = {
		.file = settings->logfile,
		.quiet = house->line->is_quiet,
		.syslog = settings->syslog ? settings->syslog_ident : NULL,
		.facility = settings->syslog_facility,
	};

	if (house->line->verbose < (unsigned)settings->verbose)
		level = (unsigned)LEVEL_INFO + (unsigned)settings->verbose;
	log_set_level(level < LEVEL_NOISE ? (enum log_level)level
					  : LEVEL_NOISE);
	return log_open(&target);
}

void house_set_stats_period(struct house *house)
{
	uint64_t us = house_config(house)->settings.stats_period_us;
	struct timeval period = util_timeval(us);

	/* The table of options has a least value: 0 would spin the loop. */
	assert(us > 0);
	(void)event_add(house->stats_timer, &period);
}
