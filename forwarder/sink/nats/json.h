// Reads the small JSON objects of a NATS server. Pure, and safe for any text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace walspout {

// The raw value of a member of the object `text`. Nothing: no such member, or `text` is not an
// object.
[[nodiscard]] std::optional<std::string_view> json_member(std::string_view text,
                                                          std::string_view name);

// The raw items of the array `text`.
[[nodiscard]] std::vector<std::string_view> json_items(std::string_view text);

// Members of one type; `otherwise` if there is no such member of that type.
[[nodiscard]] std::string json_text(std::string_view object, std::string_view name);
[[nodiscard]] int64_t json_number(std::string_view object, std::string_view name,
                                  int64_t otherwise = 0);
[[nodiscard]] bool json_flag(std::string_view object, std::string_view name);

// The decoded text of a JSON string; empty: the value is not a string.
[[nodiscard]] std::string json_string(std::string_view value);

}  // namespace walspout
