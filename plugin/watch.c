/*
 * watch.c
 *		What else cached relations depend on.
 */
#include "postgres.h"

#include "watch.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define RELATION (-1)			/* no syscache has this number */

typedef struct Watched
{
	int32		cacheid;		/* a syscache, or RELATION */
	uint32		value;			/* its entry's hash value, or the relation's OID */
} Watched;

static MemoryContext table_context = NULL;
static HTAB *table = NULL;

void
watch_reset(MemoryContext context)
{
	HASHCTL		ctl = {0};

	if (table != NULL)
		hash_destroy(table);
	table_context = context;
	ctl.keysize = ctl.entrysize = sizeof(Watched);
	ctl.hcxt = table_context;
	table = hash_create("walspout watched objects", 64, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
watch_forget(void)
{
	table = NULL;
}

static void
watch(int32 cacheid, uint32 value)
{
	Watched		key = {cacheid, value};

	if (table != NULL)
		hash_search(table, &key, HASH_ENTER, NULL);
}

static bool
watched(int32 cacheid, uint32 value)
{
	Watched		key = {cacheid, value};

	return table != NULL && hash_search(table, &key, HASH_FIND, NULL) != NULL;
}

void
watch_relation(Oid relid)
{
	watch(RELATION, relid);
}

void
watch_syscache(int cacheid, Oid oid)
{
	watch(cacheid, GetSysCacheHashValue1(cacheid, ObjectIdGetDatum(oid)));
}

bool
watched_relation(Oid relid)
{
	return watched(RELATION, relid);
}

bool
watched_syscache(int cacheid, uint32 hash)
{
	return hash == 0 || watched(cacheid, hash);
}
