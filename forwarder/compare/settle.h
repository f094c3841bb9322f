// Tells rows that really differ from rows that had only changed meanwhile.
//
// The rows are looked at again: in the source, and in the target after its position has passed the
// LSN of the look at the source. Suppose the source has a row, and does not change it until after
// the look at the target. Then the target must have the same row. A row that the source lacks must
// leave the target. It does not if the target has the same version of it at two such looks.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "compare/pair.h"
#include "compare/position.h"
#include "compare/statements.h"
#include "postgres/connection.h"

namespace walspout {

// The error of a query: kReject if a value of a row is at fault.
[[nodiscard]] Error comparison_error(ServerError error);

struct Difference {
  enum class Kind {
    kMissing,
    kExtra,
    kDifferent,
    kUnsettled,  // it changed, or the target lagged behind, until the time was up
  } kind = Kind::kMissing;
  KeyTexts key;
  std::vector<std::string> columns = {};  // kDifferent, kUnsettled: the columns that differ
};

class Settler {
 public:
  static constexpr size_t kRows = 500;  // at once

  Settler(Connection& source, Connection& target, ComparePosition& position, const TablePair& pair,
          Duration limit)
      : source_(source), target_(target), position_(position), pair_(pair), limit_(limit) {}

  void add(KeyTexts key) { waiting_.insert(std::move(key)); }
  size_t size() const { return waiting_.size(); }

  // Takes up to kRows of the added rows.
  [[nodiscard]] Result<std::vector<Difference>> settle();

  // The existing rows of these keys: hash and version.
  struct Seen {
    std::string hash;
    std::string version;
  };
  using Rows = std::map<KeyTexts, Seen>;
  [[nodiscard]] static Result<Rows> rows(Connection& connection, const TableSide& side,
                                         const std::vector<KeyTexts>& keys, TimePoint deadline);

  // What is known of an unsettled row.
  struct Watched {
    std::set<std::string> hashes;        // that the row had in the source
    std::optional<std::string> version;  // of the target's row, at the last look
    bool was_reached = false;            // the target had passed the source's LSN then
  };
  enum class Verdict { kEqual, kMissing, kExtra, kDifferent, kPending };

  // Pure. The row in the source, then in the target, then in the source again; null: no such row.
  // `reached`: the target's position has passed the first look.
  [[nodiscard]] static Verdict judge(const Seen* before, const Seen* there, const Seen* after,
                                     bool reached, Watched& watched);

 private:
  using Pending = std::map<KeyTexts, Watched>;

  [[nodiscard]] Result<bool> wait_for(Lsn lsn, Pending& pending, TimePoint until);
  [[nodiscard]] Result<void> look(Pending& pending, TimePoint until,
                                  std::vector<Difference>& found);
  [[nodiscard]] Result<void> watch(Pending& pending);
  [[nodiscard]] Result<void> add_found(Difference::Kind kind, const KeyTexts& key,
                                       std::vector<Difference>& found);
  [[nodiscard]] Result<std::optional<std::vector<std::string>>> differing(const KeyTexts& key);

  Connection& source_;
  Connection& target_;
  ComparePosition& position_;
  const TablePair& pair_;
  const Duration limit_;
  std::set<KeyTexts> waiting_;
  bool is_stuck_ = false;  // the target did not move the last time
};

}  // namespace walspout
