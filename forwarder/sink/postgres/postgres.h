// Writes rows of the source to another Postgres.
//
// A transaction of the target has whole transactions of the source, and writes the position of its
// last event (positions.h). So each event is applied once, whatever ends the program, the
// connection or the target. An incomplete transaction of the source is applied as it arrives, and
// committed at its end. Until then deliver() returns with a pause, and the transaction stays open.
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
  // Takes over again, after another forwarder took over.
  [[nodiscard]] Result<void> reopen() override {
    owned_.reset();
    fenced_.reset();
    return {};
  }

 private:
  static constexpr size_t kBatchBytes = 8u << 20;
  // An open transaction holds locks in the target, for which other sessions may wait.
  static constexpr Duration kLongestPause = std::chrono::seconds(5);
  // Limits the prepared statements of a connection.
  static constexpr size_t kTables = 4'000;

  // A call of deliver(), without the events that the target already has.
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
    std::optional<Stop> stop{};  // why the part ends there
  };

  PostgresSink(const PostgresConfig& config, PostgresTables::Routers routers, std::string name);

  [[nodiscard]] Result<void> open(TimePoint deadline);
  [[nodiscard]] Result<void> prepare(const Progress& progress, TimePoint deadline);
  void drop_session();
  void drop_transaction(TimePoint deadline);
  void note_rollback();
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
  std::optional<PostgresTransaction> transaction_;  // null: the session is not ready
  std::vector<std::pair<Lsn, uint64_t>> applied_;   // events in the open transaction
  std::vector<size_t> dropped_;                     // likewise, events that change nothing
  bool careful_ = false;                            // apply in the careful way
  TimePoint touched_;                               // when the transaction was last used
  size_t lasting_tables_ = 0;                       // looked at outside the open transaction
  // The last event of a transaction that was rolled back because its rest did not come.
  std::optional<std::pair<Lsn, uint64_t>> rolled_back_;
  std::optional<uint64_t> owned_;   // owned the position in this term of the slot
  std::optional<uint64_t> fenced_;  // another forwarder took over in this term
  std::vector<std::string> warnings_;
  Listener listener_;
};

}  // namespace walspout
