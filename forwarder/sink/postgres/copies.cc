#include "sink/postgres/copies.h"

#include <utility>

#include "sink/postgres/positions.h"
#include "sink/postgres/statements.h"
#include "sink/postgres/tables.h"

namespace walspout {
namespace {

class PostgresCopies final : public Copies {
 public:
  PostgresCopies(const PostgresConfig& config, PostgresTables::Routers routers)
      : config_(config),
        tables_(config_, std::move(routers.all),
                PostgresTables::some(config_, std::move(routers.some))) {}

  const Secret& dsn() const override { return config_.dsn; }
  Milliseconds connect_timeout() const override { return config_.connect_timeout; }
  Result<std::optional<CopyPlace>> place(const Table& source) override;
  Result<std::optional<CopiedTable>> find(Connection& target, const Table& source,
                                          TimePoint deadline) override;
  std::string position_query(const std::string& identity) const override {
    return PostgresPositions::query(config_.sink, identity);
  }

 private:
  Result<std::optional<PostgresPlace>> placed(const Table& source);

  const PostgresConfig config_;
  PostgresTables tables_;
};

CopyPlace described(const PostgresPlace& place) {
  return {place.target.schema, place.target.table, place.rows->mode == PostgresMode::kHistory,
          place.rows->columns.rename, place.rows->columns.leave_out};
}

Result<std::optional<PostgresPlace>> PostgresCopies::placed(const Table& source) {
  Event event;
  event.op = 'r';
  event.table = &source;
  return tables_.place(event);
}

Result<std::optional<CopyPlace>> PostgresCopies::place(const Table& source) {
  auto found = placed(source);
  if (!found) return Failure(found.error());
  if (!*found) return std::nullopt;
  return described(**found);
}

Result<std::optional<CopiedTable>> PostgresCopies::find(Connection& target, const Table& source,
                                                        TimePoint deadline) {
  auto found = placed(source);
  if (!found) return Failure(found.error());
  if (!*found) return std::nullopt;
  const RowsConfig& rows = *(*found)->rows;
  const auto shape = load_shape(target, source, (*found)->target, rows, {}, deadline);
  if (!shape) return Failure(shape.error());
  CopiedTable table{described(**found), {}, current_rows(*shape), false};
  table.keeps_deleted =
      rows.mode == PostgresMode::kAppend && (rows.deleted_at.empty() || !shape->keyed);
  for (const ShapeColumn& column : shape->columns) {
    if (!column.is_constant()) {
      table.columns.push_back({column.source, column.name, column.in_key && shape->keyed});
    }
  }
  return table;
}

}  // namespace

Result<std::unique_ptr<Copies>> postgres_copies(const PostgresConfig& config) {
  auto routers = PostgresTables::routers(config);
  if (!routers) return Failure(routers.error());
  return std::make_unique<PostgresCopies>(config, std::move(*routers));
}

}  // namespace walspout
