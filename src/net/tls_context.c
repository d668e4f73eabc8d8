/*
 * TLS contexts: everything that sessions of one configuration share, built
 * from files and checked as a whole, then never changed.
 *
 * Habits follow PostgreSQL's own: no renegotiation, no compression, and no
 * session resumption, since a pooled connection lives long and a ticket that
 * arrives on an idle one looks like data.  Keys are never unlocked by asking
 * on the terminal.
 *
 * Every fault names the key of the ini file that it comes from.  Contexts
 * are made on the main thread and used by all.
 */
#include "net/tls_context.h"

#include "base/buf.h"
#include "base/util.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { PROTOCOL_COUNT = 4 };

/* references is the only field that changes once it is made. */
struct tls_context {
	atomic_uint references;
	SSL_CTX *ssl;
	bool is_server;
	enum config_sslmode mode;
	int64_t expiry;
};

/* What a context is built from, for the helpers and their messages. */
struct maker {
	const struct tls_files *files;
	enum config_sslmode mode;
	bool is_server;
	struct buf *error;
	SSL_CTX *ssl;
};

/* ---- messages ----------------------------------------------------------- */

static bool is_set(const char *value)
{
	return value && value[0] != '\0';
}

/* The first error of the queue is the cause, later ones its consequences. */
void tls_context_take_reason(char out[TLS_REASON_ROOM])
{
	unsigned long code = ERR_get_error();
	const char *reason = ERR_reason_error_string(code);
	char system_reason[TLS_REASON_ROOM];

	if (code == 0)
		reason = "no reason given";
	else if (ERR_SYSTEM_ERROR(code))
		reason = strerror_r(ERR_GET_REASON(code), system_reason,
				    sizeof(system_reason));
	else if (!reason)
		reason = "unknown reason";
	(void)util_copy(out, TLS_REASON_ROOM, reason);
	ERR_clear_error();
}

/* "client_tls_cert_file = x: reason"; false for the caller to return. */
static bool complain(const struct maker *maker, const char *key,
		     const char *value, const char *reason)
{
	char found[TLS_REASON_ROOM];

	if (!reason)
		tls_context_take_reason(found);
	buf_printf(maker->error, "%s_tls_%s = %s: %s\n",
		   maker->is_server ? "client" : "server", key,
		   value ? value : "", reason ? reason : found);
	ERR_clear_error();
	return false;
}

/* ---- contexts: protocols and ciphers ------------------------------------ */

static const struct {
	const char *name;
	int version;
	uint64_t off;
} protocols[PROTOCOL_COUNT] = {
	{ "tlsv1.0", TLS1_VERSION, SSL_OP_NO_TLSv1 },
	{ "tlsv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1 },
	{ "tlsv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2 },
	{ "tlsv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3 },
};

/* Words for several protocols; bit i stands for protocols[i]. */
static const struct {
	const char *name;
	unsigned bits;
} protocol_groups[] = {
	{ "secure", 0xc },  { "default", 0xc }, { "all", 0xf },
	{ "legacy", 0xf },  { "tlsv1", 0xf },   { "tlsv1.0", 0x1 },
	{ "tlsv1.1", 0x2 }, { "tlsv1.2", 0x4 }, { "tlsv1.3", 0x8 },
};

/* 0: no word of ours. */
static unsigned protocol_bits(const char *word, size_t len)
{
	size_t count = sizeof(protocol_groups) / sizeof(protocol_groups[0]);

	for (size_t i = 0; i < count; i++) {
		if (strlen(protocol_groups[i].name) == len &&
		    strncasecmp(protocol_groups[i].name, word, len) == 0)
			return protocol_groups[i].bits;
	}
	return 0;
}

/* "secure", "tlsv1.2, tlsv1.3", "all:!tlsv1.0"; 0 when malformed or empty. */
static unsigned parse_protocols(const char *list)
{
	static const char separators[] = ",: \t";
	unsigned bits = 0;

	for (list += strspn(list, separators); *list;
	     list += strspn(list, separators)) {
		bool is_not = *list == '!';
		size_t len;
		unsigned found;

		list += is_not;
		len = strcspn(list, separators);
		found = protocol_bits(list, len);
		if (found == 0)
			return 0;
		bits = is_not ? bits & ~found : bits | found;
		list += len;
	}
	return bits;
}

/* OpenSSL wants a range, PgBouncer's syntax allows gaps: those are options. */
static bool set_protocols(const struct maker *maker)
{
	const char *list = is_set(maker->files->protocols)
				   ? maker->files->protocols
				   : "secure";
	unsigned bits = parse_protocols(list);
	unsigned low = 0;
	unsigned high = PROTOCOL_COUNT - 1;

	if (bits == 0)
		return complain(maker, "protocols", list,
				"want secure, all, or names out of tlsv1.0, "
				"tlsv1.1, tlsv1.2, tlsv1.3");
	while (!(bits & (1u << low)))
		low++;
	while (!(bits & (1u << high)))
		high--;
	for (unsigned i = low; i < high; i++) {
		if (!(bits & (1u << i)))
			(void)SSL_CTX_set_options(maker->ssl, protocols[i].off);
	}
	if (!SSL_CTX_set_min_proto_version(maker->ssl,
					   protocols[low].version) ||
	    !SSL_CTX_set_max_proto_version(maker->ssl, protocols[high].version))
		return complain(maker, "protocols", list, NULL);
	return true;
}

/* PgBouncer's words for "what OpenSSL thinks best". */
static bool is_default_ciphers(const char *ciphers)
{
	static const char *const words[] = { "default", "secure", "fast",
					     "normal" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(ciphers, words[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Two lists, since TLS 1.3 has its own; dheparams and ecdhcurve take
 * PgBouncer's words, of which "auto" is what OpenSSL does by itself.
 */
static bool set_ciphers(const struct maker *maker)
{
	const struct tls_files *files = maker->files;

	if (is_set(files->ciphers) && !is_default_ciphers(files->ciphers) &&
	    !SSL_CTX_set_cipher_list(maker->ssl,
				     strcasecmp(files->ciphers, "all") == 0
					     ? "ALL"
					     : files->ciphers))
		return complain(maker, "ciphers", files->ciphers, NULL);
	if (is_set(files->tls13_ciphers) &&
	    !SSL_CTX_set_ciphersuites(maker->ssl, files->tls13_ciphers))
		return complain(maker, "tls13_ciphers", files->tls13_ciphers,
				NULL);
	if (is_set(files->ecdhcurve) &&
	    strcasecmp(files->ecdhcurve, "auto") != 0 &&
	    strcasecmp(files->ecdhcurve, "none") != 0 &&
	    !SSL_CTX_set1_groups_list(maker->ssl, files->ecdhcurve))
		return complain(maker, "ecdhcurve", files->ecdhcurve, NULL);
	if (maker->is_server && (!is_set(files->dheparams) ||
				 strcasecmp(files->dheparams, "none") != 0))
		(void)SSL_CTX_set_dh_auto(maker->ssl, 1);
	return true;
}

/* ---- contexts: keys and certificates ------------------------------------ */

/* Compares the key with the certificate, too. */
static bool load_key(const struct maker *maker, const char *key)
{
	bool was_asked = false;
	int loaded;

	SSL_CTX_set_default_passwd_cb_userdata(maker->ssl, &was_asked);
	loaded = SSL_CTX_use_PrivateKey_file(maker->ssl, key, SSL_FILETYPE_PEM);
	SSL_CTX_set_default_passwd_cb_userdata(maker->ssl, NULL);
	if (loaded == 1)
		return true;
	return complain(maker, "key_file", key,
			was_asked ? "is locked by a passphrase, store it "
				    "without one"
				  : NULL);
}

/* A client's certificate is optional, a server's is not. */
static bool load_pair(const struct maker *maker)
{
	const char *key = maker->files->key;
	const char *cert = maker->files->cert;

	if (is_set(key) != is_set(cert))
		return complain(maker, is_set(key) ? "cert_file" : "key_file",
				"", "key and certificate need each other");
	if (!is_set(key))
		return !maker->is_server ||
		       complain(maker, "cert_file", "",
				"TLS for clients needs a certificate and "
				"client_tls_key_file");
	if (SSL_CTX_use_certificate_chain_file(maker->ssl, cert) != 1)
		return complain(maker, "cert_file", cert, NULL);
	return load_key(maker, key);
}

/* Whether the other side's certificate must be vouched for by the ca file. */
static bool wants_verified_peer(const struct maker *maker)
{
	if (maker->mode >= SSLMODE_VERIFY_CA)
		return true;
	return !maker->is_server && maker->mode == SSLMODE_REQUIRE &&
	       is_set(maker->files->ca);
}

/*
 * A server names the authorities it accepts, so that clients can choose the
 * right certificate.  As libpq: require with a file of authorities verifies.
 */
static bool load_authorities(const struct maker *maker)
{
	const char *ca = maker->files->ca;
	int flags = SSL_VERIFY_PEER;

	if (!wants_verified_peer(maker)) {
		SSL_CTX_set_verify(maker->ssl, SSL_VERIFY_NONE, NULL);
		return true;
	}
	if (!is_set(ca))
		return complain(maker, "ca_file", "",
				"sslmode verify-ca and verify-full need it");
	if (!SSL_CTX_load_verify_file(maker->ssl, ca))
		return complain(maker, "ca_file", ca, NULL);
	if (maker->is_server) {
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);

		if (!names)
			return complain(maker, "ca_file", ca, NULL);
		SSL_CTX_set_client_CA_list(maker->ssl, names);
		flags |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT |
			 SSL_VERIFY_CLIENT_ONCE;
	}
	SSL_CTX_set_verify(maker->ssl, flags, NULL);
	return true;
}

/* Seconds since 1970; 0 without a certificate of our own. */
static int64_t read_expiry(SSL_CTX *ssl)
{
	X509 *own = SSL_CTX_get0_certificate(ssl);
	struct tm end;

	if (!own || !ASN1_TIME_to_tm(X509_get0_notAfter(own), &end))
		return 0;
	return (int64_t)timegm(&end);
}

/* ---- contexts: putting together ----------------------------------------- */

static const unsigned char alpn_list[] = "\012postgresql";

/* As PostgreSQL 17: who offers protocols without ours is not a client. */
static int choose_alpn(SSL *ssl, const unsigned char **out,
		       unsigned char *out_len, const unsigned char *offered,
		       unsigned offered_len, void *user)
{
	unsigned char *chosen = NULL;

	(void)ssl;
	(void)user;
	if (SSL_select_next_proto(&chosen, out_len, alpn_list,
				  sizeof(alpn_list) - 1, offered,
				  offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/*
 * Without this OpenSSL asks on the terminal.  user: NULL, or where to note
 * that a passphrase was wanted.
 */
static int refuse_passphrase(char *out, int room, int is_writing, void *user)
{
	bool *was_asked = user;

	(void)is_writing;
	if (was_asked)
		*was_asked = true;
	if (room > 0)
		out[0] = '\0';
	return -1;
}

static void set_habits(const struct maker *maker)
{
	SSL_CTX *ssl = maker->ssl;

	(void)SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION |
					       SSL_OP_NO_RENEGOTIATION |
					       SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_mode(ssl,
			       SSL_MODE_ENABLE_PARTIAL_WRITE |
				       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				       SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_default_passwd_cb(ssl, refuse_passphrase);
	(void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	/* One recv for the header of a record and its body. */
	SSL_CTX_set_read_ahead(ssl, 1);
	if (!maker->is_server)
		return;
	(void)SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_num_tickets(ssl, 0);
	SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, NULL);
}

static bool fill_context(struct maker *maker)
{
	if (maker->mode == SSLMODE_DISABLE)
		return complain(maker, "sslmode", "disable", "TLS is off");
	ERR_clear_error();
	maker->ssl = SSL_CTX_new(maker->is_server ? TLS_server_method()
						  : TLS_client_method());
	if (!maker->ssl)
		return complain(maker, "sslmode", "", NULL);
	set_habits(maker);
	return set_protocols(maker) && set_ciphers(maker) && load_pair(maker) &&
	       load_authorities(maker);
}

static struct tls_context *make_context(struct maker *maker)
{
	struct tls_context *context;

	if (!fill_context(maker)) {
		SSL_CTX_free(maker->ssl);
		return NULL;
	}
	context = xcalloc(1, sizeof(*context));
	atomic_init(&context->references, 1);
	context->ssl = maker->ssl;
	context->is_server = maker->is_server;
	context->mode = maker->mode;
	context->expiry = read_expiry(maker->ssl);
	return context;
}

struct tls_context *tls_context_new_server(const struct tls_files *files,
					   enum config_sslmode mode,
					   struct buf *error)
{
	struct maker maker = { files, mode, true, error, NULL };

	return make_context(&maker);
}

struct tls_context *tls_context_new_client(const struct tls_files *files,
					   enum config_sslmode mode,
					   struct buf *error)
{
	struct maker maker = { files, mode, false, error, NULL };

	return make_context(&maker);
}

struct tls_context *tls_context_hold(const struct tls_context *context)
{
	struct tls_context *held = (struct tls_context *)context;

	(void)atomic_fetch_add_explicit(&held->references, 1,
					memory_order_relaxed);
	return held;
}

void tls_context_release(const struct tls_context *context)
{
	struct tls_context *held = (struct tls_context *)context;

	if (!held)
		return;
	if (atomic_fetch_sub_explicit(&held->references, 1,
				      memory_order_acq_rel) > 1)
		return;
	SSL_CTX_free(held->ssl);
	free(held);
}

int64_t tls_context_expiry(const struct tls_context *context)
{
	return context->expiry;
}

SSL_CTX *tls_context_ssl(const struct tls_context *context)
{
	return context->ssl;
}

bool tls_context_is_server(const struct tls_context *context)
{
	return context->is_server;
}

enum config_sslmode tls_context_mode(const struct tls_context *context)
{
	return context->mode;
}
