// Where the members of an event's `after` are: one number for each column of its table, behind the
// spans in the event's frame (plugin/README.md). With them a document is taken apart, and put
// together, without parsing JSON.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
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

}  // namespace walspout
