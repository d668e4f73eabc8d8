/*
 * Cancel keys: found by the whole pair alone, gone when taken out, and never
 * the same for two sessions.
 */
#include "proxy/keyring.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 2000 };

static void finds_by_the_whole_pair(void **state)
{
	struct keyring *keyring = keyring_new();
	struct keyring_owner owner = { 0 };
	uint32_t secret =
		keyring_add(keyring, 4711, (struct keyring_owner){ 99, 3 });

	(void)state;
	assert_true(keyring_find(keyring, 4711, secret, &owner));
	assert_int_equal(owner.session, 99);
	assert_int_equal(owner.worker, 3);
	assert_false(keyring_find(keyring, 4712, secret, &owner));
	assert_false(keyring_find(keyring, 4711, secret + 1, &owner));
	assert_false(keyring_find(keyring, secret, 4711, &owner));
	keyring_remove(keyring, 4711, secret);
	assert_false(keyring_find(keyring, 4711, secret, &owner));
	keyring_free(keyring);
}

/* Two nodes may well give out the same process number. */
static void keeps_equal_process_numbers_apart(void **state)
{
	struct keyring *keyring = keyring_new();
	struct keyring_owner owner = { 0 };
	uint32_t secrets[100];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		secrets[i] = keyring_add(keyring, 7,
					 (struct keyring_owner){ i, i % 2 });
	for (unsigned i = 0; i < 100; i++) {
		assert_true(keyring_find(keyring, 7, secrets[i], &owner));
		assert_int_equal(owner.session, i);
		keyring_remove(keyring, 7, secrets[i]);
		assert_false(keyring_find(keyring, 7, secrets[i], &owner));
		if (i < 99)
			assert_true(keyring_find(keyring, 7, secrets[i + 1],
						 &owner));
	}
	keyring_free(keyring);
}

/* A session that moves, and moves again: the last place counts. */
static void knows_who_has_moved(void **state)
{
	struct keyring *keyring = keyring_new();
	struct keyring_owner owner = { 0 };

	(void)state;
	keyring_put(keyring, 5, 77, (struct keyring_owner){ 1, 2 });
	assert_true(keyring_find(keyring, 5, 77, &owner));
	assert_int_equal(owner.worker, 2);
	keyring_put(keyring, 5, 77, (struct keyring_owner){ 8, 1 });
	assert_true(keyring_find(keyring, 5, 77, &owner));
	assert_int_equal(owner.session, 8);
	assert_int_equal(owner.worker, 1);
	keyring_remove(keyring, 5, 77);
	assert_false(keyring_find(keyring, 5, 77, &owner));
	keyring_free(keyring);
}

static void forgives_taking_out_twice(void **state)
{
	struct keyring *keyring = keyring_new();
	uint32_t secret =
		keyring_add(keyring, 1, (struct keyring_owner){ 1, 0 });

	(void)state;
	keyring_remove(keyring, 1, secret);
	keyring_remove(keyring, 1, secret);
	keyring_remove(keyring, 0, 0);
	keyring_free(keyring);
}

static void *come_and_go(void *arg)
{
	static char is_wrong;
	struct keyring *keyring = arg;
	struct keyring_owner owner;
	unsigned wrong = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t secret = keyring_add(keyring, i % 5,
					      (struct keyring_owner){ i, 1 });

		if (!keyring_find(keyring, i % 5, secret, &owner) ||
		    owner.session != i)
			wrong++;
		keyring_remove(keyring, i % 5, secret);
	}
	return wrong ? &is_wrong : NULL;
}

static void serves_many_threads(void **state)
{
	struct keyring *keyring = keyring_new();
	pthread_t threads[THREADS];
	void *wrong;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, come_and_go, keyring),
			0);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	keyring_free(keyring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_by_the_whole_pair),
		cmocka_unit_test(keeps_equal_process_numbers_apart),
		cmocka_unit_test(knows_who_has_moved),
		cmocka_unit_test(forgives_taking_out_twice),
		cmocka_unit_test(serves_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
