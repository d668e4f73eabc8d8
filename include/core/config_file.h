#ifndef PGWEIR_CORE_CONFIG_FILE_H
#define PGWEIR_CORE_CONFIG_FILE_H

/*
 * Reads an ini file and the files that it includes, line by line, and says
 * what stands in it; judges form only, not meaning.
 */
#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Faults, or warnings, as they add up; one line each. */
struct config_faults {
	struct buf *out;
	unsigned count;
};

/* Beyond this many, faults are counted but no longer written. */
enum { CONFIG_FAULTS_MAX = 100 };

/* Where something was written; line 0: the file as a whole. */
struct config_place {
	const char *file;
	unsigned line;
};

/*
 * Appends "file:line: text" and a newline; control characters of the text
 * are made harmless.  Never pass a secret.
 */
void config_fault(struct config_faults *faults,
		  const struct config_place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * What the reader tells.  Strings are the callee's to change but not to
 * keep: they are wiped after the call.
 */
struct config_file_events {
	/* A section begins; false: unknown, its lines are not reported. */
	bool (*section)(void *context, const struct config_place *place,
			const char *name);
	/* name = value, the name without its quotes. */
	void (*pair)(void *context, const struct config_place *place,
		     const char *section, char *name, char *value);
	void *context;
	struct config_faults *faults;
};

/*
 * Reads the file, following %include (relative to the file that says it).
 * Every fault of form is added to the faults; the rest is read on.
 */
void config_file_read(const char *path,
		      const struct config_file_events *events);

/* The same with a text under a name of its own; %include is a fault. */
void config_file_read_text(const char *name, const char *text, size_t len,
			   const struct config_file_events *events);

#endif
