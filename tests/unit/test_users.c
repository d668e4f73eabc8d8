/*
 * The auth_file: PgBouncer's language, faults with their line, nothing
 * secret in a message.
 */
#include "core/users.h"

#include "base/buf.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct users *parse(const char *text)
{
	struct buf error = BUF_INIT;
	struct users *users =
		users_parse(text, strlen(text), "list.txt", &error);

	assert_non_null(users);
	assert_int_equal(buf_len(&error), 0);
	return users;
}

static void test_lines(void **state)
{
	struct users *users = parse("\"alice\" \"secret\"\n"
				    "; \"carol\" \"no\"\n"
				    "\n"
				    "   \t \n"
				    "\t\"bob\"\t\"md5abc\" more words\r\n"
				    "\"a b\" \"\"\r\n"
				    "  ; comment\n"
				    "\"last\"\"line\" \"with\"\"quote;\"");

	(void)state;
	assert_int_equal(users_count(users), 4);
	assert_string_equal(users_find(users, "alice"), "secret");
	assert_string_equal(users_find(users, "bob"), "md5abc");
	assert_string_equal(users_find(users, "a b"), "");
	assert_string_equal(users_find(users, "last\"line"), "with\"quote;");
	assert_null(users_find(users, "carol"));
	assert_null(users_find(users, "Alice"));
	assert_null(users_find(users, ""));
	users_release(users);
}

static void test_no_blank_needed(void **state)
{
	struct users *users = parse("\"a\"\t\"1\"x\n\"b\"  \"2\";\n");

	(void)state;
	assert_string_equal(users_find(users, "a"), "1");
	assert_string_equal(users_find(users, "b"), "2");
	users_release(users);
}

static void test_last_line_counts(void **state)
{
	struct users *users = parse("\"a\" \"1\"\n\"b\" \"x\"\n\"a\" \"2\"\n");

	(void)state;
	assert_int_equal(users_count(users), 2);
	assert_string_equal(users_find(users, "a"), "2");
	users_release(users);
}

static void test_nothing(void **state)
{
	struct users *users = parse("");

	(void)state;
	assert_int_equal(users_count(users), 0);
	assert_null(users_find(users, "a"));
	users_release(users);
	assert_null(users_find(NULL, "a"));
	assert_int_equal(users_count(NULL), 0);
	users_release(NULL);
}

static void assert_fault(const char *text, size_t len, const char *place)
{
	struct buf error = BUF_INIT;
	char *message;

	assert_null(users_parse(text, len, "list.txt", &error));
	buf_append_u8(&error, '\0');
	message = (char *)buf_head(&error);
	assert_int_equal(strncmp(message, place, strlen(place)), 0);
	assert_null(strstr(message, "hidden"));
	assert_int_equal(message[strlen(message) - 1], '\n');
	buf_free(&error);
}

static void test_faults(void **state)
{
	static const struct {
		const char *text;
		const char *place;
	} rows[] = {
		{ "alice \"hidden\"", "list.txt:1: " },
		{ "\"a\" \"ok\"\n\n\"b\" hidden\n", "list.txt:3: " },
		{ "\"a\" \"ok\"\n\"b\n", "list.txt:2: " },
		{ "\"a\" \"ok\"\n\"b\"\n", "list.txt:2: " },
		{ "\"a\" \"ok\"\n\"b\"\n\"hidden\"\n", "list.txt:2: " },
		{ "\"b\" \"hidden\n\"c\" \"d\"\n", "list.txt:1: " },
		{ "\"b\" \"hidden\"\"\n", "list.txt:1: " },
		{ "\"", "list.txt:1: " },
		{ "\"b\" \"", "list.txt:1: " },
		{ "\"\" \"hidden\"", "list.txt:1: " },
		{ "\"b\" x\"hidden\"", "list.txt:1: " },
		{ "# hidden", "list.txt:1: " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_fault(rows[i].text, strlen(rows[i].text), rows[i].place);
	assert_fault("\"a\" \"hid\0den\"", 13, "list.txt:1: ");
}

static void test_long_names(void **state)
{
	static const size_t sizes[] = { 63, 64, 65, 128, 2048, 65536 };
	char *text = malloc(200000);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf error = BUF_INIT;
		struct users *users;
		size_t len = sizes[i];

		memset(text, 'x', 200000);
		text[0] = '"';
		memcpy(text + 1 + len, "\" \"", 3);
		text[4 + 2 * len] = '"';
		users = users_parse(text, 5 + 2 * len, "l", &error);
		assert_non_null(users);
		text[1 + len] = '\0';
		assert_int_equal(strlen(users_find(users, text + 1)), len);
		users_release(users);
	}
	free(text);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static void assert_no_load(const char *path, const char *part)
{
	struct buf error = BUF_INIT;

	assert_null(users_load(path, &error));
	buf_append_u8(&error, '\0');
	assert_non_null(strstr((char *)buf_head(&error), path));
	assert_non_null(strstr((char *)buf_head(&error), part));
	buf_free(&error);
}

static void test_load(void **state)
{
	char folder[] = "/tmp/pgweir-users.XXXXXX";
	char path[64];
	struct buf error = BUF_INIT;
	struct users *users;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/userlist.txt", folder);
	assert_no_load(path, "cannot open auth_file: No such file");
	write_file(path, "\"a\" \"b\"\n");
	users = users_load(path, &error);
	assert_non_null(users);
	assert_string_equal(users_find(users, "a"), "b");
	users_release(users);
	write_file(path, "");
	users = users_load(path, &error);
	assert_non_null(users);
	assert_int_equal(users_count(users), 0);
	users_release(users);
	write_file(path, "\"a\" \"b\"\n\"c\"");
	assert_no_load(path, "userlist.txt:2: ");
	assert_no_load(folder, "not a file");
	assert_int_equal(truncate(path, 65 << 20), 0);
	assert_no_load(path, "not a file of at most");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_no_load(path, "not a file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(buf_len(&error), 0);
}

static void *hold_and_release(void *argument)
{
	struct users *users = argument;

	for (unsigned i = 0; i < 10000; i++) {
		struct users *mine = users_hold(users);

		if (!users_find(mine, "a"))
			return argument;
		users_release(mine);
	}
	users_release(users);
	return NULL;
}

static void test_walk(void **state)
{
	static const char text[] = "\"a\" \"1\"\n\"b\" \"2\"\n\"a\" \"3\"\n";
	struct buf error = BUF_INIT;
	struct users *users =
		users_parse(text, sizeof(text) - 1, "list", &error);
	size_t at = 0;
	const char *name;
	unsigned seen = 0;

	(void)state;
	while (users_next(users, &at, &name))
		seen += strcmp(name, "a") == 0 ? 1 : 10;
	assert_int_equal(seen, 11);
	at = 0;
	assert_false(users_next(NULL, &at, &name));
	users_release(users);
	buf_free(&error);
}

static void test_references(void **state)
{
	struct users *users = parse("\"a\" \"b\"\n");
	pthread_t threads[3];
	void *fault = NULL;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						hold_and_release,
						users_hold(users)),
				 0);
	users_release(users);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], &fault), 0);
		assert_null(fault);
	}
}

static int tidy(void **state)
{
	(void)state;
	buf_thread_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_no_blank_needed),
		cmocka_unit_test(test_last_line_counts),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, tidy);
}
