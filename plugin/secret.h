/*
 * secret.h
 *		The key of hashes, and hashes with it.
 */
#ifndef WALSPOUT_SECRET_H
#define WALSPOUT_SECRET_H

#include "postgres.h"

/* Characters of a hash: 32 bytes in hexadecimal. */
#define SECRET_HASH_SIZE 64

/* Define the settings; once a process, when the library is loaded. */
extern void secret_init(void);

/*
 * The key from the settings, in the current context; NULL without one. Raises
 * if they name an unreadable file, or a bad key.
 */
extern const char *secret_key(void);

/*
 * Write the HMAC-SHA256 of n bytes, SECRET_HASH_SIZE characters, at p. False
 * if the server's library fails.
 */
extern bool secret_hash(char *p, const char *key, const char *bytes, Size n);

#endif
