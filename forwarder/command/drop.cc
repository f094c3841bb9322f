// `walspout drop`: drops the slots of a configuration. The server then forgets undelivered changes.
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "backfill/restart_file.h"
#include "backfill/statements.h"
#include "backfill/tables.h"
#include "command/commands.h"
#include "postgres/connection.h"
#include "source/publication.h"
#include "source/state_file.h"

namespace walspout {

namespace {

constexpr Duration kAnswer = std::chrono::seconds(10);

// Drops only the publication that was created for the slot's patterns. It stays if the
// configuration has no patterns.
bool drop_publication(Connection& connection, const SourceConfig& source) {
  if (source.tables.empty()) return true;
  const std::string name = own_publication(source.slot);
  const auto fail = [&](const std::string& why) {
    std::fprintf(stderr, "walspout: could not drop publication \"%s\": %s\n", name.c_str(),
                 why.c_str());
    return false;
  };
  auto found = connection.query(find_publication(source.slot), Clock::now() + kAnswer);
  if (!found) return fail(found.error().error.message());
  const PublicationView view = publication_view(found->empty() ? Row{} : found->front());
  if (!view.exists) return true;
  if (!view.is_ours) {
    std::printf("publication \"%s\" stays: walspout has not created it\n", name.c_str());
    return true;
  }
  auto dropped =
      connection.query("DROP PUBLICATION " + Connection::quote_name(name), Clock::now() + kAnswer);
  if (!dropped) return fail(dropped.error().error.message());
  std::printf("dropped publication \"%s\"\n", name.c_str());
  return true;
}

// The slot's requests mean nothing without the slot: they would seem to wait.
void drop_requests(Connection& connection, const std::string& slot) {
  const TimePoint deadline = Clock::now() + kAnswer;
  const auto ask = [&](const std::string& statement) -> std::optional<std::vector<Row>> {
    auto rows = connection.query(statement, deadline);
    if (rows) return std::move(*rows);
    std::fprintf(stderr, "walspout: could not remove the backfills of slot \"%s\": %s\n",
                 slot.c_str(), rows.error().error.message().c_str());
    return std::nullopt;
  };
  const auto may = ask(find_rights_to_drop());
  if (!may || may->empty()) return;  // there is no such table
  const bool remove = text(may->front(), 0) == "t";
  if (!remove && text(may->front(), 1) != "t") {
    std::printf(
        "backfills of slot \"%s\" in walspout.backfills stay: the role may not change them\n",
        slot.c_str());
    return;
  }
  const auto done = ask(remove ? drop_requests_of(slot) : cancel_requests(slot) + " RETURNING id");
  if (!done || done->empty()) return;
  std::printf("%s %zu %s of slot \"%s\"%s\n", remove ? "removed" : "canceled", done->size(),
              done->size() == 1 ? "backfill" : "backfills", slot.c_str(),
              remove ? "" : ": the role may not remove them");
}

// Which tables were known to be published. A role without the right leaves them: a new slot of that
// name replaces them.
void forget_tables(Connection& connection, const std::string& slot) {
  const TimePoint deadline = Clock::now() + kAnswer;
  auto may = connection.query(find_right_to_forget(), deadline);
  if (!may || may->empty() || text(may->front(), 0) != "t") return;
  auto done = connection.query(forget_slot(slot), deadline);
  if (done) return;
  std::fprintf(stderr,
               "walspout: could not remove the rows of slot \"%s\" in walspout.tables: %s\n",
               slot.c_str(), done.error().error.message().c_str());
}

bool drop_slot(const PipelineConfig& pipeline) {
  if (pipeline.source.kafka) {
    std::printf(
        "pipeline \"%s\" reads Kafka and has no slot. To forget where its group is: "
        "kafka-consumer-groups.sh --delete --group %s\n",
        pipeline.name.c_str(), pipeline.source.kafka->group.c_str());
    return true;
  }
  Wake wake;
  auto connection = Connection::open(pipeline.source.dsn, Connection::Mode::kOrdinary,
                                     Clock::now() + kAnswer, wake, [] { return false; });
  if (!connection) {
    std::fprintf(stderr, "walspout: %s\n", connection.error().message().c_str());
    return false;
  }
  auto dropped = connection->query(
      "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM "
      "pg_catalog.pg_replication_slots WHERE plugin = 'walspout' AND slot_name = " +
          Connection::quote_literal(pipeline.source.slot),
      Clock::now() + kAnswer);
  if (!dropped) {
    std::fprintf(stderr, "walspout: could not drop slot \"%s\": %s\n", pipeline.source.slot.c_str(),
                 dropped.error().error.message().c_str());
    return false;
  }
  // Remove all records of the dropped slot.
  if (!pipeline.state.empty()) {
    std::remove(StateFile(pipeline.state, pipeline.name).path().c_str());
    RestartFile(pipeline.state, pipeline.name, pipeline.source.slot).remove();
  }
  for (const SinkConfig& sink : pipeline.sinks) {
    const std::string memory = memory_of(sink);
    if (!memory.empty()) std::remove(memory.c_str());
  }
  if (!dropped->empty()) {
    std::printf("dropped slot \"%s\"\n", pipeline.source.slot.c_str());
  } else {
    std::printf("nothing to drop: there is no slot \"%s\" of walspout at %s\n",
                pipeline.source.slot.c_str(), connection->endpoint().c_str());
  }
  drop_requests(*connection, pipeline.source.slot);
  forget_tables(*connection, pipeline.source.slot);
  return drop_publication(*connection, pipeline.source);
}

}  // namespace

int drop_command(const std::string& path, bool yes) {
  std::optional<Config> config = configuration(path);
  if (!config) return kUsage;
  if (!yes) {
    for (const PipelineConfig& pipeline : config->pipelines) {
      std::fprintf(stderr, "will drop slot \"%s\": changes that are not delivered yet are lost\n",
                   pipeline.source.slot.c_str());
      if (pipeline.source.tables.empty()) continue;
      std::fprintf(stderr, "will drop publication \"%s\" if walspout has created it\n",
                   own_publication(pipeline.source.slot).c_str());
    }
    if (!isatty(STDIN_FILENO)) {
      std::fprintf(stderr, "pass --yes to confirm\n");
      return kUsage;
    }
    std::fprintf(stderr, "go on? [y/N] ");
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "y" && answer != "yes") return kClean;
  }
  bool all = true;
  for (const PipelineConfig& pipeline : config->pipelines) all = drop_slot(pipeline) && all;
  return all ? kClean : kFailed;
}

}  // namespace walspout
