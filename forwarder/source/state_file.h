// A file that keeps the position last reported to the server over restarts. So a re-created slot or
// a restored server is detected even if no forwarder ran at that time.
//
// Delivery never depends on it. The record is written before the server gets the position, so the
// slot is never ahead of the record. If writing fails, the record is removed: an old record would
// raise a false alarm. Without a record the slot is trusted.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "source/resume.h"

namespace walspout {

class StateFile {
 public:
  // DIRECTORY/PIPELINE.state. Nothing is opened yet.
  StateFile(const std::string& directory, const std::string& pipeline);

  // Whether the directory can hold files. Creates none.
  static Result<void> check(const std::string& directory);

  // The record of that slot; nothing: there is no file, or it is about another slot. An error needs
  // an operator: the file cannot be read or parsed.
  Result<std::optional<SlotRecord>> read(std::string_view slot) const;

  // Replaces the file atomically, and returns when it is on disk. Never lowers a position of the
  // same history: a process that hung may write after its successor. On an error there is no file.
  Result<void> write(std::string_view slot, const SlotRecord& record) const;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace walspout
