// Which pipeline of this process reads which slot. A slot has one reader: a second pipeline would
// wait for the slot for ever, and then miss what the first pipeline had confirmed.
#pragma once

#include <string>

#include "source/resume.h"

namespace walspout {

// The claim of one pipeline on at most one slot; the destructor releases it. Claims are shared by
// all threads; each object belongs to one thread.
class SlotClaim {
 public:
  // `pipeline` outlives this object.
  explicit SlotClaim(const std::string& pipeline) : pipeline_(pipeline) {}
  ~SlotClaim() { release(); }
  SlotClaim(const SlotClaim&) = delete;
  SlotClaim& operator=(const SlotClaim&) = delete;

  // Claims the slot of this server, in place of the earlier claim. Returns the name of another
  // pipeline that holds the slot; then the earlier claim stays.
  [[nodiscard]] std::string take(const ServerState& server, const std::string& slot);

  void release();

 private:
  const std::string& pipeline_;
  std::string key_;  // empty: nothing is claimed
};

// Identifies a slot. A standby or a copy of a server has the same system identifier, but slots of
// its own. Its start time tells it apart.
inline std::string slot_key(const std::string& system, const std::string& started,
                            const std::string& slot) {
  return system + " " + started + " " + slot;
}

// "the slot of pipeline ...", and what to do.
inline std::string slot_is_claimed(const std::string& slot, const std::string& pipeline) {
  return "slot \"" + slot + "\" is the slot of pipeline \"" + pipeline +
         "\", and a slot has one reader";
}
inline constexpr const char* kOnePipeline =
    "put all of its sinks into one pipeline, or give each pipeline a slot of its own";

}  // namespace walspout
