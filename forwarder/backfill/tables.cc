#include "backfill/tables.h"

#include "backfill/statements.h"
#include "stream/only.h"

namespace walspout {

namespace {

constexpr int kSchemas = 150000;  // PostgreSQL 15: publications of schemas

std::string quote(std::string_view text) {
  return Connection::quote_literal(text);
}

std::string names(const std::vector<std::string>& list) {
  std::string all;
  for (const std::string& name : list) all += (all.empty() ? "" : ", ") + quote(name);
  return "ARRAY[" + all + "]::pg_catalog.name[]";
}

// Why a backfill is canceled, in favor of another one.
constexpr std::string_view kLeft = "the table has left the publications, and has joined them again";
constexpr std::string_view kReplaced = "the slot was created again, with a backfill of the table";
constexpr std::string_view kGrown =
    "the table has got another partition: the next backfill has these rows, too";

constexpr std::string_view kOrdinary =
    "c.relpersistence = 'p' AND c.oid >= 16384 AND n.nspname NOT IN ('walspout', "
    "'information_schema', 'pg_catalog')";

std::string oids(const std::vector<PublishedTable>& tables) {
  std::string all = "0";
  for (const PublishedTable& table : tables) all += ", " + table.oid;
  return all;
}

}  // namespace

std::string find_published(const SourceConfig& config, int server_version) {
  if (config.publications.empty()) {
    return "SELECT n.nspname, c.relname, c.oid, '{}'::pg_catalog.oid[], " + has_key("c") +
           ", '{}'::pg_catalog.oid[] FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "
           "n.oid = c.relnamespace "
           "WHERE c.relkind = 'r' AND " +
           std::string(kOrdinary) + " ORDER BY 1, 2";
  }
  std::string schemas;
  if (server_version >= kSchemas) {
    schemas =
        " UNION ALL SELECT s.pnpubid, tab.oid, s.oid FROM pg_catalog.pg_publication_namespace s "
        "JOIN pub ON pub.oid = s.pnpubid JOIN tab ON tab.relnamespace = s.pnnspid";
  }
  return "WITH RECURSIVE pub AS MATERIALIZED (SELECT p.oid, p.puballtables, p.pubviaroot FROM "
         "pg_catalog.pg_publication p WHERE p.pubname = ANY (" +
         names(config.publications) +
         ")), tab AS MATERIALIZED (SELECT c.oid, c.relnamespace, c.relname, c.relkind, "
         "c.relreplident, c.relispartition, n.nspname FROM pg_catalog.pg_class c JOIN "
         "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND " +
         std::string(kOrdinary) +
         "), above(oid, ancestor) AS (SELECT tab.oid, i.inhparent FROM tab JOIN "
         "pg_catalog.pg_inherits i ON i.inhrelid = tab.oid WHERE tab.relispartition UNION ALL "
         "SELECT above.oid, i.inhparent FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid = "
         "above.ancestor), "
         // In PostgreSQL 19 this catalog also has tables that a publication of all tables leaves
         // out.
         "except_ AS MATERIALIZED (SELECT r.prpubid, r.prrelid FROM pg_catalog.pg_publication_rel "
         "r JOIN pub ON pub.oid = r.prpubid WHERE pg_catalog.to_jsonb(r) ->> 'prexcept' = "
         "'true'), "
         "left_out(pub, oid) AS (SELECT e.prpubid, e.prrelid FROM except_ e UNION SELECT "
         "e.prpubid, above.oid FROM except_ e JOIN above ON above.ancestor = e.prrelid), "
         "entry(pub, oid, id) AS MATERIALIZED (SELECT r.prpubid, r.prrelid, r.oid FROM "
         "pg_catalog.pg_publication_rel r JOIN pub ON pub.oid = r.prpubid WHERE "
         "coalesce(pg_catalog.to_jsonb(r) ->> 'prexcept', 'false') <> 'true'" +
         schemas +
         " UNION ALL SELECT pub.oid, tab.oid, pub.oid FROM pub JOIN tab ON pub.puballtables WHERE "
         "NOT EXISTS (SELECT FROM left_out l WHERE l.pub = pub.oid AND l.oid = tab.oid)), "
         "leaves(root, oids) AS (SELECT above.ancestor, pg_catalog.array_agg(above.oid ORDER BY "
         "above.oid) FROM above JOIN tab ON tab.oid = above.oid AND tab.relkind = 'r' GROUP BY 1), "
         // Published because a parent is published.
         "below AS MATERIALIZED (SELECT e.pub, above.oid, e.id FROM above JOIN entry e ON e.oid = "
         "above.ancestor), "
         "named AS MATERIALIZED (SELECT e.pub, e.oid, e.id FROM entry e UNION SELECT b.pub, b.oid, "
         "b.id FROM below b), "
         "sent AS MATERIALIZED (SELECT d.oid, d.id FROM named d JOIN pub ON pub.oid = d.pub JOIN "
         "tab ON tab.oid = d.oid WHERE CASE WHEN pub.pubviaroot THEN NOT EXISTS (SELECT FROM below "
         "b WHERE b.pub = d.pub AND b.oid = d.oid) ELSE tab.relkind = 'r' END) "
         "SELECT tab.nspname, tab.relname, tab.oid, pg_catalog.array_agg(DISTINCT sent.id ORDER BY "
         "sent.id), " +
         has_key("tab") +
         ", coalesce(leaves.oids, '{}') FROM sent JOIN tab ON tab.oid = sent.oid LEFT JOIN leaves "
         "ON "
         "leaves.root = tab.oid WHERE "
         // Rows are sent under the topmost published table.
         "NOT EXISTS (SELECT FROM above JOIN sent s ON s.oid = above.ancestor WHERE above.oid = "
         "tab.oid) GROUP BY tab.nspname, tab.relname, tab.oid, tab.relreplident, leaves.oids ORDER "
         "BY "
         "1, 2";
}

PublishedTable published_table(const Row& row) {
  return {text(row, 0), text(row, 1),        text(row, 2),
          text(row, 3), text(row, 4) == "t", text(row, 5)};
}

bool wants_rows(const BackfillConfig& config, const std::string& schema, const std::string& name) {
  OnlyConfig only;
  only.tables = config.tables;
  const Table table{schema, name};
  Event event;
  event.op = 'r';
  event.table = &table;
  return Only(only).wants(event);
}

std::string find_tables_rights() {
  return "SELECT coalesce((SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND "
         "pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege("
         "c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') AND "
         "pg_catalog.has_table_privilege(c.oid, 'DELETE') FROM pg_catalog.pg_namespace n JOIN "
         "pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'tables' WHERE n.nspname "
         "= 'walspout'), false), pg_catalog.has_function_privilege("
         "'pg_catalog.pg_control_system()', 'EXECUTE')";
}

std::string find_system() {
  return "SELECT system_identifier FROM pg_catalog.pg_control_system()";
}

std::string find_known(const std::string& slot, const std::string& system) {
  return "SELECT FROM walspout.tables WHERE relation = 0 AND slot = " + quote(slot) +
         " AND server = " + quote(system);
}

std::string forget_slot(const std::string& slot) {
  return "DELETE FROM walspout.tables WHERE slot = " + quote(slot);
}

std::string find_right_to_forget() {
  return "SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND "
         "pg_catalog.has_table_privilege(c.oid, 'SELECT') AND "
         "pg_catalog.has_table_privilege(c.oid, 'DELETE') FROM pg_catalog.pg_namespace n JOIN "
         "pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'tables' AND c.relkind = "
         "'r' WHERE n.nspname = 'walspout'";
}

std::string know_slot(const std::string& slot, const std::string& system) {
  return "INSERT INTO walspout.tables (slot, relation, server) VALUES (" + quote(slot) + ", 0, " +
         quote(system) + ")";
}

std::string find_changes(const SourceConfig& config, int server_version) {
  return "SELECT CASE WHEN p.oid IS NULL THEN 'left' WHEN k.relation IS NULL OR NOT k.entries && "
         "p.entries THEN 'joined' WHEN NOT p.partitions <@ k.partitions THEN 'grown' ELSE 'other' "
         "END, p.nspname, p.relname, coalesce(p.oid, k.relation), p.entries, p.has_key, "
         "p.partitions, (SELECT CASE WHEN pg_catalog.bool_and(c.definition IS NOT NULL) THEN "
         "pg_catalog.string_agg('(' || c.definition || ')', ' OR ' ORDER BY o.oid) END FROM "
         "pg_catalog.unnest(p.partitions) o(oid), LATERAL (SELECT "
         "pg_catalog.pg_get_partition_constraintdef(o.oid)) c(definition) WHERE o.oid <> ALL "
         "(k.partitions)) FROM (" +
         find_published(config, server_version) +
         ") p(nspname, relname, oid, entries, has_key, partitions) FULL JOIN (SELECT * FROM "
         "walspout.tables "
         "WHERE relation <> 0 AND slot = " +
         quote(config.slot) +
         ") k ON k.relation = p.oid WHERE p.oid IS NULL OR k.relation IS NULL OR k.entries IS "
         "DISTINCT FROM p.entries OR k.partitions IS DISTINCT FROM p.partitions ORDER BY 2, 3";
}

TableChange table_change(const Row& row) {
  TableChange change;
  const std::string kind = text(row, 0);
  if (kind == "joined") change.kind = TableChange::Kind::kJoined;
  if (kind == "left") change.kind = TableChange::Kind::kLeft;
  if (kind == "grown") change.kind = TableChange::Kind::kGrown;
  change.table = published_table({row.begin() + 1, row.end()});
  change.table.grown = change.kind == TableChange::Kind::kGrown;
  if (change.table.grown) change.table.only = text(row, 7);
  return change;
}

std::string replace_requests(const std::string& slot, const std::vector<PublishedTable>& tables) {
  return "UPDATE walspout.backfills SET state = 'canceled', finished = pg_catalog.now(), error = " +
         quote(kReplaced) + " WHERE slot = " + quote(slot) + " AND relation IN (" + oids(tables) +
         ") AND state NOT IN ('done', 'canceled', 'failed')";
}

std::string request_all(const SourceConfig& config, const std::vector<PublishedTable>& tables,
                        bool first) {
  const BackfillConfig backfill = config.backfill.value_or(BackfillConfig{});
  std::string values;
  for (const PublishedTable& table : tables) {
    std::string where;
    for (const auto& [name, condition] : backfill.where) {
      if (name == table.schema + "." + table.name) where = condition.reveal();
    }
    if (!table.only.empty()) {
      where = where.empty() ? table.only : "(" + where + "\n) AND (" + table.only + ")";
    }
    values += (values.empty() ? "(" : ", (") + table.oid + "::pg_catalog.oid, " +
              (where.empty() ? "NULL" : quote(where)) + "::pg_catalog.text, " +
              (first && !table.has_key ? "'running'" : "'requested'") + ")";
  }
  return "INSERT INTO walspout.backfills (slot, \"table\", relation, condition, rate, state) "
         "SELECT " +
         quote(config.slot) +
         ", pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid, "
         // A backfill that was canceled for this one may have had other rows.
         "CASE WHEN o.id IS NULL THEN v.condition WHEN o.condition IS NOT NULL AND v.condition IS "
         "NOT NULL THEN pg_catalog.concat('(', o.condition, E'\\n) OR (', v.condition, E'\\n)') "
         "END, " +
         (backfill.rate ? std::to_string(backfill.rate) : "NULL") + ", v.state FROM (VALUES " +
         values +
         ") v(oid, condition, state) JOIN pg_catalog.pg_class c ON c.oid = v.oid JOIN "
         "pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN walspout.backfills o ON "
         "o.slot = " +
         quote(config.slot) +
         " AND o.relation = v.oid AND o.state = 'canceled' AND o.finished = pg_catalog.now() AND "
         "o.error = " +
         quote(kGrown) + " ORDER BY n.nspname, c.relname ON CONFLICT DO NOTHING";
}

// Cancels running backfills: they have passed rows whose changes were not sent while the table was
// not published.
std::string know_changes(const SourceConfig& config, const std::vector<TableChange>& changes,
                         const std::vector<PublishedTable>& backfilled) {
  std::string left = "-1";
  std::string values;
  for (const TableChange& change : changes) {
    if (change.kind == TableChange::Kind::kLeft) {
      left += ", " + change.table.oid;
    } else {
      values += (values.empty() ? "(" : ", (") + quote(config.slot) + ", " + change.table.oid +
                "::pg_catalog.oid, " + quote(change.table.entries) + "::pg_catalog.oid[], " +
                quote(change.table.partitions) + "::pg_catalog.oid[])";
    }
  }
  std::string all = std::string(kLocalCommit) +
                    "DELETE FROM walspout.tables WHERE slot = " + quote(config.slot) +
                    " AND relation::bigint IN (" + left + ")";
  if (!values.empty()) {
    all += "; INSERT INTO walspout.tables (slot, relation, entries, partitions) VALUES " + values +
           " ON CONFLICT (slot, relation) DO UPDATE SET entries = excluded.entries, partitions = "
           "excluded.partitions";
  }
  if (backfilled.empty()) return all;
  std::string grown = "0";
  for (const PublishedTable& table : backfilled) {
    if (table.grown) grown += ", " + table.oid;
  }
  return all +
         "; UPDATE walspout.backfills SET state = 'canceled', finished = pg_catalog.now(), error = "
         "CASE WHEN relation IN (" +
         grown + ") THEN " + quote(kGrown) + " ELSE " + quote(kLeft) +
         " END WHERE slot = " + quote(config.slot) + " AND relation IN (" + oids(backfilled) +
         ") AND state NOT IN ('done', 'canceled', 'failed'); " +
         request_all(config, backfilled, false) +
         "; SELECT pg_catalog.pg_logical_emit_message(true, " + quote(kMarkPrefix) + ", " +
         quote(kLook) + ")";
}

}  // namespace walspout
