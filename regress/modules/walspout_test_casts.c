/*
 * walspout_test_casts.c
 *		Casts to json in C, for the tests, that do what such casts must not do.
 *
 * Each cast takes an enum. Casts that read a table read public.notes, whose first column is a text.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(cast_by_query);
PG_FUNCTION_INFO_V1(cast_by_query_of_red);
PG_FUNCTION_INFO_V1(cast_by_query_caught);
PG_FUNCTION_INFO_V1(cast_by_query_of_catalog);
PG_FUNCTION_INFO_V1(cast_by_scan);
PG_FUNCTION_INFO_V1(cast_by_command);
PG_FUNCTION_INFO_V1(cast_by_function);
PG_FUNCTION_INFO_V1(cast_that_raises);
PG_FUNCTION_INFO_V1(cast_to_subtransaction);
PG_FUNCTION_INFO_V1(cast_that_talks);

static Datum
json(const char *s)
{
	return PointerGetDatum(cstring_to_text(s));
}

static char *
label_of(Oid value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	char	   *label;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no such label");
	label = pstrdup(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	return label;
}

/* The first value that the query gives, as a string. */
static Datum
ask(const char *query)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *value;

	SPI_connect();
	SPI_execute(query, true, 1);
	value = SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : NULL;
	value = MemoryContextStrdup(context, value ? value : "nothing");
	SPI_finish();
	return json(psprintf("\"%s\"", value));
}

#define QUERY "SELECT note FROM public.notes"

Datum
cast_by_query(PG_FUNCTION_ARGS)
{
	return ask(QUERY);
}

/* Other values are printed without reading the table. */
Datum
cast_by_query_of_red(PG_FUNCTION_ARGS)
{
	char	   *label = label_of(PG_GETARG_OID(0));

	if (strcmp(label, "red") == 0)
		return ask(QUERY);
	return json(psprintf("{\"label\":\"%s\"}", label));
}

Datum
cast_by_query_caught(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Datum volatile result = json("\"caught\"");

	PG_TRY();
	{
		result = ask(QUERY);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return result;
}

Datum
cast_by_query_of_catalog(PG_FUNCTION_ARGS)
{
	return ask("SELECT relname FROM pg_catalog.pg_class WHERE relname = 'pg_class'");
}

static TableScanDesc
begin_scan(Relation rel)
{
#if PG_VERSION_NUM >= 190000
	return table_beginscan(rel, GetActiveSnapshot(), 0, NULL, SO_NONE);
#else
	return table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
#endif
}

/* Reads the table without the executor. */
Datum
cast_by_scan(PG_FUNCTION_ARGS)
{
	Relation	notes = table_open(get_relname_relid("notes", PG_PUBLIC_NAMESPACE), AccessShareLock);
	TableScanDesc scan = begin_scan(notes);
	TupleTableSlot *slot = table_slot_create(notes, NULL);
	int			n = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		n++;
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(notes, AccessShareLock);
	return json(psprintf("%d", n));
}

Datum
cast_by_command(PG_FUNCTION_ARGS)
{
	SPI_connect();
	SPI_execute("DO 'BEGIN END'", false, 0);
	SPI_finish();
	return json("\"did it\"");
}

/* public.users_code(), which has no parameters and gives a json. */
Datum
cast_by_function(PG_FUNCTION_ARGS)
{
	List	   *name = list_make2(makeString("public"), makeString("users_code"));

	return OidFunctionCall0(LookupFuncName(name, 0, NULL, false));
}

Datum
cast_that_raises(PG_FUNCTION_ARGS)
{
	elog(ERROR, "no");
}

Datum
cast_to_subtransaction(PG_FUNCTION_ARGS)
{
	return json(psprintf("%u", GetCurrentSubTransactionId()));
}

/* The label says how loud. */
Datum
cast_that_talks(PG_FUNCTION_ARGS)
{
	char	   *label = label_of(PG_GETARG_OID(0));
	int			level = WARNING;

	if (strcmp(label, "log") == 0)
		level = LOG;
	else if (strcmp(label, "info") == 0)
		level = INFO;
	else if (strcmp(label, "notice") == 0)
		level = NOTICE;
	elog(level, "walspout_test_casts talks: %s", label);
	return json("\"talked\"");
}
