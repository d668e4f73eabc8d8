/*
 * Log lines in a file: form, levels, hostile bytes, re-opening, threads.
 */
#include "base/log.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_BYTES = 1 << 20, THREADS = 4, LINES = 300 };

static char folder[] = "/tmp/pgweir-log-XXXXXX";
static char path[64];
static char moved[64];
static char text[TEXT_BYTES];

static bool open_log(const char *file)
{
	struct log_target target = { .file = file, .quiet = true };

	return log_open(&target);
}

static int set_up(void **state)
{
	(void)state;
	(void)unlink(path);
	log_set_level(LEVEL_INFO);
	assert_true(open_log(path));
	return 0;
}

static int make_folder(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/log", folder);
	(void)snprintf(moved, sizeof(moved), "%s/log.1", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	assert_true(open_log(NULL));
	(void)unlink(path);
	(void)unlink(moved);
	return rmdir(folder);
}

static const char *read_file(const char *name)
{
	int fd = open(name, O_RDONLY);
	ssize_t len;

	assert_true(fd >= 0);
	len = read(fd, text, sizeof(text) - 1);
	assert_true(len >= 0);
	text[len] = '\0';
	(void)close(fd);
	return text;
}

static unsigned count_lines(const char *lines)
{
	unsigned count = 0;

	for (; *lines; lines++)
		count += *lines == '\n';
	return count;
}

static void test_form(void **state)
{
	int year;
	int millis;
	int pid;
	char rest[64] = "";

	(void)state;
	errno = ENOSPC;
	log_info("client %s: %d", "10.0.0.1", 7);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(sscanf(read_file(path),
				"%d-%*d-%*d %*d:%*d:%*d.%3d [%d] %63[^\n]",
				&year, &millis, &pid, rest),
			 4);
	assert_true(year >= 2020);
	assert_int_equal(pid, getpid());
	assert_string_equal(rest, "LOG client 10.0.0.1: 7");
	assert_int_equal(count_lines(text), 1);
}

static unsigned evaluated;

static int evaluate(void)
{
	evaluated++;
	return 1;
}

static void test_levels(void **state)
{
	(void)state;
	evaluated = 0;
	log_debug("hidden %d", evaluate());
	log_noise("hidden %d", evaluate());
	assert_int_equal(evaluated, 0);
	log_set_level(LEVEL_DEBUG);
	assert_true(log_is_on(LEVEL_DEBUG));
	assert_false(log_is_on(LEVEL_NOISE));
	log_debug("shown %d", evaluate());
	log_set_level(LEVEL_NOISE);
	log_noise("shown too %d", evaluate());
	assert_int_equal(evaluated, 2);
	log_set_level(LEVEL_ERROR);
	log_warning("hidden");
	log_error("an error");
	assert_int_equal(count_lines(read_file(path)), 3);
	assert_non_null(strstr(text, "] DEBUG shown 1\n"));
	assert_non_null(strstr(text, "] NOISE shown too 1\n"));
	assert_non_null(strstr(text, "] ERROR an error\n"));
	assert_null(strstr(text, "hidden"));
}

/* Nobody forges a line or drives the reader's terminal. */
static void test_hostile_bytes(void **state)
{
	(void)state;
	log_info("user=%s", "a\nLOG forged\r\x1b[2J\x7f\tb");
	assert_int_equal(count_lines(read_file(path)), 1);
	assert_non_null(strstr(text, "user=a?LOG forged??[2J??b\n"));
	/* Text of other languages stays; C1 controls (U+009B) do not. */
	log_info("user=%s", "Z\xc3\xbcrich \xc2\x9b"
			    "2J \xe2\x82\xac");
	assert_non_null(strstr(read_file(path),
			       "user=Z\xc3\xbcrich ??2J \xe2\x82\xac\n"));
}

static void test_long_lines_are_cut(void **state)
{
	char *longer = xmalloc(10000);

	(void)state;
	memset(longer, 'w', 9999);
	longer[9999] = '\0';
	log_info("%s", longer);
	log_info("next");
	assert_int_equal(count_lines(read_file(path)), 2);
	assert_in_range(strlen(text), 1500, 2200);
	assert_non_null(strstr(text, "www\n"));
	assert_non_null(strstr(text, "] LOG next\n"));
	free(longer);
}

static void test_reopen(void **state)
{
	(void)state;
	log_info("before");
	assert_int_equal(rename(path, moved), 0);
	log_info("still the old file");
	assert_true(open_log(path));
	log_info("after");
	assert_int_equal(count_lines(read_file(moved)), 2);
	assert_int_equal(count_lines(read_file(path)), 1);
	assert_non_null(strstr(text, "after"));
}

static void test_failed_open_keeps_the_old(void **state)
{
	(void)state;
	assert_false(open_log("/nonexistent/log"));
	assert_int_equal(errno, ENOENT);
	log_info("here");
	assert_non_null(strstr(read_file(path), "here"));
}

static void test_stderr_and_syslog(void **state)
{
	struct log_target target = { .file = "",
				     .syslog = "pgweir-test",
				     .facility = "local7" };
	int saved = dup(STDERR_FILENO);
	int fd = open(path, O_WRONLY | O_TRUNC);

	(void)state;
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	assert_true(log_open(&target));
	target.facility = "no such one";
	assert_true(log_open(&target));
	log_warning("to stderr");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(fd);
	assert_true(open_log(path));
	assert_non_null(strstr(read_file(path), "] WARNING to stderr\n"));
}

/* A full disk must not silence us: the lines go to stderr then. */
static void test_failed_write_falls_back(void **state)
{
	int saved = dup(STDERR_FILENO);
	int fd = open(path, O_WRONLY | O_TRUNC);

	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	assert_true(open_log("/dev/full"));
	log_error("disk is full");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(fd);
	assert_true(open_log(path));
	assert_non_null(strstr(read_file(path), "disk is full"));
}

static void *write_many(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_info("thread %c says %0200d.", *(char *)arg, i);
	return NULL;
}

static void test_threads_do_not_mix(void **state)
{
	pthread_t threads[THREADS];
	char names[THREADS] = { 'a', 'b', 'c', 'd' };
	char *save = NULL;
	unsigned count = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many,
						&names[i]),
				 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	(void)read_file(path);
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save), count++) {
		const char *body = strstr(line, "thread ");

		assert_non_null(body);
		assert_int_equal(strlen(body), 215);
		assert_int_equal(body[214], '.');
	}
	assert_int_equal(count, THREADS * LINES);
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_form),
		CASE(test_levels),
		CASE(test_hostile_bytes),
		CASE(test_long_lines_are_cut),
		CASE(test_reopen),
		CASE(test_failed_open_keeps_the_old),
		CASE(test_stderr_and_syslog),
		CASE(test_failed_write_falls_back),
		CASE(test_threads_do_not_mix),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
