/*
 * key.c
 *		The key by which a table is read: its order, and its values as text.
 *
 * Everything here uses the operators and collations of the index that makes
 * the key unique, whatever the search path has. By other ones two different
 * rows might be equal, and the second row would be skipped.
 */
#include "postgres.h"

#include "key.h"

#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "readable.h"
#include "relation.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/typcache.h"

static void
refuse_type(Relation relation, const KeyColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" of the key of table \"%s\" has a type without an order: %s",
					key_column_name(relation, column), RelationGetRelationName(relation),
					format_type_be(column->type)),
			 errhint("Create a unique index on columns whose types have a default operator class "
					 "for btree, and name it with ALTER TABLE ... REPLICA IDENTITY USING INDEX.")));
}

static Oid
operator_of(const KeyColumn *column, int16 strategy)
{
	return get_opfamily_member(column->family, column->operand, column->operand, strategy);
}

/* For an index that is not a B-tree: the default order of the type. */
static void
default_order(KeyColumn *column)
{
	TypeCacheEntry *type = lookup_type_cache(column->base_type, TYPECACHE_BTREE_OPFAMILY);

	column->family = type->btree_opf;
	column->operand = type->btree_opintype;
	column->collation = column->own_collation;
}

static KeyColumn
make_column(Relation relation, Relation index, int i)
{
	KeyColumn	column = {.attribute = index->rd_index->indkey.values[i]};
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(relation), column.attribute - 1);

	column.type = att->atttypid;
	column.type_modifier = att->atttypmod;
	column.own_collation = att->attcollation;
	column.base_type = getBaseType(att->atttypid);
	column.typlen = att->attlen;
	column.typbyval = att->attbyval;
	if (index->rd_rel->relam == BTREE_AM_OID)
	{
		column.family = index->rd_opfamily[i];
		column.operand = index->rd_opcintype[i];
		column.collation = index->rd_indcollation[i];
	}
	else
		default_order(&column);
	if (!OidIsValid(column.family) || !OidIsValid(operator_of(&column, BTLessStrategyNumber)) ||
		!OidIsValid(operator_of(&column, BTEqualStrategyNumber)) ||
		!OidIsValid(operator_of(&column, BTGreaterStrategyNumber)))
		refuse_type(relation, &column);
	return column;
}

Key *
key_of(Relation relation)
{
	Key		   *key = palloc0(sizeof(Key));
	Oid			oid = relation_key_index(relation);
	Relation	index = OidIsValid(oid) ? RelationIdGetRelation(oid) : NULL;

	if (!RelationIsValid(index))
		return key;
	key->n = IndexRelationGetNumberOfKeyAttributes(index);
	key->columns = palloc0(sizeof(KeyColumn) * key->n);
	key->deferrable = !index->rd_index->indimmediate;
	for (int i = 0; i < key->n; i++)
		key->columns[i] = make_column(relation, index, i);
	RelationClose(index);
	return key;
}

const char *
key_column_name(Relation relation, const KeyColumn *column)
{
	return NameStr(TupleDescAttr(RelationGetDescr(relation), column->attribute - 1)->attname);
}

/* An operand of the column's operators, as the parser would make it. */
static Expr *
operand(const KeyColumn *column, Expr *value)
{
	Oid			type = IsPolymorphicType(column->operand) ? column->base_type : column->operand;

	if (column->operand == RECORDOID || exprType((Node *) value) == type)
		return value;
	return (Expr *) makeRelabelType(value, type, -1, column->collation, COERCE_IMPLICIT_CAST);
}

static Expr *
column_of_row(const KeyColumn *column)
{
	return (Expr *) makeVar(1, column->attribute, column->type, column->type_modifier,
							column->own_collation, 0);
}

static Expr *
constant(const KeyColumn *column, Datum value)
{
	return (Expr *) makeConst(column->base_type, -1, get_typcollation(column->base_type),
							  get_typlen(column->base_type), value, false,
							  get_typbyval(column->base_type));
}

/*
 * The sort key is the column's own target, unless the order has another
 * collation than the column.
 */
static TargetEntry *
sort_target(const KeyColumn *column, Query *query)
{
	TargetEntry *target = list_nth_node(TargetEntry, query->targetList, column->attribute - 1);
	CollateExpr *collate;

	if (!OidIsValid(column->collation) || column->collation == column->own_collation)
		return target;
	collate = makeNode(CollateExpr);
	collate->arg = column_of_row(column);
	collate->collOid = column->collation;
	collate->location = -1;
	target = makeTargetEntry((Expr *) collate, list_length(query->targetList) + 1, NULL, true);
	query->targetList = lappend(query->targetList, target);
	return target;
}

void
key_order(const Key *key, Query *query)
{
	for (int i = 0; i < key->n; i++)
	{
		const KeyColumn *column = &key->columns[i];
		TargetEntry *target = sort_target(column, query);
		SortGroupClause *clause = makeNode(SortGroupClause);

		target->ressortgroupref = i + 1;
		clause->tleSortGroupRef = i + 1;
		clause->sortop = operator_of(column, BTLessStrategyNumber);
		clause->eqop = operator_of(column, BTEqualStrategyNumber);
		query->sortClause = lappend(query->sortClause, clause);
	}
}

static Node *
compare(const KeyColumn *column, int16 strategy, Expr *with)
{
	OpExpr	   *op = (OpExpr *) make_opclause(operator_of(column, strategy), BOOLOID, false,
											  operand(column, column_of_row(column)),
											  operand(column, with), InvalidOid,
											  column->collation);

	set_opfuncid(op);
	return (Node *) op;
}

/* Compares rows, not column by column: so an index scan can start at a row. */
Node *
key_after(const Key *key, const Datum *values)
{
	RowCompareExpr *rows = makeNode(RowCompareExpr);

	if (key->n == 1)
		return compare(&key->columns[0], BTGreaterStrategyNumber,
					   constant(&key->columns[0], values[0]));
	set_row_is_greater(rows);
	for (int i = 0; i < key->n; i++)
	{
		const KeyColumn *column = &key->columns[i];

		rows->opnos = lappend_oid(rows->opnos, operator_of(column, BTGreaterStrategyNumber));
		rows->opfamilies = lappend_oid(rows->opfamilies, column->family);
		rows->inputcollids = lappend_oid(rows->inputcollids, column->collation);
		rows->largs = lappend(rows->largs, operand(column, column_of_row(column)));
		rows->rargs = lappend(rows->rargs, operand(column, constant(column, values[i])));
	}
	return (Node *) rows;
}

Node *
key_equals(const Key *key)
{
	List	   *parts = NIL;

	for (int i = 0; i < key->n; i++)
	{
		const KeyColumn *column = &key->columns[i];
		Param	   *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = i + 1;
		param->paramtype = column->base_type;
		param->paramtypmod = -1;
		param->paramcollid = get_typcollation(column->base_type);
		param->location = -1;
		parts = lappend(parts, compare(column, BTEqualStrategyNumber, (Expr *) param));
	}
	return (Node *) make_ands_explicit(parts);
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * Settings for printing and reading text. After an error, the transaction's
 * end restores them.
 */
static int
pin_settings(void)
{
	int			level = NewGUCNestLevel();

	/* names that regclass prints are as the stream has them */
	set("search_path", "pg_catalog, public, pg_temp");
	set("DateStyle", "ISO, MDY");
	set("IntervalStyle", "postgres");
	set("TimeZone", "UTC");
	set("bytea_output", "hex");
	set("extra_float_digits", "1");
	set("lc_monetary", "C");
	return level;
}

static void
explain_error(void *arg)
{
	readable_hint("Give keys as walspout made them, of this table and as its key is now.");
	errcontext("key of table \"%s\"", RelationGetRelationName((Relation) arg));
}

char **
key_to_text(const Key *key, const Datum *values)
{
	char	  **texts = palloc(sizeof(char *) * key->n);
	int			level = pin_settings();

	for (int i = 0; i < key->n; i++)
	{
		Oid			function;
		bool		is_varlena;

		getTypeOutputInfo(key->columns[i].base_type, &function, &is_varlena);
		texts[i] = OidOutputFunctionCall(function, values[i]);
	}
	AtEOXact_GUC(false, level);
	return texts;
}

Datum *
key_from_text(const Key *key, Relation relation, char **texts)
{
	ErrorContextCallback callback = {error_context_stack, explain_error, relation};
	Datum	   *values = palloc(sizeof(Datum) * key->n);
	int			level = pin_settings();

	error_context_stack = &callback;
	for (int i = 0; i < key->n; i++)
	{
		Oid			function;
		Oid			parameter;

		getTypeInputInfo(key->columns[i].base_type, &function, &parameter);
		values[i] = OidInputFunctionCall(function, texts[i], parameter, -1);
	}
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, level);
	return values;
}

/* The column's name in "key" of the documents. */
static const char *
name_in_documents(const Key *key, Relation relation, int i)
{
	const char *given = key->columns[i].document_name;

	return given != NULL ? given : key_column_name(relation, &key->columns[i]);
}

/*
 * The server reads its own JSON: arrays, composites, and the text of any type.
 * Without a type modifier, which would cut long values, and with the base
 * type, which has no checks.
 */
static char *
query_of_json(const Key *key, Relation relation)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT k.* FROM pg_catalog.unnest($1) WITH ORDINALITY AS j(k, n), "
						   "LATERAL pg_catalog.json_to_record(j.k::pg_catalog.json) AS k(");
	for (int i = 0; i < key->n; i++)
		appendStringInfo(&s, "%s%s %s", i > 0 ? ", " : "",
						 quote_identifier(name_in_documents(key, relation, i)),
						 format_type_extended(key->columns[i].base_type, -1, FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY));
	appendStringInfoString(&s, ") ORDER BY j.n");
	return s.data;
}

/* A value of the query's row, in the current context. */
static Datum
value_of_json(const Key *key, Relation relation, int row, int i, const char *json,
			  MemoryContext context)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1, &isnull);
	MemoryContext old;

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the key %s of table \"%s\" lacks column \"%s\"", json,
						RelationGetRelationName(relation), name_in_documents(key, relation, i))));
	old = MemoryContextSwitchTo(context);
	value = datumCopy(value, key->columns[i].typbyval, key->columns[i].typlen);
	MemoryContextSwitchTo(old);
	return value;
}

Datum *
key_from_json(const Key *key, Relation relation, char **jsons, int n)
{
	ErrorContextCallback callback = {error_context_stack, explain_error, relation};
	MemoryContext context = CurrentMemoryContext;
	Datum	   *values = palloc(sizeof(Datum) * key->n * n);
	Datum	   *texts = palloc(sizeof(Datum) * n);
	int			level = pin_settings();
	Oid			type = TEXTARRAYOID;
	Datum		argument;
	char	   *query = query_of_json(key, relation);

	for (int k = 0; k < n; k++)
		texts[k] = CStringGetTextDatum(jsons[k]);
	argument = PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
	error_context_stack = &callback;
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(query, 1, &type, &argument, NULL, true, 0) != SPI_OK_SELECT ||
		SPI_processed != n)
		elog(ERROR, "could not read keys");
	for (int k = 0; k < n; k++)
		for (int i = 0; i < key->n; i++)
			values[k * key->n + i] = value_of_json(key, relation, k, i, jsons[k], context);
	SPI_finish();
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, level);
	return values;
}
