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
// An event whose id is not beyond the stream's last one cannot be added. Mostly it comes again
// after a restart and is there. It counts as delivered only if that is shown:
//
// 1. The stream has an entry with this id and the same bytes. Other bytes are a fault.
// 2. The entry is gone, because a consumer deleted it or the stream was trimmed, and a position
//    says that the event was delivered. A position is written in the transaction that adds the
//    entries, into the hash `walspout:positions`: for each stream the last id, the latest commit
//    time, and the source (system identifier, slot, database). It must be of the same source, its
//    id not before the event's, and its time not before the event's: a server that was restored
//    may repeat ids, but commits later. What this process delivered itself counts as a position.
//    And the stream must have lost entries at that id or behind: a copy of the server that is live,
//    too, has ids between ours, and Redis 7 and later tells that no entry is missing there.
// 3. A position counts only while its id is the stream's last one. Otherwise another program has
//    added to the stream, and the transaction that wrote the position may have been refused.
//
// An event that is not shown to be delivered is kFatal; nothing after it is acknowledged. A stream
// belongs to the source that the hash names, and no other source adds to it: ids of two sources
// interleave, and the smaller ones would be refused. Only an operator can give a stream away
// (HDEL).
//
// What Redis has confirmed it may lose: it comes back with an older file, or a replica that lacks
// the latest entries becomes the primary. Each connection, and each delivery after a pause,
// compares the streams' ends with what was confirmed, to this process or to an earlier one
// (redis_memory.h). A loss is said once. With `wait`, an event counts as delivered only when
// replicas have it.
//
// This rule does not see ids that a restored or promoted server repeats while its clock is still
// behind the commits that the old one had delivered, where consumers have deleted the entries.
//
// With `ids: redis` none of this holds: entries have ids that Redis makes, nothing is compared, and
// an event that comes again is there twice. That is for events whose ids do not grow.
//
// Schemas of tables have a stream of their own. An entry has the id of the event that the schema
// precedes, as ids have to grow. A schema at or before a position counts as delivered.
//
// Dead letters that are replayed are what the stream went on without: positions say nothing of
// them. Each one below the stream's end is looked for, and rejected if it is not there.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sink/common/template.h"
#include "sink/redis/entry.h"
#include "sink/redis/link.h"
#include "sink/redis/streams.h"
#include "stream/sink.h"

namespace walspout {

class RedisSink final : public Sink {
 public:
  // Error: kFatal. Connects to nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const RedisConfig& config);

  // A stream that both would fill, on one server and database; none: they have none in common, as
  // far as their configurations show.
  [[nodiscard]] static std::optional<std::string> common_stream(const RedisConfig& a,
                                                                const RedisConfig& b);

  std::string_view type() const override { return "redis"; }
  std::string_view endpoint() const override { return name_; }
  // Several transactions, so that their commands overlap.
  BatchLimits limits() const override {
    return {.events = std::max<size_t>(8192, config_.pipeline),
            .bytes = 8u << 20,
            .barriers_alone = false};
  }
  // Connects, finds out whether Redis would add entries, and looks at the streams whose names are
  // known beforehand.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return warnings_; }
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  void idle() override { streams_->idle(); }
  void succeed(Sink& old) override;

 private:
  // Events that are done with together.
  struct Batch {
    std::vector<size_t> old;         // indexes of events that their streams would refuse; in order
    std::vector<size_t> events;      // of the others: Redis takes them together, or not at all
    std::vector<RedisClaim> claims;  // of the streams of `events`
    bool alone = false;              // one event, sent without MULTI and EXEC
    bool queued = false;             // all but its EXEC is sent, or is in buffer_
    RedisTransaction replies;
    RedisTransaction waited;  // how many replicas have it, where that is asked for

    bool empty() const { return old.empty() && events.empty(); }
  };

  RedisSink(RedisEndpoint endpoint, RedisConfig config, Router router,
            std::vector<RedisField> fields);

  [[nodiscard]] Result<void> connect(TimePoint deadline);
  [[nodiscard]] Result<void> look_around(TimePoint deadline);
  // Asks how many replicas have what this connection has written, and what the answer means.
  void append_wait(std::string& out) const;
  [[nodiscard]] Result<void> judge_wait(const RedisTransaction& waited) const;
  [[nodiscard]] Result<void> await_replicas(const Batch& batch, TimePoint deadline);
  // Waits until replicas have all that Redis has, where that is asked for.
  [[nodiscard]] Result<void> replicate(TimePoint deadline);
  // Whether Redis would take what is sent. Leaves without a connection.
  [[nodiscard]] Result<void> probe(TimePoint deadline);
  // Fills targets_ with the streams of the events before the first that has none by mistake: that
  // one is the error.
  [[nodiscard]] Delivery find_streams(std::span<const Event> events);
  // Delivers events that all have been routed.
  [[nodiscard]] Delivery transact(std::span<const Event> events, TimePoint deadline,
                                  Progress& progress);
  // Fills a batch from event `next` on, which it moves.
  void choose(std::span<const Event> events, size_t& next, Batch& batch, Progress& progress) const;
  // Whether the batch's old events are there.
  [[nodiscard]] Delivery verify_old(std::span<const Event> events, const Batch& batch,
                                    TimePoint deadline, Progress& progress);
  // Executes a batch whose old events are done with. Commands of `next` may go along.
  [[nodiscard]] Delivery execute(std::span<const Event> events, Batch& batch, Batch& next,
                                 TimePoint deadline, Progress& progress);
  [[nodiscard]] Result<void> queue(std::span<const Event> events, Batch& batch, TimePoint deadline);
  void make_claims(std::span<const Event> events, Batch& batch);
  [[nodiscard]] Result<void> flush(TimePoint deadline);
  [[nodiscard]] Result<void> encode(const Event& event, const RedisStream& stream,
                                    TimePoint deadline);
  // What became of a batch, once its replies are there.
  [[nodiscard]] Delivery settle(std::span<const Event> events, Batch& batch, Batch& next,
                                TimePoint deadline);
  // Some of the batch was refused because somebody else has added to a stream meanwhile.
  [[nodiscard]] Delivery settle_refused(std::span<const Event> events,
                                        std::span<const size_t> refused, Batch& batch, Batch& next,
                                        TimePoint deadline);
  [[nodiscard]] Delivery refused_in(const Batch& batch) const;
  [[nodiscard]] Delivery refused(std::string_view reply, size_t event) const;
  [[nodiscard]] Result<void> reconnect(TimePoint deadline);

  RedisEndpoint endpoint_;
  RedisConfig config_;
  Router router_;
  std::string name_;
  std::unique_ptr<RedisStreams> streams_;  // never null
  std::unique_ptr<RedisLink> link_;
  std::vector<std::string> warnings_;  // of the last check
  uint64_t batch_ = 0;                 // number of the last batch that was queued

  // Of the call under way; kept for their memory.
  std::vector<RedisStream*> targets_;  // of each event; null: dropped
  std::array<Batch, 2> batches_;
  std::string buffer_;
  std::string routed_;
};

}  // namespace walspout
