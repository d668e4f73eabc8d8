/* A copy has every value, and none of the original's memory. */
#include "core/config_copy.h"

#include "base/buf.h"
#include "core/config_build.h"
#include "core/option.h"
#include "core/option_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void build(struct config *config, const char *text)
{
	struct config_source source = { "t", text, strlen(text) };
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;

	*config = (struct config){ 0 };
	assert_true(config_build(config, &source, &error, &warnings));
	buf_free(&error);
	buf_free(&warnings);
}

static void assert_same(const struct option_table *table, const void *one,
			const void *other)
{
	const struct option *option;
	unsigned at = 0;

	while ((option = option_next(table, &at)))
		if (!option_is_equal(option, one, other))
			fail_msg("%s differs", option->name);
}

/* Under AddressSanitizer a shared string would be freed twice. */
static void test_values_outlive_the_original(void **state)
{
	struct config config;
	struct config same;
	struct config copy = { 0 };
	const char *text =
		"[databases]\na = host=x,y port=1 user=u password=p weight=1,2 "
		"application_name=n connect_query='SELECT 1'\nb = dbname=d\n"
		"[users]\nu = pool_size=3\nv = query_timeout=2\n"
		"[pgweir]\nmonitor_password = s\nstats_users = a, b\n"
		"default_pool_size = 3\n";

	(void)state;
	build(&config, text);
	build(&same, text);
	config.generation = 9;
	config_copy(&copy, &config);
	config_clear(&config);
	assert_int_equal(copy.generation, 9);
	assert_string_equal(copy.path, "t");
	assert_same(&option_settings, &copy.settings, &same.settings);
	assert_int_equal(copy.database_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		struct database_draft one = { .database = copy.databases[i] };
		struct database_draft two = { .database = same.databases[i] };

		assert_same(&option_database, &one, &two);
		assert_string_equal(one.database.name, two.database.name);
		assert_int_equal(one.database.node_count,
				 two.database.node_count);
		assert_same(&option_user, &copy.users[i], &same.users[i]);
		assert_string_equal(copy.users[i].name, same.users[i].name);
	}
	assert_int_equal(copy.databases[0].shares[1].weight, 2);
	assert_int_equal(copy.node_count, same.node_count);
	assert_string_equal(copy.nodes[1].label, same.nodes[1].label);
	assert_string_equal(copy.nodes[1].host, "y");
	config_clear(&copy);
	config_clear(&same);
}

static void test_nothing_in_it(void **state)
{
	struct config config;
	struct config copy = { 0 };

	(void)state;
	build(&config, "");
	config_copy(&copy, &config);
	assert_null(copy.databases);
	assert_null(copy.users);
	assert_null(copy.nodes);
	config_clear(&config);
	config_clear(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_outlive_the_original),
		cmocka_unit_test(test_nothing_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
