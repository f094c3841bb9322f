/*
 * readable.h
 *		Which tables a backfill can read, and what to do about those that it cannot.
 *
 * Each routine raises, with the remedy as a hint, where it finds an objection.
 */
#ifndef WALSPOUT_READABLE_H
#define WALSPOUT_READABLE_H

#include "postgres.h"

#include "key.h"
#include "relation.h"

/* Open the relation, which stays locked until the transaction ends. It is a logged table. */
extern Relation readable_open(Oid relid);

/* Is it published as itself, and in which columns? entry is the relation's. */
extern void readable_published(Relation relation, const CachedRelation *entry);

/* Does the key tell rows apart at all times, and is it published? */
extern void readable_key(Relation relation, const CachedRelation *entry, const Key *key);

/* Is there a key at all? */
extern void readable_in_pieces(Relation relation, const Key *key);

/* May the current user read these columns, given as attribute numbers, of all rows? */
extern void readable_by_user(Relation relation, const Bitmapset *columns);

/* For callbacks: the error that is being raised gets the hint, unless it has one. */
extern void readable_hint(const char *hint);

#endif
