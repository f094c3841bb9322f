// Rows of the source to rows of another Postgres.
//
// Each transaction of the target has whole transactions of the source, and writes the position of
// its last event (positions.h). So whatever ends the program, the connection or the target, each
// event is applied once. A transaction of the source that is still coming is applied as it comes,
// and committed at its end: deliver() then returns with a pause, and the transaction stays open.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/wake.h"
#include "sink/postgres/config.h"
#include "sink/postgres/positions.h"
#include "sink/postgres/session.h"
#include "sink/postgres/tables.h"
#include "sink/postgres/transaction.h"
#include "stream/sink.h"

namespace walspout {

class PostgresSink final : public Sink {
 public:
  // Error: kFatal. Connects to nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const PostgresConfig& config);

  std::string_view type() const override { return "postgres"; }
  std::string_view endpoint() const override { return name_; }
  BatchLimits limits() const override {
    return {.events = config_.max_transaction, .bytes = kBatchBytes, .barriers_alone = false};
  }
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return warnings_; }
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  void idle() override;
  void listen(Listener listener) override { listener_ = std::move(listener); }
  // A forwarder that another one has taken over from takes over again.
  [[nodiscard]] Result<void> reopen() override {
    owned_.reset();
    fenced_.reset();
    return {};
  }

 private:
  static constexpr size_t kBatchBytes = 8u << 20;
  // An open transaction holds locks in the target, which others may wait for.
  static constexpr Duration kLongestPause = std::chrono::seconds(5);
  // Statements stay prepared on a connection.
  static constexpr size_t kTables = 4'000;

  // A call of deliver(), without the events that are in the target already.
  struct Call {
    std::span<const Event> events;
    size_t skipped;
    TimePoint deadline;
    Progress& progress;
  };
  // A part of a call's events: a transaction of the target, or a part of one that stays open.
  struct Part {
    size_t begin;
    size_t end;
    bool stays_open;
    std::optional<Stop> stop{};  // why it ends there
  };

  PostgresSink(const PostgresConfig& config, PostgresTables::Routers routers, std::string name);

  [[nodiscard]] Result<void> open(TimePoint deadline);
  [[nodiscard]] Result<void> prepare(const Progress& progress, TimePoint deadline);
  void drop_session();
  void drop_transaction(TimePoint deadline);
  [[nodiscard]] Delivery run(Call& call);
  [[nodiscard]] Delivery apply(Call& call, Part part);
  [[nodiscard]] Delivery apply_carefully(Call& call, Part part);
  [[nodiscard]] Plan planned(const Call& call, Part& part);
  [[nodiscard]] Delivery conclude(Call& call, const Part& part, const Plan& plan);
  [[nodiscard]] Delivery failed(const Call& call, const Part& part, Trouble trouble);
  size_t resume(const Call& call);
  void remember(const Call& call, size_t end);
  std::string origin() const;

  const PostgresConfig config_;
  const std::string name_;
  const Wake wake_;  // never called
  PostgresPositions positions_;
  PostgresTables tables_;
  std::optional<PostgresSession> session_;
  std::optional<PostgresTransaction> transaction_;  // null: the session is not ready to deliver
  std::vector<std::pair<Lsn, uint64_t>> applied_;   // events in the open transaction
  std::vector<size_t> dropped_;                     // likewise, those that change nothing
  bool careful_ = false;                            // how the open transaction goes on
  TimePoint touched_;                               // when the transaction was last at work
  std::optional<uint64_t> owned_;                   // the position, in that term of the slot
  std::optional<uint64_t> fenced_;                  // likewise: another one has taken over
  std::vector<std::string> warnings_;
  Listener listener_;
};

}  // namespace walspout
