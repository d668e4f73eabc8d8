/*
 * Which catalogs are loaded when.  The loader is a stand-in of this file's,
 * so that no server is needed and every load ends when the test says so.
 */
#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "control/catalog_load.h"
#include "core/catalog.h"
#include "core/config.h"
#include "core/dbddl.h"
#include "main/catalog_source.h"
#include "main/catalogs.h"
#include "proxy/local.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the stand-in ------------------------------------------------------- */

enum { LOADERS = 4 };

struct catalog_loader {
	catalog_loaded_fn *done;
	void *arg;
	bool is_busy;
	char *words;
	char *own; /* NULL: the same */
};

static struct catalog_loader *loaders[16];
static unsigned loader_count;
static unsigned starts;

struct catalog_loader *catalog_loader_new(struct event_base *base,
					  catalog_loaded_fn *done, void *arg)
{
	struct catalog_loader *loader = xcalloc(1, sizeof(*loader));

	(void)base;
	loader->done = done;
	loader->arg = arg;
	assert_true(loader_count < 16);
	loaders[loader_count++] = loader;
	return loader;
}

void catalog_loader_free(struct catalog_loader *loader)
{
	free(loader->words);
	free(loader->own);
	free(loader);
	loader_count--;
}

bool catalog_loader_start(struct catalog_loader *loader, const char *conninfo,
			  const char *own, uint64_t timeout_us)
{
	assert_false(loader->is_busy);
	assert_true(timeout_us > 0);
	loader->is_busy = true;
	free(loader->words);
	free(loader->own);
	loader->words = xstrdup(conninfo);
	loader->own = own ? xstrdup(own) : NULL;
	starts++;
	return true;
}

bool catalog_loader_is_busy(const struct catalog_loader *loader)
{
	return loader->is_busy;
}

void catalog_loader_stop(struct catalog_loader *loader)
{
	loader->is_busy = false;
}

static unsigned count_busy(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < loader_count; i++)
		count += loaders[i]->is_busy;
	return count;
}

/* Ends the load of a database, well or badly; false: there is none. */
static bool finish(const char *dbname, const char *error)
{
	char *word = xasprintf("dbname='%s'", dbname);
	bool is_found = false;

	for (unsigned i = 0; i < loader_count && !is_found; i++) {
		struct catalog_loader *loader = loaders[i];

		if (!loader->is_busy || !strstr(loader->words, word))
			continue;
		is_found = true;
		loader->is_busy = false;
		loader->done(loader->arg,
			     error ? NULL
				   : catalog_finish(catalog_builder_new()),
			     error);
	}
	free(word);
	return is_found;
}

/* ---- the house around it ------------------------------------------------ */

static struct world {
	struct event_base *base;
	struct config *config;
	struct topology *topology;
	struct node_address addresses[4];
	struct catalogs *catalogs;
	const char *shut; /* NULL: no database is */
	unsigned loaded;
	unsigned hurries;
	char last[64];
} world;

static const struct topology *get_topology(void *arg)
{
	(void)arg;
	return world.topology;
}

static const struct node_address *get_addresses(void *arg)
{
	(void)arg;
	return world.addresses;
}

static void hurry(void *arg, unsigned node)
{
	(void)arg;
	assert_int_equal(world.topology->nodes[node].role, ROLE_PRIMARY);
	world.hurries++;
}

static bool is_shut(void *arg, const char *dbname)
{
	(void)arg;
	return world.shut && strcmp(world.shut, dbname) == 0;
}

static void on_loaded(void *arg, const char *database, const char *dbname,
		      struct catalog *catalog)
{
	char *both = xasprintf("%s/%s", database, dbname);

	(void)arg;
	assert_non_null(catalog);
	assert_true(util_copy(world.last, sizeof(world.last), both));
	world.loaded++;
	catalog_release(catalog);
	free(both);
}

static struct config *load(const char *text)
{
	struct buf error = BUF_INIT;
	struct buf warnings = BUF_INIT;
	struct config *config = config_load_text("test.ini", text, strlen(text),
						 &error, &warnings);

	assert_int_equal(buf_len(&error), 0);
	assert_non_null(config);
	buf_free(&error);
	buf_free(&warnings);
	return config;
}

static void set_address(unsigned node, const char *text)
{
	struct sockaddr_in *address =
		(struct sockaddr_in *)&world.addresses[node].address;

	address->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, text, &address->sin_addr), 1);
	world.addresses[node].len = sizeof(*address);
	world.addresses[node].is_known = true;
}

/* The first of the nodes is the primary. */
static void build(const char *text)
{
	struct catalogs_hooks hooks = {
		.topology = get_topology,
		.addresses = get_addresses,
		.hurry = hurry,
		.is_shut = is_shut,
		.loaded = on_loaded,
	};

	world = (struct world){ .base = event_base_new() };
	starts = 0;
	log_set_level(LEVEL_ERROR);
	world.config = load(text);
	world.topology = topology_new(1, world.config->node_count);
	world.topology->nodes[0].role = ROLE_PRIMARY;
	world.topology->nodes[0].is_up = true;
	set_address(0, "10.0.0.1");
	set_address(1, "10.0.0.2");
	world.catalogs = catalogs_new(world.base, &hooks, world.config);
	assert_int_equal(loader_count, LOADERS);
}

static int tear_down(void **state)
{
	(void)state;
	catalogs_free(world.catalogs);
	if (world.topology)
		topology_release(world.topology);
	config_release(world.config);
	if (world.base)
		event_base_free(world.base);
	world = (struct world){ 0 };
	assert_int_equal(loader_count, 0);
	return 0;
}

/* Lets timers fire for so long. */
static void run_us(uint64_t us)
{
	uint64_t end_us = util_now_us() + us;

	do {
		struct timeval nap = { .tv_usec = 2000 };

		assert_int_equal(event_base_loopexit(world.base, &nap), 0);
		assert_true(event_base_dispatch(world.base) >= 0);
	} while (util_now_us() < end_us);
}

static bool becomes(const unsigned *value, unsigned wanted)
{
	uint64_t end_us = util_now_us() + 3000000;

	while (*value != wanted && util_now_us() < end_us)
		run_us(2000);
	return *value == wanted;
}

#define TWO_NODES "host=10.0.0.1,10.0.0.2 port=5432"

static const char plain[] = "[databases]\n"
			    "app = " TWO_NODES " dbname=real\n"
			    "* = " TWO_NODES "\n"
			    "[pgweir]\ncatalog_refresh = 0.2\n";

/* ---- when --------------------------------------------------------------- */

static void test_wanted_loaded_refreshed(void **state)
{
	(void)state;
	build(plain);
	run_us(5000);
	assert_int_equal(starts, 0);
	catalogs_want(world.catalogs, "app", "real");
	catalogs_want(world.catalogs, "app", "real");
	assert_int_equal(starts, 0); /* from the loop only */
	assert_true(becomes(&starts, 1));
	assert_true(finish("real", NULL));
	assert_int_equal(world.loaded, 1);
	assert_string_equal(world.last, "app/real");
	/* And again when its time has come. */
	run_us(50000);
	assert_int_equal(starts, 1);
	assert_true(becomes(&starts, 2));
	assert_true(finish("real", NULL));
	assert_int_equal(world.loaded, 2);
}

/* Said often, done once, and not at once. */
static void test_signs_of_change(void **state)
{
	(void)state;
	build("[databases]\napp = " TWO_NODES " dbname=real\n");
	catalogs_want(world.catalogs, "app", "real");
	assert_true(becomes(&starts, 1));
	assert_true(finish("real", NULL));
	for (int i = 0; i < 10; i++)
		catalogs_want(world.catalogs, "app", "real");
	run_us(50000);
	assert_int_equal(starts, 1);
	assert_true(becomes(&starts, 2)); /* long before the minute is over */
	/* What this load brings may be older than the sign. */
	catalogs_want(world.catalogs, "app", "real");
	assert_true(finish("real", NULL));
	assert_true(becomes(&starts, 3));
	assert_true(finish("real", NULL));
	run_us(500000);
	assert_int_equal(starts, 3);
}

static void test_failure_is_tried_again(void **state)
{
	(void)state;
	build(plain);
	catalogs_want(world.catalogs, "app", "real");
	for (unsigned i = 1; i <= 12; i++) {
		assert_true(becomes(&starts, i));
		assert_true(finish("real", "no way"));
		assert_int_equal(world.loaded, 0);
		run_us(20000);
		assert_int_equal(starts, i); /* not at once */
	}
	assert_true(becomes(&starts, 13));
	assert_true(finish("real", NULL));
	assert_int_equal(world.loaded, 1);
}

/* A name that a client made up is given up, until somebody asks again. */
static void test_hopeless_is_forgotten(void **state)
{
	(void)state;
	build(plain);
	catalogs_want(world.catalogs, "madeup", "madeup");
	for (unsigned i = 1; i <= 10; i++) {
		assert_true(becomes(&starts, i));
		assert_true(finish("madeup", "no such database"));
	}
	run_us(400000);
	assert_int_equal(starts, 10);
	catalogs_want(world.catalogs, "madeup", "madeup");
	assert_true(becomes(&starts, 11));
}

/* Somebody wants a database for himself: loads from it come later. */
static void test_shut(void **state)
{
	const struct dbddl_names names = { .count = 1, .names = { "real" } };

	(void)state;
	build(plain);
	catalogs_want(world.catalogs, "app", "real");
	catalogs_want(world.catalogs, "other", "other");
	assert_true(becomes(&starts, 2));
	world.shut = "real";
	catalogs_empty(world.catalogs, &names);
	assert_int_equal(count_busy(), 1);
	assert_false(finish("real", NULL));
	run_us(400000);
	assert_int_equal(count_busy(), 1);
	world.shut = NULL;
	assert_true(becomes(&starts, 3));
	assert_true(finish("real", NULL));
	assert_string_equal(world.last, "app/real");
	assert_true(finish("other", NULL));
}

/* Nobody asks for what is gone, until somebody wants it again. */
static void test_gone(void **state)
{
	const struct dbddl_names names = { .count = 1, .names = { "real" } };
	unsigned before;

	(void)state;
	build(plain);
	catalogs_want(world.catalogs, "app", "real");
	catalogs_want(world.catalogs, "real", "real");
	assert_true(becomes(&starts, 2));
	assert_true(finish("real", NULL));
	/* One load is under way: it finds nobody, or is broken off. */
	catalogs_forget(world.catalogs, &names);
	catalogs_empty(world.catalogs, &names);
	assert_int_equal(count_busy(), 0);
	before = starts;
	run_us(400000);
	assert_int_equal(starts, before);
	assert_int_equal(world.loaded, 1);
	catalogs_want(world.catalogs, "app", "real");
	assert_true(becomes(&starts, before + 1));
}

static void test_few_at_a_time(void **state)
{
	char name[] = "db0";

	(void)state;
	build(plain);
	for (int i = 0; i < 7; i++, name[2]++)
		catalogs_want(world.catalogs, name, name);
	assert_true(becomes(&starts, LOADERS));
	run_us(20000);
	assert_int_equal(starts, LOADERS);
	assert_true(finish("db0", NULL));
	assert_int_equal(starts, LOADERS + 1); /* at once */
	assert_true(finish("db1", "gone"));
	assert_int_equal(starts, LOADERS + 2);
	assert_int_equal(count_busy(), LOADERS);
}

static void test_no_primary_yet(void **state)
{
	(void)state;
	build(plain);
	/* Somebody was there, and is no primary. */
	world.topology->nodes[0].role = ROLE_REPLICA;
	world.topology->nodes[0].probed_us = 1;
	catalogs_want(world.catalogs, "app", "real");
	run_us(50000);
	assert_int_equal(starts, 0);
	world.topology->nodes[1].role = ROLE_PRIMARY;
	world.topology->nodes[1].is_up = true;
	world.addresses[1].is_known = false;
	run_us(300000);
	assert_int_equal(starts, 0);
	world.addresses[1].is_known = true;
	assert_true(becomes(&starts, 1));
	assert_non_null(strstr(loaders[0]->words, "hostaddr='10.0.0.2'"));
}

/* ---- ahead, and from replicas ------------------------------------------- */

static void test_named_ahead(void **state)
{
	(void)state;
	build("[databases]\na = " TWO_NODES " dbname=real\nb = " TWO_NODES
	      "\nalone = host=10.0.0.1 pool_mode=session\n* = " TWO_NODES "\n");
	catalogs_want_named(world.catalogs);
	assert_int_equal(starts, 0);
	assert_true(becomes(&starts, 2));
	assert_true(finish("real", NULL));
	assert_string_equal(world.last, "a/real");
	assert_true(finish("b", NULL));
	/* Known already. */
	catalogs_want_named(world.catalogs);
	run_us(500000);
	assert_int_equal(starts, 2);
}

/* A replica that streams, and has all that was there a moment ago. */
static void add_replica(uint64_t complete_us)
{
	struct topology_node *nodes = world.topology->nodes;

	nodes[1].role = ROLE_REPLICA;
	nodes[1].is_up = true;
	nodes[1].is_streaming = true;
	nodes[1].complete_us = complete_us;
}

static bool is_asked(unsigned loader, const char *address)
{
	return strstr(loaders[loader]->words, address) != NULL;
}

/* Asked how far it is, and then for the catalog; the primary for its own. */
static void test_from_replica(void **state)
{
	(void)state;
	build(plain);
	add_replica(1);
	catalogs_want(world.catalogs, "app", "real");
	run_us(50000);
	assert_int_equal(starts, 0);
	assert_true(world.hurries > 0);
	add_replica(util_now_us());
	catalogs_look(world.catalogs, world.topology);
	assert_int_equal(starts, 0); /* from the loop only */
	assert_true(becomes(&starts, 1));
	assert_true(is_asked(0, "10.0.0.2"));
	assert_non_null(strstr(loaders[0]->own, "10.0.0.1"));
	assert_true(finish("real", NULL));
	assert_int_equal(world.loaded, 1);
}

/* It does not come up with it in time. */
static void test_replica_is_late(void **state)
{
	(void)state;
	build(plain);
	add_replica(1);
	catalogs_want(world.catalogs, "app", "real");
	assert_true(becomes(&starts, 1));
	assert_true(is_asked(0, "10.0.0.1"));
	assert_null(loaders[0]->own);
	assert_true(finish("real", NULL));
}

/* What it says is missed nowhere: the primary is asked at once. */
static void test_replica_fails(void **state)
{
	(void)state;
	build(plain);
	add_replica(UINT64_MAX);
	catalogs_want(world.catalogs, "app", "real");
	assert_true(becomes(&starts, 1));
	assert_true(is_asked(0, "10.0.0.2"));
	assert_true(finish("real", "conflict with recovery"));
	assert_true(becomes(&starts, 2));
	assert_true(is_asked(0, "10.0.0.1"));
	assert_true(finish("real", NULL));
	assert_true(becomes(&starts, 3));
	assert_true(is_asked(0, "10.0.0.1"));
}

/* DDL may be acknowledged before it is flushed: asked once more. */
static void test_replica_after_a_sign(void **state)
{
	uint64_t sign_us;

	(void)state;
	build("[databases]\napp = " TWO_NODES " dbname=real\n");
	add_replica(UINT64_MAX);
	catalogs_want(world.catalogs, "app", "real");
	assert_true(becomes(&starts, 1));
	assert_true(finish("real", NULL));
	catalogs_want(world.catalogs, "app", "real");
	sign_us = util_now_us();
	add_replica(sign_us + 2);
	run_us(250000);
	assert_int_equal(starts, 1);
	/* Due after the sign, so what the replica had then is too old. */
	run_us(100000);
	assert_int_equal(starts, 1);
	add_replica(util_now_us() + 300000);
	assert_true(becomes(&starts, 2));
	assert_true(finish("real", NULL));
	run_us(300000);
	assert_int_equal(starts, 2);
	add_replica(UINT64_MAX);
	assert_true(becomes(&starts, 3));
	assert_true(util_now_us() > sign_us + 990000);
	assert_true(finish("real", NULL));
	run_us(1200000);
	assert_int_equal(starts, 3);
}

/* Another node is the primary: what the old one had may be missing. */
static void test_promotion(void **state)
{
	(void)state;
	build("[databases]\napp = " TWO_NODES " dbname=real\n");
	catalogs_look(world.catalogs, world.topology);
	catalogs_want(world.catalogs, "app", "real");
	assert_true(becomes(&starts, 1));
	assert_true(finish("real", NULL));
	catalogs_look(world.catalogs, world.topology);
	run_us(50000);
	assert_int_equal(starts, 1);
	world.topology->nodes[0].role = ROLE_UNKNOWN;
	world.topology->nodes[1].role = ROLE_PRIMARY;
	world.topology->nodes[1].is_up = true;
	catalogs_look(world.catalogs, world.topology);
	assert_true(becomes(&starts, 2));
	assert_true(is_asked(0, "10.0.0.2"));
	assert_true(finish("real", NULL));
}

/* ---- reload ------------------------------------------------------------- */

static void reload(const char *text)
{
	config_release(world.config);
	world.config = load(text);
	catalogs_reload(world.catalogs, world.config);
}

static void test_reload_forgets_and_looks_anew(void **state)
{
	(void)state;
	build("[databases]\na = " TWO_NODES "\nb = " TWO_NODES "\n");
	catalogs_want(world.catalogs, "a", "a");
	catalogs_want(world.catalogs, "b", "b");
	assert_true(becomes(&starts, 2));
	assert_true(finish("a", NULL));
	/* b goes while it is being loaded: nobody hears of it. */
	reload("[databases]\na = " TWO_NODES "\nc = " TWO_NODES "\n");
	assert_true(finish("b", NULL));
	assert_int_equal(world.loaded, 1);
	assert_true(becomes(&starts, 3)); /* a, without waiting for a minute */
	assert_true(finish("a", NULL));
	assert_int_equal(world.loaded, 2);
	/* Should it come back, it is asked for again. */
	reload("[databases]\na = " TWO_NODES "\nb = " TWO_NODES "\n");
	catalogs_want(world.catalogs, "b", "b");
	assert_true(becomes(&starts, 5));
	assert_true(finish("b", "no"));
}

static void test_only_where_there_is_a_need(void **state)
{
	(void)state;
	build("[databases]\none = host=10.0.0.1 pool_mode=session\n"
	      "two = " TWO_NODES " pool_mode=session\n"
	      "[pgweir]\nsplit_reads = 0\n");
	catalogs_want(world.catalogs, "one", "one");
	catalogs_want(world.catalogs, "two", "two");
	catalogs_want(world.catalogs, "none", "none");
	run_us(50000);
	assert_int_equal(starts, 0);
	/* Known all the same when that changes. */
	reload("[databases]\none = host=10.0.0.1 pool_mode=session\n"
	       "two = " TWO_NODES " pool_mode=session\n");
	assert_true(becomes(&starts, 1));
	assert_true(finish("two", NULL));
	assert_false(finish("one", NULL));
}

static bool is_needed(const char *name)
{
	return catalogs_is_needed(world.config,
				  config_find_database(world.config, name));
}

static void test_is_needed(void **state)
{
	(void)state;
	build("[databases]\n"
	      "one = host=10.0.0.1 pool_mode=session\n"
	      "shared = host=10.0.0.1\n"
	      "two = " TWO_NODES " pool_mode=session\n");
	assert_false(is_needed("one"));
	assert_true(is_needed("shared"));
	assert_true(is_needed("two"));
}

/* ---- words for libpq ---------------------------------------------------- */

/* What libpq reads in the words under a key; NULL: not there. */
static char *word_of(const char *words, const char *key)
{
	char *error = NULL;
	PQconninfoOption *options = PQconninfoParse(words, &error);
	char *value = NULL;

	if (!options) {
		fail_msg("libpq: %s", error);
		return NULL;
	}
	for (PQconninfoOption *at = options; at->keyword; at++)
		if (strcmp(at->keyword, key) == 0 && at->val)
			value = xstrdup(at->val);
	PQconninfoFree(options);
	return value;
}

static void check_word(const char *key, const char *expected,
		       const struct catalog_source *target)
{
	struct buf words = BUF_INIT;
	char *value;

	assert_true(catalog_source_words(target, &words));
	buf_append_u8(&words, 0);
	value = word_of((const char *)buf_head(&words), key);
	if (expected)
		assert_string_equal(value, expected);
	else
		assert_null(value);
	free(value);
	buf_free(&words);
}

static void test_conninfo(void **state)
{
	struct catalog_source target = { .dbname = "it's a \\ name" };

	(void)state;
	build("[databases]\n"
	      "a = " TWO_NODES " user=bob password='s''e\\cret'\n"
	      "b = host=10.0.0.1\n"
	      "[pgweir]\nserver_tls_sslmode = require\n");
	target.config = world.config;
	target.line = config_find_database(world.config, "a");
	target.address = &world.addresses[0];
	check_word("hostaddr", "10.0.0.1", &target);
	check_word("host", "10.0.0.1", &target);
	check_word("port", "5432", &target);
	check_word("user", "bob", &target);
	check_word("password", "s'e\\cret", &target);
	check_word("dbname", "it's a \\ name", &target);
	check_word("sslmode", "require", &target);
	check_word("sslrootcert", NULL, &target);
	check_word("gssencmode", "disable", &target);
	/* Without a user of its own: whoever the monitor is. */
	target.line = config_find_database(world.config, "b");
	check_word("user", "bob", &target);
	world.addresses[0].is_known = false;
	assert_false(catalog_source_words(&target, &(struct buf){ 0 }));
}

static void test_conninfo_of_the_monitor(void **state)
{
	struct catalog_source target = { .dbname = "a" };

	(void)state;
	build("[databases]\na = " TWO_NODES " user=bob password=secret\n"
	      "[pgweir]\nmonitor_user = mon\nmonitor_password = other\n");
	target.config = world.config;
	target.line = config_find_database(world.config, "a");
	target.address = &world.addresses[0];
	check_word("user", "mon", &target);
	check_word("password", "other", &target);
}

static void test_conninfo_of_a_unix_socket(void **state)
{
	struct catalog_source target = { .dbname = "a" };

	(void)state;
	build("[databases]\na = host=/run/pg port=5433\n");
	target.config = world.config;
	target.line = config_find_database(world.config, "a");
	target.address = &world.addresses[3]; /* nothing known */
	check_word("host", "/run/pg", &target);
	check_word("hostaddr", NULL, &target);
	check_word("port", "5433", &target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_wanted_loaded_refreshed,
					  tear_down),
		cmocka_unit_test_teardown(test_signs_of_change, tear_down),
		cmocka_unit_test_teardown(test_failure_is_tried_again,
					  tear_down),
		cmocka_unit_test_teardown(test_hopeless_is_forgotten,
					  tear_down),
		cmocka_unit_test_teardown(test_shut, tear_down),
		cmocka_unit_test_teardown(test_gone, tear_down),
		cmocka_unit_test_teardown(test_few_at_a_time, tear_down),
		cmocka_unit_test_teardown(test_no_primary_yet, tear_down),
		cmocka_unit_test_teardown(test_named_ahead, tear_down),
		cmocka_unit_test_teardown(test_from_replica, tear_down),
		cmocka_unit_test_teardown(test_replica_is_late, tear_down),
		cmocka_unit_test_teardown(test_replica_fails, tear_down),
		cmocka_unit_test_teardown(test_replica_after_a_sign, tear_down),
		cmocka_unit_test_teardown(test_promotion, tear_down),
		cmocka_unit_test_teardown(test_reload_forgets_and_looks_anew,
					  tear_down),
		cmocka_unit_test_teardown(test_only_where_there_is_a_need,
					  tear_down),
		cmocka_unit_test_teardown(test_is_needed, tear_down),
		cmocka_unit_test_teardown(test_conninfo, tear_down),
		cmocka_unit_test_teardown(test_conninfo_of_the_monitor,
					  tear_down),
		cmocka_unit_test_teardown(test_conninfo_of_a_unix_socket,
					  tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
