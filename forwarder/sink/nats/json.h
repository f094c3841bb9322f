// Reading what a NATS server says: small JSON objects. Pure; whatever comes, nothing outside of the
// text is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace walspout {

// The value of a member of the object that `text` is, as it stands there. Nothing: there is no such
// member, or `text` is no object.
[[nodiscard]] std::optional<std::string_view> json_member(std::string_view text,
                                                          std::string_view name);

// The items of the array that `text` is, as they stand there.
[[nodiscard]] std::vector<std::string_view> json_items(std::string_view text);

// Members of a certain type; `otherwise` if there is no such member of that type.
[[nodiscard]] std::string json_text(std::string_view object, std::string_view name);
[[nodiscard]] int64_t json_number(std::string_view object, std::string_view name,
                                  int64_t otherwise = 0);
[[nodiscard]] bool json_flag(std::string_view object, std::string_view name);

// The text that a JSON string stands for; empty if the value is no string.
[[nodiscard]] std::string json_string(std::string_view value);

}  // namespace walspout
