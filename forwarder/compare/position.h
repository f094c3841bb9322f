// Whether the target has all that the source had committed at some time.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/result.h"
#include "postgres/connection.h"

namespace walspout {

class ComparePosition {
 public:
  // `position_query`: of Copies; empty: unknown. The connections outlive this.
  ComparePosition(Connection& source, Connection& target, std::string slot,
                  std::string position_query)
      : source_(source),
        target_(target),
        slot_(std::move(slot)),
        position_query_(std::move(position_query)) {}

  // All that queries of the source have seen was committed before this.
  [[nodiscard]] Result<Lsn> now(TimePoint deadline);

  // The sink has committed what was committed before `lsn`. Its own position tells that while there
  // are events. Otherwise the slot does, whose position passes nothing that is not delivered.
  [[nodiscard]] Result<bool> has_passed(Lsn lsn, TimePoint deadline);

  // Whether a process reads the slot.
  [[nodiscard]] Result<bool> is_read(TimePoint deadline);

 private:
  Connection& source_;
  Connection& target_;
  const std::string slot_;
  const std::string position_query_;
};

}  // namespace walspout
