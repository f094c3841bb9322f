// Which backfills have to begin again, kept in a file, as the database could not be told.
//
// The slot keeps WAL for what the database does not have of a backfill. Where it cannot be told for
// long, the WAL is let go. From then on the progress in the database is wrong: this file says so,
// until the database has another one. A request that is named without need is only read again.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/result.h"

namespace walspout {

class RestartFile {
 public:
  // DIRECTORY/PIPELINE.backfills. Without a directory there is no file.
  RestartFile(const std::string& directory, const std::string& pipeline, std::string slot);

  bool is_possible() const { return !path_.empty(); }

  // The ids of requests of that slot; none if there is no file, or if it is about another slot.
  Result<std::set<int64_t>> read() const;

  // Returns when the file is on disk. On an error it is as it was.
  Result<void> write(const std::set<int64_t>& ids) const;

  // Does nothing if there is no file.
  void remove() const;

 private:
  std::string path_;
  std::string slot_;
};

}  // namespace walspout
