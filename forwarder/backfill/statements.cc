#include "backfill/statements.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "source/options.h"

namespace walspout {

namespace {

std::string quote(std::string_view text) {
  return Connection::quote_literal(text);
}

template <typename List>
std::string text_array(const List& list) {
  std::string all;
  for (const std::string& item : list) all += (all.empty() ? "" : ", ") + quote(item);
  return "ARRAY[" + all + "]::pg_catalog.text[]";
}

std::string numbers(const std::vector<int64_t>& list) {
  std::string all = "-1";
  for (const int64_t number : list) all += ", " + std::to_string(number);
  return all;
}

// An array as text that only this file reads: each element is an x and hexadecimal digits.
std::string encoded(const std::string& column) {
  return "(SELECT pg_catalog.string_agg('x' || pg_catalog.encode(pg_catalog.convert_to(e, 'UTF8'), "
         "'hex'), ',' ORDER BY o) FROM pg_catalog.unnest(" +
         column + ") WITH ORDINALITY u(e, o))";
}

std::vector<std::string> decoded(std::string_view text) {
  std::vector<std::string> list;
  const auto digit = [](char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; };
  while (!text.empty()) {
    const size_t size = std::min(text.find(','), text.size());
    std::string item;
    for (size_t i = 1; i + 1 < size; i += 2) {
      item += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
    }
    list.push_back(std::move(item));
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return list;
}

// Likewise, with a number in front of the x.
std::vector<std::pair<uint64_t, std::string>> decoded_keys(std::string_view text) {
  std::vector<std::pair<uint64_t, std::string>> keys;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    const size_t digits = std::min(item.find('x'), item.size());
    uint64_t number = 0;
    std::from_chars(item.data(), item.data() + digits, number);
    for (std::string& key : decoded(item.substr(digits))) keys.emplace_back(number, std::move(key));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
  }
  return keys;
}

template <typename T>
T number(const std::string& text) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// A hash of the server's timeline, where a table is stored, its names and its key. When one of
// these changes, rows that were read may belong to another table. A server that was failed over to
// may have another slot, which lacks changes of rows that were read.
std::string shape(const std::string& relation) {
  return "(SELECT pg_catalog.md5(CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE "
         "pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) END || "
         "pg_catalog.string_agg(pg_catalog.concat_ws(' ', c.oid, n.nspname, "
         "c.relname, c.relfilenode, c.relreplident, (SELECT pg_catalog.string_agg(pg_catalog."
         "concat_ws(' ', i.indexrelid, i.indkey, i.indcollation, (SELECT pg_catalog.string_agg("
         "pg_catalog.pg_collation_actual_version(l.oid), ',' ORDER BY l.oid) FROM "
         "pg_catalog.pg_collation l WHERE l.oid = ANY (i.indcollation::pg_catalog.oid[]))), ',' "
         "ORDER BY i.indexrelid) FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND "
         "(i.indisprimary OR i.indisreplident))), ';' ORDER BY c.oid)) FROM pg_catalog.pg_class c "
         // The server looks up an array in the index. With OR it would read all of pg_class for
         // each table.
         "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY "
         "(pg_catalog.array_append(ARRAY(SELECT p.relid::pg_catalog.oid FROM "
         "pg_catalog.pg_partition_tree(" +
         relation + ") p), " + relation + ")))";
}

std::string option_pairs(const SourceConfig& config) {
  std::vector<std::string> all;
  for (const PluginOption& option : plugin_options(config)) {
    all.push_back(option.name);
    all.push_back(option.value);
  }
  return text_array(all);
}

std::string regclass(uint32_t relation) {
  return std::to_string(relation) + "::pg_catalog.oid::pg_catalog.regclass";
}

std::string read(const std::string& options, const ReadRequest& request,
                 const RoundLimits& limits) {
  const BackfillRecord& table = request.table;
  if (request.kind == ReadRequest::Kind::kAgain) {
    return "SELECT walspout.read_keys(" + regclass(table.relation) + ", " + options + ", " +
           text_array(request.keys) + ")";
  }
  const size_t rows = table.rate ? std::min<size_t>(limits.rows, table.rate / 10 + 1) : limits.rows;
  return "SELECT walspout.read_rows(" + regclass(table.relation) + ", " + options + ", " +
         (table.cursor.empty() ? "NULL" : text_array(table.cursor)) + ", " + std::to_string(rows) +
         ", " + std::to_string(std::min(limits.bytes, request.most_bytes)) + ", " +
         std::to_string(limits.milliseconds) + ", " +
         (table.condition.empty() ? "NULL" : quote(table.condition)) + ")";
}

}  // namespace

// The key that read_rows() finds. Includes a deferrable primary key under REPLICA IDENTITY FULL,
// though read_rows() rejects that.
std::string has_key(const std::string& table) {
  return "EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = " + table +
         ".oid AND i.indisvalid AND CASE " + table +
         ".relreplident WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary AND "
         "i.indimmediate WHEN 'f' THEN i.indisprimary ELSE false END)";
}

// Queries the catalogs, because to_regclass() raises without USAGE on the schema.
std::string find_extension() {
  return "SELECT t.oid IS NOT NULL, pg_catalog.pg_is_in_recovery(), coalesce(pg_catalog."
         "has_schema_privilege(t.schema, 'USAGE') AND pg_catalog.has_table_privilege(t.oid, "
         "'SELECT') AND pg_catalog.has_table_privilege(t.oid, 'UPDATE') AND "
         "pg_catalog.has_table_privilege(t.keys, 'SELECT') AND "
         "pg_catalog.has_table_privilege(t.keys, "
         "'INSERT') AND pg_catalog.has_table_privilege(t.keys, 'DELETE'), false) FROM (SELECT "
         "pg_catalog.max(c.oid::bigint)::pg_catalog.oid, pg_catalog.max(n.oid::bigint)::"
         "pg_catalog.oid, pg_catalog.max(k.oid::bigint)::pg_catalog.oid FROM "
         "pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON "
         "c.relnamespace = n.oid AND c.relname = 'backfills' JOIN pg_catalog.pg_class k ON "
         "k.relnamespace = n.oid AND k.relname = 'backfill_keys' JOIN pg_catalog.pg_proc p ON "
         "p.pronamespace = n.oid AND p.proname = 'read_rows' WHERE n.nspname = 'walspout') t(oid, "
         "schema, keys)";
}

std::string find_requests(const std::string& slot, const std::string& nonce,
                          const std::vector<int64_t>& loaded, size_t most) {
  const std::string columns =
      "SELECT b.id, CASE WHEN c.oid IS NOT NULL THEN b.relation END, n.nspname, c.relname, "
      "b.condition, b.rate, b.state, " +
      encoded("b.cursor") +
      ", (SELECT pg_catalog.string_agg(pg_catalog.concat(k.number, 'x', pg_catalog.encode("
      "pg_catalog.convert_to(k.key, 'UTF8'), 'hex')), ',') FROM walspout.backfill_keys k WHERE "
      "k.backfill = b.id)" +
      // pg_partition_tree() would wait for a locked table, and so would the stream.
      ", b.rows, (SELECT pg_catalog.sum(greatest(t.reltuples, 0))::bigint FROM pg_catalog.pg_class "
      "t "
      "WHERE t.oid = ANY (ARRAY(WITH RECURSIVE tree(oid) AS (SELECT b.relation UNION ALL SELECT "
      "i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid WHERE "
      "(SELECT p.relispartition FROM pg_catalog.pg_class p WHERE p.oid = i.inhrelid)) SELECT "
      "tree.oid FROM tree))), b.shape, " +
      has_key("c") +
      " FROM "
      "walspout.backfills b LEFT JOIN "
      "pg_catalog.pg_class c ON c.oid = b.relation LEFT JOIN pg_catalog.pg_namespace n ON n.oid = "
      "c.relnamespace WHERE b.slot = " +
      quote(slot) + " AND b.owner = " + quote(nonce) + " AND b.id NOT IN (" + numbers(loaded) +
      ") AND ";
  return "(" + columns +
         "(b.state IN ('waiting', 'running', 'paused') OR b.state = 'requested' AND b.cursor IS "
         "NOT NULL) ORDER BY b.id) UNION ALL (" +
         columns + "b.state = 'requested' AND b.cursor IS NULL ORDER BY b.id LIMIT " +
         std::to_string(most) + ")";
}

std::string claim_requests(const std::string& slot, const std::string& nonce, bool all) {
  return "UPDATE walspout.backfills SET owner = " + quote(nonce) + " WHERE slot = " + quote(slot) +
         " AND state NOT IN ('done', 'canceled', 'failed') AND owner IS " +
         (all ? "DISTINCT FROM " + quote(nonce) : std::string("NULL"));
}

std::string find_kept(const std::string& slot) {
  return "SELECT pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN "
         "pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, "
         "confirmed_flush_lsn)::bigint FROM pg_catalog.pg_replication_slots WHERE slot_name = " +
         quote(slot) +
         " AND EXISTS (SELECT FROM walspout.backfills b WHERE b.slot = slot_name AND b.state NOT "
         "IN "
         "('done', 'canceled', 'failed'))";
}

std::optional<BackfillRecord> request_of(const Row& row) {
  if (row.size() < 13) return std::nullopt;
  const std::optional<BackfillState> state = backfill_state(text(row, 6));
  if (!state) return std::nullopt;
  BackfillRecord record;
  record.id = number<int64_t>(text(row, 0));
  record.relation = number<uint32_t>(text(row, 1));
  record.schema = text(row, 2);
  record.name = text(row, 3);
  record.condition = text(row, 4);
  record.rate = number<uint64_t>(text(row, 5));
  record.state = *state;
  record.cursor = decoded(text(row, 7));
  record.again = decoded_keys(text(row, 8));
  record.rows = number<uint64_t>(text(row, 9));
  if (row[10]) record.estimate = number<int64_t>(text(row, 10));
  record.shape = text(row, 11);
  record.has_key = text(row, 12) == "t";
  return record;
}

std::string find_states(const std::vector<int64_t>& loaded) {
  return "SELECT id, state FROM walspout.backfills WHERE id IN (" + numbers(loaded) + ")";
}

std::string begin_requests_again(const std::string& slot) {
  return "WITH again AS (UPDATE walspout.backfills SET state = CASE WHEN state = 'paused' THEN "
         "state ELSE 'requested' END, cursor = NULL, rows = 0, started = NULL, barrier = NULL, "
         "shape = NULL, error = NULL WHERE slot = " +
         quote(slot) +
         " AND state NOT IN ('done', 'canceled', 'failed') RETURNING id, \"table\"), forgotten AS "
         "(DELETE FROM walspout.backfill_keys k USING again WHERE k.backfill = again.id) "
         "SELECT \"table\" FROM again ORDER BY id";
}

std::string cancel_requests(const std::string& slot) {
  return "UPDATE walspout.backfills SET state = 'canceled', finished = pg_catalog.now() WHERE slot "
         "= " +
         quote(slot) + " AND state NOT IN ('done', 'canceled', 'failed')";
}

std::string find_rights_to_drop() {
  const auto may = [](std::string_view right) {
    return "pg_catalog.has_table_privilege(c.oid, '" + std::string(right) + "')";
  };
  // A condition needs SELECT on its column.
  const std::string reads = "pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND " + may("SELECT");
  return "SELECT " + reads + " AND " + may("DELETE") + ", " + reads + " AND " + may("UPDATE") +
         " FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND "
         "c.relname = 'backfills' AND c.relkind = 'r' WHERE n.nspname = 'walspout'";
}

std::string drop_requests_of(const std::string& slot) {
  return "DELETE FROM walspout.backfills WHERE slot = " + quote(slot) + " RETURNING id";
}

std::string save_record(const BackfillRecord& record, const std::vector<std::string>& cursor,
                        const std::string& nonce) {
  const bool ended = is_finished(record.state);
  // Keeps states that users have set meanwhile. Only users pause or resume a backfill.
  std::string state = "state";
  if (ended) state = quote(name_of(record.state));
  if (!ended && record.state != BackfillState::kPaused) {
    // A key may have been added while the end was saved. Then the backfill continues, unless there
    // is another request.
    state =
        "CASE WHEN state = 'paused' OR state = 'done' AND EXISTS (SELECT FROM walspout.backfills "
        "o WHERE o.slot = b.slot AND o.relation = b.relation AND o.id <> b.id AND o.state NOT IN "
        "('done', 'canceled', 'failed')) THEN state ELSE " +
        quote(name_of(record.state)) + " END";
  }
  return "UPDATE walspout.backfills b SET state = " + state +
         ", cursor = " + (cursor.empty() ? "NULL" : text_array(cursor)) +
         ", rows = " + std::to_string(record.rows) +
         ", estimate = " + (record.estimate < 0 ? "estimate" : std::to_string(record.estimate)) +
         ", started = coalesce(started, pg_catalog.now()), finished = " +
         (ended ? "pg_catalog.now()" : "NULL") +
         ", barrier = " + (record.barrier ? quote(std::to_string(record.barrier)) : "NULL") +
         ", shape = " + quote(record.shape) +
         ", error = " + (record.error.empty() ? "NULL" : quote(record.error)) +
         " WHERE id = " + std::to_string(record.id) + " AND owner = " + quote(nonce) +
         " AND state <> 'canceled'";
}

std::string forget_keys(const std::string& slot) {
  return "DELETE FROM walspout.backfill_keys k USING walspout.backfills b WHERE b.id = k.backfill "
         "AND "
         "b.slot = " +
         quote(slot) + " AND b.state IN ('done', 'canceled', 'failed')";
}

// Runs after save_record() in the same transaction: then the request's row is locked if this
// process owns it.
std::string save_keys(int64_t id, const KeyChanges& changes, const std::string& nonce) {
  const std::string ours =
      "EXISTS (SELECT FROM walspout.backfills b WHERE b.id = " + std::to_string(id) +
      " AND b.owner = " + quote(nonce) + ")";
  const std::string from =
      "DELETE FROM walspout.backfill_keys WHERE backfill = " + std::to_string(id) + " AND " + ours;
  std::string all;
  if (changes.all) all += from + "; ";
  if (!changes.add.empty()) {
    std::string values;
    for (const auto& [number, key] : changes.add) {
      values += (values.empty() ? "(" : ", (") + std::to_string(number) + ", " + quote(key) + ")";
    }
    all += "INSERT INTO walspout.backfill_keys (backfill, number, key) SELECT " +
           std::to_string(id) + ", v.number, v.key FROM (VALUES " + values +
           ") v(number, key) WHERE " + ours + " ON CONFLICT DO NOTHING; ";
  }
  if (!changes.remove.empty()) {
    std::string numbers;
    for (const uint64_t number : changes.remove) {
      numbers += (numbers.empty() ? "" : ", ") + std::to_string(number);
    }
    all += from + " AND number = ANY (ARRAY[" + numbers + "]::bigint[]); ";
  }
  return all;
}

std::string find_holder(uint64_t barrier) {
  const std::string xid = std::to_string(barrier & 0xffffffffu);
  return "SELECT pg_catalog.concat('transaction ', a.backend_xid, ' of process ', a.pid, ', role "
         "', "
         "a.usename, ', since ', a.xact_start) FROM pg_catalog.pg_stat_activity a WHERE "
         "a.backend_xid IS NOT NULL AND pg_catalog.age(a.backend_xid) >= pg_catalog.age('" +
         xid +
         "'::pg_catalog.xid) UNION ALL SELECT pg_catalog.concat('prepared transaction \"', p.gid, "
         "'\", since ', p.prepared) FROM pg_catalog.pg_prepared_xacts p WHERE "
         "pg_catalog.age(p.transaction) >= pg_catalog.age('" +
         xid + "'::pg_catalog.xid) LIMIT 1";
}

std::string read_round(const SourceConfig& config, const std::vector<ReadRequest>& requests,
                       const RoundLimits& limits) {
  std::string tables;
  std::string values;
  std::string copies;
  const std::string options = option_pairs(config);
  for (const ReadRequest& request : requests) {
    const BackfillRecord& table = request.table;
    tables += (tables.empty() ? "" : ", ") + Connection::quote_name(table.schema) + "." +
              Connection::quote_name(table.name);
    values += (values.empty() ? "(" : ", (") + std::to_string(request.id) + ", " +
              std::to_string(table.relation) + "::pg_catalog.oid)";
    if (request.kind == ReadRequest::Kind::kCheck) continue;
    copies += "; COPY (" + read(options, request, limits) + ") TO STDOUT (FORMAT binary)";
  }
  // The lock comes before the snapshot: a table that is rewritten after the snapshot looks empty.
  // The wait for the lock is short, because meanwhile nothing is saved and the slot is held. The
  // lock is requested again later.
  return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL row_security = off; SET LOCAL "
         "lock_timeout = '500ms'; LOCK TABLE " +
         tables + " IN ACCESS SHARE MODE; SELECT pg_catalog.pg_current_snapshot(); SELECT v.id, " +
         shape("v.relation") + " FROM (VALUES " + values + ") v(id, relation)" + copies +
         "; COMMIT";
}

std::string read_first(const SourceConfig& config, const std::vector<BackfillRecord>& tables,
                       const std::string& snapshot) {
  std::string names;
  std::string oids;
  std::string copies;
  const std::string options = option_pairs(config);
  for (const BackfillRecord& table : tables) {
    names += (names.empty() ? "" : ", ") + Connection::quote_name(table.schema) + "." +
             Connection::quote_name(table.name);
    oids += (oids.empty() ? "(" : ", (") + std::to_string(table.relation) + "::pg_catalog.oid)";
    copies += "; COPY (SELECT walspout.read_rows(" + regclass(table.relation) + ", " + options +
              ", NULL, NULL, NULL, NULL, " +
              (table.condition.empty() ? "NULL" : quote(table.condition)) +
              ")) TO STDOUT (FORMAT binary)";
  }
  return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " +
         quote(snapshot) +
         "; SET LOCAL row_security = off; SET LOCAL lock_timeout = '30s'; LOCK TABLE " + names +
         " IN ACCESS SHARE MODE; COPY (WITH RECURSIVE tree(oid) AS (VALUES " + oids +
         " UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = "
         "tree.oid) SELECT pg_catalog.convert_to(" +
         quote(kNotRewritten) +
         " || coalesce(pg_catalog.string_agg(c.relname, ', '), ''), 'UTF8') FROM tree JOIN "
         "pg_catalog.pg_class c ON c.oid = tree.oid WHERE c.relkind = 'r' AND c.relfilenode <> "
         "pg_catalog.pg_relation_filenode(c.oid)) TO STDOUT (FORMAT binary)" +
         copies + "; COMMIT";
}

std::string find_first(const std::string& slot) {
  return "SELECT b.id, b.relation, n.nspname, c.relname, b.condition FROM walspout.backfills b "
         "JOIN "
         "pg_catalog.pg_class c ON c.oid = b.relation JOIN pg_catalog.pg_namespace n ON n.oid = "
         "c.relnamespace WHERE b.state = 'running' AND b.slot = " +
         quote(slot) + " ORDER BY b.id";
}

BackfillRecord first_of(const Row& row) {
  BackfillRecord record;
  record.id = number<int64_t>(text(row, 0));
  record.relation = number<uint32_t>(text(row, 1));
  record.schema = text(row, 2);
  record.name = text(row, 3);
  record.condition = text(row, 4);
  return record;
}

std::string try_to_read(const BackfillRecord& table) {
  return "SET LOCAL row_security = off; SET LOCAL lock_timeout = '3s'; SELECT FROM " +
         Connection::quote_name(table.schema) + "." + Connection::quote_name(table.name) +
         (table.condition.empty() ? "" : " WHERE (" + table.condition + "\n)") + " LIMIT 0";
}

std::string check_request(const SourceConfig& config, const std::string& table,
                          const std::string& condition) {
  return "SELECT pg_catalog.count(*) FROM walspout.read_rows(" + quote(table) +
         "::pg_catalog.regclass, " + option_pairs(config) + ", NULL, 0, NULL, NULL, " +
         (condition.empty() ? "NULL" : quote(condition)) + ")";
}

std::string find_shape(uint32_t relation) {
  return "SELECT " + shape(std::to_string(relation) + "::pg_catalog.oid");
}

std::string emit_mark(const std::string& content) {
  return std::string(kLocalCommit) + "SELECT pg_catalog.pg_logical_emit_message(true, " +
         quote(kMarkPrefix) + ", " + quote(content) + ")";
}

}  // namespace walspout
