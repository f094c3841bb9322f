// What a sink knows about its streams, and the proof that an event needs no delivery.
//
// Redis refuses an id that is not beyond the stream's last one. redis.h has the rule when such an
// event counts as delivered; this class applies the rule. Positions are fields of the hash
// `walspout:positions`, one for each stream: "<id> <time> <identity>". These are the stream's last
// event, the latest commit time of its events, and the source.
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

// The position that was delivered to a stream.
struct RedisPosition {
  RedisId id;        // of the last event
  int64_t time = 0;  // the latest commit time of its events
};

// What the sink knows about a stream. Lives as long as the sink.
struct RedisStream {
  std::string name;
  std::string command;       // XADD, encoded, up to its id
  RedisId top;               // its last id, as far as known
  bool confirmed = false;    // Redis has confirmed `top` to this process
  bool counted = false;      // whether `added` is known
  uint64_t added = 0;        // entries ever added to it, as Redis 7 counts
  RedisPosition delivered;   // events up to here were delivered, or proven so
  int64_t latest = 0;        // the latest commit time of sent events
  std::string record;        // its field in the hash; empty: none yet
  bool doubtful = false;     // the record may say too much: rewrite it
  uint64_t seen_in = 0;      // number of the last connection that looked at it
  uint64_t compared_in = 0;  // number of the last round that read its record
  uint64_t batch = 0;        // the last batch with events for it,
  size_t claim = 0;          // and the stream's claim in that batch
  size_t absent = 0;         // the last event that it refuses and lacks,
  uint64_t absent_in = 0;    // in this round of explain()
};

// What a transaction records about a stream that it adds to.
struct RedisClaim {
  RedisStream* stream = nullptr;
  RedisPosition position;
  uint64_t events = 0;  // how many
};

class RedisStreams {
 public:
  enum class Purpose { kCheck, kDeliver };

  // `memory`: the file of RedisMemory, or empty.
  RedisStreams(std::vector<RedisField> fields, std::optional<uint64_t> maxlen,
               const RedisEndpoint& endpoint, std::string memory = "");

  // Error: as RedisMemory::open().
  [[nodiscard]] Result<void> set_source(const SourceState& source);
  // The WAL reaches at least this LSN.
  void reached(Lsn lsn) { wal_position_ = std::max(wal_position_, lsn.value); }

  // Whether positions are kept: not for dead letters, and not while the source is unknown. Without
  // positions, only an entry with the same bytes or a delivery of this process is a proof.
  bool keeps_positions() const { return !replay_ && !identity_.empty(); }

  RedisStream& named(const std::string& name);
  const std::vector<RedisField>& fields() const { return fields_; }

  // There is a new connection: look() must look at all streams again.
  void connected() { ++connection_; }
  // Time has passed: another forwarder of the slot may have been active, or Redis may have become a
  // replica and a primary again.
  void idle() {
    ++round_;
    memory_.sync();
  }

  // Looks at the streams that this connection has not seen; skips null. With kDeliver, writes a
  // record for a stream without one, so that no other source begins to fill it. After an error,
  // give up the connection. kFatal: the stream cannot belong to this source. With `loss`: streams
  // have lost confirmed entries; each loss is reported once.
  [[nodiscard]] Result<void> look(RedisLink& link, std::span<RedisStream* const> streams,
                                  Purpose purpose, TimePoint deadline);

  // Looks, once, whether streams have lost entries that were confirmed to an earlier process. After
  // an error, give up the connection.
  [[nodiscard]] Result<void> find_old_losses(RedisLink& link, TimePoint deadline);

  // Whether the events `which`, whose ids their streams refuse, are all delivered. Error: the first
  // event that is not. `targets`: the streams of all events.
  [[nodiscard]] Delivery verify(RedisLink& link, std::span<const Event> events,
                                std::span<const size_t> which,
                                std::span<RedisStream* const> targets, TimePoint deadline);

  // Appends the command that writes claims. Send it in the transaction that adds the entries, so
  // that Redis has both or neither.
  void append_claims(std::string& out, std::span<const RedisClaim> claims) const;
  // The claimed events are delivered.
  void settle(std::span<const RedisClaim> claims);
  // Writes the delivered positions of the claims' doubtful streams.
  [[nodiscard]] Result<void> rewrite(RedisLink& link, std::span<const RedisClaim> claims,
                                     TimePoint deadline);

  // These events, and all before them, were delivered.
  void passed(std::span<const Event> events);

 private:
  // A stream, and its known end.
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
  [[nodiscard]] Result<void> find_losses_on_connection(RedisLink& link, TimePoint deadline);
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
  const std::string database_;  // the server and its database, as the owner in `memory_`
  std::string identity_;        // of the source; empty: unknown
  uint64_t wal_position_ = 0;   // of the server, as far as known
  bool wal_known_ = false;
  bool replay_ = false;
  int64_t passed_time_ = 0;  // commit time of the last delivered event, if any
  uint64_t connection_ = 0;
  uint64_t round_ = 1;
  uint64_t round_of_absent_ = 0;
  TimePoint used_at_{};  // when the connection was used last
  RedisMemory memory_;
  bool looked_back_ = false;
  uint64_t revisited_in_ = 0;        // the last connection that looked at all streams
  std::vector<std::string> losses_;  // not yet reported
  std::vector<std::pair<std::string, RedisEnd>> unnoted_;  // ends of streams that have lost entries
  std::unordered_map<std::string, std::unique_ptr<RedisStream>> streams_;

  // For the current call; reused, to save allocations.
  std::vector<RedisStream*> unseen_;
  std::vector<RedisStream*> others_;
  std::vector<RedisClaim> doubts_;
  std::vector<size_t> absent_;  // events that their streams refuse and lack
  std::string buffer_;
};

}  // namespace walspout
