/*
 * Mail from several threads to one loop: all of it arrives, in the order of
 * each poster, on the reader's thread.
 */
#include "net/mailbox.h"

#include "base/util.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { POSTERS = 4, MAILS = 5000 };

struct letter {
	struct mail mail;
	unsigned number;
};

struct reader {
	struct event_base *base;
	struct mailbox *mailbox;
	pthread_t thread;
	unsigned next[POSTERS];
	unsigned count;
	unsigned disorder;
	struct mail *answer; /* posted from inside of deliver, once */
};

static void on_mail(void *arg, struct mail *mail)
{
	struct reader *reader = arg;
	struct letter *letter = LIST_ENTRY(mail, struct letter, mail);

	assert_true(pthread_equal(reader->thread, pthread_self()));
	if (letter->number != reader->next[mail->kind]++)
		reader->disorder++;
	reader->count++;
	free(letter);
	if (reader->answer) {
		mailbox_post(reader->mailbox, reader->answer);
		reader->answer = NULL;
	}
}

static struct mail *write_letter(int kind, unsigned number)
{
	struct letter *letter = xcalloc(1, sizeof(*letter));

	letter->mail.kind = kind;
	letter->number = number;
	return &letter->mail;
}

static int set_up(void **state)
{
	struct reader *reader = xcalloc(1, sizeof(*reader));

	reader->base = event_base_new();
	reader->thread = pthread_self();
	reader->mailbox = mailbox_new(reader->base, on_mail, reader);
	assert_non_null(reader->mailbox);
	*state = reader;
	return 0;
}

static int tear_down(void **state)
{
	struct reader *reader = *state;

	mailbox_free(reader->mailbox);
	event_base_free(reader->base);
	free(reader);
	return 0;
}

static void loop_once(struct reader *reader)
{
	assert_true(event_base_loop(reader->base, EVLOOP_NONBLOCK) >= 0);
}

static void test_order(void **state)
{
	struct reader *reader = *state;

	for (unsigned i = 0; i < 10; i++)
		mailbox_post(reader->mailbox, write_letter(0, i));
	assert_int_equal(reader->count, 0);
	loop_once(reader);
	assert_int_equal(reader->count, 10);
	assert_int_equal(reader->disorder, 0);
	loop_once(reader);
	assert_int_equal(reader->count, 10);
}

/* A reader that posts to itself gets that with the next wake-up. */
static void test_post_while_delivering(void **state)
{
	struct reader *reader = *state;

	reader->answer = write_letter(0, 1);
	mailbox_post(reader->mailbox, write_letter(0, 0));
	loop_once(reader);
	loop_once(reader);
	assert_int_equal(reader->count, 2);
	assert_int_equal(reader->disorder, 0);
}

static void test_free_delivers_the_rest(void **state)
{
	struct reader *reader = *state;

	mailbox_post(reader->mailbox, write_letter(0, 0));
	mailbox_free(reader->mailbox);
	reader->mailbox = NULL;
	assert_int_equal(reader->count, 1);
}

struct poster {
	pthread_t thread;
	struct mailbox *mailbox;
	int kind;
};

static void *post_many(void *arg)
{
	const struct poster *poster = arg;

	for (unsigned i = 0; i < MAILS; i++)
		mailbox_post(poster->mailbox, write_letter(poster->kind, i));
	return NULL;
}

static void test_many_posters(void **state)
{
	struct reader *reader = *state;
	struct poster posters[POSTERS];
	uint64_t limit_us = util_now_us() + 20 * 1000000ULL;

	for (int i = 0; i < POSTERS; i++) {
		posters[i].mailbox = reader->mailbox;
		posters[i].kind = i;
		assert_int_equal(pthread_create(&posters[i].thread, NULL,
						post_many, &posters[i]),
				 0);
	}
	while (reader->count < POSTERS * MAILS && util_now_us() < limit_us)
		loop_once(reader);
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
	assert_int_equal(reader->count, POSTERS * MAILS);
	assert_int_equal(reader->disorder, 0);
}

static void test_no_descriptor_left(void **state)
{
	struct reader *reader = *state;
	struct rlimit before;
	struct rlimit none;
	struct mailbox *mailbox;
	int error;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	mailbox = mailbox_new(reader->base, on_mail, reader);
	error = errno;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_null(mailbox);
	assert_int_equal(error, EMFILE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_order),
		CASE(test_post_while_delivering),
		CASE(test_free_delivers_the_rest),
		CASE(test_many_posters),
		CASE(test_no_descriptor_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
