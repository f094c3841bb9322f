// Compares a table of the source with its copy, while both are written to.
//
// Pieces of the table are compared by sums of hashes, which the servers compute. A piece that
// differs is divided, down to pieces whose rows are compared one by one. A row that differs may
// only have changed meanwhile, so settle.h looks at it again.
//
// Each query has a short snapshot of its own. The memory in use does not grow with the table.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "compare/pair.h"
#include "compare/position.h"
#include "compare/settle.h"
#include "compare/statements.h"
#include "postgres/connection.h"

namespace walspout {

struct TableOutcome {
  uint64_t source_rows = 0;
  uint64_t target_rows = 0;
  uint64_t missing = 0;
  uint64_t extra = 0;
  uint64_t different = 0;
  uint64_t unsettled = 0;
  bool stopped = false;  // stopped at the limit of differences: there may be more
  std::string whole{};   // what differs, if not single rows; empty: nothing

  uint64_t differences() const { return missing + extra + different + unsettled; }
  bool is_equal() const { return differences() == 0 && whole.empty(); }
};

struct CompareSettings {
  Duration settle{};   // how long to look again at rows that differ
  uint64_t limit = 0;  // the most differences of a table
};

class Comparison {
 public:
  using Found = std::function<void(const Difference& difference)>;
  using Moved = std::function<void(uint64_t rows)>;

  // `found` gets each difference, `moved` the number of compared rows. All that the arguments refer
  // to must outlive the comparison.
  Comparison(Connection& source, Connection& target, ComparePosition& position,
             const TablePair& pair, CompareSettings settings, Found found, Moved moved);

  [[nodiscard]] Result<TableOutcome> run();

 private:
  struct Sum {
    uint64_t rows = 0;
    std::string hash;

    bool operator==(const Sum&) const = default;
  };
  struct Sums {
    Sum source;
    Sum target;
  };

  [[nodiscard]] Result<void> count_unkeyed();
  Error explained(Error error) const;
  [[nodiscard]] Result<void> by_key();
  [[nodiscard]] Result<void> compare_buckets();
  [[nodiscard]] Result<void> compare_as_whole();
  // Of all rows.
  [[nodiscard]] Result<Sum> sum(Connection& connection, const TableSide& side);
  [[nodiscard]] Result<Sums> sums(const Piece& piece);
  // False: the limit is reached.
  // `of`: the size of what the piece is a part of; 0: of the table.
  [[nodiscard]] Result<bool> look(const Piece& piece, uint64_t of);
  [[nodiscard]] Result<bool> divide(const Piece& piece, const Sums& found);
  [[nodiscard]] Result<bool> rows_of(const Piece& piece);
  [[nodiscard]] Result<bool> settle(bool all);
  [[nodiscard]] Result<std::map<int, Sum>> buckets(Connection& connection, const TableSide& side);
  [[nodiscard]] bool may_differ(const Sums& found) const;
  [[nodiscard]] uint64_t size(const Sums& found) const;

  Connection& source_;
  Connection& target_;
  ComparePosition& position_;
  const TablePair& pair_;
  const CompareSettings settings_;
  const Found found_;
  const Moved moved_;
  Settler settler_;
  TableOutcome outcome_;
  std::set<KeyTexts> reported_;  // a row may be in several pieces.
  bool is_disordered_ = false;   // the servers sort keys differently, against all signs
};

}  // namespace walspout
