#include "sink/redis/streams.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "sink/redis/errors.h"
#include "sink/redis/loss.h"

namespace walspout {
namespace {

constexpr size_t kFlushBytes = 64 * 1024;  // bytes written at once

// The shortest pause that counts. In less time Redis cannot become a replica, load its primary's
// data, and be promoted again: a primary checks only every 100 ms whether a replica's snapshot is
// complete.
constexpr Duration kGap = std::chrono::milliseconds(50);

// Whether the stream can have lost an entry with this id: entries at or beyond the id were deleted
// or trimmed. XINFO STREAM shows that from Redis 7.0 on; before, a loss is always possible.
bool may_have_lost(const redisReply& info, RedisId id) {
  RedisId deleted;
  RedisId first;
  bool known = false;
  for (size_t i = 0; i + 1 < info.elements; i += 2) {
    const std::string_view name = text_of(*info.element[i]);
    const std::string_view value = text_of(*info.element[i + 1]);
    if (name == "length" && info.element[i + 1]->integer == 0) return true;
    if (name == "max-deleted-entry-id" && !RedisId::parse(value, deleted)) return true;
    if (name == "recorded-first-entry-id") known = RedisId::parse(value, first);
  }
  return !known || id <= deleted || id < first;
}

// A record's parts: "<id> <time> <identity>".
bool parse_record(std::string_view record, RedisPosition& position, std::string_view& identity) {
  const size_t first = record.find(' ');
  const size_t second = first == record.npos ? first : record.find(' ', first + 1);
  if (second == record.npos || !RedisId::parse(record.substr(0, first), position.id)) return false;
  const char* end = record.data() + second;
  identity = record.substr(second + 1);
  return std::from_chars(record.data() + first + 1, end, position.time).ptr == end;
}

bool is_error(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR;
}

}  // namespace

RedisStreams::RedisStreams(std::vector<RedisField> fields, std::optional<uint64_t> maxlen,
                           const RedisEndpoint& endpoint, std::string memory)
    : fields_(std::move(fields)),
      maxlen_(maxlen),
      where_(endpoint.name()),
      database_(endpoint.database_name()),
      memory_(std::move(memory)) {}

Result<void> RedisStreams::set_source(const SourceState& source) {
  replay_ = source.replay;
  if (!source.identity.empty()) identity_ = source.identity;
  wal_known_ = static_cast<bool>(source.wal_position);
  if (wal_known_) reached(source.wal_position);
  if (!keeps_positions()) return {};
  return memory_.open(database_ + " " + identity_);
}

RedisStream& RedisStreams::named(const std::string& name) {
  std::unique_ptr<RedisStream>& stream = streams_[name];
  if (stream != nullptr) return *stream;
  stream = std::make_unique<RedisStream>();
  stream->name = name;
  const size_t words = 3 + 2 * fields_.size() + (maxlen_ ? 3 : 0);
  stream->command = "*" + std::to_string(words) + "\r\n$4\r\nXADD\r\n";
  append_word(stream->command, name);
  if (maxlen_) {
    append_word(stream->command, "MAXLEN");
    append_word(stream->command, "~");
    append_word(stream->command, std::to_string(*maxlen_));
  }
  return *stream;
}

std::string RedisStreams::record_of(const RedisPosition& position) const {
  return position.id.text() + " " + std::to_string(position.time) + " " + identity_;
}

Result<void> RedisStreams::look(RedisLink& link, std::span<RedisStream* const> streams,
                                Purpose purpose, TimePoint deadline) {
  const TimePoint now = Clock::now();
  if (now > used_at_ + kGap) ++round_;
  used_at_ = now;
  if (purpose == Purpose::kDeliver) {
    for (const auto& [name, end] : std::exchange(unnoted_, {})) memory_.note(name, end);
    if (auto known = find_losses_on_connection(link, deadline); !known) return known;
  }
  if (auto compared = compare(link, streams, deadline); !compared) return compared;
  unseen_.clear();
  for (RedisStream* stream : streams) {
    if (stream == nullptr || stream->seen_in == connection_) continue;
    stream->seen_in = connection_;
    stream->compared_in = round_;
    unseen_.push_back(stream);
  }
  auto looked = unseen_.empty() ? Result<void>() : look_at(link, purpose, deadline);
  return looked && !losses_.empty() ? loss() : looked;
}

// Looks at the streams in `unseen_`.
Result<void> RedisStreams::look_at(RedisLink& link, Purpose purpose, TimePoint deadline) {
  // Read records before and after the ends: if both are equal, the ends belong to these records.
  buffer_.clear();
  if (keeps_positions()) append_read(buffer_, unseen_);
  for (RedisStream* stream : unseen_) append_command(buffer_, {"XINFO", "STREAM", stream->name});
  if (keeps_positions()) append_read(buffer_, unseen_);
  if (auto sent = link.write(buffer_, "", deadline); !sent) return sent;
  std::vector<std::string> records(unseen_.size());
  if (keeps_positions()) {
    auto read = read_records(link, unseen_.size(), deadline);
    if (!read) return tl::unexpected(read.error());
    records = std::move(*read);
  }
  Result<void> outcome;
  for (size_t i = 0; i < unseen_.size(); ++i) {
    const auto reply = link.receive(deadline);
    if (!reply) return tl::unexpected(reply.error());
    auto judged = judge(*unseen_[i], **reply, records[i], purpose);
    if (outcome) outcome = std::move(judged);
  }
  if (keeps_positions()) {
    auto read = read_records(link, unseen_.size(), deadline);
    if (!read) return tl::unexpected(read.error());
    if (*read != records) {
      return retry("another forwarder fills the same streams of Redis just now", where_);
    }
  }
  if (purpose == Purpose::kCheck) {
    for (RedisStream* stream : unseen_) stream->seen_in = 0;  // not claimed
    return outcome;
  }
  return outcome && keeps_positions() ? claim(link, deadline) : outcome;
}

// Marks streams whose records or ends have changed as not seen.
Result<void> RedisStreams::compare(RedisLink& link, std::span<RedisStream* const> streams,
                                   TimePoint deadline) {
  others_.clear();
  for (RedisStream* stream : streams) {
    if (stream == nullptr || stream->seen_in != connection_) continue;
    if (stream->compared_in == round_) continue;
    stream->compared_in = round_;
    others_.push_back(stream);
  }
  if (others_.empty()) return {};
  buffer_.clear();
  if (keeps_positions()) append_read(buffer_, others_);
  for (RedisStream* stream : others_) append_command(buffer_, {"XINFO", "STREAM", stream->name});
  if (auto sent = link.write(buffer_, "", deadline); !sent) return sent;
  if (keeps_positions()) {
    const auto records = read_records(link, others_.size(), deadline);
    if (!records) return tl::unexpected(records.error());
    for (size_t i = 0; i < others_.size(); ++i) {
      if ((*records)[i] != others_[i]->record) others_[i]->seen_in = 0;
    }
  }
  for (RedisStream* stream : others_) {
    const auto reply = link.receive(deadline);
    if (!reply) return tl::unexpected(reply.error());
    RedisEnd end;
    const bool known = parse_redis_end(**reply, end) || is_redis_without_key(**reply);
    if (!known || end.id < stream->top) stream->seen_in = 0;
  }
  return {};
}

void RedisStreams::append_read(std::string& out, std::span<RedisStream* const> streams) const {
  out += "*" + std::to_string(streams.size() + 2) + "\r\n";
  append_word(out, "HMGET");
  append_word(out, kRedisPositions);
  for (const RedisStream* stream : streams) append_word(out, stream->name);
}

Result<std::vector<std::string>> RedisStreams::read_records(RedisLink& link, size_t streams,
                                                            TimePoint deadline) {
  const auto reply = link.receive(deadline);
  if (!reply) return tl::unexpected(reply.error());
  if (is_error(**reply)) {
    return tl::unexpected(redis_position_error(text_of(**reply), where_));
  }
  if ((*reply)->elements != streams) {
    return retry("Redis did not say what key \"" + std::string(kRedisPositions) + "\" has", where_);
  }
  std::vector<std::string> records;
  for (size_t i = 0; i < streams; ++i) records.emplace_back(text_of(*(*reply)->element[i]));
  return records;
}

Result<void> RedisStreams::judge(RedisStream& stream, const redisReply& reply,
                                 const std::string& record, Purpose purpose) {
  RedisEnd end;
  if (is_error(reply) && !is_redis_without_key(reply)) {
    return tl::unexpected(redis_error(text_of(reply), stream.name, where_));
  }
  if (!is_error(reply) && !parse_redis_end(reply, end)) {
    return retry("Redis did not say where stream \"" + stream.name + "\" ends", where_);
  }
  RedisEnd was{std::exchange(stream.top, end.id), std::exchange(stream.added, end.added)};
  stream.counted = end.added > 0 || end.id == RedisId{};
  if (!std::exchange(stream.confirmed, false)) was = {};
  if (keeps_positions()) {
    if (auto taken = take_record(stream, record); !taken) return taken;
  }
  if (replay_) return {};
  // During deliveries the known WAL position may be old, and another forwarder of the slot may have
  // been active since.
  if (purpose == Purpose::kCheck && wal_known_ && end.id.lsn > wal_position_) {
    return unproven(stream, "ends with id " + end.id.text() +
                                ", beyond the database's WAL position " +
                                std::to_string(wal_position_));
  }
  if (end.id < was.id) note_loss(stream, was, end);
  return {};
}

Result<void> RedisStreams::take_record(RedisStream& stream, const std::string& record) const {
  stream.record = record;
  if (record.empty()) return {};
  RedisPosition position;
  std::string_view identity;
  const bool good = parse_record(record, position, identity);
  if (!good || identity != identity_) {
    return fatal(
        "stream \"" + stream.name + "\" is filled from another source: field \"" + stream.name +
            "\" of key \"" + std::string(kRedisPositions) + "\" is \"" + record +
            "\" (id, time, system identifier, slot, database), and this source is \"" + identity_ +
            "\". Two sources cannot share a stream, because its ids only grow: give each a stream "
            "of its own, with {database} or {pipeline} in `stream`. If the other source is gone "
            "for good: HDEL " +
            std::string(kRedisPositions) + " \"" + stream.name + "\"",
        where_);
  }
  // If another program has added to the stream, a transaction may have written the record although
  // Redis refused its entries.
  if (stream.doubtful || position.id != stream.top) return {};
  stream.confirmed = true;
  if (position.id > stream.delivered.id) stream.delivered.id = position.id;
  stream.delivered.time = std::max(stream.delivered.time, position.time);
  return {};
}

// Claims the unseen streams for this source, and corrects records that say too much.
Result<void> RedisStreams::claim(RedisLink& link, TimePoint deadline) {
  std::vector<RedisClaim> seen;
  buffer_.clear();
  size_t replies = 0;
  for (RedisStream* stream : unseen_) {
    seen.push_back({stream, {}, 0});
    if (!stream->record.empty()) continue;
    stream->record = record_of(stream->delivered);
    append_command(buffer_, {"HSETNX", kRedisPositions, stream->name, stream->record});
    ++replies;
  }
  if (replies > 0) {
    if (auto sent = link.write(buffer_, "", deadline); !sent) return sent;
  }
  Result<void> outcome;
  for (; replies > 0; --replies) {
    const auto reply = link.receive(deadline);
    if (!reply) return tl::unexpected(reply.error());
    if (is_error(**reply)) {
      outcome = tl::unexpected(redis_position_error(text_of(**reply), where_));
    } else if ((*reply)->integer != 1 && outcome) {
      outcome =
          retry("another forwarder begins to fill the same streams of Redis just now", where_);
    }
  }
  return outcome ? rewrite(link, seen, deadline) : outcome;
}

void RedisStreams::append_claims(std::string& out, std::span<const RedisClaim> claims) const {
  out += "*" + std::to_string(2 * claims.size() + 2) + "\r\n";
  append_word(out, "HSET");
  append_word(out, kRedisPositions);
  for (const RedisClaim& claim : claims) {
    claim.stream->record = record_of(claim.position);
    append_word(out, claim.stream->name);
    append_word(out, claim.stream->record);
  }
}

void RedisStreams::settle(std::span<const RedisClaim> claims) {
  for (const auto& [stream, position, events] : claims) {
    stream->delivered = position;
    stream->top = std::max(stream->top, position.id);
    if (stream->counted) stream->added += events;
    stream->confirmed = true;
    if (keeps_positions()) memory_.note(stream->name, {stream->top, stream->added});
  }
  memory_.sync();
}

Result<void> RedisStreams::rewrite(RedisLink& link, std::span<const RedisClaim> claims,
                                   TimePoint deadline) {
  doubts_.clear();
  for (const RedisClaim& claim : claims) {
    if (claim.stream->doubtful) doubts_.push_back({claim.stream, claim.stream->delivered, 0});
  }
  if (!keeps_positions() || doubts_.empty()) return {};
  buffer_.clear();
  append_claims(buffer_, doubts_);
  if (auto sent = link.write(buffer_, "", deadline); !sent) return sent;
  const auto reply = link.receive(deadline);
  if (!reply) return tl::unexpected(reply.error());
  if (is_error(**reply)) {
    return tl::unexpected(redis_position_error(text_of(**reply), where_));
  }
  for (const RedisClaim& doubt : doubts_) doubt.stream->doubtful = false;
  return {};
}

Delivery RedisStreams::verify(RedisLink& link, std::span<const Event> events,
                              std::span<const size_t> which, std::span<RedisStream* const> targets,
                              TimePoint deadline) {
  const auto failed = [](Error error, size_t event) {
    return undelivered(error.kind, std::move(error.what), std::move(error.where), event);
  };
  buffer_.clear();
  for (const size_t event : which) {
    const std::string id = RedisId::of(events[event]).text();
    append_command(buffer_, {"XRANGE", targets[event]->name, id, id});
    if (buffer_.size() < kFlushBytes) continue;
    auto sent = link.write(buffer_, "", deadline);
    buffer_.clear();
    if (!sent) return failed(std::move(sent.error()), event);
  }
  if (auto sent = link.write(buffer_, "", deadline); !sent) {
    return failed(std::move(sent.error()), which.front());
  }
  // After an error, replies are left: the caller gives up the connection.
  absent_.clear();
  for (const size_t event : which) {
    const auto reply = link.receive(deadline);
    if (!reply) return failed(reply.error(), event);
    auto judged = judge_entry(**reply, events[event], time_of(events, event), *targets[event]);
    if (!judged) return failed(std::move(judged.error()), event);
    if ((*reply)->elements == 0) absent_.push_back(event);
  }
  return absent_.empty() ? Delivery() : explain(link, events, targets, deadline);
}

// A position may be beyond an event that never arrived: from a copy of the server, a new primary,
// or a table that was not published. So require that the stream can have lost the absent entries.
Delivery RedisStreams::explain(RedisLink& link, std::span<const Event> events,
                               std::span<RedisStream* const> targets, TimePoint deadline) {
  const auto failed = [](Error error, size_t event) {
    return undelivered(error.kind, std::move(error.what), std::move(error.where), event);
  };
  // If a stream can have lost its last absent event, it can have lost the earlier ones.
  ++round_of_absent_;
  others_.clear();
  for (auto event = absent_.rbegin(); event != absent_.rend(); ++event) {
    RedisStream* stream = targets[*event];
    if (std::exchange(stream->absent_in, round_of_absent_) == round_of_absent_) continue;
    stream->absent = *event;
    others_.push_back(stream);
  }
  buffer_.clear();
  for (const RedisStream* stream : others_) {
    append_command(buffer_, {"XINFO", "STREAM", stream->name});
  }
  if (auto sent = link.write(buffer_, "", deadline); !sent) {
    return failed(std::move(sent.error()), absent_.front());
  }
  Delivery outcome;
  for (const RedisStream* stream : others_) {
    const auto reply = link.receive(deadline);
    if (!reply) return failed(reply.error(), stream->absent);
    if (is_error(**reply)) continue;  // the whole stream is gone
    const RedisId id = RedisId::of(events[stream->absent]);
    if (may_have_lost(**reply, id) || !outcome) continue;
    outcome = failed(unproven(*stream, "refuses id " + id.text() +
                                           " as too small, never had it, and has lost no entry "
                                           "at or beyond that id")
                         .value(),
                     stream->absent);
  }
  return outcome;
}

// A non-transactional message has no time. The time of the transaction before it shows to which
// history it belongs.
int64_t RedisStreams::time_of(std::span<const Event> events, size_t event) const {
  for (size_t i = event + 1; i-- > 0;) {
    if (events[i].commit_time != 0) return events[i].commit_time;
  }
  return passed_time_;
}

void RedisStreams::passed(std::span<const Event> events) {
  if (!events.empty()) passed_time_ = time_of(events, events.size() - 1);
  used_at_ = Clock::now();
}

Result<void> RedisStreams::judge_entry(const redisReply& reply, const Event& event, int64_t time,
                                       const RedisStream& stream) const {
  const RedisId id = RedisId::of(event);
  if (is_error(reply)) return tl::unexpected(redis_error(text_of(reply), stream.name, where_));
  if (reply.elements > 0) {
    const redisReply& entry = *reply.element[0];
    RedisId found;
    const bool same = entry.elements == 2 && RedisId::parse(text_of(*entry.element[0]), found) &&
                      found == id && redis_entry_is(*entry.element[1], fields_, event);
    if (same) return {};
    if (replay_) {
      return reject("stream \"" + stream.name + "\" has another entry with id " + id.text() +
                        ". Replay with --to NAME puts the event into another stream",
                    where_);
    }
    return unproven(stream, "has another entry with the id of the event " + id.text() +
                                ". If `omit`, `max_value_bytes` or `fields` changed after a crash, "
                                "set them back until the forwarder has caught up. Otherwise");
  }
  if (replay_) {
    return reject("stream \"" + stream.name +
                      "\" has later entries, and not this one: Redis cannot add " + id.text() +
                      " behind these. Replay with --to NAME puts the event into another stream",
                  where_);
  }
  if (id <= stream.delivered.id && time <= stream.delivered.time) return {};
  return unproven(stream, "refuses id " + id.text() +
                              " as too small and does not have it, and no record says that this "
                              "event was delivered");
}

Failure RedisStreams::unproven(const RedisStream& stream, const std::string& what) const {
  return fatal(
      "stream \"" + stream.name + "\" " + what +
          ": another program adds to it, or it was filled from another server or "
          "timeline. Choose another name for the stream (`stream`), or, if its entries are "
          "not needed, DEL \"" +
          stream.name + "\"",
      where_);
}

}  // namespace walspout
