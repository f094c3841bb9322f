// Where the members of an event's `after` are: one number for each column of its table, behind the
// spans in the event's frame (plugin/README.md). And where those of the old key are in `before`:
// two numbers for each column of the key. With them a document is taken apart, and put together,
// without parsing JSON.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace walspout {

// What `after` has of a column.
struct Member {
  enum class Kind {
    kAbsent,  // nothing: the value did not change, and is not in the log
    kHere,    // "name":value
    kElided,  // nothing: the value was left out
  } kind = Kind::kAbsent;
  uint64_t size = 0;  // kHere: of the text; kElided: of the value, in the database
};

// Takes a number from the front: of each byte seven bits, the lowest first. Nothing if it is cut
// short, or has more than 64 bits.
inline std::optional<uint64_t> take_number(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (shift == 63 && byte > 1) return std::nullopt;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// Takes the next column's member from the front of the numbers.
inline std::optional<Member> take_member(std::string_view& numbers) {
  const std::optional<uint64_t> number = take_number(numbers);
  if (!number) return std::nullopt;
  if (*number == 0) return Member{};
  return Member{*number & 1 ? Member::Kind::kElided : Member::Kind::kHere, *number >> 1};
}

// Whether the numbers of so many columns describe that object: members one after the other, with
// one comma between them. What is left of the numbers is not theirs.
inline bool members_fit(std::string_view& numbers, size_t columns, std::string_view object) {
  const std::string_view all = numbers;
  if (object.size() < 2) return false;
  uint64_t at = 1;
  bool first = true;
  for (size_t i = 0; i < columns; i++) {
    const std::optional<Member> member = take_member(numbers);
    if (!member) return false;
    if (member->kind != Member::Kind::kHere) continue;
    if (!first && (at >= object.size() || object[at++] != ',')) return false;
    if (member->size > object.size() - at) return false;
    at += member->size;
    first = false;
  }
  numbers = all.substr(0, all.size() - numbers.size());
  return at == object.size() - 1;
}

// Whether the numbers describe so many members of that object: of each the bytes in front of it,
// since the one before, and its own size. What is left of the numbers is not theirs.
inline bool old_key_fits(std::string_view& numbers, size_t columns, std::string_view object) {
  const std::string_view all = numbers;
  uint64_t at = 0;
  for (size_t i = 0; i < columns; i++) {
    const std::optional<uint64_t> gap = take_number(numbers);
    const std::optional<uint64_t> size = take_number(numbers);
    if (!gap || !size || *gap == 0 || *size == 0) return false;
    // Behind a member there is at least the brace.
    if (*gap >= object.size() - at) return false;
    at += *gap;
    if (*size >= object.size() - at) return false;
    const char in_front = object[at - 1];
    at += *size;
    if (in_front != '{' && in_front != ',') return false;
    if (object[at] != '}' && object[at] != ',') return false;
  }
  numbers = all.substr(0, all.size() - numbers.size());
  return columns > 0;
}

// The old key, as an object like `key`: these members of the object. They fit.
inline std::string old_key(std::string_view numbers, std::string_view object) {
  std::string key;
  size_t at = 0;
  while (!numbers.empty()) {
    at += take_number(numbers).value_or(0);
    const uint64_t size = take_number(numbers).value_or(0);
    key += key.empty() ? '{' : ',';
    key += object.substr(at, size);
    at += size;
  }
  if (!key.empty()) key += '}';
  return key;
}

}  // namespace walspout
