#include "source/publication.h"

#include <algorithm>

#include "stream/only.h"

namespace walspout {

namespace {

constexpr size_t kTablesAtOnce = 500;  // locked until the end of the statement
constexpr int kGeneratedColumns = 180000;

// Longer than deadlock_timeout, after which an autovacuum gives up its lock. Reads and writes of
// the table do not wait for this lock.
constexpr std::string_view kLockTimeout = "SET LOCAL lock_timeout = '2s'; ";

std::string quote(std::string_view text) {
  return Connection::quote_literal(text);
}

// An SQL expression on n.nspname and c.relname: whether the patterns match.
std::string matches(const std::vector<std::string>& patterns) {
  std::string sql = "CASE";
  for (auto text = patterns.rbegin(); text != patterns.rend(); text++) {
    const TablePattern pattern(*text);
    std::string any;
    for (const TablePattern::Like& like : pattern.likes()) {
      any += (any.empty() ? "" : " OR ") + std::string("n.nspname::pg_catalog.text COLLATE ") +
             "pg_catalog.\"C\" LIKE " + quote(like.schema) +
             " AND c.relname::pg_catalog.text COLLATE pg_catalog.\"C\" LIKE " + quote(like.table);
    }
    sql += " WHEN " + any + " THEN " + (pattern.excludes() ? "false" : "true");
  }
  const bool others = !patterns.empty() && TablePattern(patterns.front()).excludes();
  return sql + " ELSE " + (others ? "true" : "false") + " END";
}

// An SQL expression on pg_class `table`: whether the server accepts updates of the table once it is
// published. With REPLICA IDENTITY FULL, columns that are never published prevent updates.
std::string has_identity(const std::string& table) {
  return "CASE " + table + ".relreplident WHEN 'f' THEN NOT EXISTS (SELECT FROM " +
         "pg_catalog.pg_attribute a WHERE a.attrelid = " + table +
         ".oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = 'v') ELSE EXISTS "
         "(SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = " +
         table + ".oid AND i.indisvalid AND i.indimmediate AND (" + table +
         ".relreplident = 'd' AND i.indisprimary OR " + table +
         ".relreplident = 'i' AND i.indisreplident)) END";
}

Result<std::vector<Row>> ask(Connection& connection, const std::string& statement,
                             TimePoint deadline) {
  auto rows = connection.query(statement, deadline);
  if (!rows) return Failure(std::move(rows.error().error));
  return std::move(*rows);
}

std::string alter(const SourceConfig& config, bool adds, const std::vector<std::string>& tables) {
  std::string list;
  for (const std::string& table : tables) list += (list.empty() ? "ONLY " : ", ONLY ") + table;
  return std::string(kLockTimeout) + "ALTER PUBLICATION " +
         Connection::quote_name(own_publication(config.slot)) + (adds ? " ADD" : " DROP") +
         " TABLE " + list;
}

// Adds or removes tables of the publication. If a group fails, each of its tables is tried alone.
Result<void> change(Connection& connection, const SourceConfig& config, bool adds,
                    const std::vector<std::string>& tables, TimePoint deadline,
                    PublicationChanges& changes) {
  std::vector<std::string>& done = adds ? changes.added : changes.removed;
  for (size_t at = 0; at < tables.size(); at += kTablesAtOnce) {
    const auto begin = tables.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end =
        begin + static_cast<std::ptrdiff_t>(std::min(kTablesAtOnce, tables.size() - at));
    const std::vector<std::string> part(begin, end);
    auto all = connection.query(alter(config, adds, part), deadline);
    if (all) {
      done.insert(done.end(), part.begin(), part.end());
      continue;
    }
    if (!connection.is_usable()) return Failure(std::move(all.error().error));
    for (const std::string& table : part) {
      auto one = connection.query(alter(config, adds, {table}), deadline);
      if (one) {
        done.push_back(table);
        continue;
      }
      if (!connection.is_usable()) return Failure(std::move(one.error().error));
      changes.failed = "table " + table + ": " + one.error().error.message();
    }
  }
  return {};
}

}  // namespace

std::string publication_mark(const std::string& slot) {
  return "walspout maintains this publication for slot " + slot;
}

std::string create_publication(const std::string& slot, int server_version) {
  return "CREATE PUBLICATION " + Connection::quote_name(own_publication(slot)) +
         " WITH (publish_via_partition_root = true" +
         (server_version >= kGeneratedColumns ? ", publish_generated_columns = stored" : "") + ")";
}

std::string comment_publication(const std::string& slot) {
  return "COMMENT ON PUBLICATION " + Connection::quote_name(own_publication(slot)) + " IS " +
         quote(publication_mark(slot));
}

std::string find_publication(const std::string& slot) {
  return "SELECT pg_catalog.pg_is_in_recovery(), p.oid IS NOT NULL, pg_catalog.obj_description("
         "p.oid, 'pg_publication') = " +
         quote(publication_mark(slot)) +
         ", pg_catalog.pg_has_role(p.pubowner, 'USAGE'), pg_catalog.has_database_privilege("
         "pg_catalog.current_database(), 'CREATE'), pg_catalog.current_database(), current_user, "
         "pg_catalog.pg_get_userbyid(p.pubowner) FROM (VALUES (1)) one LEFT JOIN "
         "pg_catalog.pg_publication p ON p.pubname = " +
         quote(own_publication(slot));
}

PublicationView publication_view(const Row& row) {
  return {text(row, 0) == "t", text(row, 1) == "t", text(row, 2) == "t", text(row, 3) == "t",
          text(row, 4) == "t", text(row, 5),        text(row, 6),        text(row, 7)};
}

// Calls no function that locks a table: the query would wait for a table that is being altered.
std::string find_pattern_tables(const SourceConfig& config, bool all) {
  return "WITH RECURSIVE matched AS MATERIALIZED (SELECT c.oid, n.nspname, c.relname, c.relkind, "
         "c.relowner, c.relreplident FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "
         "n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND "
         "c.oid "
         ">= 16384 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'walspout') AND n."
         "nspname NOT LIKE 'pg\\_toast%' AND " +
         matches(config.tables) +
         "), "
         // Partitions of matched tables are published as rows of these tables.
         "below(oid) AS (SELECT i.inhrelid FROM matched m JOIN pg_catalog.pg_inherits i ON "
         "i.inhparent = m.oid WHERE m.relkind = 'p' UNION SELECT i.inhrelid FROM below b JOIN "
         "pg_catalog.pg_inherits i ON i.inhparent = b.oid), "
         "wanted AS MATERIALIZED (SELECT m.oid FROM matched m EXCEPT SELECT b.oid FROM below b), "
         "there AS MATERIALIZED (SELECT r.prrelid AS oid FROM pg_catalog.pg_publication_rel r JOIN "
         "pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = " +
         quote(own_publication(config.slot)) +
         // A matched partition stays until one of its parents is in the publication.
         "), covered(oid) AS (SELECT i.inhrelid FROM there t JOIN pg_catalog.pg_class c ON c.oid = "
         "t.oid AND c.relkind = 'p' JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid UNION "
         "SELECT i.inhrelid FROM covered v JOIN pg_catalog.pg_inherits i ON i.inhparent = v.oid"
         "), steps AS MATERIALIZED (SELECT coalesce(w.oid, t.oid) AS oid, CASE WHEN w.oid IS NULL "
         "THEN 'remove' WHEN t.oid IS NULL THEN 'add' ELSE 'in' END AS step FROM wanted w FULL "
         "JOIN "
         "there t ON t.oid = w.oid WHERE w.oid IS NOT NULL OR t.oid NOT IN (SELECT m.oid FROM "
         "matched m) OR t.oid IN (SELECT v.oid FROM covered v)) SELECT s.step, c.oid, n.nspname, "
         "c.relname, "
         "pg_catalog.format('%I.%I', n.nspname, c.relname), "
         "pg_catalog.pg_get_userbyid(c.relowner), "
         "pg_catalog.pg_has_role(c.relowner, 'USAGE'), CASE WHEN s.step <> 'add' THEN true WHEN "
         "c.relkind = 'p' THEN NOT EXISTS (WITH RECURSIVE tree(oid) AS (SELECT i.inhrelid FROM "
         "pg_catalog.pg_inherits i WHERE i.inhparent = c.oid UNION ALL SELECT i.inhrelid FROM tree "
         "JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid) SELECT FROM tree JOIN "
         "pg_catalog.pg_class l ON l.oid = tree.oid WHERE l.relkind = 'r' AND NOT " +
         has_identity("l") + ") ELSE " + has_identity("c") +
         " END, EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND "
         "i.indisprimary AND i.indimmediate), (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE "
         "r.oid = "
         "c.relowner) FROM steps s JOIN pg_catalog.pg_class c ON c.oid = "
         "s.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" +
         (all ? "" : " WHERE s.step <> 'in'");
}

PatternTable pattern_table(const Row& row) {
  PatternTable table;
  const std::string step = text(row, 0);
  table.step = step == "add"      ? PatternTable::Step::kAdd
               : step == "remove" ? PatternTable::Step::kRemove
                                  : PatternTable::Step::kIn;
  table.oid = text(row, 1);
  table.schema = text(row, 2);
  table.name = text(row, 3);
  table.quoted = text(row, 4);
  table.owner = text(row, 5);
  table.is_owned = text(row, 6) == "t";
  table.has_identity = text(row, 7) == "t";
  table.has_primary_key = text(row, 8) == "t";
  table.owner_is_superuser = text(row, 9) == "t";
  return table;
}

std::string why_left_out(const PatternTable& table) {
  if (!table.is_owned) {
    return "table " + table.quoted + " is owned by role \"" + table.owner +
           "\", and only its owner can " +
           (table.step == PatternTable::Step::kRemove ? "take it out of" : "add it to") +
           " a publication";
  }
  return "table " + table.quoted +
         " has no usable replica identity: once it is published, the server would reject updates "
         "and deletes of it";
}

std::string remedy_of(const PatternTable& table, const std::string& role) {
  const std::string exclude = "; or exclude it: \"!" + table.schema + "." + table.name + "\"";
  if (!table.is_owned) {
    const std::string alter =
        "ALTER TABLE " + table.quoted + " OWNER TO " + Connection::quote_name(role);
    // So no remedy asks for membership in a superuser's role, which can do anything.
    if (table.owner_is_superuser) return alter + exclude;
    return "GRANT " + Connection::quote_name(table.owner) + " TO " + Connection::quote_name(role) +
           "; or " + alter + exclude;
  }
  const std::string identity = "ALTER TABLE " + table.quoted + " REPLICA IDENTITY ";
  return (table.has_primary_key ? identity + "DEFAULT"
                                : identity + "FULL; or give it a primary key") +
         exclude;
}

std::string not_usable(const PublicationView& view, const std::string& slot) {
  const std::string name = "publication \"" + own_publication(slot) + "\"";
  if (!view.exists && view.in_recovery) {
    return name +
           " does not exist, and this server is a standby: start the pipeline on the primary "
           "first, or let `dsn` name the primary";
  }
  if (!view.exists && !view.may_create) {
    return name + " cannot be made by role \"" + view.role + "\": GRANT CREATE ON DATABASE " +
           Connection::quote_name(view.database) + " TO " + Connection::quote_name(view.role);
  }
  if (!view.exists || view.in_recovery) return "";
  if (!view.is_ours) {
    return name +
           " exists, and walspout has not created it, so it is left alone: name it in "
           "`publications` in place of `tables`; or choose another `slot`; or let walspout "
           "have it and change its tables: " +
           comment_publication(slot);
  }
  if (view.may_alter) return "";
  return name + " is owned by role \"" + view.owner + "\": ALTER PUBLICATION " +
         Connection::quote_name(own_publication(slot)) + " OWNER TO " +
         Connection::quote_name(view.role);
}

Result<bool> make_publication(Connection& connection, const SourceConfig& config,
                              TimePoint deadline) {
  auto found = ask(connection, find_publication(config.slot), deadline);
  if (!found) return Failure(std::move(found.error()));
  const PublicationView view = publication_view(found->empty() ? Row{} : found->front());
  const std::string wrong = not_usable(view, config.slot);
  if (!wrong.empty()) return retry(wrong, connection.endpoint());
  if (view.exists) return false;
  auto made = connection.query(create_publication(config.slot, connection.server_version()) + "; " +
                                   comment_publication(config.slot),
                               deadline);
  if (made) return true;
  return with_prefix("could not create publication \"" + own_publication(config.slot) + "\"",
                     std::move(made.error().error));
}

Result<PublicationChanges> fill_publication(Connection& connection, const SourceConfig& config,
                                            TimePoint deadline) {
  PublicationChanges changes;
  auto found = ask(connection, find_publication(config.slot), deadline);
  if (!found) return Failure(std::move(found.error()));
  const PublicationView view = publication_view(found->empty() ? Row{} : found->front());
  changes.role = view.role;
  if (view.in_recovery) return changes;
  const std::string wrong = not_usable(view, config.slot);
  if (!wrong.empty()) return retry(wrong, connection.endpoint());
  auto rows =
      ask(connection, std::string(kLargeJoins) + find_pattern_tables(config, false), deadline);
  if (!rows) return Failure(std::move(rows.error()));
  std::vector<std::string> add;
  std::vector<std::string> remove;
  for (const Row& row : *rows) {
    PatternTable table = pattern_table(row);
    if (table.step == PatternTable::Step::kIn) continue;
    if (!table.can_be_changed()) {
      if (!table.is_owned) changes.not_theirs.push_back(table);
      changes.left_out.push_back(std::move(table));
    } else {
      (table.step == PatternTable::Step::kAdd ? add : remove).push_back(table.quoted);
    }
  }
  Result<void> done = change(connection, config, true, add, deadline, changes);
  if (done) done = change(connection, config, false, remove, deadline, changes);
  if (!done) return Failure(std::move(done.error()));
  return changes;
}

}  // namespace walspout
