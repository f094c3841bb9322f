/*
 * watch.h
 *		What else cached relations depend on: roots of partitions,
 *		composite types, types and functions of users.
 *
 * A change of any of these is rare and makes the whole cache stale. So it is
 * enough to know whether any relation depends on it.
 */
#ifndef WALSPOUT_WATCH_H
#define WALSPOUT_WATCH_H

#include "postgres.h"

/* Begin, or begin again, with nothing watched; memory comes from context. */
extern void watch_reset(MemoryContext context);

/* Forget the table; its memory is freed with its context. */
extern void watch_forget(void);

extern void watch_relation(Oid relid);
extern void watch_syscache(int cacheid, Oid oid);

/* Does any relation depend on it? hash is 0 if everything in the cache changed. */
extern bool watched_relation(Oid relid);
extern bool watched_syscache(int cacheid, uint32 hash);

#endif
