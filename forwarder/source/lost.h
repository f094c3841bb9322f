// Why a server has invalidated a slot, and what prevents that for the next slot.
//
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace walspout {

struct LostSlot {
  std::string why;     // follows "the server"
  std::string remedy;  // a sentence without its period
};

// `reason`: invalidation_reason of PostgreSQL 17 and later; else empty. `conflicting`: "true" if
// PostgreSQL 16 says that the slot conflicts with a standby's recovery.
inline LostSlot lost_slot(const std::string& reason, std::string_view conflicting) {
  const LostSlot removed{"has removed WAL that was not delivered yet",
                         "Raise max_slot_wal_keep_size, or leave it unset"};
  const LostSlot rows{"has removed rows of its catalogs that the slot needs, as its primary did",
                      "On the standby, set hot_standby_feedback = on and a primary_slot_name"};
  const LostSlot level{"no longer has wal_level = logical, as its primary was set to less",
                       "On the primary: ALTER SYSTEM SET wal_level = logical; then restart it"};
  if (reason == "wal_removed") return removed;
  if (reason == "rows_removed") return rows;
  if (reason == "wal_level_insufficient") return level;
  if (reason == "idle_timeout") {
    return {"has given up the slot, as nothing read it for idle_replication_slot_timeout",
            "Raise idle_replication_slot_timeout, or set it to 0"};
  }
  if (!reason.empty())
    return {"has invalidated it: " + reason, "See the server's log for the cause"};
  if (conflicting != "true") return removed;
  return {rows.why + ", or " + level.why, rows.remedy + ". " + level.remedy};
}

}  // namespace walspout
