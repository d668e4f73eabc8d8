/* Lines, sections, includes; texts of any length, and hostile ones. */
#include "core/config_file.h"

#include "base/buf.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* What the reader told, as one text. */
struct heard {
	struct buf told;
	struct buf faults_text;
	struct config_faults faults;
	struct config_file_events events;
};

static bool hear_section(void *context, const struct config_place *place,
			 const char *name)
{
	struct heard *heard = context;

	(void)place;
	buf_printf(&heard->told, "[%s]", name);
	return strcmp(name, "unknown") != 0;
}

static void hear_pair(void *context, const struct config_place *place,
		      const char *section, char *name, char *value)
{
	struct heard *heard = context;

	buf_printf(&heard->told, "%s:%u:%s=<", section, place->line, name);
	buf_append(&heard->told, value, strlen(value));
	buf_printf(&heard->told, ">;");
}

static void start(struct heard *heard)
{
	*heard = (struct heard){ 0 };
	heard->faults.out = &heard->faults_text;
	heard->events.section = hear_section;
	heard->events.pair = hear_pair;
	heard->events.context = heard;
	heard->events.faults = &heard->faults;
}

static const char *text_of(struct buf *buf)
{
	*buf_reserve(buf, 1) = '\0';
	return (char *)buf_head(buf);
}

static void finish(struct heard *heard, const char *told, const char *faults)
{
	assert_string_equal(text_of(&heard->told), told);
	assert_string_equal(text_of(&heard->faults_text), faults);
	buf_free(&heard->told);
	buf_free(&heard->faults_text);
}

static void expect_bytes(const char *text, size_t len, const char *told,
			 const char *faults)
{
	struct heard heard;

	start(&heard);
	config_file_read_text("t", text, len, &heard.events);
	finish(&heard, told, faults);
}

static void expect(const char *text, const char *told, const char *faults)
{
	expect_bytes(text, strlen(text), told, faults);
}

static void test_simple(void **state)
{
	(void)state;
	expect("", "", "");
	expect("\n\n", "", "");
	expect("[a]\nx = 1\ny=2\n[b]\nz =\n",
	       "[a]a:2:x=<1>;a:3:y=<2>;[b]b:5:z=<>;", "");
	expect("[a]\nlast = line", "[a]a:2:last=<line>;", "");
	expect("[a]\r\nx = 1\r\n\r\ny = 2\r\n", "[a]a:2:x=<1>;a:4:y=<2>;", "");
	expect("\xef\xbb\xbf[a]\nx=1\n", "[a]a:2:x=<1>;", "");
	expect("  [a]  \n\t x\t=\t1 \t\n", "[a]a:2:x=<1>;", "");
	expect("[a] ; why\nx=1\n[b]# so\ny=2", "[a]a:2:x=<1>;[b]b:4:y=<2>;",
	       "");
}

static void test_comments(void **state)
{
	(void)state;
	expect("; one\n# two\n  ; three\n[a]\n;x=1\n#y=2\nz=3\n",
	       "[a]a:7:z=<3>;", "");
	/* Not behind a value: passwords hold such bytes. */
	expect("[a]\nx = one ; two # three\n", "[a]a:2:x=<one ; two # three>;",
	       "");
}

static void test_traps_of_the_library(void **state)
{
	(void)state;
	/* An indented line is a line of its own. */
	expect("[a]\nx = 1\n   y = 2\n\tz\n", "[a]a:2:x=<1>;a:3:y=<2>;",
	       "t:4: expected name = value\n");
	/* A colon is no equals sign. */
	expect("[a]\nx:y = 1\nu = a:b=c\n", "[a]a:2:x:y=<1>;a:3:u=<a:b=c>;",
	       "");
	expect("[a]\nx = \"1\"\n", "[a]a:2:x=<\"1\">;", "");
}

static void test_long_values(void **state)
{
	enum { LEN = 10000 };
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	static const char odd[] = ";#'\" =[]%:\\";
	char *value = xmalloc(LEN + 1);
	char *text;
	char *told;

	(void)state;
	for (size_t i = 0; i < LEN; i++)
		value[i] = letters[i % 26];
	for (size_t i = 0; i < LEN; i += 3)
		value[i] = odd[i % 11];
	value[0] = 'x';
	value[LEN - 1] = 'x';
	value[LEN] = '\0';
	text = xasprintf("[a]\npassword = %s\nn%sn=1\n[a]", value, "ame");
	told = xasprintf("[a]a:2:password=<%s>;a:3:namen=<1>;[a]", value);
	expect(text, told, "");
	free(text);
	free(told);
	/* And as a name, in quotes. */
	for (size_t i = 0; i < LEN; i++)
		if (value[i] == '"')
			value[i] = '\'';
	text = xasprintf("[a]\n\"%s\" = 1\n", value);
	told = xasprintf("[a]a:2:%s=<1>;", value);
	expect(text, told, "");
	free(text);
	free(told);
	free(value);
}

static void test_names(void **state)
{
	(void)state;
	expect("[a]\n\"a b=c\" = 1\n\"d\"\"e\"=2\n",
	       "[a]a:2:a b=c=<1>;a:3:d\"e=<2>;", "");
	expect("[a]\na b = 1\n", "[a]",
	       "t:2: a name with blanks or quotes in it is written \"in double "
	       "quotes\"\n");
	expect("[a]\na\"b = 1\n", "[a]",
	       "t:2: a name with blanks or quotes in it is written \"in double "
	       "quotes\"\n");
	expect("[a]\n= 1\n\"\" = 2\n", "[a]",
	       "t:2: a name is missing before =\n"
	       "t:3: a name is missing before =\n");
	expect("[a]\n\"open = 1\n\"shut\" 1\n", "[a]",
	       "t:2: expected name = value\nt:3: expected name = value\n");
}

static void test_faults_do_not_repeat_the_line(void **state)
{
	struct heard heard;
	const char *text = "[a]\nhunter2\n";

	(void)state;
	start(&heard);
	config_file_read_text("t", text, strlen(text), &heard.events);
	assert_null(strstr(text_of(&heard.faults_text), "hunter2"));
	finish(&heard, "[a]", "t:2: expected name = value\n");
}

static void test_sections(void **state)
{
	(void)state;
	expect("x = 1\ny = 2\n[a]\nz = 3\n", "[a]a:4:z=<3>;",
	       "t:1: a line like [databases] or [pgweir] must come first\n");
	expect("[unknown]\nx = 1\n[a]\ny = 1\n", "[unknown][a]a:4:y=<1>;", "");
	expect("[a\nx = 1\n[b] c\ny = 2\n", "",
	       "t:1: a section is written [name]\n"
	       "t:3: a section is written [name]\n");
	expect("[]\nx = 1\n", "[]:2:x=<1>;", "");
	expect("[a-name-of-more-than-forty-bytes-that-is-cut]\nx = 1\n", "",
	       "t:1: unknown section [a-name-of-more-than-forty-bytes-that-is-"
	       "...]\n");
}

static void test_zero_bytes(void **state)
{
	static const char text[] = "[a]\nx = 1\0 2\ny = 3\n\0";

	(void)state;
	expect_bytes(text, sizeof(text) - 1, "[a]a:3:y=<3>;",
		     "t:2: a byte of value 0 is in this line\n"
		     "t:4: a byte of value 0 is in this line\n");
	expect_bytes(NULL, 0, "", "");
}

static void test_directives(void **state)
{
	(void)state;
	expect("%include x\n", "", "t:1: %include is not possible here\n");
	expect("%includes x\n%other\n%\n", "",
	       "t:1: unknown directive, only %include FILE is known\n"
	       "t:2: unknown directive, only %include FILE is known\n"
	       "t:3: unknown directive, only %include FILE is known\n");
}

static void test_control_characters_in_messages(void **state)
{
	struct heard heard;
	struct config_place place = { "f", 3 };

	(void)state;
	start(&heard);
	config_fault(&heard.faults, &place, "%s", "a\033[2Jb\nc\177");
	place.line = 0;
	config_fault(&heard.faults, &place, "whole");
	finish(&heard, "", "f:3: a?[2Jb?c?\nf: whole\n");
	assert_int_equal(heard.faults.count, 2);
}

static void test_many_faults_are_bounded(void **state)
{
	struct heard heard;
	struct buf text = BUF_INIT;

	(void)state;
	start(&heard);
	buf_printf(&text, "[a]\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "bad\n");
	config_file_read_text("t", (char *)buf_head(&text), buf_len(&text),
			      &heard.events);
	assert_int_equal(heard.faults.count, 1000);
	assert_int_equal(buf_len(&heard.faults_text),
			 CONFIG_FAULTS_MAX * strlen("expected name = value\n") +
				 8 * strlen("t:2: ") + 90 * strlen("t:10: ") +
				 2 * strlen("t:100: "));
	buf_free(&text);
	buf_free(&heard.told);
	buf_free(&heard.faults_text);
}

/* ---- files ---- */

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/pgweir-test-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char *command = xasprintf("rm -rf '%s'", folder);
	int status;

	(void)state;
	/* NOLINTNEXTLINE: a path of our own making */
	status = system(command);
	free(command);
	buf_thread_cleanup();
	return status;
}

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
	char *path = path_of(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	free(path);
}

/* In told and faults the folder is written as it is. */
static void expect_file(const char *name, const char *told, const char *faults)
{
	struct heard heard;
	char *path = path_of(name);

	start(&heard);
	config_file_read(path, &heard.events);
	finish(&heard, told, faults);
	free(path);
}

static void expect_fault(const char *name, const char *place, const char *fault)
{
	char *faults = xasprintf("%s/%s: %s\n", folder, place, fault);
	struct heard heard;
	char *path = path_of(name);

	start(&heard);
	config_file_read(path, &heard.events);
	assert_string_equal(text_of(&heard.faults_text), faults);
	buf_free(&heard.told);
	buf_free(&heard.faults_text);
	free(path);
	free(faults);
}

static void test_include(void **state)
{
	char *path = path_of("sub");

	(void)state;
	write_file("main.ini", "[a]\nx = 1\n%include sub/part.ini\nz = 3\n"
			       "%include  sub/part.ini  \r\n");
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	/* The last line has no end; the section goes on behind it. */
	write_file("sub/part.ini", "\xef\xbb\xbfy = 2\n%include more.ini");
	write_file("sub/more.ini", "[b]\nu = 1\n");
	expect_file("main.ini",
		    "[a]a:2:x=<1>;a:1:y=<2>;[b]b:2:u=<1>;b:4:z=<3>;"
		    "b:1:y=<2>;[b]b:2:u=<1>;",
		    "");
}

static void test_include_absolute(void **state)
{
	char *text = xasprintf("[a]\n%%include %s/abs-part.ini\n", folder);

	(void)state;
	write_file("abs.ini", text);
	write_file("abs-part.ini", "x = 1\n");
	expect_file("abs.ini", "[a]a:1:x=<1>;", "");
	free(text);
}

static void test_include_beside_a_bare_name(void **state)
{
	struct heard heard;
	char *before = getcwd(NULL, 0);

	(void)state;
	assert_non_null(before);
	write_file("bare.ini", "[a]\n%include bare-part.ini\n");
	write_file("bare-part.ini", "x = 1\n");
	assert_int_equal(chdir(folder), 0);
	start(&heard);
	config_file_read("bare.ini", &heard.events);
	assert_int_equal(chdir(before), 0);
	free(before);
	finish(&heard, "[a]a:1:x=<1>;", "");
}

static void test_include_faults(void **state)
{
	(void)state;
	write_file("none.ini", "[a]\n%include missing.ini\n");
	expect_fault("none.ini", "none.ini:2",
		     "%include \"missing.ini\": No such file or directory");
	write_file("empty.ini", "[a]\n%include\n");
	expect_fault("empty.ini", "empty.ini:2",
		     "%include needs the name of a file");
	write_file("self.ini", "[a]\n%include self.ini\n");
	expect_fault("self.ini", "self.ini:2",
		     "%include \"self.ini\": includes itself");
	write_file("ping.ini", "[a]\n%include pong.ini\n");
	write_file("pong.ini", "%include ping.ini\n");
	expect_fault("ping.ini", "pong.ini:1",
		     "%include \"ping.ini\": includes itself");
	write_file("dir.ini", "[a]\n%include .\n");
	expect_fault("dir.ini", "dir.ini:2",
		     "%include \".\": is not a regular file");
}

static void test_include_depth(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		char *name = xasprintf("deep%d.ini", i);
		char *text = xasprintf("%%include deep%d.ini\n", i + 1);

		write_file(name, text);
		free(name);
		free(text);
	}
	expect_fault("deep0.ini", "deep9.ini:1",
		     "files include each other too deeply");
	expect_fault("deep3.ini", "deep11.ini:1",
		     "%include \"deep12.ini\": No such file or directory");
}

static void test_unreadable(void **state)
{
	char *path = path_of("pipe");

	(void)state;
	expect_fault("missing.ini", "missing.ini", "No such file or directory");
	expect_fault(".", ".", "is not a regular file");
	/* Must not wait for a writer. */
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_fault("pipe", "pipe", "is not a regular file");
	free(path);
	path = path_of("huge.ini");
	write_file("huge.ini", "[a]\n");
	assert_int_equal(truncate(path, (off_t)65 << 20), 0);
	expect_fault("huge.ini", "huge.ini", "is too long");
	assert_int_equal(unlink(path), 0);
	free(path);
	write_file("zero.ini", "");
	expect_file("zero.ini", "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_traps_of_the_library),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_faults_do_not_repeat_the_line),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_zero_bytes),
		cmocka_unit_test(test_directives),
		cmocka_unit_test(test_control_characters_in_messages),
		cmocka_unit_test(test_many_faults_are_bounded),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_include_absolute),
		cmocka_unit_test(test_include_beside_a_bare_name),
		cmocka_unit_test(test_include_faults),
		cmocka_unit_test(test_include_depth),
		cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
