#include "status/control.h"

#include <algorithm>

#include "base/log.h"
#include "pipeline/pipelines.h"
#include "status/json.h"
#include "status/tapped.h"

namespace walspout {

namespace {

constexpr std::string_view kScheme = "Bearer ";

Answer says(int status, std::string_view member, std::string_view what) {
  Answer answer{status, "application/json", ""};
  {
    Object object(answer.body);
    object.text(member, what);
  }
  answer.body += "\n";
  return answer;
}

Answer refused(int status, std::string_view why) {
  Answer answer = says(status, "error", why);
  if (status == 401) answer.headers = "WWW-Authenticate: Bearer\r\n";
  if (status == 429) answer.headers = "Retry-After: 3\r\n";
  return answer;
}

// Browsers send the site of the page in Origin. Other programs do not send this header.
bool is_of_another_site(const Request& request) {
  std::string_view origin = request.origin;
  if (origin.empty()) return false;
  const size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return true;
  return origin.substr(scheme + 3) != request.host;
}

}  // namespace

bool is_same_secret(std::string_view a, std::string_view b) {
  volatile unsigned char differs = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); i++) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    differs = static_cast<unsigned char>(differs | static_cast<unsigned char>(a[i] ^ other));
  }
  return differs == 0;
}

void FailureLimit::forget(TimePoint now) {
  const auto passed = (now - since_) / kInterval;
  if (passed <= 0) return;
  failures_ = static_cast<int>(std::max<int64_t>(0, failures_ - passed));
  since_ = failures_ > 0 ? since_ + passed * kInterval : now;
}

bool FailureLimit::is_reached(TimePoint now) {
  forget(now);
  return failures_ >= kAtOnce;
}

void FailureLimit::failed(TimePoint now) {
  forget(now);
  if (failures_++ == 0) since_ = now;
}

void Control::set_token(Secret token) {
  std::lock_guard lock(mutex_);
  token_ = std::move(token);
}

bool Control::is_on() const {
  std::lock_guard lock(mutex_);
  return !token_.empty();
}

Answer Control::answer(const Request& request, std::string_view host, TimePoint now) {
  if (request.method != "POST") {
    Answer answer = refused(405, "only POST changes something");
    answer.headers = "Allow: POST\r\n";
    return answer;
  }
  if (!is_on()) return refused(403, "nothing can be changed: status.control has no token");
  if (!is_local_name(request.host, host) || is_of_another_site(request)) {
    return refused(403, "sinks are controlled under the address of `listen` only");
  }
  if (limit_.is_reached(now)) return refused(429, "too many wrong tokens; wait some seconds");
  std::string_view given = request.authorization;
  const bool is_bearer = given.starts_with(kScheme);
  if (is_bearer) given.remove_prefix(kScheme.size());
  bool is_right = false;
  {
    std::lock_guard lock(mutex_);
    is_right = is_bearer && is_same_secret(given, token_.reveal());
  }
  if (!is_right) {
    limit_.failed(now);
    log(LogLevel::kWarn, "a request to control a sink is refused: the token is wrong");
    return refused(401, "the token is wrong");
  }
  return act(request.query);
}

Answer Control::act(std::string_view query) const {
  const std::string pipeline = query_value(query, "pipeline");
  const std::string sink = query_value(query, "sink");
  const std::string action = query_value(query, "action");
  if (action != "pause" && action != "resume" && action != "retry") {
    return refused(400, "action must be pause, resume or retry");
  }
  for (const auto& each : pipelines_.list()) {
    if (each->config().name != pipeline) continue;
    for (size_t i = 0; i < each->config().sinks.size(); i++) {
      if (each->config().sinks[i].name != sink) continue;
      if (action == "retry") {
        each->retry(i);
      } else {
        each->hold(i, action == "pause");
      }
      log(LogLevel::kInfo, "a sink is controlled through the status server",
          {{"pipeline", pipeline}, {"sink", sink}, {"action", action}});
      return says(200, "done", action);
    }
  }
  return refused(404, "there is no such sink: pipeline and sink must be names");
}

}  // namespace walspout
