// `walspout compare`: whether the tables that a Postgres sink fills have the rows of the source.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "command/commands.h"
#include "command/copies.h"
#include "compare/comparison.h"
#include "compare/pair.h"
#include "source/slot.h"

namespace walspout {
namespace {

const char* word(Difference::Kind kind) {
  switch (kind) {
    case Difference::Kind::kMissing:
      return "missing";
    case Difference::Kind::kExtra:
      return "extra";
    case Difference::Kind::kDifferent:
      return "different";
    case Difference::Kind::kUnsettled:
      break;
  }
  return "unsettled";
}

std::string key_object(const TablePair& pair, const KeyTexts& key) {
  std::string object = "{";
  for (size_t i = 0; i < key.size(); i++) {
    if (i > 0) object += ',';
    append_member(object, pair.key[i], key[i]);
  }
  return object + "}";
}

std::string list(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

// Progress is a terminal line that the next line replaces.
class Screen {
 public:
  explicit Screen(bool json)
      : json_(json),
        aligned_(!json && isatty(STDOUT_FILENO) != 0),
        progress_(isatty(STDERR_FILENO) != 0) {}

  void progress(const std::string& table, uint64_t rows, uint64_t estimate) {
    if (!progress_) return;
    std::string of;
    if (estimate > 0) {
      of = " of about " + std::to_string(std::max(rows, estimate));
    }
    std::fprintf(stderr, "\r%s: %" PRIu64 "%s rows\033[K", table.c_str(), rows, of.c_str());
    std::fflush(stderr);
    is_dirty_ = true;
  }
  void note(const std::string& table, const std::string& what) {
    clear();
    std::fprintf(stderr, "walspout: %s%s%s\n", table.c_str(), table.empty() ? "" : ": ",
                 what.c_str());
  }
  void row(const TablePair& pair, const Difference& difference);
  void table(const TablePair& pair, const TableOutcome& outcome);

 private:
  void clear() {
    if (is_dirty_) std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
    is_dirty_ = false;
  }
  void line(const std::string& what, const std::string& table, const std::string& more);

  const bool json_;
  const bool aligned_;
  const bool progress_;
  bool is_dirty_ = false;
};

void Screen::line(const std::string& what, const std::string& table, const std::string& more) {
  clear();
  if (aligned_) {
    std::printf("%-10s %s  %s\n", what.c_str(), table.c_str(), more.c_str());
  } else {
    std::printf("%s\t%s\t%s\n", what.c_str(), table.c_str(), more.c_str());
  }
  std::fflush(stdout);
}

void Screen::row(const TablePair& pair, const Difference& difference) {
  const std::string key = key_object(pair, difference.key);
  if (!json_) {
    const std::string columns = list(difference.columns);
    line(word(difference.kind), pair.source_name,
         key + (columns.empty() ? "" : (aligned_ ? "  " : "\t") + columns));
    return;
  }
  std::string out = "{";
  append_member(out, "table", pair.source_name);
  out += ',';
  append_member(out, "target", pair.target_name);
  out += ',';
  append_member(out, "row", word(difference.kind));
  out += R"(,"key":)" + key + R"(,"columns":[)";
  for (size_t i = 0; i < difference.columns.size(); i++) {
    if (i > 0) out += ',';
    append_json(out, difference.columns[i]);
  }
  std::printf("%s]}\n", out.c_str());
  std::fflush(stdout);
}

void Screen::table(const TablePair& pair, const TableOutcome& outcome) {
  const std::array<std::pair<const char*, uint64_t>, 4> counts = {{
      {"missing", outcome.missing},
      {"extra", outcome.extra},
      {"different", outcome.different},
      {"unsettled", outcome.unsettled},
  }};
  const char* result = outcome.is_equal() ? "equal" : "DIFFERS";
  if (!json_) {
    std::string more =
        std::to_string(outcome.source_rows) + (outcome.source_rows == 1 ? " row" : " rows");
    if (outcome.target_rows != outcome.source_rows) {
      more += " in the source, " + std::to_string(outcome.target_rows) + " in the target";
    }
    for (const auto& [what, count] : counts) {
      if (count > 0) more += ", " + std::to_string(count) + " " + what;
    }
    if (!outcome.whole.empty()) more += "; " + outcome.whole;
    if (outcome.stopped) more += "; ended at the limit, there may be more";
    if (pair.key.empty()) more += "; compared as a whole";
    line(result, pair.source_name, more);
    return;
  }
  clear();
  std::string out = "{";
  append_member(out, "table", pair.source_name);
  out += ',';
  append_member(out, "target", pair.target_name);
  out += ',';
  append_member(out, "result", outcome.is_equal() ? "equal" : "different");
  out += R"(,"source_rows":)" + std::to_string(outcome.source_rows) + R"(,"target_rows":)" +
         std::to_string(outcome.target_rows);
  for (const auto& [what, count] : counts) {
    out += std::string(",\"") + what + "\":" + std::to_string(count);
  }
  std::printf("%s,\"complete\":%s}\n", out.c_str(), outcome.stopped ? "false" : "true");
  std::fflush(stdout);
}

class CompareCommand {
 public:
  CompareCommand(const CompareOptions& options, CopiesCommand& command)
      : options_(options), command_(command), screen_(options.json) {}

  int run();

 private:
  // False: the patterns of the command line match no table.
  bool choose(std::vector<PublishedTable>& tables);
  std::string position_query();
  Result<bool> compare(const PublishedTable& table);

  const CompareOptions& options_;
  CopiesCommand& command_;
  Screen screen_;
  std::optional<CopyServers> servers_;
  std::optional<ComparePosition> position_;
  Servers how_;
};

int CompareCommand::run() {
  auto opened = command_.open();
  if (!opened) {
    screen_.note("", opened.error().message());
    return kFailed;
  }
  servers_.emplace(std::move(*opened));
  auto tables = command_.tables(servers_->source);
  const auto how =
      look_at_servers(servers_->source, servers_->target, Clock::now() + CopiesCommand::kPatience);
  if (!tables || !how) {
    screen_.note("", (!tables ? tables.error() : how.error()).message());
    return kFailed;
  }
  how_ = *how;
  if (!choose(*tables)) return kUsage;
  position_.emplace(servers_->source, servers_->target, command_.source().slot, position_query());
  const auto is_read = position_->is_read(Clock::now() + CopiesCommand::kPatience);
  if (is_read && !*is_read) {
    screen_.note("", "no process reads slot \"" + command_.source().slot +
                         "\": start `walspout run`, or rows that differ may stay unsettled");
  }
  bool all = true;
  for (const PublishedTable& table : *tables) {
    const auto equal = compare(table);
    if (!equal) screen_.note(table.schema + "." + table.name, equal.error().message());
    all = all && equal && *equal;
    const bool is_usable = servers_->source.is_usable() && servers_->target.is_usable();
    if (!equal && !is_usable) return kFailed;
  }
  return all ? kClean : kFailed;
}

bool CompareCommand::choose(std::vector<PublishedTable>& tables) {
  if (options_.tables.empty()) {
    if (tables.empty()) screen_.note("", "the source sends no table to the sink");
    return !tables.empty();
  }
  std::vector<TablePattern> patterns;
  for (const std::string& pattern : options_.tables) {
    if (const std::string wrong = TablePattern::problem(pattern); !wrong.empty()) {
      screen_.note("", "TABLE " + wrong);
      return false;
    }
    patterns.emplace_back(pattern);
    const bool is_there =
        std::any_of(tables.begin(), tables.end(), [&](const PublishedTable& table) {
          return patterns.back().matches(table.schema, table.name);
        });
    if (is_there) continue;
    screen_.note("", "\"" + pattern + "\" matches no table that the source sends to the sink");
    return false;
  }
  std::erase_if(tables, [&](const PublishedTable& table) {
    return std::none_of(patterns.begin(), patterns.end(), [&](const TablePattern& pattern) {
      return pattern.matches(table.schema, table.name);
    });
  });
  return true;
}

// Without the right to ask which server this is, only the slot shows how far the target is.
std::string CompareCommand::position_query() {
  Connection& source = servers_->source;
  auto system = source.query(find_system(), Clock::now() + CopiesCommand::kPatience);
  if (!system || system->empty()) return "";
  return command_.copies().position_query(
      source_identity(text(system->front(), 0), command_.source().slot, source.database()));
}

Result<bool> CompareCommand::compare(const PublishedTable& table) {
  const TimePoint deadline = Clock::now() + CopiesCommand::kPatience;
  auto sent = look_at_sent(servers_->source, command_.source(), table.schema, table.name, table.oid,
                           deadline);
  if (!sent) return Failure(sent.error());
  const auto& only = command_.sink().only;
  if (only && !only->ops.empty()) {
    const auto wants = [&only](const char* op) {
      return std::find(only->ops.begin(), only->ops.end(), op) != only->ops.end();
    };
    sent->sends_updates = sent->sends_updates && wants("u");
    sent->sends_deletes = sent->sends_deletes && wants("d");
  }
  auto copied = command_.copies().find(servers_->target, sent->table, deadline);
  if (!copied) return Failure(copied.error());
  if (!*copied) return true;  // its rows go nowhere
  const auto pair = make_pair(servers_->source, servers_->target, *sent, **copied, how_, deadline);
  if (!pair) return Failure(pair.error());
  for (const std::string& note : pair->notes) screen_.note(pair->source_name, note);
  auto estimate = servers_->source.query(find_estimate(pair->schema, pair->table), deadline);
  const uint64_t rows =
      estimate && !estimate->empty() ? std::stoull("0" + text(estimate->front(), 0)) : 0;
  const CompareSettings settings{std::chrono::seconds(options_.wait),
                                 static_cast<uint64_t>(options_.limit)};
  screen_.progress(pair->source_name, 0, rows);
  auto outcome = Comparison(
                     servers_->source, servers_->target, *position_, *pair, settings,
                     [&](const Difference& difference) { screen_.row(*pair, difference); },
                     [&](uint64_t done) { screen_.progress(pair->source_name, done, rows); })
                     .run();
  if (!outcome) return Failure(outcome.error());
  screen_.table(*pair, *outcome);
  return outcome->is_equal();
}

}  // namespace

int compare_command(const CompareOptions& options) {
  const auto command = CopiesCommand::load(options.copies);
  if (!command) return kUsage;
  return CompareCommand(options, *command).run();
}

}  // namespace walspout
