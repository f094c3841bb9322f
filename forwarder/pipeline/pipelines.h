// The pipelines of the process, in the order of the configuration. A reload changes the list while
// other threads use it; a removed pipeline lives until they are done.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/pipeline.h"

namespace walspout {

class Pipelines {
 public:
  using List = std::vector<std::shared_ptr<Pipeline>>;

  List list() const {
    std::lock_guard lock(mutex_);
    return list_;
  }
  void set(List list) {
    std::lock_guard lock(mutex_);
    list_ = std::move(list);
  }

  // Pipelines of the configuration that could not be started, and why, by name.
  std::map<std::string, std::string> missing() const {
    std::lock_guard lock(mutex_);
    return missing_;
  }
  void set_missing(std::map<std::string, std::string> missing) {
    std::lock_guard lock(mutex_);
    missing_ = std::move(missing);
  }

 private:
  mutable std::mutex mutex_;
  List list_;
  std::map<std::string, std::string> missing_;
};

}  // namespace walspout
