// Whether the target has everything that the source had committed at some time.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/result.h"
#include "postgres/connection.h"

namespace walspout {

class ComparePosition {
 public:
  // `position_query`: from Copies; empty: unknown. The connections must outlive this.
  ComparePosition(Connection& source, Connection& target, std::string slot,
                  std::string position_query)
      : source_(source),
        target_(target),
        slot_(std::move(slot)),
        position_query_(std::move(position_query)) {}

  // Everything that queries of the source have seen was committed before this LSN.
  [[nodiscard]] Result<Lsn> now(TimePoint deadline);

  // Whether the sink has committed everything before `lsn`. While there are events, the sink's own
  // position shows that. Otherwise the slot does: its position never passes an undelivered change.
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
