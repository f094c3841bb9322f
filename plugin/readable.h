/*
 * readable.h
 *		Which tables a backfill can read, and remedies for the others.
 *
 * Each routine raises an objection, with the remedy as a hint.
 */
#ifndef WALSPOUT_READABLE_H
#define WALSPOUT_READABLE_H

#include "postgres.h"

#include "key.h"
#include "relation.h"

/*
 * Open the relation. Raises unless it is a logged table. It stays locked until
 * the transaction ends.
 */
extern Relation readable_open(Oid relid);

/* Is it published as itself, and with which columns? entry is the relation's. */
extern void readable_published(Relation relation, const CachedRelation *entry);

/* Does the key tell rows apart at all times, and is it published? */
extern void readable_key(Relation relation, const CachedRelation *entry, const Key *key);

/* Is there a key at all? */
extern void readable_in_pieces(Relation relation, const Key *key);

/* May the current user read these columns, given as attribute numbers, of all rows? */
extern void readable_by_user(Relation relation, const Bitmapset *columns);

/* For error context callbacks: add the hint to the current error, unless it has one. */
extern void readable_hint(const char *hint);

#endif
