#include "sink/postgres/tables.h"

#include <algorithm>
#include <utility>

#include "sink/postgres/errors.h"

namespace walspout {
namespace {

Result<Router> usable(const Route& route) {
  auto router = Router::create(route);
  if (!router) return router;
  for (const std::string& name : router->patterns("x")) {
    if (auto target = PostgresName::parse(name); !target) return Failure(target.error());
  }
  return router;
}

}  // namespace

Result<PostgresTables::Routers> PostgresTables::routers(const PostgresConfig& config) {
  auto all = usable(config.target);
  if (!all) return with_prefix("target", all.error());
  Routers made{std::move(*all), {}};
  for (const TablesConfig& item : config.tables) {
    std::optional<Router>& its = made.some.emplace_back();
    if (item.target.empty() || config.target.is_for_all) continue;
    Route route = config.target;
    route.tables.clear();
    route.fallback = item.target;
    auto router = usable(route);
    if (!router) return with_prefix("tables: the target of \"" + item.table + "\"", router.error());
    its = std::move(*router);
  }
  return made;
}

std::vector<PostgresTables::Some> PostgresTables::some(const PostgresConfig& config,
                                                       std::vector<std::optional<Router>> routers) {
  std::vector<Some> all;
  for (size_t i = 0; i < config.tables.size(); i++) {
    all.push_back(
        {TablePattern(config.tables[i].table), std::move(routers[i]), &config.tables[i].rows});
  }
  return all;
}

void PostgresTables::forget() {
  begin();
  tables_.clear();
  count_ = 0;
}

// Prepared statements keep their numbers.
void PostgresTables::forget_after(size_t count) {
  if (count == count_) return;
  begin();
  for (auto& [target, entries] : tables_) {
    std::erase_if(entries, [&](const auto& entry) { return entry->table.number >= count; });
  }
}

Result<PostgresTable*> PostgresTables::find(Connection& connection, const Event& event,
                                            TimePoint deadline) {
  if (latest_.source == event.table && latest_.op == event.op) return latest_.table;
  const auto known = known_.find({event.table, event.op});
  if (known != known_.end()) {
    latest_ = {event.table, event.op, known->second};
    return known->second;
  }
  auto found = look_up(connection, event, deadline);
  // If a table's columns are unknown, its rows may have different columns.
  if (!found || event.table->columns.empty()) return found;
  latest_ = {event.table, event.op, *found};
  known_[{event.table, event.op}] = *found;
  return found;
}

Result<std::optional<PostgresPlace>> PostgresTables::place(const Event& event) {
  const Router* router = &router_;
  const RowsConfig* rows = &config_.rows;
  const auto one = std::find_if(some_.begin(), some_.end(), [&](const Some& some) {
    return some.pattern.matches(event.table->schema, event.table->name);
  });
  if (one != some_.end()) {
    rows = one->rows;
    if (one->router) router = &*one->router;
  }
  if (rows->ignores(event.op)) return std::nullopt;
  auto routed = router->route(event, name_);
  if (!routed) return Failure(routed.error());
  if (!*routed) return std::nullopt;
  auto target = PostgresName::parse(name_);
  if (!target) return Failure(target.error());
  return PostgresPlace{std::move(*target), rows};
}

Result<PostgresTable*> PostgresTables::look_up(Connection& connection, const Event& event,
                                               TimePoint deadline) {
  auto found = place(event);
  if (!found) return Failure(found.error());
  if (!*found) return nullptr;
  const PostgresName& target = (*found)->target;
  const RowsConfig* rows = (*found)->rows;
  Table source = *event.table;
  if (source.columns.empty()) {
    auto made = described(connection, event, deadline);
    if (!made) return Failure(made.error());
    source = std::move(*made);
  }
  auto& entries = tables_[target];
  for (const auto& entry : entries) {
    if (entry->source == source) return &entry->table;
  }
  auto shape = load_shape(connection, source, target, *rows,
                          {config_.create_tables, config_.add_columns}, deadline);
  if (!shape) return Failure(shape.error());
  auto entry = std::make_unique<Entry>();
  entry->source = std::move(source);
  entry->table.shape = std::move(*shape);
  entry->table.rows = rows;
  entry->table.number = count_++;
  entries.push_back(std::move(entry));
  return &entries.back()->table;
}

// A dead letter is only a document, so the server finds the columns in it.
Result<Table> PostgresTables::described(Connection& connection, const Event& event,
                                        TimePoint deadline) const {
  Table made{event.table->schema, event.table->name, {}};
  const auto names = [&](std::string_view object) {
    return connection.query("SELECT pg_catalog.json_object_keys(" +
                                Connection::quote_literal(object.empty() ? "{}" : object) +
                                "::pg_catalog.json)",
                            deadline);
  };
  auto key = names(event.key());
  if (!key) return Failure(postgres_error(key.error()));
  auto row = names(event.after().empty() ? event.key() : event.after());
  if (!row) return Failure(postgres_error(row.error()));
  const std::string document =
      "(" + Connection::quote_literal(event.document) + "::pg_catalog.json)->";
  auto lacking = connection.query("SELECT pg_catalog.json_array_elements_text(" + document +
                                      "'unchanged') UNION ALL SELECT pg_catalog.json_object_keys(" +
                                      document + "'elided')",
                                  deadline);
  if (!lacking) return Failure(postgres_error(lacking.error()));
  row->insert(row->end(), lacking->begin(), lacking->end());
  for (const Row& column : *row) {
    Column& added = made.columns.emplace_back();
    added.name = text(column, 0);
    for (const Row& one : *key) added.in_key = added.in_key || text(one, 0) == added.name;
  }
  return made;
}

}  // namespace walspout
