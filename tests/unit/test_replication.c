/*
 * Startup packets of replication connections: values read as PostgreSQL
 * reads them, everything else kept as it came.
 */
#include "core/replication.h"

#include "base/buf.h"
#include "base/util.h"
#include "core/pgbuild.h"
#include "core/pgwire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_values(void **state)
{
	static const char *const physical[] = { "true", "TRUE", "t",
						"tr",   "yes",  "Y",
						"on",   "ON",   "1" };
	static const char *const none[] = { "false", "f",   "FAL", "no",
					    "n",     "off", "of",  "0" };
	static const char *const bad[] = { "",        "o",   "truex",
					   "maybe",   "2",   "10",
					   "-1",      "onn", "Database",
					   "databas", " on", "database " };

	(void)state;
	for (size_t i = 0; i < sizeof(physical) / sizeof(*physical); i++)
		assert_int_equal(replication_read(physical[i]),
				 REPLICATION_PHYSICAL);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_int_equal(replication_read(none[i]), REPLICATION_NONE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(replication_read(bad[i]), REPLICATION_BAD);
	assert_int_equal(replication_read("database"), REPLICATION_LOGICAL);
	assert_int_equal(replication_read(NULL), REPLICATION_NONE);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(replication_name(REPLICATION_NONE), "none");
	assert_string_equal(replication_name(REPLICATION_PHYSICAL), "physical");
	assert_string_equal(replication_name(REPLICATION_LOGICAL), "logical");
	assert_string_equal(replication_name(REPLICATION_BAD), "none");
}

/* What a packet of these pairs leaves; the packet itself is gone by then. */
static struct replication_startup *keep(const char *const *pairs, size_t count)
{
	struct buf packet = BUF_INIT;
	struct pgwire_startup startup;
	struct replication_startup *kept;

	pgbuild_startup(&packet, pairs, count);
	assert_int_equal(pgwire_read_startup(buf_head(&packet),
					     buf_len(&packet), &startup),
			 PGWIRE_OK);
	kept = replication_keep(&startup, REPLICATION_LOGICAL);
	memset(buf_head(&packet), 'x', buf_len(&packet));
	buf_free(&packet);
	return kept;
}

static void test_kept_in_order(void **state)
{
	static const char *const pairs[] = {
		"user",        "anna",     "replication", "true",
		"_pq_.new",    "1",        "options",     "-c geqo=off --weird",
		"database",    "app",      "a.b",         "",
		"replication", "database", "userx",       "kept",
	};
	struct replication_startup *kept = keep(pairs, 8);
	size_t count;
	const char *const *left = replication_pairs(kept, &count);

	(void)state;
	assert_int_equal(replication_kind(kept), REPLICATION_LOGICAL);
	assert_int_equal(count, 5);
	assert_string_equal(left[0], "replication");
	assert_string_equal(left[1], "true");
	assert_string_equal(left[2], "options");
	assert_string_equal(left[3], "-c geqo=off --weird");
	assert_string_equal(left[4], "a.b");
	assert_string_equal(left[5], "");
	assert_string_equal(left[6], "replication");
	assert_string_equal(left[7], "database");
	assert_string_equal(left[8], "userx");
	/* The last one counts. */
	assert_string_equal(replication_get(kept, "replication"), "database");
	assert_null(replication_get(kept, "user"));
	assert_null(replication_get(kept, "application_name"));
	replication_free(kept);
	replication_free(NULL);
}

static void test_many(void **state)
{
	enum { PAIRS = 400 };
	static const char *pairs[2 * PAIRS];
	struct replication_startup *kept;
	size_t count;

	(void)state;
	for (size_t i = 0; i < PAIRS; i++) {
		pairs[2 * i] = i % 2 ? "database" : "name";
		pairs[2 * i + 1] = "value";
	}
	kept = keep(pairs, PAIRS);
	(void)replication_pairs(kept, &count);
	assert_int_equal(count, PAIRS / 2);
	replication_free(kept);
	kept = keep(pairs, 0);
	(void)replication_pairs(kept, &count);
	assert_int_equal(count, 0);
	replication_free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_kept_in_order),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
