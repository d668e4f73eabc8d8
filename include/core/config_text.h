#ifndef PGWEIR_CORE_CONFIG_TEXT_H
#define PGWEIR_CORE_CONFIG_TEXT_H

/*
 * What people read about the options, made from the option table: all of it
 * is appended to out.
 */
struct buf;

/* --help-config: every key by group. */
void config_text_help(struct buf *out);

/* etc/pgweir.ini: every key, commented out, with its default. */
void config_text_sample(struct buf *out);

/* The reference in docs/configuration.md: tables of Markdown. */
void config_text_reference(struct buf *out);

/* docs/man/pgweir.ini.5, for man(7). */
void config_text_man(struct buf *out);

#endif
