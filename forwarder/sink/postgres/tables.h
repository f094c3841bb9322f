// The tables of the target that events go to: found by the event's table, looked at once on a
// connection.
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
    std::optional<Router> router;  // none: the one for all tables
    const RowsConfig* rows;
  };

  // `some`: the first one that matches decides. What is given here outlives this.
  PostgresTables(const PostgresConfig& config, Router router, std::vector<Some> some)
      : config_(config), router_(std::move(router)), some_(std::move(some)) {}

  // The templates of a configuration.
  struct Routers {
    Router all;
    std::vector<std::optional<Router>> some;  // of each item of `tables`; none: the one for all
  };
  // Error: a template cannot be used.
  [[nodiscard]] static Result<Routers> routers(const PostgresConfig& config);
  static std::vector<Some> some(const PostgresConfig& config,
                                std::vector<std::optional<Router>> routers);

  // A call of deliver() begins: tables of events of the last call may be gone.
  void begin() {
    latest_ = {};
    known_.clear();
  }

  // Null: the event goes nowhere, or changes nothing, by the configuration. Error: of the event, or
  // the target's table does not fit.
  [[nodiscard]] Result<PostgresTable*> find(Connection& connection, const Event& event,
                                            TimePoint deadline);

  // Looks into no catalog. Nothing: as for find(). Error: of the event.
  [[nodiscard]] Result<std::optional<PostgresPlace>> place(const Event& event);

  // The connection is gone.
  void forget();
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
  std::map<std::pair<const Table*, char>, PostgresTable*> known_;  // in this call
  std::string name_;                                               // kept for its memory
};

}  // namespace walspout
