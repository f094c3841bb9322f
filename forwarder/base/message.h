// The bytes of one message of the source's, owned. The code that allocated them says how they are
// freed.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace walspout {

class Message {
 public:
  using Free = void (*)(void*);

  Message() : data_(nullptr, free_nothing) {}

  // Takes over `data`; the message proper are its last `size` bytes, from `offset`.
  Message(char* data, size_t offset, size_t size, Free free)
      : data_(data, free), offset_(offset), size_(size) {}

  std::string_view bytes() const { return {data_.get() + offset_, size_}; }

 private:
  static void free_nothing(void*) {}

  std::unique_ptr<char, Free> data_;
  size_t offset_ = 0;
  size_t size_ = 0;
};

}  // namespace walspout
