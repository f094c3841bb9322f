// Hides the values of keys in texts that name destinations. A template with {key} puts values into
// routing keys and subjects. Receivers repeat these in their messages, and errors go to the log.
// Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace walspout {

class KeyMask {
 public:
  // The message `number` goes to a destination whose name contains `key`, as written in the name.
  // Numbers must grow. An empty key hides nothing.
  void note(uint64_t number, std::string_view key);
  void forget_before(uint64_t number);
  void clear() { keys_.clear(); }

  // The text with *** for the key of that message, or of every message. A text that ends in "..."
  // was cut, perhaps within a key: then the key's beginning is hidden, too.
  std::string apply(uint64_t number, std::string text) const;
  std::string apply(std::string text) const;
  static std::string hide(std::string_view key, std::string text);

 private:
  std::deque<std::pair<uint64_t, std::string>> keys_;
};

}  // namespace walspout
