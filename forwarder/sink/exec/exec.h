// Events to the standard input of a program, as lines; answers from its standard output.
//
// An event is durable when the program has answered with its id. If the program ends, writes
// something else than an answer, or is silent for too long, the sink ends it and starts it again.
// The new program gets the events without an answer. It starts only after the old one has ended, so
// that events stay in order.
//
// A program that is late at the deadline keeps its events, and the next call waits for the same
// events. After a failure, events that were not written yet are withdrawn.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sink/common/window.h"
#include "sink/exec/answer.h"
#include "sink/exec/config.h"
#include "sink/exec/outbox.h"
#include "sink/exec/process.h"
#include "sink/exec/talk.h"
#include "stream/sink.h"

namespace walspout {

class ExecSink final : public Sink, private WindowClient {
 public:
  // Error: kFatal. Starts nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const ExecConfig& config);
  // Ends the program: end of file, SIGTERM, SIGKILL.
  ~ExecSink() override;

  std::string_view type() const override { return "exec"; }
  std::string_view endpoint() const override { return name_; }
  BatchLimits limits() const override;
  // Checks that the program exists and may be executed. Starts nothing: the start may have unknown
  // effects, and the forwarder may already run the program.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  void idle() override;
  void let_go() override;
  void listen(Listener listener) override { talk_.listen(std::move(listener)); }

 private:
  // The id of an answered event.
  struct Id {
    Lsn lsn;
    uint64_t number = 0;  // index, or fingerprint
    char told = 0;        // the op, unless the event is a change
    static Id of(const Event& event) {
      if (!event.is_no_change()) return {event.lsn, event.index};
      return {event.lsn, event.is_schema() ? event.key_hash : 0, event.op};
    }
    bool operator==(const Id&) const = default;
  };

  explicit ExecSink(const ExecConfig& config);

  [[nodiscard]] Result<Connection> connect(TimePoint deadline) override;
  bool is_connected() const override { return process_ != nullptr; }
  bool has_room() const override { return outbox_.has_room(); }
  [[nodiscard]] Result<bool> submit(uint64_t number, const Event& event) override;
  [[nodiscard]] tl::expected<void, Broken> poll(TimePoint until, Flight& flight) override;
  void withdraw(Flight& flight) override;
  // The pipe's bytes are the program's.
  bool can_recall() const override { return !outbox_.empty(); }
  void keep_bytes() override { outbox_.keep_bytes(); }
  void abandon() override;
  Error late(const Flight& flight) const override;

  void look_after_ending();
  [[nodiscard]] Result<void> exchange(Flight& flight);
  void write();
  [[nodiscard]] Result<void> read(Flight& flight);
  [[nodiscard]] Result<void> hear(std::string_view line, Flight& flight);
  [[nodiscard]] Result<void> hear(const ExecAnswer& answer, Flight& flight);
  std::optional<uint64_t> find(const Id& id, const Flight& flight) const;
  bool was_answered(const Id& id) const;
  void remember(const Id& id);
  [[nodiscard]] Result<void> look(const Flight& flight);
  Failure ended(const Flight& flight);
  Failure wrong(std::string what) const;
  std::string quoted(std::string_view text) const;

  ExecConfig config_;
  const std::string name_;
  ExecTalk talk_;
  Window window_;
  std::unique_ptr<ExecProcess> process_;
  std::unique_ptr<ExecProcess> ending_;  // the previous program, until it has ended
  ExecOutbox outbox_;
  ExecLines lines_;
  std::vector<char> input_;  // reused, to save allocations
  uint64_t expected_ = 1;    // the number of the next answer, if in order
  std::deque<Id> answered_;  // the latest
  TimePoint waiting_since_;  // since when an event waits for an answer
  std::optional<TimePoint> half_closed_since_;
  std::optional<Error> untold_;  // why the last program ended, if not yet reported
};

}  // namespace walspout
