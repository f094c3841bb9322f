// The reading side of a pipeline: one thread that reads a slot and answers the server, whatever the
// sinks do.
//
// It connects for ever: every failure but those that only an operator can fix leads to another
// attempt. A slot that somebody else streams is waited for. What is received goes into the
// queue; while that has no room nothing is read, and the server still gets its answers. The queue's
// fence is open while the slot is streamed. A server that stops is let go.
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
  // While nothing is read: when the server is looked at first, how often it is asked whether it
  // wants us gone, and how often if it has no connection to spare for that.
  Duration unread = std::chrono::milliseconds(200);
  Duration full = std::chrono::seconds(5);
  Duration full_alone = std::chrono::seconds(1);
  Duration aside = std::chrono::minutes(1);        // that connection is kept, since the last use
  Duration sign = std::chrono::milliseconds(300);  // of life, from the stream; then it is asked for
  Duration first = std::chrono::milliseconds(10);  // between looks for rows that come first
};

class Source {
 public:
  // All are outlived by what they refer to. `state`: what is known of the slot from before; may be
  // none. So may the observer.
  Source(std::string pipeline, SourceConfig config, EventQueue& queue, SourceStats& stats,
         const Wake& wake, std::optional<StateFile> state = {}, SourceTiming timing = {},
         StreamObserver* observer = nullptr);

  // Reads until stop(), then waits for the sinks until the deadline of stop(), confirms what they
  // are done with, and returns. An error needs an operator: a lost slot, another plugin's slot, a
  // gap between what was delivered and what this server would send.
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
  bool place_first();
  Result<void> answer(Connection& connection, bool now);
  bool must_follow() const;
  void follow(Connection& connection);
  void drain(Connection& connection);
  Lsn to_tell() const;
  void take_stock();
  void pause(Duration time);
  bool stopping() const { return stop_.load(); }
  bool has_gone_well(TimePoint since) const;
  StreamPosition position() const;
  bool sinks_done() const { return queue_.handled() >= queue_.pushed(); }

  const std::string pipeline_;
  SourceConfig config_;   // the DSN may change
  std::string dsn_said_;  // why it could not
  EventQueue& queue_;
  SourceStats& stats_;
  const Wake& wake_;
  const SourceTiming timing_;
  StreamObserver* const observer_;
  FrameDecoder decoder_;
  AckTracker acks_;
  Feedback feedback_;
  Pace pace_;
  Chunk chunk_;          // received, and not handed over yet
  size_t messages_ = 0;  // received since there was nothing more to read
  Silence silence_;
  StopSigns stop_signs_;
  Aside aside_;
  bool reading_ = true;                   // there is room, and it is not draining
  std::optional<TimePoint> announce_at_;  // sinks have not heard yet of what was pushed
  TimePoint look_at_;                     // the server, on the side
  TimePoint aside_until_;                 // keep that connection
  int unanswered_ = 0;                    // such looks in a row
  std::optional<TimePoint> asked_for_life_;
  StreamPosition last_event_;  // that was handed over
  Lsn last_commit_;            // likewise
  bool caught_up_ = false;     // all that was there at the start of the stream has come
  Backoff backoff_;
  ReceivedState received_;  // its end is kept by acks_
  Slot slot_;
  SlotClaim claim_;
  Place place_;                       // that was streamed from last
  std::optional<Connection> beside_;  // the stream's, while a standby streams
  TimePoint follow_at_;               // not before
  bool unfollowed_said_ = false;
  std::string streamed_by_;  // the server's process that served us last
  bool waiting_said_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<bool> renew_{false};
  std::atomic<TimePoint::rep> drain_until_{0};
};

}  // namespace walspout
