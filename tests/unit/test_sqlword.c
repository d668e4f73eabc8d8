#include "core/sqlword.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static void test_keywords(void **state)
{
	static const char *const names[] = { "",
#define TEST_NAME(id, freedom) #id,
					     SQLWORDS(TEST_NAME)
#undef TEST_NAME
	};
	struct sqllex_token token = { .kind = SQLLEX_WORD };
	char lower[64];

	(void)state;
	for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		/* Sorted, and found in either case. */
		assert_true(strcmp(names[i - 1], names[i]) < 0);
		token.text = names[i];
		token.len = strlen(names[i]);
		assert_int_equal(sqlword_of(&token), i);
		for (size_t at = 0; at <= token.len; at++)
			lower[at] = (char)(names[i][at] >= 'A' &&
							   names[i][at] <= 'Z'
						   ? names[i][at] | 0x20
						   : names[i][at]);
		token.text = lower;
		assert_int_equal(sqlword_of(&token), i);
		token.kind = SQLLEX_NAME;
		assert_int_equal(sqlword_of(&token), NO_WORD);
		token.kind = SQLLEX_WORD;
	}
	token.text = "selec";
	token.len = 5;
	assert_int_equal(sqlword_of(&token), NO_WORD);
	token.text = "selects";
	token.len = 7;
	assert_int_equal(sqlword_of(&token), NO_WORD);
	assert_int_equal(sqlword_freedom(WORD_SELECT), NAME_RESERVED);
	assert_int_equal(sqlword_freedom(WORD_VALUES), NAME_COLUMN);
	assert_int_equal(sqlword_freedom(WORD_LEFT), NAME_TYPE);
	assert_int_equal(sqlword_freedom(WORD_OVER), NAME_FREE);
	assert_int_equal(sqlword_freedom(NO_WORD), NAME_FREE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keywords),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
