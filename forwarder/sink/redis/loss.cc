// How RedisStreams finds losses: streams that end before an entry that Redis had confirmed.
#include "sink/redis/loss.h"

#include <algorithm>
#include <utility>

#include "sink/redis/streams.h"

namespace walspout {
namespace {

constexpr size_t kSaidLosses = 10;  // streams that an error names
constexpr size_t kAtOnce = 1000;    // streams per request

}  // namespace

bool parse_redis_end(const redisReply& reply, RedisEnd& end) {
  bool known = false;
  for (size_t i = 0; i + 1 < reply.elements; i += 2) {
    const std::string_view name = text_of(*reply.element[i]);
    const redisReply& value = *reply.element[i + 1];
    if (name == "last-generated-id") known = RedisId::parse(text_of(value), end.id);
    if (name == "entries-added" && value.type == REDIS_REPLY_INTEGER && value.integer > 0) {
      end.added = static_cast<uint64_t>(value.integer);
    }
  }
  return known;
}

bool is_redis_without_key(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR && text_of(reply) == "ERR no such key";
}

// A new connection may reach another server. A stream that gets no events now can have lost
// entries, too.
Result<void> RedisStreams::find_losses_on_connection(RedisLink& link, TimePoint deadline) {
  if (std::exchange(revisited_in_, connection_) == connection_ || replay_) return {};
  std::vector<Known> known;
  for (const auto& [name, stream] : streams_) {
    if (stream->confirmed) known.push_back({stream.get(), {stream->top, stream->added}});
  }
  return find_losses(link, known, deadline);
}

Result<void> RedisStreams::find_old_losses(RedisLink& link, TimePoint deadline) {
  if (looked_back_ || !keeps_positions()) return {};
  std::vector<Known> known;
  for (const std::string& name : memory_.streams()) {
    known.push_back({&named(name), memory_.of(name)});
  }
  losses_.clear();
  unnoted_.clear();
  if (auto found = find_losses(link, known, deadline); !found) return found;
  looked_back_ = true;
  return losses_.empty() ? Result<void>() : loss();
}

Result<void> RedisStreams::find_losses(RedisLink& link, std::span<const Known> known,
                                       TimePoint deadline) {
  for (size_t begin = 0; begin < known.size(); begin += kAtOnce) {
    const auto some = known.subspan(begin, std::min(kAtOnce, known.size() - begin));
    buffer_.clear();
    for (const Known& each : some) {
      append_command(buffer_, {"XINFO", "STREAM", each.stream->name});
    }
    if (auto sent = link.write(buffer_, "", deadline); !sent) return sent;
    for (const Known& each : some) {
      const auto reply = link.receive(deadline);
      if (!reply) return tl::unexpected(reply.error());
      RedisEnd end;
      // For other replies, look_at() gives the better error.
      if (!parse_redis_end(**reply, end) && !is_redis_without_key(**reply)) continue;
      if (end.id >= each.end.id) continue;
      note_loss(*each.stream, each.end, end);
      each.stream->confirmed = false;
    }
  }
  return {};
}

// Notes that Redis had confirmed `was`, and now has only `end`.
void RedisStreams::note_loss(const RedisStream& stream, const RedisEnd& was, const RedisEnd& end) {
  const bool counted = was.added > end.added && (end.added > 0 || end.id == RedisId{});
  losses_.push_back((counted ? std::to_string(was.added - end.added) + " entries" : "entries") +
                    " of stream \"" + stream.name + "\", which ended with id " + was.id.text() +
                    " and now ends with " + end.id.text());
  unnoted_.emplace_back(stream.name, end);
}

Failure RedisStreams::loss() {
  std::string what = "Redis has lost what it had confirmed: ";
  for (size_t i = 0; i < std::min(kSaidLosses, losses_.size()); ++i) {
    what += (i == 0 ? "" : "; ") + losses_[i];
  }
  if (losses_.size() > kSaidLosses) {
    what += "; and entries of " + std::to_string(losses_.size() - kSaidLosses) + " more streams";
  }
  losses_.clear();
  Error error{ErrorKind::kRetry,
              what +
                  ". What the slot still keeps comes again, and what follows is added. The rest "
                  "does not come again: bring whatever reads the streams in line with the "
                  "database, unless somebody deleted them on purpose. To keep entries over "
                  "restarts set appendonly yes; to keep them over failovers set wait",
              where_};
  error.loss = true;
  return Failure(std::move(error));
}

}  // namespace walspout
