/*
 * avro.h
 *		A table's schema as a schema of Apache Avro.
 */
#ifndef WALSPOUT_AVRO_H
#define WALSPOUT_AVRO_H

#include "json.h"
#include "schema.h"

/* Append ,"avro":{...}: a record with a field for each column. Reads catalogs. */
extern void avro_append(Out *o, const TableShape *table);

#endif
