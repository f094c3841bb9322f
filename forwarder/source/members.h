// Where the members of an event's `after` are: one number for each column of its table, behind the
// spans in the event's frame (plugin/README.md). And where the members of the old key are in
// `before`: two numbers for each column of the key. With these numbers a document is split and
// rebuilt without parsing JSON.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace walspout {

// The state of a column in `after`.
struct Member {
  enum class Kind {
    kAbsent,  // the value did not change, and is not in the WAL
    kHere,    // "name":value
    kElided,  // the value was left out
  } kind = Kind::kAbsent;
  uint64_t size = 0;  // kHere: bytes of the text; kElided: bytes of the value in the database
};

// Takes a number from the front: seven bits of each byte, the lowest first. Nothing: the number is
// cut short, or has more than 64 bits.
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

// Whether the numbers of `columns` columns describe the object: members in a row, with one comma
// between them. Shortens `numbers` to those of these columns.
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

// Whether the numbers describe `columns` members of the object: for each, the bytes since the
// member before, and its size. Shortens `numbers` to those of these members.
inline bool old_key_fits(std::string_view& numbers, size_t columns, std::string_view object) {
  const std::string_view all = numbers;
  uint64_t at = 0;
  for (size_t i = 0; i < columns; i++) {
    const std::optional<uint64_t> gap = take_number(numbers);
    const std::optional<uint64_t> size = take_number(numbers);
    if (!gap || !size || *gap == 0 || *size == 0) return false;
    // At least the closing brace follows a member.
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

// The old key, as an object like `key`, from these members of the object. old_key_fits() was true.
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
