#include "status/probe.h"

#include <algorithm>

#include "base/clock.h"
#include "base/json.h"
#include "status/client.h"

namespace walspout {

namespace {

constexpr Duration kPatience = std::chrono::seconds(3);

}  // namespace

bool is_answered_by_walspout(const StatusConfig& config, const std::vector<StatusMember>& members) {
  const auto answer = get_page(config.host, config.port, "/status", Clock::now() + kPatience);
  return answer && std::all_of(members.begin(), members.end(), [&](const StatusMember& one) {
           std::string member;
           append_member(member, one.first, one.second);
           return answer->find(member) != std::string::npos;
         });
}

}  // namespace walspout
