/*
 * secret.c
 *		The key of hashes, and hashes with it.
 *
 * The key is not an option of the slot: options are part of START_REPLICATION,
 * which the server logs if log_replication_commands is on. A setting in the
 * startup packet of a connection is not logged. Other roles cannot see it.
 * This code never prints it: a message that rejects the key does not repeat
 * it.
 */
#include "postgres.h"

#include "secret.h"

#include "compat.h"
#include "format.h"
#include "storage/fd.h"

/* Longer keys do not make better hashes. */
#define LONGEST_KEY 1024

static char *key_setting;
static char *file_setting;

void
secret_init(void)
{
	const int	hidden = GUC_SUPERUSER_ONLY | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE;

	DefineCustomStringVariable("walspout.hash_key", "Key of the hashes that the option \"columns\" asks for.",
							   "Give it in the startup packet of the connection, where no log shows it.",
							   &key_setting, "", PGC_USERSET, hidden, NULL, NULL, NULL);
	DefineCustomStringVariable("walspout.hash_key_file", "File on the server that holds the key of the hashes.",
							   "It is used where walspout.hash_key is empty.",
							   &file_setting, "", PGC_SUSET, hidden, NULL, NULL, NULL);
}

static void
refuse_file(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the file that walspout.hash_key_file names %s: \"%s\"", why, file_setting),
			 errhint("Put a key of up to %d bytes on one line into a file that the server can read.",
					 LONGEST_KEY)));
}

/* The first line of the file. */
static char *
read_file(void)
{
	FILE	   *file = AllocateFile(file_setting, "r");
	char	   *key = palloc0(LONGEST_KEY + 2);
	Size		n;

	if (file == NULL)
		refuse_file("cannot be opened");
	n = fread(key, 1, LONGEST_KEY + 1, file);
	FreeFile(file);
	key[n] = '\0';
	key[strcspn(key, "\r\n")] = '\0';
	if (*key == '\0')
		refuse_file("holds no key");
	if (strlen(key) > LONGEST_KEY)
		refuse_file("holds a key that is too long");
	return key;
}

const char *
secret_key(void)
{
	if (key_setting != NULL && *key_setting != '\0')
		return pstrdup(key_setting);
	return file_setting != NULL && *file_setting != '\0' ? read_file() : NULL;
}

bool
secret_hash(char *p, const char *key, const char *bytes, Size n)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	if (!hmac_sha256(digest, key, strlen(key), bytes, n))
		return false;
	format_hex(p, digest, sizeof(digest));
	return true;
}
