// The reading side of a pipeline: one thread that reads a slot and answers the server, whatever the
// sinks do.
//
// It reconnects for ever, except after failures that only an operator can fix. It waits for a slot
// that another process streams. Received chunks go into the queue. While the queue is full, nothing
// is read, and the server still gets its answers. The queue's fence is open while the slot is
// streamed. A stopping server gets its slot released.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/wake.h"
#include "postgres/connection.h"
#include "postgres/place.h"
#include "source/ack.h"
#include "source/aside.h"
#include "source/claim.h"
#include "source/config.h"
#include "source/feedback.h"
#include "source/frames.h"
#include "source/observer.h"
#include "source/options.h"
#include "source/pace.h"
#include "source/silence.h"
#include "source/slot.h"
#include "source/stats.h"
#include "source/stopping.h"
#include "stream/queue.h"

namespace walspout {

struct SourceTiming {
  FeedbackConfig feedback;
  BackoffConfig reconnect;
  Duration slot_in_use = std::chrono::milliseconds(500);  // between attempts to get the slot
  Duration connect = std::chrono::seconds(10);
  Duration answer = std::chrono::seconds(30);
  // While nothing is read: the time to the first look at the slot, and the interval between looks.
  // `full_alone` is the interval if no replication connection is left for them.
  Duration unread = std::chrono::milliseconds(200);
  Duration full = std::chrono::seconds(5);
  Duration full_alone = std::chrono::seconds(1);
  Duration aside = std::chrono::minutes(1);        // to keep that connection after its last use.
  Duration sign = std::chrono::milliseconds(300);  // to wait for a reply on the stream.
  Duration first = std::chrono::milliseconds(10);  // between looks for rows that come first.
};

class Source {
 public:
  // All arguments outlive this object. `state`: the record of the slot's past; may be missing.
  // `observer` may be null.
  Source(std::string pipeline, SourceConfig config, EventQueue& queue, SourceStats& stats,
         const Wake& wake, std::optional<StateFile> state = {}, SourceTiming timing = {},
         StreamObserver* observer = nullptr);

  // Reads until stop(). Then waits for the sinks until stop()'s deadline, confirms what they are
  // done with, and returns. An error needs an operator: a lost slot, another plugin's slot, a gap
  // between what was delivered and this server's stream.
  Result<void> run();

  // Ends run(). From any thread; may be called again with an earlier deadline.
  void stop(TimePoint drain_until);

  // Ends a pause between attempts to connect. From any thread.
  void renew();

 private:
  Result<void> run_until_stopped();
  Result<void> stream_once();
  bool leads_elsewhere() const;
  Error refused_dsn(Error error) const;
  Result<Connection> connect();
  void renew_dsn();
  Result<void> claim(const Connection& connection, const ServerState& server);
  Result<void> start(Connection& connection, Lsn from, bool& in_use);
  Result<void> check_start(const Connection& connection, const ServerState& server,
                           TimePoint looked);
  void go_on(const Connection& connection, const ServerState& server, const Resume& from);
  Result<void> stream(Connection& connection);
  Result<void> watch(const Connection& connection);
  Result<void> show_life(const Connection& connection);
  Result<std::optional<SlotView>> look_aside(const Connection& connection);
  Result<void> is_ours(const Connection& connection, const SlotView& slot);
  Result<bool> receive(Connection& connection);
  Result<void> take(Message message);
  void hand_over();
  void place(const Mark& mark);
  void push_rows(Chunk rows, Lsn end);
  bool place_first();
  Result<void> answer(Connection& connection, bool now);
  bool must_follow() const;
  void follow(Connection& connection);
  void drain(Connection& connection);
  Lsn reportable_lsn() const;
  void update_handled();
  void pause(Duration time);
  bool stopping() const { return stop_.load(); }
  bool has_gone_well(TimePoint since) const;
  StreamPosition position() const;
  bool sinks_done() const { return queue_.handled() >= queue_.pushed(); }

  const std::string pipeline_;
  SourceConfig config_;   // the DSN can change
  std::string dsn_said_;  // why the DSN could not be read
  EventQueue& queue_;
  SourceStats& stats_;
  const Wake& wake_;
  const SourceTiming timing_;
  StreamObserver* const observer_;
  FrameDecoder decoder_;
  AckTracker acks_;
  Feedback feedback_;
  Pace pace_;
  Chunk chunk_;          // received, not handed over yet
  size_t messages_ = 0;  // received since the last time all was read
  Silence silence_;
  StopSigns stop_signs_;
  Aside aside_;
  bool reading_ = true;                   // there is room, and we are not draining.
  std::optional<TimePoint> announce_at_;  // when to wake the sinks for pushed events.
  TimePoint look_at_;                     // next look on the second connection.
  TimePoint aside_until_;                 // keep that connection until then.
  int unanswered_ = 0;                    // looks in a row without an answer.
  std::optional<TimePoint> asked_for_life_;
  StreamPosition last_event_;  // the last one handed over
  Lsn last_commit_;            // likewise
  bool caught_up_ = false;     // all that existed at the start of the stream was received
  Backoff backoff_;
  ReceivedState received_;  // acks_ keeps its end
  Slot slot_;
  SlotClaim claim_;
  Place place_;                       // the last server streamed from
  std::optional<Connection> beside_;  // asks a streaming standby
  TimePoint follow_at_;               // no follow() before this time
  bool unfollowed_said_ = false;
  std::string streamed_by_;  // our last walsender
  bool waiting_said_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<bool> renew_{false};
  std::atomic<TimePoint::rep> drain_until_{0};
};

}  // namespace walspout
