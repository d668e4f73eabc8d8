/*
 * The question to a node: texts of libpq, rows of the answer, and what comes
 * of servers that refuse, hang up, say nothing or speak something else.
 */
#include "control/probe.h"

#include "base/buf.h"
#include "base/util.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- texts -------------------------------------------------------------- */

static void test_explain(void **state)
{
	static const struct {
		const char *message;
		const char *reason;
		const char *sqlstate;
	} cases[] = {
		{ "connection to server at \"127.0.0.1\", port 1 failed: "
		  "Connection refused\n\tIs the server running there?\n",
		  "connection refused", "" },
		{ "connection to server at \"h\", port 1 failed: FATAL:  "
		  "28P01: password authentication failed for user \"x\"\n"
		  "LOCATION:  auth_failed, auth.c:338\n",
		  "password authentication failed for user \"x\"", "28P01" },
		{ "ERROR:  42501: permission denied\nLOCATION:  x",
		  "permission "
		  "denied",
		  "42501" },
		{ "FATAL:  sorry, no code", "sorry, no code", "" },
		{ "SSL error: certificate verify failed\n",
		  "SSL error: certificate verify failed", "" },
		{ "", "no reason given", "" },
		{ " failed: ", "no reason given", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char reason[64];
		char sqlstate[6];

		probe_explain(cases[i].message, reason, sizeof(reason),
			      sqlstate);
		assert_string_equal(reason, cases[i].reason);
		assert_string_equal(sqlstate, cases[i].sqlstate);
	}
}

static void test_explain_cuts(void **state)
{
	char reason[8];
	char sqlstate[6];

	(void)state;
	probe_explain("a very long reason indeed", reason, sizeof(reason),
		      sqlstate);
	assert_string_equal(reason, "a very ");
}

static struct probe_row primary_row(void)
{
	return (struct probe_row){ "f", "0/3000148", "000000020000000000000003",
				   "",  "f",         "7123" };
}

static struct probe_row replica_row(void)
{
	return (struct probe_row){ "t", "16/B374D848", "", "2", "t", "7123" };
}

static void test_rows(void **state)
{
	struct probe_row row = primary_row();
	struct probe_facts facts;

	(void)state;
	assert_true(probe_read_row(&row, &facts));
	assert_true(facts.is_primary);
	assert_int_equal(facts.position.system, 7123);
	assert_int_equal(facts.position.timeline, 2);
	assert_int_equal(facts.position.lsn, 0x3000148);
	row = replica_row();
	assert_true(probe_read_row(&row, &facts));
	assert_false(facts.is_primary);
	assert_true(facts.is_receiving);
	assert_int_equal(facts.position.timeline, 2);
	assert_true(facts.position.lsn == UINT64_C(0x16B374D848));
	assert_false(facts.is_limited);
}

/* What a role may not see leaves a position that compares with nothing. */
static void test_rows_limited(void **state)
{
	struct probe_row row = replica_row();
	struct probe_facts facts;

	(void)state;
	row.timeline = "";
	row.system = "";
	assert_true(probe_read_row(&row, &facts));
	assert_true(facts.is_limited);
	assert_false(watermark_same_epoch(facts.position, facts.position));
	row = replica_row();
	row.lsn = "";
	assert_true(probe_read_row(&row, &facts));
	assert_int_equal(facts.position.lsn, 0);
}

static void test_rows_senseless(void **state)
{
	struct probe_facts facts;

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct probe_row primary = primary_row();
		struct probe_row replica = replica_row();

		switch (i) {
		case 0: primary.is_replica = "maybe"; break;
		case 1: primary.lsn = "x"; break;
		case 2: primary.wal_file = "short"; break;
		case 3: primary.system = "-1"; break;
		case 4: primary.wal_file = ""; break;
		default: primary.is_replica = ""; break;
		}
		assert_false(probe_read_row(&primary, &facts));
		replica.timeline = i % 2 ? "two" : "99999999999";
		assert_false(probe_read_row(&replica, &facts));
	}
}

/* ---- servers that are none ---------------------------------------------- */

struct fixture {
	struct event_base *base;
	struct probe *probe;
	struct config_node node;
	struct config_settings settings;
	struct probe_report report;
	unsigned reports;
	int listener;
	struct event *accept;
	const char *greeting; /* sent to whoever comes; NULL: silence */
	size_t greeting_len;
};

static char any_host[] = "127.0.0.1";

static void reported(void *arg, const struct probe_report *report)
{
	struct fixture *fixture = arg;

	fixture->report = *report;
	fixture->reports++;
	(void)event_base_loopbreak(fixture->base);
}

/* The client has spoken: the greeting, and good-bye. */
static void spoke(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *fixture = arg;
	char question[256];

	(void)what;
	assert_true(read(fd, question, sizeof(question)) >= 0);
	assert_int_equal(write(fd, fixture->greeting, fixture->greeting_len),
			 fixture->greeting_len);
	(void)close(fd);
}

static void came(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *fixture = arg;
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK);

	(void)what;
	assert_true(client >= 0);
	/* Silence: left open, and the process ends soon. */
	if (fixture->greeting)
		assert_int_equal(event_base_once(fixture->base, client, EV_READ,
						 spoke, fixture, NULL),
				 0);
}

static uint16_t listen_anywhere(struct fixture *fixture)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
		bind(fixture->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fixture->listener, 5), 0);
	assert_int_equal(getsockname(fixture->listener,
				     (struct sockaddr *)&address, &len),
			 0);
	fixture->accept = event_new(fixture->base, fixture->listener,
				    EV_READ | EV_PERSIST, came, fixture);
	assert_int_equal(event_add(fixture->accept, NULL), 0);
	return ntohs(address.sin_port);
}

static void aim(struct fixture *fixture)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct probe_target target = { .node = &fixture->node,
				       .settings = &fixture->settings,
				       .user = "postgres",
				       .dbname = "postgres" };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	probe_aim(fixture->probe, &target);
	probe_set_address(fixture->probe, (struct sockaddr *)&address,
			  sizeof(address));
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->base = event_base_new();
	fixture->probe = probe_new(fixture->base, reported, NULL, fixture);
	fixture->node.host = any_host;
	fixture->node.port = listen_anywhere(fixture);
	aim(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	probe_free(fixture->probe);
	if (fixture->accept)
		event_free(fixture->accept);
	if (fixture->listener >= 0)
		(void)close(fixture->listener);
	event_base_free(fixture->base);
	free(fixture);
	return 0;
}

static const struct probe_report *ask(struct fixture *fixture,
				      uint64_t timeout_us)
{
	unsigned before = fixture->reports;

	probe_start(fixture->probe, timeout_us);
	assert_true(probe_is_busy(fixture->probe));
	assert_int_equal(fixture->reports, before);
	(void)event_base_dispatch(fixture->base);
	assert_int_equal(fixture->reports, before + 1);
	assert_false(probe_is_busy(fixture->probe));
	assert_true(fixture->report.done_us >= fixture->report.sent_us);
	return &fixture->report;
}

static void test_nobody_listens(void **state)
{
	struct fixture *fixture = *state;
	const struct probe_report *report;

	event_free(fixture->accept);
	fixture->accept = NULL;
	(void)close(fixture->listener);
	fixture->listener = -1;
	report = ask(fixture, 5000000);
	assert_int_equal(report->outcome, PROBE_FAILED);
	assert_true(report->is_connecting);
	assert_string_equal(report->reason, "connection refused");
	/* And once more: nothing is left of the first. */
	assert_int_equal(ask(fixture, 5000000)->outcome, PROBE_FAILED);
}

static void test_silence(void **state)
{
	const struct probe_report *report = ask(*state, 100000);

	assert_int_equal(report->outcome, PROBE_FAILED);
	assert_true(report->is_timeout);
	assert_true(report->done_us - report->sent_us >= 90000);
	assert_string_equal(report->reason, "no connection in time");
}

static void test_hang_up(void **state)
{
	struct fixture *fixture = *state;

	fixture->greeting = "";
	assert_int_equal(ask(fixture, 5000000)->outcome, PROBE_FAILED);
	assert_false(fixture->report.is_timeout);
}

static void test_garbage(void **state)
{
	struct fixture *fixture = *state;

	fixture->greeting = "HTTP/1.1 400 Bad Request\r\n\r\n";
	fixture->greeting_len = strlen(fixture->greeting);
	assert_int_equal(ask(fixture, 5000000)->outcome, PROBE_FAILED);
	assert_false(fixture->report.is_timeout);
}

/* ErrorResponse to the startup message, as PostgreSQL 15 sends it. */
static void refuse_with(struct fixture *fixture, struct buf *message,
			const char *sqlstate, const char *text)
{
	struct buf fields = BUF_INIT;

	buf_append(&fields, "SFATAL\0VFATAL\0C", 15);
	buf_append_cstring(&fields, sqlstate);
	buf_append_u8(&fields, 'M');
	buf_append_cstring(&fields, text);
	buf_append_u8(&fields, 0);
	buf_append_u8(message, 'E');
	buf_append_u32(message, (uint32_t)buf_len(&fields) + 4);
	buf_move(message, &fields);
	fixture->greeting = (const char *)buf_head(message);
	fixture->greeting_len = buf_len(message);
	fixture->settings.server_tls_sslmode = SSLMODE_DISABLE;
}

static void test_refusals(void **state)
{
	static const struct {
		const char *sqlstate;
		enum probe_outcome outcome;
	} cases[] = {
		{ "28P01", PROBE_REFUSED }, { "28000", PROBE_REFUSED },
		{ "3D000", PROBE_REFUSED }, { "53300", PROBE_REFUSED },
		{ "42501", PROBE_REFUSED }, { "57P03", PROBE_FAILED },
		{ "XX000", PROBE_FAILED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *fixture = *state;
		struct buf message = BUF_INIT;
		const struct probe_report *report;

		refuse_with(fixture, &message, cases[i].sqlstate, "not you");
		report = ask(fixture, 5000000);
		assert_int_equal(report->outcome, cases[i].outcome);
		assert_string_equal(report->sqlstate, cases[i].sqlstate);
		assert_string_equal(report->reason, "not you");
		buf_free(&message);
	}
}

static void test_no_address(void **state)
{
	struct fixture *fixture = *state;

	probe_set_address(fixture->probe, NULL, 0);
	assert_int_equal(ask(fixture, 5000000)->outcome, PROBE_FAILED);
	assert_string_equal(fixture->report.reason, "its name is not resolved");
}

/* A new target in the middle: one report, about the new one. */
static void test_aim_while_busy(void **state)
{
	struct fixture *fixture = *state;

	probe_start(fixture->probe, 5000000);
	(void)event_base_loop(fixture->base, EVLOOP_NONBLOCK);
	fixture->greeting = "";
	fixture->node.host = any_host;
	fixture->settings.server_tls_sslmode = SSLMODE_REQUIRE;
	aim(fixture);
	assert_true(probe_is_busy(fixture->probe));
	/* A second start changes nothing. */
	probe_start(fixture->probe, 1);
	(void)event_base_dispatch(fixture->base);
	assert_int_equal(fixture->reports, 1);
	assert_false(fixture->report.is_timeout);
}

static void test_free_while_busy(void **state)
{
	struct fixture *fixture = *state;

	probe_start(fixture->probe, 5000000);
	(void)event_base_loop(fixture->base, EVLOOP_NONBLOCK);
	probe_free(fixture->probe);
	fixture->probe = NULL;
	(void)event_base_loop(fixture->base, EVLOOP_NONBLOCK);
	assert_int_equal(fixture->reports, 0);
	probe_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_explain_cuts),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_rows_limited),
		cmocka_unit_test(test_rows_senseless),
		TEST(test_nobody_listens),
		TEST(test_silence),
		TEST(test_hang_up),
		TEST(test_garbage),
		TEST(test_refusals),
		TEST(test_no_address),
		TEST(test_aim_while_busy),
		TEST(test_free_while_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
