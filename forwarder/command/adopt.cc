// `walspout adopt`: after pg_upgrade, lets a pipeline continue with the slot of the new server.
//
// Only the record in `state` is changed. The new server alone cannot show whether the slot
// continues what was delivered: pg_upgrade made sure that the old slot had read everything. So the
// command refuses whatever contradicts an upgrade, and a person confirms the rest.
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "command/commands.h"
#include "postgres/connection.h"
#include "source/slot.h"
#include "source/state_file.h"

namespace walspout {

namespace {

constexpr Duration kPatience = std::chrono::seconds(10);
constexpr int kSlotStatistics = 140000;
constexpr int kCarriesSlots = 170000;

class Adoption {
 public:
  explicit Adoption(const PipelineConfig& config)
      : config_(config), file_(config.state, config.name) {}

  // Looks at the record and the server. Whether they can be reconciled, or already agree.
  bool examine();
  bool is_needed() const { return needed_; }
  bool write();

 private:
  bool refuse(const std::string& why);
  Result<void> look();
  std::string against(const Row& slot, const Row& read) const;
  void show() const;

  const PipelineConfig& config_;
  const StateFile file_;
  Wake wake_;
  SlotRecord record_;
  ServerState server_;
  int server_version_ = 0;
  std::string objection_;
  bool needed_ = false;
};

bool Adoption::refuse(const std::string& why) {
  std::fprintf(stderr, "pipeline \"%s\": %s\n", config_.name.c_str(), why.c_str());
  return false;
}

bool Adoption::examine() {
  Result<std::optional<SlotRecord>> record = file_.read(config_.source.slot);
  if (!record) return refuse(record.error().message());
  if (!*record) {
    std::printf("pipeline \"%s\": slot \"%s\" has no record, `run` continues at its position\n",
                config_.name.c_str(), config_.source.slot.c_str());
    return true;
  }
  record_ = **record;
  Result<void> looked = look();
  if (!looked) return refuse(looked.error().message());
  if (!objection_.empty()) {
    return refuse("slot \"" + config_.source.slot + "\" is not adopted: " + objection_ +
                  ". Bring the receivers in line with the database, then remove " + file_.path());
  }
  if (server_.system == record_.system) {
    std::printf("pipeline \"%s\": the server is the recorded one, there is nothing to adopt\n",
                config_.name.c_str());
    return true;
  }
  needed_ = true;
  show();
  return true;
}

Result<void> Adoption::look() {
  auto connection = Connection::open(config_.source.dsn, Connection::Mode::kReplication,
                                     Clock::now() + kPatience, wake_, [] { return false; });
  if (!connection) return Failure(std::move(connection.error()));
  Result<void> identified = Slot::identify(*connection, server_, Clock::now() + kPatience);
  if (!identified) return identified;
  if (server_.system == record_.system) return {};
  server_version_ = connection->server_version();
  const std::string name = Connection::quote_literal(config_.source.slot);
  auto slots = connection->query(
      "SELECT plugin, database = pg_catalog.current_database(), wal_status, active_pid, "
      "confirmed_flush_lsn, pg_catalog.pg_is_in_recovery() FROM pg_catalog.pg_replication_slots "
      "WHERE slot_name = " +
          name,
      Clock::now() + kPatience);
  if (!slots) return Failure(std::move(slots.error().error));
  Row read;
  if (connection->server_version() >= kSlotStatistics) {
    auto statistics = connection->query(
        "SELECT total_txns FROM pg_catalog.pg_stat_replication_slots WHERE slot_name = " + name,
        Clock::now() + kPatience);
    if (!statistics) return Failure(std::move(statistics.error().error));
    if (!statistics->empty()) read = statistics->front();
  }
  if (slots->empty()) {
    objection_ =
        "the server does not have it. pg_upgrade carries slots over from PostgreSQL 17 on, if the "
        "old slot had read everything";
    return {};
  }
  server_.slot_confirmed = parse_lsn(text(slots->front(), 4)).value_or(Lsn{});
  server_.in_recovery = text(slots->front(), 5) == "t";
  objection_ = against(slots->front(), read);
  return {};
}

// What contradicts a slot that pg_upgrade migrated and that nothing has read since.
std::string Adoption::against(const Row& slot, const Row& read) const {
  if (text(slot, 0) != "walspout") return "it is one of the plugin \"" + text(slot, 0) + "\"";
  if (text(slot, 1) != "t") return "it is one of another database";
  if (text(slot, 2) == "lost") return "it is lost";
  if (!text(slot, 3).empty()) return "process " + text(slot, 3) + " uses it";
  if (server_.in_recovery) return "the server is a standby, which pg_upgrade never makes";
  // pg_upgrade begins the new WAL after the end of the old WAL.
  if (server_.slot_confirmed < record_.reported) {
    return "it is at " + to_string(server_.slot_confirmed) + ", before what was delivered (" +
           to_string(record_.reported) + "), so pg_upgrade did not make it";
  }
  const std::string transactions = text(read, 0);
  if (!transactions.empty() && transactions != "0") {
    return transactions + " transactions were read from it by another program since it was created";
  }
  if (server_version_ < kCarriesSlots) {
    return "pg_upgrade carries no slots over to a server before PostgreSQL 17, so the slot was "
           "made "
           "by hand, and what was committed before that is not in it";
  }
  return "";
}

void Adoption::show() const {
  std::printf(
      "pipeline \"%s\", slot \"%s\"\n"
      "                       delivered from        goes on with\n"
      "  system identifier    %-20s  %s\n"
      "  timeline             %-20s  %s\n"
      "  position             %-20s  %s\n",
      config_.name.c_str(), config_.source.slot.c_str(), record_.system.c_str(),
      server_.system.c_str(), record_.timeline.c_str(), server_.timeline.c_str(),
      to_string(record_.reported).c_str(), to_string(server_.slot_confirmed).c_str());
  for (const SinkConfig& sink : config_.sinks) {
    if (sink.type->tie.empty()) continue;
    std::printf("  sink \"%s\": %s\n", sink.name.c_str(), sink.type->tie.c_str());
  }
}

bool Adoption::write() {
  const SlotRecord adopted{server_.system,
                           server_.timeline,
                           server_.slot_confirmed,
                           began_at(server_, server_.timeline),
                           {},
                           record_.options};
  Result<void> written = file_.write(config_.source.slot, adopted);
  if (!written) return refuse(written.error().message());
  std::printf("pipeline \"%s\": adopted\n", config_.name.c_str());
  return true;
}

bool is_confirmed() {
  std::fprintf(
      stderr,
      "Did pg_upgrade make this server, and is it true that since then no data was changed "
      "and the slot was not re-created? ");
  if (!isatty(STDIN_FILENO)) {
    std::fprintf(stderr, "Say --yes if so\n");
    return false;
  }
  std::fprintf(stderr, "[y/N] ");
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

}  // namespace

int adopt_command(const AdoptOptions& options) {
  std::optional<Config> config = configuration(options.config);
  if (!config) return kUsage;
  std::vector<std::unique_ptr<Adoption>> adoptions;
  bool known = options.pipeline.empty();
  bool well = true;
  for (const PipelineConfig& pipeline : config->pipelines) {
    if (!options.pipeline.empty() && pipeline.name != options.pipeline) continue;
    known = true;
    if (pipeline.source.kafka) continue;  // Kafka has no slots
    if (pipeline.state.empty()) {
      std::fprintf(stderr, "`state` is not configured, so there is no record to change\n");
      return kUsage;
    }
    adoptions.push_back(std::make_unique<Adoption>(pipeline));
    well = adoptions.back()->examine() && well;
  }
  if (!known) {
    std::fprintf(stderr, "there is no pipeline \"%s\"\n", options.pipeline.c_str());
    return kUsage;
  }
  if (!well) return kFailed;
  std::erase_if(adoptions, [](const auto& adoption) { return !adoption->is_needed(); });
  if (adoptions.empty()) return kClean;
  if (!options.yes && !is_confirmed()) return kUsage;
  for (const auto& adoption : adoptions) well = adoption->write() && well;
  return well ? kClean : kFailed;
}

}  // namespace walspout
