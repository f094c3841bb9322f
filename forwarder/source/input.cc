#include "source/input.h"

#include <array>

namespace walspout {

namespace {

constexpr Duration kOld = std::chrono::minutes(1);  // older figures are not shown
constexpr std::array<std::string_view, 4> kWalStates = {"reserved", "extended", "unreserved",
                                                        "lost"};

void add_retained(std::vector<InputFigure>& figures, const RetainedWal& retained) {
  if (retained.at == TimePoint{} || Clock::now() - retained.at > kOld) return;
  const auto add = [&](std::optional<uint64_t> bytes, std::string_view member,
                       std::string_view metric, std::string_view help) {
    if (!bytes) return;
    figures.push_back({.value = *bytes, .member = member, .metric = metric, .help = help});
  };
  add(retained.bytes, "retained_bytes", "walspout_slot_retained_bytes",
      "WAL that the server keeps for the slot.");
  add(retained.limit, "retained_limit_bytes", "walspout_slot_retained_limit_bytes",
      "WAL that the server keeps for a slot at most; missing: there is no limit.");
  add(retained.safe, "safe_wal_size", "walspout_slot_safe_bytes",
      "WAL that can be written before the slot may be lost; missing: there is no limit.");
  if (retained.status.empty()) return;
  figures.push_back({.value = retained.status, .member = "wal_status"});
  for (const std::string_view state : kWalStates) {
    figures.push_back({.value = uint64_t{state == retained.status},
                       .metric = "walspout_slot_wal_status",
                       .help = "1 for the state of the slot's WAL, as the server reports it.",
                       .label = "wal_status",
                       .label_value = state});
  }
}

}  // namespace

std::vector<InputFigure> SlotInput::figures() const {
  const uint64_t server = stats_.server_lsn;
  const uint64_t confirmed = stats_.confirmed_lsn;
  const uint64_t lag = confirmed && server > confirmed ? server - confirmed : 0;
  std::vector<InputFigure> figures = {
      {.value = slot_, .member = "slot"},
      {.value = lag,
       .member = "lag_bytes",
       .metric = "walspout_lag_bytes",
       .help = "WAL of the server that is not confirmed yet."},
      {.value = to_string(Lsn{stats_.received_lsn}), .member = "received_lsn"},
      {.value = to_string(Lsn{confirmed}), .member = "confirmed_lsn"},
      {.value = confirmed,
       .metric = "walspout_confirmed_lsn",
       .help = "Position confirmed to the server."},
      {.value = stats_.transactions.load(),
       .member = "transactions",
       .metric = "walspout_source_transactions_total",
       .help = "Transactions received.",
       .counts = true},
  };
  add_retained(figures, stats_.retained.get());
  return figures;
}

std::optional<SourceState> SlotInput::state() const {
  const uint64_t start = stats_.start_lsn;
  if (start == SourceStats::kNotYet) return std::nullopt;
  SourceState state{Lsn{start}, false, stats_.identity.get(), max_value_bytes_};
  state.plain_numbers = plain_numbers_;
  state.max_depth = max_depth_;
  return state;
}

}  // namespace walspout
