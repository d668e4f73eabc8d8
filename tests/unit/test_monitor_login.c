/* As whom a node is asked, when nothing says so outright. */
#include "control/monitor_login.h"

#include "base/buf.h"
#include "control_config.h"
#include "core/config.h"
#include "core/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char cluster[] = "[databases]\n"
			      "a = host=h,i user=app password=word\n"
			      "b = host=h auth_user=looker\n"
			      "c = host=far user=other\n";

static struct users *users_with(const char *secret)
{
	struct buf error = BUF_INIT;
	struct users *users = users_parse(secret, strlen(secret), "x", &error);

	assert_non_null(users);
	buf_free(&error);
	return users;
}

static void test_auth_user_of_the_cluster(void **state)
{
	struct config *config = control_config(cluster);
	struct users *users = users_with("\"looker\" \"seen\"\n");

	(void)state;
	for (unsigned node = 0; node < config->node_count; node++) {
		struct monitor_login login =
			monitor_login_with(config, users, node);
		bool is_far = strcmp(config->nodes[node].host, "far") == 0;

		assert_string_equal(login.user, is_far ? "other" : "looker");
		assert_int_equal(login.is_ours, !is_far);
		if (!is_far)
			assert_string_equal(login.password, "seen");
	}
	users_release(users);
	config_release(config);
}

/* Whom pgweir cannot log in as does not help. */
static void test_auth_user_without_a_password(void **state)
{
	struct config *config = control_config(cluster);
	struct users *users = users_with(
		"\"looker\" \"md50123456789abcdef0123456789abcdef\"\n");
	struct monitor_login login = monitor_login_with(config, users, 0);

	(void)state;
	assert_string_equal(login.user, "app");
	assert_string_equal(login.password, "word");
	assert_false(login.is_ours);
	login = monitor_login_with(config, NULL, 0);
	assert_string_equal(login.user, "app");
	users_release(users);
	config_release(config);
}

static void test_monitor_user_comes_first(void **state)
{
	struct config *config =
		control_config("[databases]\na = host=h user=app\n[pgweir]\n"
			       "auth_user = looker\nmonitor_user = m\n");
	struct users *users = users_with("\"looker\" \"seen\"\n");
	struct monitor_login login = monitor_login_with(config, users, 0);

	(void)state;
	assert_string_equal(login.user, "m");
	assert_null(login.password);
	assert_true(login.is_ours);
	users_release(users);
	config_release(config);
}

static void test_auth_user_of_all(void **state)
{
	struct config *config =
		control_config("[databases]\na = host=h user=app\n[pgweir]\n"
			       "auth_user = looker\n");
	struct users *users = users_with("\"looker\" \"seen\"\n");

	(void)state;
	assert_string_equal(monitor_login_with(config, users, 0).user,
			    "looker");
	assert_string_equal(monitor_login_of(config, 0).user, "app");
	users_release(users);
	config_release(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auth_user_of_the_cluster),
		cmocka_unit_test(test_auth_user_without_a_password),
		cmocka_unit_test(test_monitor_user_comes_first),
		cmocka_unit_test(test_auth_user_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
