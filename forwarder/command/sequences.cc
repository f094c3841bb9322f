// `walspout sequences`: copies the values of sequences to the target of a Postgres sink, before
// programs begin to write there. Logical decoding does not send sequences.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "base/json.h"
#include "command/commands.h"
#include "command/copies.h"
#include "compare/source_table.h"

namespace walspout {
namespace {

constexpr const char* kNoPrivilege = "42501";

std::string quote(std::string_view text) {
  return Connection::quote_literal(text);
}

std::string quoted(const std::string& schema, const std::string& name) {
  return Connection::quote_name(schema) + "." + Connection::quote_name(name);
}

// A sequence of the source.
struct Sequence {
  std::string schema;
  std::string name;
  std::string type;
  std::string increment;
  std::string table_oid;  // of the column that owns it; empty: none
  std::string column;
  bool is_identity = false;
  std::string last;  // the value
  bool is_called = false;

  std::string text() const { return schema + "." + name; }
};

// The result for one sequence.
struct Line {
  std::string source;
  std::string target;
  std::string source_value;
  std::string target_value;  // before the change
  std::string result;        // set, would set, kept, skipped, error
  std::string why{};
};

// Sequences of these schemas, and of columns anywhere. Not those of extensions. A partition takes
// its values from the sequence of the table that it is a part of.
std::string find_sequences(const std::vector<PublishedTable>& tables) {
  std::string schemas = "''";
  std::string oids = "0::pg_catalog.oid";
  std::set<std::string> known;
  for (const PublishedTable& table : tables) {
    oids += ", " + table.oid;
    if (known.insert(table.schema).second) schemas += ", " + quote(table.schema);
  }
  return "WITH sent(oid) AS (SELECT pg_catalog.unnest(ARRAY[" + oids +
         "])), owners(oid, sent) AS (SELECT s.oid, s.oid FROM sent s UNION SELECT p.relid, s.oid "
         "FROM "
         "sent s, LATERAL pg_catalog.pg_partition_ancestors(s.oid) p) SELECT n.nspname, c.relname, "
         "pg_catalog.format_type(s.seqtypid, NULL), s.seqincrement, o.sent, a.attname, d.deptype = "
         "'i' FROM pg_catalog.pg_sequence s JOIN "
         "pg_catalog.pg_class c ON c.oid = s.seqrelid JOIN pg_catalog.pg_namespace n ON n.oid = "
         "c.relnamespace LEFT JOIN pg_catalog.pg_depend d ON d.classid = "
         "'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.refclassid = "
         "'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', "
         "'i') LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = "
         "d.refobjsubid LEFT JOIN LATERAL (SELECT o.sent FROM owners o WHERE o.oid = d.refobjid "
         "ORDER BY o.sent <> o.oid, o.sent LIMIT 1) o ON true WHERE c.relpersistence = 'p' AND "
         "CASE WHEN d.refobjid IS NULL THEN "
         "n.nspname IN (" +
         schemas +
         ") AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = "
         "'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e') ELSE "
         "o.sent IS NOT NULL END ORDER BY 1, 2";
}

// The sequence that supplies a column of the target: whether table and column exist, whether the
// column may be null, and the sequence.
std::string find_sequence_of(const CopyPlace& place, const std::string& column) {
  const std::string of_class = "'pg_catalog.pg_class'::pg_catalog.regclass";
  return "SELECT c.oid IS NOT NULL, a.attnum IS NOT NULL, NOT a.attnotnull, s.nspname, s.relname "
         "FROM (VALUES (1)) one LEFT JOIN (pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "
         "n.oid = c.relnamespace) ON n.nspname = " +
         quote(place.schema) + " AND c.relname = " + quote(place.table) +
         " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT "
         "a.attisdropped AND a.attname = " +
         quote(column) +
         " LEFT JOIN LATERAL (SELECT m.nspname, q.relname FROM (SELECT d.objid, 1 FROM "
         "pg_catalog.pg_depend d WHERE d.classid = " +
         of_class + " AND d.refclassid = " + of_class +
         " AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i') UNION "
         "ALL SELECT d.refobjid, 2 FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d ON "
         "d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid AND "
         "d.refclassid = " +
         of_class +
         " WHERE f.adrelid = c.oid AND f.adnum = a.attnum) u(oid, rank) JOIN pg_catalog.pg_class q "
         "ON q.oid = u.oid AND q.relkind = 'S' JOIN pg_catalog.pg_namespace m ON m.oid = "
         "q.relnamespace ORDER BY u.rank LIMIT 1) s ON true";
}

// Whether the sequence is behind, its value, and whether both count in the same direction. Sets it
// in the same statement if it is behind. Compares the target's next value with its next value after
// that: the two sequences may have different steps.
std::string move_sequence(const Sequence& from, const std::string& to, bool dry_run) {
  const std::string name = quote(to) + "::pg_catalog.regclass";
  const std::string next =
      from.last + "::pg_catalog.numeric" + (from.is_called ? " + t.increment" : "");
  const bool falls = from.increment.starts_with('-');
  const std::string behind = "t.next " + std::string(falls ? ">" : "<") + " " + next;
  return "WITH t AS MATERIALIZED (SELECT s.last_value, s.last_value::pg_catalog.numeric + CASE "
         "WHEN s.is_called THEN q.seqincrement ELSE 0 END AS next, q.seqincrement AS increment, "
         "q.seqincrement " +
         std::string(falls ? "<" : ">") + " 0 AS fits FROM " + to +
         " s, pg_catalog.pg_sequence q WHERE q.seqrelid = " + name + ") SELECT t.last_value, " +
         behind + ", t.fits" +
         (dry_run ? ""
                  : ", CASE WHEN t.fits AND " + behind + " THEN pg_catalog.setval(" + name + ", " +
                        from.last + ", " + (from.is_called ? "true" : "false") + ") END") +
         " FROM t";
}

class Printer {
 public:
  explicit Printer(bool json) : json_(json), aligned_(isatty(STDOUT_FILENO) != 0) {}

  void add(const Line& line) {
    if (json_) {
      print_json(line);
    } else if (aligned_) {
      lines_.push_back(line);
    } else {
      std::printf("%s\t%s\t%s\t%s\t%s\t%s\n", line.result.c_str(), line.source.c_str(),
                  line.target.c_str(), line.source_value.c_str(), line.target_value.c_str(),
                  line.why.c_str());
    }
  }
  // Each column is as wide as its content.
  void finish() const;

 private:
  static void print_json(const Line& line) {
    std::string out = "{";
    append_member(out, "sequence", line.source);
    for (const auto& [name, value] :
         {std::pair<const char*, const std::string&>{"target", line.target},
          {"result", line.result},
          {"why", line.why}}) {
      if (value.empty()) continue;
      out += ',';
      append_member(out, name, value);
    }
    if (!line.source_value.empty()) out += ",\"source_value\":" + line.source_value;
    if (!line.target_value.empty()) out += ",\"target_value\":" + line.target_value;
    std::printf("%s}\n", out.c_str());
  }

  const bool json_;
  const bool aligned_;
  std::vector<Line> lines_;
};

void Printer::finish() const {
  if (lines_.empty()) return;
  using Member = std::string Line::*;
  const std::array<std::pair<const char*, Member>, 5> columns = {{{"", &Line::result},
                                                                  {"SEQUENCE", &Line::source},
                                                                  {"TARGET", &Line::target},
                                                                  {"VALUE", &Line::source_value},
                                                                  {"BEFORE", &Line::target_value}}};
  std::array<size_t, 5> widths{};
  for (size_t i = 0; i < columns.size(); i++) {
    widths[i] = std::string_view(columns[i].first).size();
    for (const Line& line : lines_) {
      widths[i] = std::max(widths[i], (line.*columns[i].second).size());
    }
  }
  for (size_t i = 0; i < columns.size(); i++) {
    std::printf("%-*s  ", static_cast<int>(widths[i]), columns[i].first);
  }
  std::printf("\n");
  for (const Line& line : lines_) {
    for (size_t i = 0; i < columns.size(); i++) {
      std::printf("%-*s  ", static_cast<int>(widths[i]), (line.*columns[i].second).c_str());
    }
    std::printf("%s\n", line.why.c_str());
  }
}

class SequencesCommand {
 public:
  SequencesCommand(const SequencesOptions& options, CopiesCommand& command)
      : options_(options), command_(command), printer_(options.json) {}

  int run();

 private:
  // Where a sequence goes, or why it goes nowhere.
  struct Goal {
    std::string schema;
    std::string name;
    std::string skipped{};  // the reason
    std::string error{};

    bool is_known() const { return skipped.empty() && error.empty(); }
  };

  Result<void> load();
  Result<Goal> goal(const Sequence& sequence);
  Result<Goal> goal_of_column(const Sequence& sequence);
  Result<std::optional<Goal>> named_alike(const Sequence& sequence);
  Result<const SentTable*> sent(const PublishedTable& table);
  Result<std::vector<Row>> ask(Connection& connection, const std::string& statement,
                               const std::string& right);
  Result<void> read(Sequence& sequence);
  Result<Line> copy(Sequence sequence);

  const SequencesOptions& options_;
  CopiesCommand& command_;
  Printer printer_;
  std::optional<CopyServers> servers_;
  std::vector<PublishedTable> tables_;
  std::vector<Sequence> sequences_;
  std::map<std::string, SentTable> sent_;  // by OID
};

Result<std::vector<Row>> SequencesCommand::ask(Connection& connection, const std::string& statement,
                                               const std::string& right) {
  auto rows = connection.query(statement, Clock::now() + CopiesCommand::kPatience);
  if (rows) return std::move(*rows);
  Error error = std::move(rows.error().error);
  if (rows.error().sqlstate == kNoPrivilege && !right.empty()) {
    error.what += ". The role needs: " + right;
  }
  return Failure(std::move(error));
}

Result<void> SequencesCommand::load() {
  auto opened = command_.open();
  if (!opened) return Failure(opened.error());
  servers_.emplace(std::move(*opened));
  auto tables = command_.tables(servers_->source);
  if (!tables) return Failure(tables.error());
  tables_ = std::move(*tables);
  auto rows = ask(servers_->source, find_sequences(tables_), "");
  if (!rows) return Failure(rows.error());
  for (const Row& row : *rows) {
    Sequence one{text(row, 0), text(row, 1),        text(row, 2), text(row, 3), text(row, 4),
                 text(row, 5), text(row, 6) == "t", "",           false};
    if (options_.owned && one.table_oid.empty()) continue;
    sequences_.push_back(std::move(one));
  }
  return {};
}

Result<const SentTable*> SequencesCommand::sent(const PublishedTable& table) {
  const auto known = sent_.find(table.oid);
  if (known != sent_.end()) return &known->second;
  auto found = look_at_sent(servers_->source, command_.source(), table.schema, table.name,
                            table.oid, Clock::now() + CopiesCommand::kPatience);
  if (!found) return Failure(found.error());
  return &(sent_[table.oid] = std::move(*found));
}

// A sequence that no column owns goes where a table of its name would go.
Result<std::optional<SequencesCommand::Goal>> SequencesCommand::named_alike(
    const Sequence& sequence) {
  auto place = command_.copies().place({sequence.schema, sequence.name, {}});
  if (!place) return Failure(place.error());
  if (!*place) return Goal{"", "", "the sink's `target` leads nowhere", ""};
  auto rows = ask(servers_->target,
                  "SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
                  "c.relnamespace WHERE c.relkind = 'S' AND n.nspname = " +
                      quote((*place)->schema) + " AND c.relname = " + quote((*place)->table),
                  "");
  if (!rows) return Failure(rows.error());
  if (rows->empty()) return std::nullopt;
  return Goal{(*place)->schema, (*place)->table};
}

Result<SequencesCommand::Goal> SequencesCommand::goal_of_column(const Sequence& sequence) {
  const auto table = std::find_if(tables_.begin(), tables_.end(), [&](const PublishedTable& one) {
    return one.oid == sequence.table_oid;
  });
  if (table == tables_.end()) return Goal{"", "", "its table is not sent", ""};
  auto described = sent(*table);
  if (!described) return Failure(described.error());
  const SentTable& its = **described;
  std::optional<std::string> in_documents;
  for (size_t i = 0; i < its.columns.size(); i++) {
    if (its.columns[i].column == sequence.column && its.columns[i].change.empty()) {
      in_documents = its.table.columns[i].name;
    }
  }
  if (!in_documents) return Goal{"", "", "its column is not sent", ""};
  auto place = command_.copies().place(its.table);
  if (!place) return Failure(place.error());
  if (!*place) return Goal{"", "", "its table goes nowhere", ""};
  if ((*place)->keeps_versions) return Goal{"", "", "the target keeps versions of the rows", ""};
  const auto column = (*place)->column(*in_documents);
  if (!column) return Goal{"", "", "its column is left out", ""};
  auto rows = ask(servers_->target, find_sequence_of(**place, *column), "");
  if (!rows) return Failure(rows.error());
  const Row& row = rows->front();
  if (row[4]) return Goal{text(row, 3), text(row, 4)};
  if (text(row, 0) != "t") {
    return Goal{
        "", "", "",
        "the target lacks table " + (*place)->text() + ": `walspout run` says how to create it"};
  }
  if (text(row, 1) != "t") {
    return Goal{"", "", "",
                "the target lacks column " + Connection::quote_name(*column) + " of " +
                    (*place)->text() + ": `walspout run` says how to add it"};
  }
  auto alike = named_alike(sequence);
  if (!alike) return Failure(alike.error());
  if (*alike && (*alike)->is_known()) return std::move(**alike);
  const std::string name = Connection::quote_name(*column);
  const std::string alter = "ALTER TABLE " + (*place)->quoted() + " ALTER COLUMN " + name;
  std::string statement;
  if (sequence.is_identity) {
    statement = alter + " ADD GENERATED BY DEFAULT AS IDENTITY";
    if (text(row, 2) == "t") statement = alter + " SET NOT NULL; " + statement;
  } else {
    const std::string made = quoted((*place)->schema, sequence.name);
    statement = "CREATE SEQUENCE " + made + " AS " + sequence.type + " INCREMENT BY " +
                sequence.increment + " OWNED BY " + (*place)->quoted() + "." + name + "; " + alter +
                " SET DEFAULT pg_catalog.nextval(" + quote(made) + ")";
  }
  return Goal{"", "", "",
              "column " + name + " of " + (*place)->text() +
                  " in the target takes its values from no sequence: " + statement};
}

Result<SequencesCommand::Goal> SequencesCommand::goal(const Sequence& sequence) {
  if (!sequence.table_oid.empty()) return goal_of_column(sequence);
  auto alike = named_alike(sequence);
  if (!alike) return Failure(alike.error());
  if (*alike) return std::move(**alike);
  auto place = command_.copies().place({sequence.schema, sequence.name, {}});
  if (!place) return Failure(place.error());
  return Goal{"", "", "",
              "the target lacks the sequence: CREATE SEQUENCE " + (*place)->quoted() + " AS " +
                  sequence.type + " INCREMENT BY " + sequence.increment +
                  "; or pass over sequences without a column: --owned"};
}

Result<void> SequencesCommand::read(Sequence& sequence) {
  const std::string name = quoted(sequence.schema, sequence.name);
  auto rows = ask(servers_->source, "SELECT last_value, is_called FROM " + name,
                  "GRANT SELECT ON SEQUENCE " + name);
  if (!rows) return Failure(rows.error());
  sequence.last = text(rows->front(), 0);
  sequence.is_called = text(rows->front(), 1) == "t";
  return {};
}

Result<Line> SequencesCommand::copy(Sequence sequence) {
  Line line{sequence.text(), "", "", "", "", ""};
  auto found = goal(sequence);
  if (!found) return Failure(found.error());
  if (!found->is_known()) {
    line.result = found->error.empty() ? "skipped" : "ERROR";
    line.why = found->error + found->skipped;
    return line;
  }
  if (auto done = read(sequence); !done) return Failure(done.error());
  line.target = found->schema + "." + found->name;
  line.source_value = sequence.last;
  const std::string to = quoted(found->schema, found->name);
  auto rows = ask(servers_->target, move_sequence(sequence, to, options_.dry_run),
                  "GRANT SELECT, UPDATE ON SEQUENCE " + to);
  if (!rows) return with_prefix("sequence " + line.target, rows.error());
  const Row& row = rows->front();
  line.target_value = text(row, 0);
  const bool is_behind = text(row, 1) == "t";
  if (text(row, 2) != "t") {
    line.result = "ERROR";
    line.why = "the target's sequence counts in the other direction: ALTER SEQUENCE " + to +
               " INCREMENT BY " + sequence.increment;
  } else {
    line.result = !is_behind ? "kept" : options_.dry_run ? "would set" : "set";
  }
  return line;
}

int SequencesCommand::run() {
  if (auto loaded = load(); !loaded) {
    std::fprintf(stderr, "walspout: %s\n", loaded.error().message().c_str());
    return kFailed;
  }
  bool all = true;
  for (const Sequence& sequence : sequences_) {
    auto line = copy(sequence);
    if (!line) line = Line{sequence.text(), "", "", "", "ERROR", line.error().message()};
    all = all && line->result != "ERROR";
    printer_.add(*line);
    if (!servers_->source.is_usable() || !servers_->target.is_usable()) break;
  }
  printer_.finish();
  if (sequences_.empty()) {
    std::fprintf(stderr, "walspout: there are no sequences of the tables that are sent\n");
  }
  return all ? kClean : kFailed;
}

}  // namespace

int sequences_command(const SequencesOptions& options) {
  const auto command = CopiesCommand::load(options.copies);
  if (!command) return kUsage;
  return SequencesCommand(options, *command).run();
}

}  // namespace walspout
