/*
 * present.c
 *		What the catalogs say now, whichever change is decoded.
 */
#include "postgres.h"

#include "present.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* Answers about functions, until any function changes. */
typedef struct Answer
{
	Oid			function;
	bool		executable;
} Answer;

#define ANSWERS 64

static Answer answers[ANSWERS]; /* by the function's OID's last bits */
static uint64 changes;			/* number of changes of functions that this process heard of */

static void
forget(Datum arg, int cacheid, uint32 hash)
{
	memset(answers, 0, sizeof(answers));
	changes++;
}

static void
watch_functions(void)
{
	static bool registered = false;

	if (!registered)
		CacheRegisterSyscacheCallback(PROCOID, forget, (Datum) 0);
	registered = true;
}

/* A catalog that is being read as of now. */
typedef struct Reading
{
	Relation	catalog;
	Snapshot	snapshot;
	SysScanDesc scan;
} Reading;

static HeapTuple
begin_reading(Reading *r, Oid catalog, Oid index, ScanKey keys, int nkeys)
{
	r->catalog = table_open(catalog, AccessShareLock);
	InvalidateCatalogSnapshot();	/* it may be outdated */
	r->snapshot = RegisterSnapshot(GetNonHistoricCatalogSnapshot(catalog));
	r->scan = systable_beginscan(r->catalog, index, true, r->snapshot, nkeys, keys);
	return systable_getnext(r->scan);
}

static void
end_reading(Reading *r)
{
	systable_endscan(r->scan);
	UnregisterSnapshot(r->snapshot);
	InvalidateCatalogSnapshot();	/* it would hold back vacuum */
	table_close(r->catalog, AccessShareLock);
}

/*
 * Without an ACL the default applies: everybody may execute.
 *
 * fastgetattr() suffices for a catalog tuple, which has all columns. In newer
 * minor releases heap_getattr() calls a function that older ones lack: a
 * library with that call would not load there.
 */
static bool
public_may_execute(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value = fastgetattr(tuple, Anum_pg_proc_proacl, desc, &isnull);
	Acl		   *acl;
	AclItem    *items;

	if (isnull)
		return true;
	acl = DatumGetAclP(value);
	items = ACL_DAT(acl);
	for (int i = 0; i < ACL_NUM(acl); i++)
		if (items[i].ai_grantee == ACL_ID_PUBLIC &&
			(ACLITEM_GET_PRIVS(items[i]) & ACL_EXECUTE) != 0)
			return true;
	return false;
}

static bool
look_up(Oid function)
{
	Reading		r;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		executable;

	ScanKeyInit(&key, Anum_pg_proc_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(function));
	tuple = begin_reading(&r, ProcedureRelationId, ProcedureOidIndexId, &key, 1);
	executable = HeapTupleIsValid(tuple) &&
		public_may_execute(tuple, RelationGetDescr(r.catalog));
	end_reading(&r);
	return executable;
}

bool
present_executable(Oid function)
{
	Answer	   *answer = &answers[function % ANSWERS];
	uint64		before;
	bool		executable;

	watch_functions();
	if (answer->function == function)
		return answer->executable;
	before = changes;
	executable = look_up(function);
	/* do not keep an answer that a change overtook */
	if (before == changes)
	{
		answer->function = function;
		answer->executable = executable;
	}
	return executable;
}

bool
present_cast(Oid type, Oid function)
{
	Reading		r;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&keys[0], Anum_pg_cast_castsource, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	ScanKeyInit(&keys[1], Anum_pg_cast_casttarget, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(JSONOID));
	tuple = begin_reading(&r, CastRelationId, CastSourceTargetIndexId, keys, lengthof(keys));
	found = HeapTupleIsValid(tuple) &&
		((Form_pg_cast) GETSTRUCT(tuple))->castfunc == function;
	end_reading(&r);
	return found;
}
