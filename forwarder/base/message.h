// The bytes of one message from the source, owned. The code that allocated the bytes supplies the
// function that frees them.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace walspout {

class Message {
 public:
  using Free = void (*)(void*);

  Message() : data_(nullptr, free_nothing) {}

  // Takes ownership of `data`. The message itself is `size` bytes from `offset` on.
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
