// Which pipeline of this process reads which slot. A slot has one reader: a second pipeline would
// wait for it for ever, and after that miss what the first one has confirmed.
#pragma once

#include <string>

#include "source/resume.h"

namespace walspout {

// What one pipeline has claimed, at most one slot; given back by the destructor. Claims are shared
// by all threads, an object belongs to one of them.
class SlotClaim {
 public:
  // `pipeline` outlives it.
  explicit SlotClaim(const std::string& pipeline) : pipeline_(pipeline) {}
  ~SlotClaim() { release(); }
  SlotClaim(const SlotClaim&) = delete;
  SlotClaim& operator=(const SlotClaim&) = delete;

  // Claims the slot of the server that was looked at, in place of what was claimed before. If
  // another pipeline has it: that one's name, and what was claimed before stays.
  [[nodiscard]] std::string take(const ServerState& server, const std::string& slot);

  void release();

 private:
  const std::string& pipeline_;
  std::string key_;  // empty: nothing is claimed
};

// What says of a slot which one it is. A standby, or a copy of a server, has the same system
// identifier, and slots of its own: it was started at another time.
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
