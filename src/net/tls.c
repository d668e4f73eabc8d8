/*
 * TLS sessions on non-blocking sockets, for streams.
 *
 * They do their own SSL_read and SSL_write; what the socket must become
 * ready for is told by the result, waiting is the stream's business.  A
 * session that has failed stays failed: OpenSSL is not asked again.
 *
 * Invariant: the error queue of OpenSSL is per thread and cleared before
 * each call, so that one session's failure never shows up as another's.
 */
#include "net/tls.h"

#include "base/util.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
	SSL *ssl;
	struct tls_context *context;
	/* TLS_OK until the session is of no more use, then why. */
	enum tls_result broken;
	/* The last read took all that the socket had. */
	bool is_drained;
	char *common_name;
	char error[TLS_REASON_ROOM];
};

static bool is_address(const char *name)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, bytes) == 1 ||
	       inet_pton(AF_INET6, name, bytes) == 1;
}

/* SNI is for names only (RFC 6066 section 3). */
static bool set_name(struct tls *tls, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
	bool verifies = tls_context_mode(tls->context) == SSLMODE_VERIFY_FULL;

	if (!name || *name == '\0')
		return !verifies;
	if (is_address(name))
		return !verifies || X509_VERIFY_PARAM_set1_ip_asc(param, name);
	X509_VERIFY_PARAM_set_hostflags(param,
					X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (verifies && !X509_VERIFY_PARAM_set1_host(param, name, 0))
		return false;
	return SSL_set_tlsext_host_name(tls->ssl, name) == 1;
}

static bool set_up(struct tls *tls, int fd, const char *name)
{
	if (!tls->ssl || !SSL_set_fd(tls->ssl, fd))
		return false;
	if (tls_context_is_server(tls->context)) {
		SSL_set_accept_state(tls->ssl);
		return true;
	}
	SSL_set_connect_state(tls->ssl);
	return set_name(tls, name);
}

struct tls *tls_new(struct tls_context *context, int fd, bool is_server,
		    const char *name)
{
	struct tls *tls = xcalloc(1, sizeof(*tls));

	assert(tls_context_is_server(context) == is_server);
	ERR_clear_error();
	tls->context = tls_context_hold(context);
	tls->ssl = SSL_new(tls_context_ssl(context));
	tls->broken = TLS_OK;
	if (set_up(tls, fd, name))
		return tls;
	ERR_clear_error();
	tls_free(tls);
	return NULL;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	tls_context_release(tls->context);
	free(tls->common_name);
	free(tls);
}

/* The first reason stays the reason: nothing calls OpenSSL behind it. */
static enum tls_result set_broken(struct tls *tls, enum tls_result result,
				  const char *reason)
{
	tls->broken = result;
	(void)util_copy(tls->error, sizeof(tls->error), reason);
	return result;
}

/* A failure that OpenSSL has put in its queue. */
static enum tls_result fail_by_queue(struct tls *tls)
{
	unsigned long code = ERR_peek_error();
	long verdict = SSL_get_verify_result(tls->ssl);
	char reason[TLS_REASON_ROOM];

	if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
		/* Clients that leave without close_notify are the rule. */
		if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return set_broken(tls, TLS_EOF, "connection closed");
		if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
		    verdict != X509_V_OK) {
			(void)snprintf(reason, sizeof(reason),
				       "certificate not accepted: %s",
				       X509_verify_cert_error_string(verdict));
			return set_broken(tls, TLS_FAILED, reason);
		}
	}
	tls_context_take_reason(reason);
	return set_broken(tls, TLS_FAILED, reason);
}

/* What a call came to that did not do its work. */
static enum tls_result judge(struct tls *tls, int returned)
{
	int system_error = errno;
	char reason[TLS_REASON_ROOM];

	switch (SSL_get_error(tls->ssl, returned)) {
	case SSL_ERROR_WANT_READ: return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE: return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN: return TLS_EOF;
	case SSL_ERROR_SSL: return fail_by_queue(tls);
	case SSL_ERROR_SYSCALL: break;
	default: return set_broken(tls, TLS_FAILED, "unexpected state");
	}
	if (system_error == 0)
		return set_broken(tls, TLS_EOF, "connection closed");
	return set_broken(tls, TLS_FAILED,
			  strerror_r(system_error, reason, sizeof(reason)));
}

/* Keeps the common name when there is exactly a text of it. */
static void read_common_name(struct tls *tls)
{
	X509 *peer = SSL_get0_peer_certificate(tls->ssl);
	unsigned char *text = NULL;
	X509_NAME *subject;
	int at;
	int len;

	if (!peer || SSL_get_verify_mode(tls->ssl) == SSL_VERIFY_NONE ||
	    SSL_get_verify_result(tls->ssl) != X509_V_OK)
		return;
	subject = X509_get_subject_name(peer);
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0)
		return;
	len = ASN1_STRING_to_UTF8(
		&text,
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len > 0 && !memchr(text, '\0', (size_t)len))
		tls->common_name = xstrndup((const char *)text, (size_t)len);
	OPENSSL_free(text);
}

/* May be called again when it is done: that does nothing. */
enum tls_result tls_handshake(struct tls *tls)
{
	enum tls_result result;
	int returned;

	if (tls->broken != TLS_OK)
		return tls->broken;
	ERR_clear_error();
	errno = 0;
	returned = SSL_do_handshake(tls->ssl);
	if (returned == 1) {
		if (!tls->common_name)
			read_common_name(tls);
		return TLS_OK;
	}
	result = judge(tls, returned);
	if (result == TLS_EOF)
		return set_broken(tls, TLS_EOF,
				  "connection closed during the handshake");
	return result;
}

enum tls_result tls_read(struct tls *tls, void *data, size_t len, size_t *done)
{
	uint8_t *out = data;

	*done = 0;
	if (tls->broken != TLS_OK)
		return tls->broken;
	if (len == 0)
		return TLS_OK;
	tls->is_drained = false;
	/* A record at a time, but no more system calls than needed. */
	do {
		size_t got = 0;
		int returned;

		ERR_clear_error();
		errno = 0;
		returned =
			SSL_read_ex(tls->ssl, out + *done, len - *done, &got);
		if (returned != 1) {
			enum tls_result result = judge(tls, returned);

			tls->is_drained = result == TLS_WANT_READ;
			return *done > 0 ? TLS_OK : result;
		}
		*done += got;
	} while (*done < len && SSL_has_pending(tls->ssl));
	return TLS_OK;
}

enum tls_result tls_write(struct tls *tls, const void *data, size_t len,
			  size_t *done)
{
	int returned;

	*done = 0;
	if (tls->broken != TLS_OK)
		return tls->broken;
	if (len == 0)
		return TLS_OK;
	ERR_clear_error();
	errno = 0;
	returned = SSL_write_ex(tls->ssl, data, len, done);
	return returned == 1 ? TLS_OK : judge(tls, returned);
}

/*
 * An end that came along with the last bytes wakes no poll either.  Half a
 * record in OpenSSL's buffer is nothing to read: its rest will wake the poll.
 */
bool tls_pending(const struct tls *tls)
{
	if (tls->broken != TLS_OK ||
	    (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN) != 0)
		return true;
	return !tls->is_drained && SSL_has_pending(tls->ssl) == 1;
}

/* One way: the answer of the other side is not waited for (RFC 8446 6.1). */
void tls_close_notify(struct tls *tls)
{
	if (tls->broken != TLS_OK || !SSL_is_init_finished(tls->ssl))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

const char *tls_error(const struct tls *tls)
{
	return tls->error;
}

const char *tls_version(const struct tls *tls)
{
	return SSL_get_version(tls->ssl);
}

const char *tls_cipher(const struct tls *tls)
{
	const char *name = SSL_get_cipher_name(tls->ssl);

	return name ? name : "";
}

bool tls_has_alpn(const struct tls *tls)
{
	const unsigned char *chosen = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(tls->ssl, &chosen, &len);
	return len == strlen(TLS_ALPN) && memcmp(chosen, TLS_ALPN, len) == 0;
}

const char *tls_peer_common_name(const struct tls *tls)
{
	return tls->common_name;
}
