#include "base/version.h"

namespace walspout {

#ifdef WALSPOUT_COMMIT
const char* const kCommit = WALSPOUT_COMMIT;
#else
const char* const kCommit = "";
#endif

}  // namespace walspout
