#include "sink/redis/entry.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace walspout {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"data", "id", "op", "schema", "table", "key"};

constexpr std::array<std::string_view, 6> kHeaders = {"$4\r\ndata\r\n",  "$2\r\nid\r\n",
                                                      "$2\r\nop\r\n",    "$6\r\nschema\r\n",
                                                      "$5\r\ntable\r\n", "$3\r\nkey\r\n"};

void append_count(std::string& out, char sign, size_t count) {
  std::array<char, 20> digits;
  out += sign;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + 20, count).ptr);
  out += "\r\n";
}

}  // namespace

bool RedisId::parse(std::string_view text, RedisId& id) {
  const char* dash = text.data() + std::min(text.find('-'), text.size());
  const char* end = text.data() + text.size();
  return dash != end && std::from_chars(text.data(), dash, id.lsn).ptr == dash &&
         std::from_chars(dash + 1, end, id.index).ptr == end;
}

std::string RedisId::text() const {
  return std::to_string(lsn) + "-" + std::to_string(index);
}

Result<std::vector<RedisField>> redis_fields(const std::vector<std::string>& names) {
  std::vector<RedisField> fields;
  for (const std::string& name : names) {
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end()) {
      return fatal("fields names \"" + name + "\"; there are data, id, op, schema, table and key");
    }
    const auto field = static_cast<RedisField>(found - kNames.begin());
    if (std::find(fields.begin(), fields.end(), field) != fields.end()) {
      return fatal("fields has \"" + name + "\" twice; an entry needs each field once");
    }
    fields.push_back(field);
  }
  if (fields.empty()) return fatal("fields is empty; an entry needs one, data as a rule");
  return fields;
}

std::string_view name_of(RedisField field) {
  return kNames[static_cast<size_t>(field)];
}

std::string_view header_of(RedisField field) {
  return kHeaders[static_cast<size_t>(field)];
}

std::string_view value_of(RedisField field, const Event& event, const EventId& id) {
  switch (field) {
    case RedisField::kData:
      return event.document;
    case RedisField::kId:
      return id;
    case RedisField::kOp:
      return {&event.op, 1};
    case RedisField::kSchema:
      return event.schema();
    case RedisField::kTable:
      return event.table_name();
    case RedisField::kKey:
      return event.key();
  }
  return "";
}

bool redis_entry_is(const redisReply& list, std::span<const RedisField> fields,
                    const Event& event) {
  const EventId id(event);
  const bool data = std::find(fields.begin(), fields.end(), RedisField::kData) != fields.end();
  if (!data && list.elements != 2 * fields.size()) return false;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (data && fields[i] != RedisField::kData) continue;
    // The order of fields depends on the configuration, so compare them by name.
    bool same = false;
    for (size_t j = 0; j + 1 < list.elements && !same; j += 2) {
      same = text_of(*list.element[j]) == name_of(fields[i]) &&
             text_of(*list.element[j + 1]) == value_of(fields[i], event, id);
    }
    if (!same) return false;
  }
  return true;
}

std::string_view text_of(const redisReply& reply) {
  return reply.str != nullptr ? std::string_view(reply.str, reply.len) : std::string_view();
}

void append_length(std::string& out, size_t length) {
  append_count(out, '$', length);
}

void append_word(std::string& out, std::string_view word) {
  append_length(out, word.size());
  out += word;
  out += "\r\n";
}

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  append_count(out, '*', words.size());
  for (const std::string_view word : words) append_word(out, word);
}

}  // namespace walspout
