#include "sink/kafka/position.h"

#include <algorithm>
#include <charconv>

namespace walspout {
namespace {

// Removes a number and then `end` from the front of a text. False: the text lacks them.
template <typename T>
bool take_number(std::string_view& text, T& value, std::string_view end) {
  const auto [stop, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(stop - text.data()));
  if (!text.starts_with(end)) return false;
  text.remove_prefix(end.size());
  return true;
}

}  // namespace

KafkaPosition KafkaPosition::after(const Event& event) const {
  const EventPlace place = EventPlace::behind(event);
  return {place.lsn, place.index, std::max(time, event.commit_time)};
}

std::string KafkaPosition::text() const {
  return std::to_string(lsn.value) + "-" + std::to_string(index) + " " + to_string(lsn) + " " +
         std::to_string(time);
}

std::optional<KafkaPosition> KafkaPosition::parse(std::string_view text) {
  KafkaPosition position;
  if (!take_number(text, position.lsn.value, "-") || !take_number(text, position.index, " ")) {
    return {};
  }
  const size_t blank = text.find(' ');  // the LSN again, in the usual form
  if (blank == std::string_view::npos) return {};
  text.remove_prefix(blank + 1);
  if (!take_number(text, position.time, "") || !text.empty()) return {};
  return position;
}

std::string kafka_position_key(std::string_view sink, std::string_view identity) {
  return std::string(sink) + " " + std::string(identity);
}

std::string kafka_transactional_id(std::string_view key) {
  std::string id = "walspout " + std::string(key);
  std::replace(id.begin(), id.end(), ' ', ':');
  return id;
}

}  // namespace walspout
