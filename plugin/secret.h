/*
 * secret.h
 *		The key of hashes, and hashes with it.
 */
#ifndef WALSPOUT_SECRET_H
#define WALSPOUT_SECRET_H

#include "postgres.h"

/* Characters of a hash: 32 bytes in hexadecimal. */
#define SECRET_HASH_SIZE 64

/* Make the settings known; once a process, when the library is loaded. */
extern void secret_init(void);

/*
 * The key that the settings give, in the current context; NULL if they give
 * none. Raises if they name a file that cannot be read, or whose key is bad.
 */
extern const char *secret_key(void);

/*
 * Write the HMAC-SHA256 of n bytes, SECRET_HASH_SIZE characters, at p. False if
 * the server's library for that fails.
 */
extern bool secret_hash(char *p, const char *key, const char *bytes, Size n);

#endif
