/*
 * Small things that every room needs: memory that never fails, the clock,
 * random bytes, a keyed hash, careful copies and comparisons.
 *
 * Knows nothing of PostgreSQL and keeps no state but the hash key, which is
 * drawn on first use and constant from then on, and random bytes in stock.  Any
 * thread may call anything here.
 */
#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <xxhash.h>

enum { STOCK_BYTES = 256, DISTANCE_WORD_MAX = 63, US_PER_S = 1000000 };

/* Random bytes that this thread has not given out yet. */
static _Thread_local unsigned char stock[STOCK_BYTES];
static _Thread_local size_t stock_len;

static pthread_once_t hash_once = PTHREAD_ONCE_INIT;
static uint64_t hash_seed;

/*
 * Not by the log, which may want memory itself.  A pooler that runs on with
 * half of a structure would be worse than a restart.
 */
static _Noreturn void die_of_memory(size_t size)
{
	(void)fprintf(stderr, "pgweir: out of memory (%zu bytes)\n", size);
	abort();
}

void *xmalloc(size_t size)
{
	void *memory = malloc(size ? size : 1);

	if (!memory)
		die_of_memory(size);
	return memory;
}

/*
 * Up to here glibc's malloc has free blocks at hand for each thread, of which
 * its calloc makes no use; what is larger comes from calloc, which knows what
 * the kernel has cleared already.
 */
enum { HANDY_BYTES = 1032 };

void *xcalloc(size_t count, size_t size)
{
	void *memory;

	if (size > 0 && count <= HANDY_BYTES / size) {
		memory = xmalloc(count * size);
		memset(memory, 0, count * size);
		return memory;
	}
	memory = calloc(count ? count : 1, size ? size : 1);
	if (!memory)
		die_of_memory(size);
	return memory;
}

void *xrealloc(void *old, size_t size)
{
	void *memory = realloc(old, size ? size : 1);

	if (!memory)
		die_of_memory(size);
	return memory;
}

char *xstrdup(const char *text)
{
	return xstrndup(text, strlen(text));
}

char *xstrndup(const char *data, size_t len)
{
	char *copy = xmalloc(len + 1);

	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		die_of_memory(0);
	va_end(args);
	return text;
}

/* These clocks exist on every Linux: no error to look at. */
static uint64_t clock_us(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000U;
}

uint64_t util_now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

uint64_t util_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

uint64_t util_thread_us(void)
{
	return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

struct timeval util_timeval(uint64_t span_us)
{
	return (struct timeval){
		.tv_sec = (time_t)(span_us / US_PER_S),
		.tv_usec = (suseconds_t)(span_us % US_PER_S),
	};
}

/* Blocks at boot only, until the kernel has gathered enough. */
static void draw(void *out, size_t len)
{
	unsigned char *next = out;

	while (len > 0) {
		ssize_t got = getrandom(next, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			(void)fprintf(stderr, "pgweir: no random bytes\n");
			abort();
		}
		next += got;
		len -= (size_t)got;
	}
}

/* A few bytes come from a stock: each client wants some.  None comes twice. */
void util_random(void *out, size_t len)
{
	if (len > sizeof(stock)) {
		draw(out, len);
		return;
	}
	if (len > stock_len) {
		draw(stock, sizeof(stock));
		stock_len = sizeof(stock);
	}
	if (len == 0)
		return;
	stock_len -= len;
	memcpy(out, stock + stock_len, len);
	explicit_bzero(stock + stock_len, len);
}

void util_wipe(void *secret, size_t len)
{
	if (len > 0)
		explicit_bzero(secret, len);
}

void util_free_secret(char *secret)
{
	if (secret)
		util_wipe(secret, strlen(secret));
	free(secret);
}

/* volatile: a compiler must not find the first difference for us. */
bool util_equal_secret(const void *one, const void *other, size_t len)
{
	const volatile unsigned char *a = one;
	const volatile unsigned char *b = other;
	unsigned char differ = 0;

	for (size_t i = 0; i < len; i++)
		differ = (unsigned char)(differ | (a[i] ^ b[i]));
	return differ == 0;
}

static void draw_hash_seed(void)
{
	util_random(&hash_seed, sizeof(hash_seed));
}

/*
 * XXH3 under a random seed is no cryptographic hash, but strangers see neither
 * hash nor order, so they have nothing to search by.
 */
uint64_t util_hash(const void *data, size_t len)
{
	(void)pthread_once(&hash_once, draw_hash_seed);
	return XXH3_64bits_withSeed(data, len, hash_seed);
}

bool util_copy(char *out, size_t room, const char *text)
{
	size_t len = strlen(text);
	bool fits = len < room;

	if (room == 0)
		return false;
	if (!fits)
		len = room - 1;
	memcpy(out, text, len);
	out[len] = '\0';
	return fits;
}

bool util_parse_u64(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(unsigned char)*text - '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return value <= max;
}

/* Ten times as fast as printf, for what is written for each client. */
size_t util_write_u64(char out[static UTIL_DIGITS], uint64_t value)
{
	char digits[UTIL_DIGITS];
	size_t at = UTIL_DIGITS;

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	memcpy(out, digits + at, UTIL_DIGITS - at);
	return UTIL_DIGITS - at;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's, one row at a time; two words of the length of a key. */
unsigned util_distance(const char *one, const char *other, unsigned limit)
{
	unsigned row[DISTANCE_WORD_MAX + 1];
	size_t width = strlen(other);

	if (width > DISTANCE_WORD_MAX || strlen(one) > DISTANCE_WORD_MAX)
		return limit;
	for (size_t j = 0; j <= width; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; one[i]; i++) {
		unsigned corner = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < width; j++) {
			unsigned above = row[j + 1];
			unsigned swap = corner;

			if (tolower((unsigned char)one[i]) !=
			    tolower((unsigned char)other[j]))
				swap++;
			row[j + 1] = least(above + 1, row[j] + 1, swap);
			corner = above;
		}
	}
	return row[width] < limit ? row[width] : limit;
}
