// Shared by `compare` and `sequences`: the selected sink, both servers, and the tables that are
// sent.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backfill/tables.h"
#include "base/wake.h"
#include "command/commands.h"
#include "postgres/connection.h"
#include "sink/sinks.h"

namespace walspout {

struct CopyServers {
  Connection source;
  Connection target;
};

class CopiesCommand {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(60);

  // No value: the error is on standard error, and the exit code is kUsage.
  static std::unique_ptr<CopiesCommand> load(const CopiesOptions& options);

  const PipelineConfig& pipeline() const { return *pipeline_; }
  const SourceConfig& source() const { return pipeline_->source; }
  const SinkConfig& sink() const { return *sink_; }
  Copies& copies() { return *copies_; }

  [[nodiscard]] Result<CopyServers> open() const;

  // The tables that the sink wants.
  [[nodiscard]] Result<std::vector<PublishedTable>> tables(Connection& source) const;

 private:
  CopiesCommand() = default;

  Config config_;
  const PipelineConfig* pipeline_ = nullptr;
  const SinkConfig* sink_ = nullptr;
  std::unique_ptr<Copies> copies_;
  Wake here_;
  Wake there_;
};

}  // namespace walspout
