#ifndef PGWEIR_TESTS_TLS_CERTS_H
#define PGWEIR_TESTS_TLS_CERTS_H

/*
 * Certificates for tests, made in the process and written as PEM files into
 * a folder of their own; keys are P-256.
 */
#include <dirent.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct certs_pair {
	EVP_PKEY *key;
	X509 *cert;
};

/* What a certificate says; NULL and 0 leave it out. */
struct certs_wish {
	const char *name;       /* CN */
	int name_len;           /* 0: strlen */
	const char *alternates; /* "DNS:a,IP:127.0.0.1" */
	long lasts_s;           /* may be negative: expired */
	const struct certs_pair *issuer;
};

static void certs_add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void certs_add_name(X509 *cert, const struct certs_wish *wish)
{
	X509_NAME *name = X509_get_subject_name(cert);

	assert_int_equal(X509_NAME_add_entry_by_txt(
				 name, "CN", MBSTRING_UTF8,
				 (const unsigned char *)wish->name,
				 wish->name_len ? wish->name_len : -1, -1, 0),
			 1);
}

static struct certs_pair certs_make(const struct certs_wish *wish)
{
	static long serial = 1;
	struct certs_pair pair = { EVP_EC_gen("P-256"), X509_new() };
	const struct certs_pair *issuer = wish->issuer ? wish->issuer : &pair;

	assert_non_null(pair.key);
	assert_non_null(pair.cert);
	assert_int_equal(X509_set_version(pair.cert, 2), 1);
	assert_int_equal(
		ASN1_INTEGER_set(X509_get_serialNumber(pair.cert), serial++),
		1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(pair.cert), -9000));
	assert_non_null(
		X509_gmtime_adj(X509_getm_notAfter(pair.cert), wish->lasts_s));
	if (wish->name)
		certs_add_name(pair.cert, wish);
	assert_int_equal(X509_set_issuer_name(pair.cert, X509_get_subject_name(
								 issuer->cert)),
			 1);
	assert_int_equal(X509_set_pubkey(pair.cert, pair.key), 1);
	if (!wish->issuer)
		certs_add_extension(pair.cert, NID_basic_constraints,
				    "critical,CA:TRUE");
	if (wish->alternates)
		certs_add_extension(pair.cert, NID_subject_alt_name,
				    wish->alternates);
	assert_true(X509_sign(pair.cert, issuer->key, EVP_sha256()) > 0);
	return pair;
}

static void certs_free(struct certs_pair *pair)
{
	X509_free(pair->cert);
	EVP_PKEY_free(pair->key);
}

/* Writes <folder>/<name>.crt and .key; passphrase may be NULL. */
static void certs_write(const struct certs_pair *pair, const char *folder,
			const char *name, const char *passphrase)
{
	char path[128];
	BIO *file;

	(void)snprintf(path, sizeof(path), "%s/%s.crt", folder, name);
	file = BIO_new_file(path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_bio_X509(file, pair->cert), 1);
	assert_int_equal(BIO_free(file), 1);
	(void)snprintf(path, sizeof(path), "%s/%s.key", folder, name);
	file = BIO_new_file(path, "w");
	assert_non_null(file);
	assert_int_equal(
		PEM_write_bio_PrivateKey(
			file, pair->key, passphrase ? EVP_aes_256_cbc() : NULL,
			(const unsigned char *)passphrase,
			passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
		1);
	assert_int_equal(BIO_free(file), 1);
}

/* Removes the folder and the files in it. */
static void certs_remove(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	assert_int_equal(closedir(dir), 0);
	assert_int_equal(rmdir(folder), 0);
}

#endif
