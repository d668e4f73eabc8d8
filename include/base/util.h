#ifndef PGWEIR_BASE_UTIL_H
#define PGWEIR_BASE_UTIL_H

/*
 * util.h: memory that never fails, clocks, numbers, hashes and other small
 * things that every floor uses.  Knows nothing of pgweir.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

/*
 * Memory that never fails: these end the process with a message when the
 * system is out of memory.  Any thread.  The caller owns the result (free()).
 */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);

/* A NUL-terminated copy of len bytes at data. */
char *xstrndup(const char *data, size_t len);

/* printf into a fresh string. */
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Letters of ASCII only, whatever the locale, as PostgreSQL folds keywords. */
static inline char util_fold(char letter)
{
	if (letter < 'A' || letter > 'Z')
		return letter;
	return (char)(letter - 'A' + 'a');
}

/* Microseconds of the monotonic clock; wall clock microseconds since 1970. */
uint64_t util_now_us(void);
uint64_t util_wall_us(void);

/* CPU time that the calling thread has used, in microseconds. */
uint64_t util_thread_us(void);

/* The same span as timers of the loop want it. */
struct timeval util_timeval(uint64_t span_us);

/*
 * Fills len bytes with random bytes from the kernel; ends the process when
 * the kernel has none.  Any thread.
 */
void util_random(void *out, size_t len);

/* Writes a number in decimal, no NUL behind it; returns how many digits. */
enum { UTIL_DIGITS = 20 };
size_t util_write_u64(char out[static UTIL_DIGITS], uint64_t value);

/* Overwrites secret bytes in a way that the compiler may not drop. */
void util_wipe(void *secret, size_t len);
/* Wipes a text that was allocated, and frees it; NULL is fine. */
void util_free_secret(char *secret);

/* Compares in a time that depends on len alone. */
bool util_equal_secret(const void *one, const void *other, size_t len);

/*
 * A 64-bit hash under a key drawn once per process, so that strangers cannot
 * choose colliding texts (XXH3).  Any thread.
 */
uint64_t util_hash(const void *data, size_t len);

/*
 * Copies text with truncation into room bytes, always NUL-terminated;
 * false when it did not fit.
 */
bool util_copy(char *out, size_t room, const char *text);

/*
 * Reads a whole decimal integer of at most max; false on anything else
 * (empty, sign, blank, overflow).
 */
bool util_parse_u64(const char *text, uint64_t max, uint64_t *out);

/*
 * Edit distance of two words, letter case ignored, for "did you mean"; never
 * more than limit.
 */
unsigned util_distance(const char *one, const char *other, unsigned limit);

#endif
