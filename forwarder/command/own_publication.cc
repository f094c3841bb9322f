#include "command/own_publication.h"

#include <algorithm>

#include "backfill/statements.h"
#include "backfill/tables.h"

namespace walspout {

namespace {

constexpr size_t kTablesShown = 20;

std::string list(const std::vector<std::string>& names) {
  std::string all;
  for (size_t i = 0; i < std::min(names.size(), kTablesShown); i++) {
    all += (all.empty() ? "" : ", ") + names[i];
  }
  if (names.size() > kTablesShown) {
    all += " and " + std::to_string(names.size() - kTablesShown) + " more";
  }
  return all;
}

// Missing privileges on the extension's objects: kind, name, privilege, statement.
std::string find_missing_rights(const BackfillConfig& config) {
  const auto table = [](const std::string& name, const std::string& privileges) {
    return " UNION ALL SELECT 3, 'the role may not ' || pg_catalog.lower('" + privileges +
           "') || ' on walspout." + name + "', 'GRANT " + privileges + " ON walspout." + name +
           " TO ' || role.name FROM role JOIN pg_catalog.pg_class c ON c.relnamespace = "
           "role.schema AND c.relname = '" +
           name +
           "' WHERE NOT (SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, "
           "p.p)) FROM pg_catalog.unnest(pg_catalog.string_to_array('" +
           privileges + "', ', ')) p(p))";
  };
  std::string query =
      "WITH role(name, schema) AS (SELECT pg_catalog.quote_ident(current_user), n.oid FROM "
      "pg_catalog.pg_namespace n WHERE n.nspname = 'walspout') SELECT 1, 'the role may not use the "
      "schema walspout', 'GRANT USAGE ON SCHEMA walspout TO ' || role.name FROM role WHERE NOT "
      "pg_catalog.has_schema_privilege(role.schema, 'USAGE')" +
      table("backfills", "SELECT, INSERT, UPDATE") +
      table("backfill_keys", "SELECT, INSERT, DELETE");
  if (config.new_tables) query += table("tables", "SELECT, INSERT, UPDATE, DELETE");
  return query +
         " UNION ALL SELECT 4, 'the role may not call ' || p.oid::pg_catalog.regprocedure, 'GRANT "
         "EXECUTE ON FUNCTION walspout.' || p.proname || '(' || "
         "pg_catalog.pg_get_function_identity_arguments(p.oid) || ') TO ' || role.name FROM role "
         "JOIN pg_catalog.pg_proc p ON p.pronamespace = role.schema AND p.proname IN ('read_rows', "
         "'read_keys') WHERE NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') UNION ALL "
         "SELECT 5, 'the role may not call pg_logical_emit_message', 'GRANT EXECUTE ON FUNCTION ' "
         "|| p.oid::pg_catalog.regprocedure || ' TO ' || role.name FROM role, pg_catalog.pg_proc p "
         "WHERE p.proname = 'pg_logical_emit_message' AND p.pronamespace = "
         "'pg_catalog'::pg_catalog.regnamespace AND p.proargtypes[2] = "
         "'pg_catalog.text'::pg_catalog.regtype AND NOT pg_catalog.has_function_privilege(p.oid, "
         "'EXECUTE') ORDER BY 1, 2";
}

// For tables, by their OIDs: name, owner, whether the role may not read them, and whether row level
// security hides rows from the role.
std::string find_table_rights(const std::vector<PublishedTable>& tables) {
  std::string oids;
  for (const PublishedTable& table : tables) oids += (oids.empty() ? "" : ", ") + table.oid;
  return "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), NOT "
         "(pg_catalog.has_schema_privilege(n.oid, 'USAGE')), NOT "
         "pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), c.relrowsecurity AND NOT "
         "r.rolsuper AND "
         "NOT r.rolbypassrls AND (c.relforcerowsecurity OR NOT "
         "pg_catalog.pg_has_role(c.relowner, 'USAGE')), pg_catalog.quote_ident(r.rolname), "
         "pg_catalog.quote_ident(n.nspname), c.relforcerowsecurity AND "
         "pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c JOIN "
         "pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles r ON "
         "r.rolname = current_user WHERE c.oid IN (" +
         oids + ") ORDER BY 1";
}

// Published columns are not checked: the right to read some columns may be enough.
void judge_table_rights(const std::vector<Row>& rows, Findings& findings) {
  size_t shown = 0;
  size_t more = 0;
  std::string schemas;
  for (const Row& row : rows) {
    const std::string table = "table " + text(row, 0);
    const std::string role = text(row, 4);
    const std::string schema = text(row, 5);
    const bool hidden = text(row, 1) == "t" || text(row, 2) == "t" || text(row, 3) == "t";
    if (!hidden) continue;
    if (shown == kTablesShown) {
      more++;
      continue;
    }
    shown++;
    if (text(row, 1) == "t" && schemas.find(" " + schema + " ") == std::string::npos) {
      schemas += " " + schema + " ";
      findings.bad("the role may not use schema " + schema + ", whose tables will be backfilled",
                   "GRANT USAGE ON SCHEMA " + schema + " TO " + role);
    }
    if (text(row, 2) == "t") {
      findings.bad(table + " will be backfilled, but the role may not read it",
                   "GRANT SELECT ON " + text(row, 0) + " TO " + role);
    }
    if (text(row, 3) == "t") {
      findings.bad(
          table + " will be backfilled, but row level security would hide rows from the role",
          text(row, 6) == "t" ? "ALTER TABLE " + text(row, 0) + " NO FORCE ROW LEVEL SECURITY"
                              : "ALTER ROLE " + role + " BYPASSRLS");
    }
  }
  if (more > 0) findings.bad(std::to_string(more) + " more tables have the same problem", "");
}

}  // namespace

bool judge_own_publication(const SourceConfig& config, int server_version, const Asker& rows,
                           Findings& findings) {
  const std::string name = "publication \"" + own_publication(config.slot) + "\"";
  const std::vector<Row> found = rows(find_publication(config.slot));
  const PublicationView view = publication_view(found.empty() ? Row{} : found.front());
  const std::string wrong = not_usable(view, config.slot);
  if (!wrong.empty()) {
    const size_t colon = wrong.find(": ");
    findings.bad(wrong.substr(0, colon), wrong.substr(colon + 2));
  } else if (view.exists && view.in_recovery) {
    findings.warn(name + " is not kept up to date, because this server is a standby",
                  "let `dsn` name the primary");
  } else {
    findings.good(name + (view.exists ? " exists, and walspout maintains it"
                                      : " does not exist yet; `run` creates it: " +
                                            create_publication(config.slot, server_version)));
  }
  size_t in = 0;
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<PatternTable> left_out;
  for (const Row& row : rows(find_pattern_tables(config, true))) {
    const PatternTable table = pattern_table(row);
    if (table.step == PatternTable::Step::kIn) {
      in++;
    } else if (!table.can_be_changed()) {
      left_out.push_back(table);
    } else {
      (table.step == PatternTable::Step::kAdd ? added : removed).push_back(table.quoted);
    }
  }
  if (!added.empty()) findings.good("`run` adds to it: " + list(added));
  if (!removed.empty()) findings.good("`run` removes from it: " + list(removed));
  if (in + added.size() + left_out.size() == 0) {
    findings.warn(
        "no table matches the patterns of `tables`",
        "correct the patterns, or create the tables: those that match are added within 10 "
        "seconds. Names are case-sensitive");
  }
  for (size_t i = 0; i < std::min(left_out.size(), kTablesShown); i++) {
    const PatternTable& table = left_out[i];
    if (!table.is_owned && !view.in_recovery) {
      findings.bad(why_left_out(table), remedy_of(table, view.role));
    } else {
      findings.warn(why_left_out(table) + "; so `run` leaves it out", remedy_of(table, view.role));
    }
  }
  if (left_out.size() > kTablesShown) {
    findings.warn(
        std::to_string(left_out.size() - kTablesShown) + " more tables have the same problem", "");
  }
  return view.exists;
}

void judge_backfill_rights(const SourceConfig& config, int server_version, const Asker& rows,
                           Findings& findings) {
  if (!config.backfill) return;
  const std::vector<Row> there = rows(find_extension());
  if (there.empty()) return;
  if (text(there.front(), 0) != "t") {
    findings.bad("`backfill` needs the extension in this database", "CREATE EXTENSION walspout");
    return;
  }
  if (text(there.front(), 1) == "t") {
    findings.bad(
        "`backfill` needs the primary: this server is a standby, and its snapshots do not "
        "tell which transactions they see",
        "let `dsn` name the primary");
    return;
  }
  bool good = true;
  for (const Row& row : rows(find_missing_rights(*config.backfill))) {
    findings.bad(text(row, 1), text(row, 2));
    good = false;
  }
  std::vector<PublishedTable> tables;
  if (config.tables.empty()) {
    for (const Row& row : rows(find_published(config, server_version))) {
      tables.push_back(published_table(row));
    }
  } else {
    for (const Row& row : rows(find_pattern_tables(config, true))) {
      const PatternTable table = pattern_table(row);
      if (table.step != PatternTable::Step::kRemove && table.has_identity) {
        tables.push_back({table.schema, table.name, table.oid, "", true});
      }
    }
  }
  std::erase_if(tables, [&](const PublishedTable& table) {
    return !wants_rows(*config.backfill, table.schema, table.name);
  });
  if (!tables.empty()) judge_table_rights(rows(find_table_rights(tables)), findings);
  if (good) {
    findings.good("the role may use what the extension has for backfills; " +
                  std::to_string(tables.size()) +
                  (tables.size() == 1 ? " table is" : " tables are") +
                  " backfilled when `run` creates the slot");
  }
}

}  // namespace walspout
