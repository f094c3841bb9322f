#include "command/copies.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace walspout {

std::unique_ptr<CopiesCommand> CopiesCommand::load(const CopiesOptions& options) {
  std::optional<Config> config = configuration(options.config);
  if (!config) return nullptr;
  std::unique_ptr<CopiesCommand> made(new CopiesCommand);
  made->config_ = std::move(*config);
  std::string names;
  size_t found = 0;
  for (const PipelineConfig& pipeline : made->config_.pipelines) {
    if (pipeline.source.kafka) continue;
    for (const SinkConfig& sink : pipeline.sinks) {
      if (!sink.type->copies) continue;
      names +=
          (names.empty() ? "" : ", ") + ("--pipeline " + pipeline.name) + " --sink " + sink.name;
      const bool is_meant = (options.pipeline.empty() || options.pipeline == pipeline.name) &&
                            (options.sink.empty() || options.sink == sink.name);
      if (!is_meant) continue;
      found++;
      made->pipeline_ = &pipeline;
      made->sink_ = &sink;
    }
  }
  if (names.empty()) {
    std::fprintf(stderr,
                 "walspout: no pipeline reads a slot and has a sink of the type postgres\n");
    return nullptr;
  }
  if (found != 1) {
    std::fprintf(stderr, "walspout: say which sink is meant: %s\n", names.c_str());
    return nullptr;
  }
  auto copies = made->sink_->type->copies(made->sink_->options);
  if (!copies) {
    std::fprintf(stderr, "walspout: sink \"%s\": %s\n", made->sink_->name.c_str(),
                 copies.error().message().c_str());
    return nullptr;
  }
  made->copies_ = std::move(*copies);
  return made;
}

Result<CopyServers> CopiesCommand::open() const {
  auto here = Connection::open(source().dsn, Connection::Mode::kOrdinary, Clock::now() + kPatience,
                               here_, [] { return false; });
  if (!here) return with_prefix("source", here.error());
  auto there =
      Connection::open(copies_->dsn(), Connection::Mode::kOrdinary,
                       Clock::now() + copies_->connect_timeout(), there_, [] { return false; });
  if (!there) return with_prefix("target", there.error());
  return CopyServers{std::move(*here), std::move(*there)};
}

Result<std::vector<PublishedTable>> CopiesCommand::tables(Connection& connection) const {
  auto rows = connection.query(find_published(source(), connection.server_version()),
                               Clock::now() + kPatience);
  if (!rows) return Failure(std::move(rows.error().error));
  OnlyConfig only;
  if (sink_->only) only.tables = sink_->only->tables;
  Only wanted(only);
  std::vector<PublishedTable> tables;
  for (const Row& row : *rows) {
    PublishedTable published = published_table(row);
    const Table table{published.schema, published.name};
    Event event;
    event.op = 'c';
    event.table = &table;
    if (wanted.wants(event)) tables.push_back(std::move(published));
  }
  return tables;
}

}  // namespace walspout
