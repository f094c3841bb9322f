/*
 * shape.h
 *		A column's description in frames.
 */
#ifndef WALSPOUT_SHAPE_H
#define WALSPOUT_SHAPE_H

#include "postgres.h"

#include "access/tupdesc.h"

typedef struct ColumnShape
{
	const char *name;			/* in UTF-8, like the next */
	const char *type_name;		/* with the type's modifier */
	Oid			type;			/* as declared: perhaps a domain */
	int32		type_modifier;	/* -1: none */
	bool		in_key;
	bool		not_null;		/* as declared */
} ColumnShape;

/*
 * The description of a column, without in_key, which is not the column's own.
 * Reads catalogs; allocates in the current context. A change of the types
 * behind the names makes cached relations stale.
 */
extern ColumnShape shape_make(Form_pg_attribute att);

/* The name of a type, as in shape_make(). Does not watch the type for changes. */
extern const char *shape_type_name(Oid type, int32 modifier);

/* Is the function that prints the type's modifiers one of the server's? Reads catalogs. */
extern bool shape_prints_modifiers(Oid type);

#endif
