// The record of what the server was told last, kept over restarts in a file, so that a slot that
// was re-created and a server that was restored are noticed even if that happened while no
// forwarder ran.
//
// Delivery never depends on it. It is written before the server is told: the slot may be behind it
// and never ahead. A record that cannot be written is removed instead, for an old one would raise a
// false alarm; without one the slot is believed.
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

  // Whether files can be made in the directory. Makes none.
  static Result<void> check(const std::string& directory);

  // The record of that slot; none if there is no file, or if it is about another slot. An error
  // needs an operator: a file that cannot be read or understood.
  Result<std::optional<SlotRecord>> read(std::string_view slot) const;

  // Replaces the file, atomically, and returns when it is on disk. A position of the same history
  // is never lowered: a process that hung may write after the one that took over. On an error there
  // is no file.
  Result<void> write(std::string_view slot, const SlotRecord& record) const;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace walspout
