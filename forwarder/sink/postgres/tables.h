// The target's tables for events, by the event's table. Each is inspected once per connection.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "postgres/connection.h"
#include "sink/common/template.h"
#include "sink/postgres/config.h"
#include "sink/postgres/steps.h"
#include "stream/only.h"

namespace walspout {

// Where events of a table go.
struct PostgresPlace {
  PostgresName target;
  const RowsConfig* rows = nullptr;
};

class PostgresTables {
 public:
  // Settings of the tables that a pattern matches.
  struct Some {
    TablePattern pattern;
    std::optional<Router> router;  // none: the router for all tables
    const RowsConfig* rows;
  };

  // `some`: the first match decides. `config` must outlive this.
  PostgresTables(const PostgresConfig& config, Router router, std::vector<Some> some)
      : config_(config), router_(std::move(router)), some_(std::move(some)) {}

  // The templates of a configuration.
  struct Routers {
    Router all;
    std::vector<std::optional<Router>> some;  // for each item of `tables`; none: `all`
  };
  // Error: a bad template.
  [[nodiscard]] static Result<Routers> routers(const PostgresConfig& config);
  static std::vector<Some> some(const PostgresConfig& config,
                                std::vector<std::optional<Router>> routers);

  // A call of deliver() begins: Table pointers of the last call may be invalid.
  void begin() {
    latest_ = {};
    known_.clear();
  }

  // Null: by the configuration, the event goes nowhere or changes nothing. Error: the event is at
  // fault, or the target's table does not fit.
  [[nodiscard]] Result<PostgresTable*> find(Connection& connection, const Event& event,
                                            TimePoint deadline);

  // Reads no catalog. Nothing: as null of find(). Error: the event is at fault.
  [[nodiscard]] Result<std::optional<PostgresPlace>> place(const Event& event);

  // The connection ended.
  void forget();
  // Forgets the tables after the first `count` of them: a transaction was rolled back that may have
  // made them.
  void forget_after(size_t count);
  size_t size() const { return count_; }

 private:
  struct Entry {
    Table source;
    PostgresTable table;
  };
  struct Known {
    const Table* source = nullptr;
    char op = 0;
    PostgresTable* table = nullptr;

    auto key() const { return std::pair(source, op); }
  };

  [[nodiscard]] Result<PostgresTable*> look_up(Connection& connection, const Event& event,
                                               TimePoint deadline);
  [[nodiscard]] Result<Table> described(Connection& connection, const Event& event,
                                        TimePoint deadline) const;

  const PostgresConfig& config_;
  const Router router_;
  const std::vector<Some> some_;
  std::map<PostgresName, std::vector<std::unique_ptr<Entry>>> tables_;
  size_t count_ = 0;
  Known latest_;
  std::map<std::pair<const Table*, char>, PostgresTable*> known_;  // in the current call
  std::string name_;                                               // reused, to save allocations
};

}  // namespace walspout
