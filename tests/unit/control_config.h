#ifndef PGWEIR_TESTS_CONTROL_CONFIG_H
#define PGWEIR_TESTS_CONTROL_CONFIG_H

/*
 * A configuration from a text, for tests of rooms that hold references to
 * one.
 */
#include "base/buf.h"
#include "core/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static inline struct config *control_config(const char *text)
{
	char path[] = "/tmp/pgweir-test-XXXXXX";
	int fd = mkstemp(path);
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *config;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	config = config_load(path, &error, &warnings);
	(void)unlink(path);
	buf_append_u8(&error, 0);
	if (!config)
		fail_msg("%s", (const char *)buf_head(&error));
	buf_free(&error);
	buf_free(&warnings);
	return config;
}

#endif
