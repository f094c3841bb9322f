/*
 * present.h
 *		What the catalogs say now, whichever change is decoded.
 */
#ifndef WALSPOUT_PRESENT_H
#define WALSPOUT_PRESENT_H

#include "postgres.h"

/*
 * While a change is decoded, catalogs are as of that change. These functions
 * look at what is committed now, so that DROP and REVOKE count at once. Call
 * them in a transaction. They raise as any look into catalogs does.
 */

/* Does the function exist, and may PUBLIC execute it? */
extern bool present_executable(Oid function);

/* Is there a cast of the type to json by that function? */
extern bool present_cast(Oid type, Oid function);

#endif
