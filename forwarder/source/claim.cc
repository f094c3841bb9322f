#include "source/claim.h"

#include <map>
#include <mutex>

namespace walspout {
namespace {

struct Claims {
  std::mutex mutex;
  std::map<std::string, std::string> holders;  // by slot_key()
};

Claims& claims() {
  static Claims all;
  return all;
}

}  // namespace

std::string SlotClaim::take(const ServerState& server, const std::string& slot) {
  const std::string key = slot_key(server.system, server.started, slot);
  if (key == key_) return "";
  const std::scoped_lock lock(claims().mutex);
  const auto [holder, is_free] = claims().holders.emplace(key, pipeline_);
  if (!is_free) return holder->second;
  if (!key_.empty()) claims().holders.erase(key_);
  key_ = key;
  return "";
}

void SlotClaim::release() {
  if (key_.empty()) return;
  const std::scoped_lock lock(claims().mutex);
  claims().holders.erase(key_);
  key_.clear();
}

}  // namespace walspout
