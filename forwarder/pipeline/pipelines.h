// The pipelines of the process, in the order of the configuration. A reload changes them while
// others look at them: a pipeline that was taken out is there until they have looked.
#pragma once

#include <memory>
#include <mutex>
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

 private:
  mutable std::mutex mutex_;
  List list_;
};

}  // namespace walspout
