#include "sink/redis/probe.h"

#include <span>
#include <string_view>
#include <vector>

#include "sink/redis/entry.h"
#include "sink/redis/errors.h"

namespace walspout {
namespace {

using Words = std::vector<std::string_view>;

// If the name is only an example, a missing right to that key means nothing.
bool counts(std::string_view error, const RedisProbe& probe) {
  return probe.exact || !error.starts_with("NOPERM") ||
         error.find(" to run the '") != std::string_view::npos;
}

Result<void> say(RedisLink& link, const RedisProbe& probe, std::span<const Words> commands,
                 TimePoint deadline) {
  for (const Words& words : commands) {
    if (auto sent = link.send(words, deadline); !sent) return sent;
  }
  Result<void> outcome;
  for (const Words& words : commands) {
    const auto reply = link.receive(deadline);
    if (!reply) return tl::unexpected(reply.error());
    const std::string_view text = text_of(**reply);
    // EXECABORT follows an earlier reply that has the cause.
    const bool error = (*reply)->type == REDIS_REPLY_ERROR && !text.starts_with("EXECABORT");
    if (!error || !outcome || !counts(text, probe)) continue;
    const bool of_stream = words.size() > 1 && words[1] != kRedisPositions;
    outcome = tl::unexpected(of_stream ? redis_error(text, probe.stream, probe.where)
                                       : redis_position_error(text, probe.where));
  }
  return outcome;
}

}  // namespace

Result<void> redis_probe(RedisLink& link, const RedisProbe& probe, TimePoint deadline) {
  const std::string_view stream = probe.stream;
  // A cluster reports only at EXEC that two keys are on different nodes.
  std::vector<Words> reads = {{"MULTI"}, {"XINFO", "STREAM", stream}};
  std::vector<Words> writes = {
      {"MULTI"}, {"XADD", stream, "1-1", "data", ""}, {"XRANGE", stream, "1-1", "1-1"}};
  if (probe.positions) {
    reads.push_back({"HMGET", kRedisPositions, stream});
    writes.push_back({"HSET", kRedisPositions, stream, ""});
    writes.push_back({"HSETNX", kRedisPositions, stream, ""});
  }
  if (probe.waits) {
    writes.push_back({"HDEL", kRedisPositions, stream});
    writes.push_back({"WAIT", "0", "1"});
  }
  reads.push_back({"EXEC"});
  if (auto read = say(link, probe, reads, deadline); !read) return read;
  return say(link, probe, writes, deadline);
}

std::string redis_eviction_warning(std::string_view info) {
  constexpr std::string_view kKey = "maxmemory_policy:";
  const size_t at = info.find(kKey);
  if (at == info.npos) return "";
  std::string_view policy = info.substr(at + kKey.size());
  policy = policy.substr(0, policy.find_first_of("\r\n"));
  if (!policy.starts_with("allkeys-")) return "";
  return "maxmemory-policy is " + std::string(policy) +
         ": when memory is short, Redis deletes whole streams, with events that were confirmed. "
         "CONFIG SET maxmemory-policy noeviction, or a volatile- policy, and bound streams by "
         "maxlen";
}

}  // namespace walspout
