#include "source/input.h"

namespace walspout {

std::vector<InputFigure> SlotInput::figures() const {
  const uint64_t server = stats_.server_lsn;
  const uint64_t confirmed = stats_.confirmed_lsn;
  const uint64_t lag = confirmed && server > confirmed ? server - confirmed : 0;
  return {
      {.value = slot_, .member = "slot"},
      {.value = lag,
       .member = "lag_bytes",
       .metric = "walspout_lag_bytes",
       .help = "Log of the server that is not confirmed yet."},
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
