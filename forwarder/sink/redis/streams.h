// What is known of the streams that a sink fills, and the proof that an event needs no delivery.
//
// Redis refuses an id that is not beyond the stream's last one. redis.h has the rule that says when
// such an event counts as delivered; this class applies it. The positions that it needs are fields
// of the hash `walspout:positions`: by stream, "<id> <time> <identity>", which is the last event
// that went to the stream, the latest commit time among all of them, and the source.
//
// Belongs to one sink; not synchronized.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sink/redis/entry.h"
#include "sink/redis/link.h"
#include "sink/redis/memory.h"
#include "stream/sink.h"

namespace walspout {

// How far events went to a stream.
struct RedisPosition {
  RedisId id;        // of the last one
  int64_t time = 0;  // the latest commit of all of them
};

// What is known of a stream. Lives as long as the sink.
struct RedisStream {
  std::string name;
  std::string command;       // XADD's beginning, encoded, up to where the id stands
  RedisId top;               // where it ends, as far as is known
  bool confirmed = false;    // this process was told that its end is there
  bool counted = false;      // whether `added` is known
  uint64_t added = 0;        // entries that were ever added to it, as Redis 7 counts them
  RedisPosition delivered;   // events up to here were delivered: seen, or proven by Redis
  int64_t latest = 0;        // the latest commit time of what was sent
  std::string record;        // its field in the hash; empty: none yet
  bool doubtful = false;     // the record may say more than was delivered: it is to be rewritten
  uint64_t seen_in = 0;      // number of the connection that looked at it last
  uint64_t compared_in = 0;  // number of the round in which its record was read last
  uint64_t batch = 0;        // the last batch that has events for it,
  size_t claim = 0;          // and which of its claims is the stream's
  size_t absent = 0;         // the last event that the stream refuses and does not have,
  uint64_t absent_in = 0;    // in the round of that number
};

// What a transaction says of a stream that it adds to.
struct RedisClaim {
  RedisStream* stream = nullptr;
  RedisPosition position;
  uint64_t events = 0;  // how many
};

class RedisStreams {
 public:
  enum class Purpose { kCheck, kDeliver };

  // `memory`: file for what is remembered over restarts, or empty.
  RedisStreams(std::vector<RedisField> fields, std::optional<uint64_t> maxlen,
               const RedisEndpoint& endpoint, std::string memory = "");

  // Error: as RedisMemory::open().
  [[nodiscard]] Result<void> set_source(const SourceState& source);
  // The server's log reaches at least so far.
  void reached(Lsn lsn) { wal_position_ = std::max(wal_position_, lsn.value); }

  // Whether positions are kept. They are not kept for dead letters, or while the source is unknown.
  // Then only an entry with the same bytes, or this process' own delivery, proves anything.
  bool keeps_positions() const { return !replay_ && !identity_.empty(); }

  RedisStream& named(const std::string& name);
  const std::vector<RedisField>& fields() const { return fields_; }

  // There is a new connection, through which nothing was looked at yet.
  void connected() { ++connection_; }
  // Time has passed: another forwarder of the slot may have been at work, or Redis may have become
  // a replica and a primary again.
  void idle() {
    ++round_;
    memory_.sync();
  }

  // Looks at those of the streams that this connection has not seen; null ones are left out. To
  // deliver, a stream that has no record gets one, so that no other source can begin to fill it.
  // After an error the connection is of no use. kFatal: the stream cannot be this source's. With
  // `loss`: streams have lost what Redis had confirmed, which is said once.
  [[nodiscard]] Result<void> look(RedisLink& link, std::span<RedisStream* const> streams,
                                  Purpose purpose, TimePoint deadline);

  // Looks, once, whether streams have lost what an earlier process had been told. After an error
  // the connection is of no use.
  [[nodiscard]] Result<void> look_back(RedisLink& link, TimePoint deadline);

  // Whether the events `which`, whose ids their streams refuse, are delivered: all of them, or the
  // error of the first that is not. `targets` are the streams of all the events.
  [[nodiscard]] Delivery verify(RedisLink& link, std::span<const Event> events,
                                std::span<const size_t> which,
                                std::span<RedisStream* const> targets, TimePoint deadline);

  // Appends the command that writes claims. It belongs into the transaction that adds the entries,
  // so that Redis has both or neither.
  void append_claims(std::string& out, std::span<const RedisClaim> claims) const;
  // All that is claimed was found delivered.
  void settle(std::span<const RedisClaim> claims);
  // Writes, for the streams of the claims that are in doubt, what was delivered.
  [[nodiscard]] Result<void> rewrite(RedisLink& link, std::span<const RedisClaim> claims,
                                     TimePoint deadline);

  // The events were delivered, all of them and all before them.
  void passed(std::span<const Event> events);

 private:
  // A stream, and where it is known to have ended.
  struct Known {
    RedisStream* stream;
    RedisEnd end;
  };

  [[nodiscard]] Result<void> compare(RedisLink& link, std::span<RedisStream* const> streams,
                                     TimePoint deadline);
  [[nodiscard]] Result<std::vector<std::string>> read_records(RedisLink& link, size_t streams,
                                                              TimePoint deadline);
  void append_read(std::string& out, std::span<RedisStream* const> streams) const;
  [[nodiscard]] Result<void> judge(RedisStream& stream, const redisReply& reply,
                                   const std::string& record, Purpose purpose);
  [[nodiscard]] Result<void> find_losses(RedisLink& link, std::span<const Known> known,
                                         TimePoint deadline);
  void note_loss(const RedisStream& stream, const RedisEnd& was, const RedisEnd& end);
  [[nodiscard]] Result<void> look_at(RedisLink& link, Purpose purpose, TimePoint deadline);
  [[nodiscard]] Result<void> revisit(RedisLink& link, TimePoint deadline);
  [[nodiscard]] Failure loss();
  [[nodiscard]] Result<void> take_record(RedisStream& stream, const std::string& record) const;
  [[nodiscard]] Result<void> claim(RedisLink& link, TimePoint deadline);
  [[nodiscard]] Result<void> judge_entry(const redisReply& reply, const Event& event, int64_t time,
                                         const RedisStream& stream) const;
  // Whether the streams can have lost the entries of `absent_`.
  [[nodiscard]] Delivery explain(RedisLink& link, std::span<const Event> events,
                                 std::span<RedisStream* const> targets, TimePoint deadline);
  [[nodiscard]] Failure unproven(const RedisStream& stream, const std::string& what) const;
  std::string record_of(const RedisPosition& position) const;
  int64_t time_of(std::span<const Event> events, size_t event) const;

  const std::vector<RedisField> fields_;
  const std::optional<uint64_t> maxlen_;
  const std::string where_;     // the server, for errors
  const std::string database_;  // the server and its database: whose streams `memory_` has
  std::string identity_;        // of the source; empty: unknown
  uint64_t wal_position_ = 0;   // of the server, as far as known
  bool wal_known_ = false;
  bool replay_ = false;
  int64_t passed_time_ = 0;  // commit time of the event delivered last, if it has one
  uint64_t connection_ = 0;
  uint64_t round_ = 1;
  uint64_t round_of_absent_ = 0;
  TimePoint used_at_{};  // when the connection was used last
  RedisMemory memory_;
  bool looked_back_ = false;
  uint64_t revisited_in_ = 0;        // the connection that looked at all streams
  std::vector<std::string> losses_;  // to be said
  std::vector<std::pair<std::string, RedisEnd>> unnoted_;  // ends of streams that have lost entries
  std::unordered_map<std::string, std::unique_ptr<RedisStream>> streams_;

  // Of the call under way; kept for their memory.
  std::vector<RedisStream*> unseen_;
  std::vector<RedisStream*> others_;
  std::vector<RedisClaim> doubts_;
  std::vector<size_t> absent_;  // events that their streams refuse and do not have
  std::string buffer_;
};

}  // namespace walspout
