// Events into Redis Streams.
//
// An event becomes an entry with the event's id and its document in the field `data`. Events go
// out in transactions (MULTI ... EXEC) of up to a thousand, one after the other: Redis takes all
// of one or nothing. That is what makes ids a safe way to know what is there. Were events sent on
// their own, one could be refused (out of memory, loading) and the next one accepted, and the
// refused one could never be added any more: ids in a stream only grow.
//
// While Redis executes one transaction the commands of the next are on their way, but for its
// EXEC, which is sent when the one before has been answered and is good.
//
// A resend is refused by Redis, because the stream's top is not smaller, and counts as delivered
// if the top was ours. Whether it is, is found out when a connection first uses a stream: a top
// beyond the server's WAL position cannot have come from this database's present. And resends lead
// up to the stream's end: where the events pass it without one that has its id, and the last that
// was refused is not there, the stream was filled from another history of the database.
//
// Dead letters that are replayed are what the stream went on without: they are below its top, and
// Redis refuses them, whether they are there or not. Each one that is refused is looked for, and
// rejected if it is not there.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sink/redis_link.h"
#include "sink/sink.h"
#include "sink/template.h"

namespace walspout {

class RedisSink final : public Sink {
 public:
  // Error: kFatal. Connects to nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const RedisConfig& config);

  std::string_view type() const override { return "redis"; }
  std::string_view endpoint() const override { return name_; }
  // Several transactions, so that their commands overlap.
  BatchLimits limits() const override {
    return {.events = 8192, .bytes = 8u << 20, .barriers_alone = false};
  }
  // Connects, and looks at the streams whose names are known beforehand.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;

 private:
  enum class Field { kData, kId, kOp, kSchema, kTable, kKey };

  struct Id {
    uint64_t lsn = 0;
    uint64_t index = 0;
    auto operator<=>(const Id&) const = default;
  };

  // What is known of a stream. Lives as long as the sink.
  struct Stream {
    std::string name;
    std::string command;     // XADD's beginning, encoded, up to where the id stands
    Id top;                  // no entry of ours is beyond it
    bool confirmed = false;  // top was confirmed to this process
    uint64_t seen_in = 0;    // number of the connection that looked at it last
    Id end;                  // where it ended then
    Id refused;              // the last event that was refused since; 0-0: none, or others followed
  };

  // Events that Redis takes together, or not at all.
  struct Batch {
    std::vector<size_t> events;  // indexes; in order
    bool alone = false;          // one event, sent without MULTI and EXEC
    bool queued = false;         // all but its EXEC is sent, or is in buffer_
    RedisTransaction replies;
  };

  RedisSink(RedisEndpoint endpoint, RedisConfig config, Router router);

  [[nodiscard]] Result<void> connect(TimePoint deadline);
  // Fills targets_ with the streams of the events before the first that has none by mistake: that
  // one is the error.
  [[nodiscard]] Delivery find_streams(std::span<const Event> events);
  // Looks at those of the streams that this connection has not seen.
  [[nodiscard]] Result<void> check_streams(std::span<Stream* const> streams, bool position_is_fresh,
                                           TimePoint deadline);
  [[nodiscard]] Result<void> check_top(Stream& stream, const redisReply& reply,
                                       bool position_is_fresh);
  // Delivers events that all have been routed.
  [[nodiscard]] Delivery transact(std::span<const Event> events, TimePoint deadline,
                                  Progress& progress);
  // Fills a batch from event `next` on, which it moves.
  void choose(std::span<const Event> events, size_t& next, Batch& batch, Progress& progress) const;
  [[nodiscard]] Result<void> queue(std::span<const Event> events, Batch& batch, TimePoint deadline);
  [[nodiscard]] Result<void> flush(TimePoint deadline);
  [[nodiscard]] Result<void> encode(const Event& event, const Stream& stream, TimePoint deadline);
  void append_field(Field field, const Event& event);
  // What became of a batch, once its replies are there.
  [[nodiscard]] Delivery settle(std::span<const Event> events, Batch& batch, Batch& next,
                                TimePoint deadline);
  [[nodiscard]] Delivery refused_in(const Batch& batch) const;
  [[nodiscard]] Delivery refused(std::string_view reply, size_t event) const;
  [[nodiscard]] Result<void> reconnect(TimePoint deadline);
  // Whether the stream has an entry that it refuses to add. `next`: the batch that is on its way.
  [[nodiscard]] Result<void> verify(Id id, const Stream& stream, Batch& next, TimePoint deadline);
  Stream& stream_named(const std::string& name);

  RedisEndpoint endpoint_;
  RedisConfig config_;
  Router router_;
  std::vector<Field> fields_;
  std::string name_;
  uint64_t wal_position_ = 0;  // of the server, as far as known
  bool wal_known_ = false;
  bool replay_ = false;  // refusals say nothing

  std::unique_ptr<RedisLink> link_;
  uint64_t connection_ = 0;  // its number
  std::unordered_map<std::string, std::unique_ptr<Stream>> streams_;

  // Of the call under way; kept for their memory.
  std::vector<Stream*> targets_;  // of each event; null: dropped
  std::vector<Stream*> unseen_;
  std::array<Batch, 2> batches_;
  std::string buffer_;
  std::string routed_;
};

}  // namespace walspout
