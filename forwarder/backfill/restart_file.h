// A file that lists backfills that must begin again, because the database could not be updated.
//
// The slot retains WAL for unsaved state of a backfill. If saving fails for too long, the WAL is
// released. From then on the progress in the database is wrong. This file says so until the
// progress is saved again. A request listed without need is only read again.
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

  // The ids of requests of that slot; none: there is no file, or it is about another slot.
  Result<std::set<int64_t>> read() const;

  // Returns when the file is on disk. On an error the old file stays.
  Result<void> write(const std::set<int64_t>& ids) const;

  // Does nothing if there is no file.
  void remove() const;

 private:
  std::string path_;
  std::string slot_;
};

}  // namespace walspout
