#include "status/tapped.h"

#include <arpa/inet.h>

#include <charconv>

#include "base/clock.h"
#include "pipeline/pipeline.h"
#include "status/json.h"

namespace walspout {
namespace {

constexpr size_t kMostEvents = 50;  // events in a response

std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 1] + 2, value, 16).ptr == &text[i + 1] + 2) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

void event_json(std::string& out, const TappedEvent& event) {
  Object object(out);
  object.number("number", event.number);
  object.text("id", event.id);
  object.text("op", std::string_view(&event.op, 1));
  if (event.op == 'm') {
    object.text("prefix", event.prefix);
  } else if (has_table(event.op)) {
    object.text("schema", event.schema);
    object.text("table", event.table);
  }
  if (event.commit_time > 0) object.text("time", time_text(event.commit_time));
  object.number("bytes", event.bytes);
  if (!event.key.empty()) object.key("key") += event.key;
  if (!event.document.empty()) object.key("document") += event.document;
}

}  // namespace

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t middle = std::min(pair.find('='), pair.size());
    if (decoded(pair.substr(0, middle)) == name) {
      return decoded(pair.substr(std::min(middle + 1, pair.size())));
    }
  }
  return "";
}

bool is_local_name(std::string_view host, std::string_view configured) {
  const size_t bracket = host.find(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  host = host.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  unsigned char address[16];
  const std::string name(host);
  return host.empty() || host == "localhost" || host == configured ||
         inet_pton(AF_INET, name.c_str(), address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address) == 1;
}

std::string tapped_json(const std::vector<const Pipeline*>& pipelines, std::string_view query) {
  const std::string name = query_value(query, "pipeline");
  const std::string number = query_value(query, "after");
  uint64_t after = 0;
  std::from_chars(number.data(), number.data() + number.size(), after);
  std::string out = R"({"events":[)";
  for (const Pipeline* pipeline : pipelines) {
    if (pipeline->config().name != name) continue;
    pipeline->tap().watch(Clock::now());
    bool first = true;
    for (const TappedEvent& event :
         pipeline->tap().events(after, query_value(query, "table"), kMostEvents)) {
      if (!std::exchange(first, false)) out += ',';
      event_json(out, event);
    }
  }
  return out + "]}\n";
}

}  // namespace walspout
