// `walspout backfill`: requests that the existing rows of tables are sent, shows the progress of
// such requests, and ends, pauses or resumes them.
//
// `run` does the work, perhaps elsewhere: this command only changes the table walspout.backfills.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include "backfill/statements.h"
#include "command/commands.h"
#include "postgres/connection.h"
#include "source/options.h"

namespace walspout {

namespace {

constexpr Duration kAnswer = std::chrono::seconds(30);
constexpr Duration kRefresh = std::chrono::seconds(1);

// How fast rows come, and how long the rest takes. Empty: nothing is known of that.
std::string pace(uint64_t rows, double seconds, const std::string& done, const std::string& all) {
  if (rows == 0 || seconds <= 0) return {};
  const double rate = static_cast<double>(rows) / seconds;
  std::string said = ", " + std::to_string(std::llround(rate)) + " a second";
  const double left = std::strtod(all.c_str(), nullptr) - std::strtod(done.c_str(), nullptr);
  if (left > 0) said += ", about " + std::to_string(std::llround(left / rate)) + " s left";
  return said;
}

class BackfillCommand {
 public:
  BackfillCommand(const BackfillOptions& options, const PipelineConfig& pipeline)
      : options_(options), source_(pipeline.source) {}

  int run();

 private:
  std::optional<std::vector<Row>> ask(const std::string& statement);
  int request();
  int change(const std::string& function);
  int show();
  int follow(const std::string& id, const std::string& table);
  std::string where() const;

  const BackfillOptions& options_;
  const SourceConfig& source_;
  Wake wake_;
  std::optional<Connection> connection_;
};

int BackfillCommand::run() {
  auto opened = Connection::open(rendering_dsn(source_), Connection::Mode::kOrdinary,
                                 Clock::now() + kAnswer, wake_, [] { return false; });
  if (!opened) {
    std::fprintf(stderr, "walspout: %s\n", opened.error().message().c_str());
    return kFailed;
  }
  connection_.emplace(std::move(*opened));
  const auto there = ask(find_extension());
  if (!there) return kFailed;
  if (there->empty() || text(there->front(), 0) != "t") {
    std::fprintf(stderr,
                 "walspout: the extension is not in database \"%s\": CREATE EXTENSION walspout\n",
                 connection_->database().c_str());
    return kFailed;
  }
  if (options_.status) return show();
  if (text(there->front(), 1) == "t") {
    std::fprintf(stderr, "walspout: %s\n", std::string(kNoStandby).c_str());
    return kFailed;
  }
  if (options_.cancel) return change("backfill_cancel");
  if (options_.pause) return change("backfill_pause");
  if (options_.resume) return change("backfill_resume");
  return request();
}

std::optional<std::vector<Row>> BackfillCommand::ask(const std::string& statement) {
  auto rows = connection_->query(statement, Clock::now() + kAnswer);
  if (rows) return std::move(*rows);
  std::string said = rows.error().error.what;
  if (rows.error().sqlstate == "42501") {
    said +=
        ". The role needs: GRANT USAGE ON SCHEMA walspout, GRANT SELECT, INSERT, UPDATE ON "
        "walspout.backfills, GRANT SELECT, INSERT, DELETE ON walspout.backfill_keys, GRANT EXECUTE "
        "ON ALL FUNCTIONS IN SCHEMA walspout, and GRANT "
        "SELECT on the table";
  }
  std::fprintf(stderr, "walspout: %s\n", said.c_str());
  return std::nullopt;
}

int BackfillCommand::request() {
  std::vector<std::pair<std::string, std::string>> requested;
  bool all = true;
  for (const std::string& table : options_.tables) {
    const std::string where =
        options_.where.empty() ? "NULL" : Connection::quote_literal(options_.where);
    const std::string rate = options_.rate ? std::to_string(options_.rate) : "NULL";
    // `run` would find the same mistake later, and only report it in the status.
    if (!ask(check_request(source_, table, options_.where))) {
      all = false;
      continue;
    }
    const auto rows = ask("SELECT walspout.backfill(" + Connection::quote_literal(table) +
                          "::pg_catalog.regclass, " + Connection::quote_literal(source_.slot) +
                          ", " + where + ", " + rate + ")");
    all = all && rows;
    if (!rows || rows->empty()) continue;
    requested.emplace_back(text(rows->front(), 0), table);
    std::printf("requested backfill %s of %s\n", text(rows->front(), 0).c_str(), table.c_str());
  }
  std::fflush(stdout);
  if (!isatty(STDOUT_FILENO)) return all ? kClean : kFailed;
  for (const auto& [id, table] : requested) all = follow(id, table) == kClean && all;
  return all ? kClean : kFailed;
}

// Shows one line on a terminal until that backfill ends. The backfill continues if this command is
// ended.
int BackfillCommand::follow(const std::string& id, const std::string& table) {
  std::optional<uint64_t> first;
  const TimePoint began = Clock::now();
  while (true) {
    const auto rows =
        ask("SELECT state, rows, estimate, error FROM walspout.backfills WHERE id = " + id);
    if (!rows || rows->empty()) return kFailed;
    const Row& row = rows->front();
    const std::string state = text(row, 0);
    const uint64_t done = std::stoull("0" + text(row, 1));
    const std::string of = row[2] && state != "done" ? " of about " + text(row, 2) : "";
    if (!first) first = done;
    const std::chrono::duration<double> passed = Clock::now() - began;
    // A table that changes begins again, with no rows.
    const uint64_t rows_since = done > *first ? done - *first : 0;
    std::printf("\r%s: %s, %s%s rows%s \033[K", table.c_str(), state.c_str(), text(row, 1).c_str(),
                of.c_str(), pace(rows_since, passed.count(), text(row, 1), text(row, 2)).c_str());
    std::fflush(stdout);
    if (state == "done" || state == "canceled" || state == "failed") {
      std::printf("\n");
      if (row[3]) std::fprintf(stderr, "walspout: %s\n", text(row, 3).c_str());
      return state == "done" ? kClean : kFailed;
    }
    std::this_thread::sleep_for(kRefresh);
  }
}

// Selects the requests of the named tables, or of all tables.
std::string BackfillCommand::where() const {
  std::string which = "b.slot = " + Connection::quote_literal(source_.slot);
  std::string tables;
  for (const std::string& table : options_.tables) {
    tables += (tables.empty() ? "" : ", ") + Connection::quote_literal(table) +
              "::pg_catalog.regclass::pg_catalog.oid";
  }
  if (!tables.empty()) which += " AND b.relation IN (" + tables + ")";
  return which;
}

int BackfillCommand::change(const std::string& function) {
  const std::string states = options_.resume ? "'paused'"
                                             : "'requested', 'waiting', 'running'" +
                                                   std::string(options_.cancel ? ", 'paused'" : "");
  const auto rows = ask("SELECT b.id, b.\"table\", walspout." + function +
                        "(b.id) FROM walspout.backfills b WHERE " + where() + " AND b.state IN (" +
                        states + ") ORDER BY b.id");
  if (!rows) return kFailed;
  const char* done = options_.cancel ? "canceled" : options_.pause ? "paused" : "resumed";
  for (const Row& row : *rows) {
    std::printf("%s backfill %s of %s\n", done, text(row, 0).c_str(), text(row, 1).c_str());
  }
  if (rows->empty()) std::printf("there is no backfill that can be %s\n", done);
  return kClean;
}

int BackfillCommand::show() {
  const auto rows = ask(
      "SELECT b.id, b.\"table\", b.state, b.rows, b.estimate, b.error, CASE b.state WHEN 'running' "
      "THEN extract(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) b.started) END "
      "FROM walspout.backfills b WHERE " +
      where() + " ORDER BY b.id");
  if (!rows) return kFailed;
  for (const Row& row : *rows) {
    const double seconds = std::strtod(text(row, 6).c_str(), nullptr);
    std::printf("%s\t%s\t%s\t%s rows%s%s%s\n", text(row, 0).c_str(), text(row, 1).c_str(),
                text(row, 2).c_str(), text(row, 3).c_str(),
                row[4] && text(row, 2) != "done" ? (" of about " + text(row, 4)).c_str() : "",
                pace(std::stoull("0" + text(row, 3)), seconds, text(row, 3), text(row, 4)).c_str(),
                row[5] ? ("\t" + text(row, 5)).c_str() : "");
  }
  // While `run` cannot save the progress, the slot keeps WAL.
  const auto kept = ask(find_kept(source_.slot));
  if (kept && !kept->empty()) {
    std::printf("slot \"%s\" keeps %s bytes of WAL that are not confirmed\n", source_.slot.c_str(),
                text(kept->front(), 0).c_str());
  }
  return kClean;
}

}  // namespace

int backfill_command(const BackfillOptions& options) {
  std::optional<Config> config = configuration(options.config);
  if (!config) return kUsage;
  std::vector<const PipelineConfig*> chosen;
  std::string names;
  for (const PipelineConfig& pipeline : config->pipelines) {
    names += (names.empty() ? "" : ", ") + pipeline.name;
    if (options.pipeline.empty() || pipeline.name == options.pipeline) chosen.push_back(&pipeline);
  }
  if (chosen.size() != 1) {
    std::fprintf(stderr, "walspout: pass --pipeline with one of: %s\n", names.c_str());
    return kUsage;
  }
  const int changes = options.status + options.cancel + options.pause + options.resume;
  if (changes > 1) {
    std::fprintf(stderr, "walspout: --status, --cancel, --pause and --resume exclude each other\n");
    return kUsage;
  }
  if (options.tables.empty() && changes == 0) {
    std::fprintf(stderr, "walspout: name the tables, as SCHEMA.TABLE\n");
    return kUsage;
  }
  for (const std::string& table : options.tables) {
    if (table.find('.') != std::string::npos) continue;
    std::fprintf(stderr, "walspout: \"%s\" has no schema: name the table as SCHEMA.TABLE\n",
                 table.c_str());
    return kUsage;
  }
  return BackfillCommand(options, *chosen.front()).run();
}

}  // namespace walspout
