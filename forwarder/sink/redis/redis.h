// Events into Redis Streams.
//
// An event becomes an entry with the event's id and its document in the field `data`. The sink
// sends transactions (MULTI ... EXEC) of up to a thousand events, one after the other. Redis takes
// all or nothing of each, so ids show safely which events it has. Without transactions, Redis could
// refuse one event (out of memory, loading) and accept the next one. The refused event could never
// be added again, because ids in a stream only grow.
//
// While Redis executes one transaction, the sink sends the commands of the next one. It sends that
// EXEC only after the earlier transaction succeeded.
//
// Redis cannot add an event whose id is not beyond the stream's last id. Mostly the event comes
// again after a restart, and the stream has it. It counts as delivered only if that is proven:
//
// 1. The stream has an entry with this id and the same bytes. Other bytes are an error.
// 2. The entry is gone, because a consumer deleted it or the stream was trimmed, and a position
//    shows that the event was delivered. A position is written in the transaction that adds the
//    entries, into the hash `walspout:positions`: for each stream the last id, the latest commit
//    time, and the source (system identifier, slot, database). It must be of the same source, and
//    neither its id nor its time may be before the event's: a restored server may repeat ids, but
//    commits later. Deliveries of this process count as positions. And the stream must have lost
//    entries at that id or beyond it: a copy of the server that also runs has ids between ours.
//    Redis 7 and later show that no entry is missing there.
// 3. A position counts only while its id is the stream's last one. Otherwise another program has
//    added to the stream, and Redis may have refused the transaction that wrote the position.
//
// An event without that proof is kFatal, and no later event is acknowledged. A stream belongs to
// the source that the hash names, and no other source may add to it: ids of two sources interleave,
// and Redis would refuse the smaller ones. Only an operator can release a stream (HDEL).
//
// Redis may lose confirmed entries: it restarts with an older file, or a replica that lacks the
// latest entries becomes the primary. On each connection, and after each pause, the sink compares
// the streams' ends with the confirmed ends, also those of earlier processes (memory.h). It reports
// a loss once. With `wait`, an event counts as delivered only when replicas have it.
//
// Not detected: ids that a restored or promoted server repeats, if consumers deleted the entries
// and its clock is still behind the old server's delivered commits.
//
// With `ids: redis` none of this holds: Redis makes the ids, nothing is compared, and an event that
// comes again is there twice. Use it for events whose ids do not grow.
//
// Schemas of tables have a stream of their own. Its entry has the id of the event that the schema
// precedes, because ids must grow. A schema at or before a position counts as delivered.
//
// The stream went on without the dead letters that are replayed, so positions prove nothing for
// them. The sink looks for each one below the stream's end, and rejects it if it is missing.
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

  // A stream that both sinks would fill, on the same server and database; none: the configurations
  // show no such stream.
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
  // Connects, checks whether Redis would add entries, and looks at the streams whose names are
  // already known.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return warnings_; }
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  void idle() override { streams_->idle(); }
  void take_over_from(Sink& old) override;

 private:
  // Events with one common result.
  struct Batch {
    std::vector<size_t> old;         // indexes of events that their streams would refuse; in order
    std::vector<size_t> events;      // indexes of the others: Redis takes all or none
    std::vector<RedisClaim> claims;  // for the streams of `events`
    bool alone = false;              // one event, sent without MULTI and EXEC
    bool queued = false;             // all but EXEC is sent or in buffer_
    RedisTransaction replies;
    RedisTransaction waited;  // how many replicas have it, with `wait`

    bool empty() const { return old.empty() && events.empty(); }
  };

  RedisSink(RedisEndpoint endpoint, RedisConfig config, Router router,
            std::vector<RedisField> fields);

  [[nodiscard]] Result<void> connect(TimePoint deadline);
  [[nodiscard]] Result<void> check_settings(TimePoint deadline);
  // Asks how many replicas have the writes of this connection, and judges the answer.
  void append_wait(std::string& out) const;
  [[nodiscard]] Result<void> judge_wait(const RedisTransaction& waited) const;
  [[nodiscard]] Result<void> await_replicas(const Batch& batch, TimePoint deadline);
  // With `wait`: waits until replicas have all that Redis has.
  [[nodiscard]] Result<void> replicate(TimePoint deadline);
  // Whether Redis would accept the sink's commands. Closes the connection.
  [[nodiscard]] Result<void> probe(TimePoint deadline);
  // Fills targets_ with the streams of the events, up to the first event without a stream. Error:
  // that event.
  [[nodiscard]] Delivery find_streams(std::span<const Event> events);
  // Delivers events that are all routed.
  [[nodiscard]] Delivery transact(std::span<const Event> events, TimePoint deadline,
                                  Progress& progress);
  // Fills a batch from event `next` on, and advances `next`.
  void choose(std::span<const Event> events, size_t& next, Batch& batch, Progress& progress) const;
  // Whether the streams have the batch's old events.
  [[nodiscard]] Delivery verify_old(std::span<const Event> events, const Batch& batch,
                                    TimePoint deadline, Progress& progress);
  // Executes a batch whose old events are verified. May also send commands of `next`.
  [[nodiscard]] Delivery execute(std::span<const Event> events, Batch& batch, Batch& next,
                                 TimePoint deadline, Progress& progress);
  [[nodiscard]] Result<void> queue(std::span<const Event> events, Batch& batch, TimePoint deadline);
  void make_claims(std::span<const Event> events, Batch& batch);
  [[nodiscard]] Result<void> flush(TimePoint deadline);
  [[nodiscard]] Result<void> encode(const Event& event, const RedisStream& stream,
                                    TimePoint deadline);
  // The result of a batch, after its replies.
  [[nodiscard]] Delivery settle(std::span<const Event> events, Batch& batch, Batch& next,
                                TimePoint deadline);
  // The result of a batch that Redis refused in part: another program has added to a stream.
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

  // For the current call; reused, to save allocations.
  std::vector<RedisStream*> targets_;  // of each event; null: dropped
  std::array<Batch, 2> batches_;
  std::string buffer_;
  std::string routed_;
};

}  // namespace walspout
