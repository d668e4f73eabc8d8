/*
 * Loads a configuration with all that belongs to it.  Nothing is put in
 * force here: the caller gets a whole snapshot, or the reasons why there is
 * none, so that a reload cannot leave half a change behind.
 *
 * Goes on after a fault to find the others: who mends a file wants to hear
 * of all of them at once.
 */
#include "main/load.h"

#include "base/buf.h"
#include "core/config.h"
#include "core/users.h"
#include "net/tls_context.h"
#include "proxy/local.h"

#include <assert.h>
#include <string.h>

/* True when there is none to load, or it is loaded. */
static bool load_users(const struct config_settings *settings,
		       const struct users **users, struct buf *error)
{
	*users = NULL;
	if (settings->auth_file[0] == '\0')
		return true;
	*users = users_load(settings->auth_file, error);
	return *users != NULL;
}

/* "client" is who comes: this context is a TLS server's. */
static bool load_client_tls(const struct config_settings *settings,
			    struct tls_context **context, struct buf *error)
{
	struct tls_files files = {
		.key = settings->client_tls_key_file,
		.cert = settings->client_tls_cert_file,
		.ca = settings->client_tls_ca_file,
		.protocols = settings->client_tls_protocols,
		.ciphers = settings->client_tls_ciphers,
		.tls13_ciphers = settings->client_tls13_ciphers,
		.ecdhcurve = settings->client_tls_ecdhcurve,
		.dheparams = settings->client_tls_dheparams,
	};

	*context = NULL;
	if (settings->client_tls_sslmode == SSLMODE_DISABLE)
		return true;
	*context = tls_context_new_server(&files, settings->client_tls_sslmode,
					  error);
	return *context != NULL;
}

/* Without a file of authorities too: sslmode says what is checked. */
static bool load_server_tls(const struct config_settings *settings,
			    struct tls_context **context, struct buf *error)
{
	struct tls_files files = {
		.key = settings->server_tls_key_file,
		.cert = settings->server_tls_cert_file,
		.ca = settings->server_tls_ca_file,
		.protocols = settings->server_tls_protocols,
		.ciphers = settings->server_tls_ciphers,
		.tls13_ciphers = settings->server_tls13_ciphers,
	};

	*context = NULL;
	if (settings->server_tls_sslmode == SSLMODE_DISABLE)
		return true;
	*context = tls_context_new_client(&files, settings->server_tls_sslmode,
					  error);
	return *context != NULL;
}

/*
 * The three are read even when the first has failed, for the sake of all faults
 * at once.  A release of NULL is nothing.
 */
static struct snapshot *load_rest(struct config *config, uint64_t generation,
				  struct buf *error)
{
	const struct users *users;
	struct tls_context *client_tls;
	struct tls_context *server_tls;
	bool is_good;

	config->generation = generation;
	is_good = load_users(&config->settings, &users, error);
	is_good &= load_client_tls(&config->settings, &client_tls, error);
	is_good &= load_server_tls(&config->settings, &server_tls, error);
	if (is_good)
		return snapshot_new(config, users, client_tls, server_tls);
	users_release(users);
	tls_context_release(client_tls);
	tls_context_release(server_tls);
	config_release(config);
	return NULL;
}

struct snapshot *load_snapshot(const char *path, uint64_t generation,
			       struct buf *error, struct buf *warnings)
{
	struct config *config = config_load(path, error, warnings);

	return config ? load_rest(config, generation, error) : NULL;
}

static struct tls_context *hold_tls(const struct tls_context *context)
{
	return context ? tls_context_hold(context) : NULL;
}

/* Files are read again only where the key is one of them. */
struct snapshot *load_changed(const struct snapshot *snapshot, const char *key,
			      const char *value, struct buf *error,
			      struct buf *warnings)
{
	struct config *config =
		config_with(snapshot->config, key, value, error, warnings);
	uint64_t generation = snapshot->config->generation + 1;
	const struct users *users = snapshot->users;

	if (!config)
		return NULL;
	if (strcmp(key, "auth_file") == 0 || strstr(key, "_tls"))
		return load_rest(config, generation, error);
	config->generation = generation;
	return snapshot_new(config, users ? users_hold(users) : NULL,
			    hold_tls(snapshot->client_tls),
			    hold_tls(snapshot->server_tls));
}

void load_log_lines(enum log_level level, const char *prefix,
		    const struct buf *text)
{
	const char *at = (const char *)buf_head(text);
	size_t left = buf_len(text);

	assert(at || left == 0);
	while (left > 0) {
		const char *end = memchr(at, '\n', left);
		size_t len = end ? (size_t)(end - at) : left;

		if (len > 0)
			log_write(level, "%s%.*s", prefix, (int)len, at);
		len += end != NULL;
		at += len;
		left -= len;
	}
}
