#include "sink/nats/nats.h"

#include <algorithm>
#include <utility>

#include "sink/nats/errors.h"
#include "sink/nats/json.h"

namespace walspout {
namespace {

constexpr size_t kLongestSubject = 1024;  // a line of the protocol has 4 kB
constexpr Duration kLookup = std::chrono::seconds(1);

std::string names_of(const std::vector<NatsServer>& servers) {
  std::string all;
  for (const NatsServer& server : servers) all += (all.empty() ? "" : ",") + server.name();
  return all;
}

}  // namespace

void NatsSink::Subjects::note(uint64_t number, const std::string& subject) {
  if (stretches_.empty() || stretches_.back().subject != subject) {
    stretches_.push_back({number, subject});
  }
}

void NatsSink::Subjects::forget_before(uint64_t number) {
  while (stretches_.size() > 1 && stretches_[1].first <= number) stretches_.pop_front();
}

const std::string& NatsSink::Subjects::of(uint64_t number) const {
  const auto next =
      std::upper_bound(stretches_.begin(), stretches_.end(), number,
                       [](uint64_t wanted, const Stretch& each) { return wanted < each.first; });
  return std::prev(next)->subject;
}

NatsSink::NatsSink(const NatsConfig& config, std::vector<NatsServer> servers, NatsLogin login,
                   Router router, std::vector<std::string> filters)
    : config_(config),
      servers_(std::move(servers)),
      login_(std::move(login)),
      router_(std::move(router)),
      has_key_(router_.has_key()),
      name_(names_of(servers_)),
      streams_(config, std::move(filters), has_key_),
      window_(*this, {.order = Order::kAll, .messages = config.unconfirmed}) {
  for (const Secret* secret : {&config_.password, &config_.token, &config_.nkey}) {
    mask_.hide(secret->reveal());
  }
  for (const NatsServer& server : servers_) {
    mask_.hide(server.password.reveal());
    mask_.hide(server.token.reveal());
  }
}

NatsSink::~NatsSink() {
  if (link_ != nullptr && window_.flight().empty()) link_->close();
}

Result<std::unique_ptr<Sink>> NatsSink::create(const NatsConfig& config) {
  if (config.servers.empty()) return fatal("servers has no server");
  std::vector<NatsServer> servers;
  for (const Secret& url : config.servers) {
    auto server = NatsServer::parse(url.reveal());
    if (!server) return tl::unexpected(server.error());
    servers.push_back(std::move(*server));
  }
  auto login = NatsLogin::create(config);
  if (!login) return tl::unexpected(login.error());
  auto router = Router::create(config.subject);
  if (!router) return with_prefix("subject", router.error());
  if (config.unconfirmed == 0) return fatal("unconfirmed must be at least 1");
  std::vector<std::string> filters;
  if (config.id_prefix.find_first_of(" \t\r\n") != std::string::npos) {
    return fatal("id_prefix has no spaces and line breaks");
  }
  for (const std::string& pattern : router->patterns("x")) {
    const std::string problem = nats_subject_problem(pattern);
    if (!problem.empty()) return fatal("subject: \"" + pattern + "\" " + problem);
  }
  for (const std::string& pattern : router->patterns("*")) filters.push_back(nats_filter(pattern));
  return std::unique_ptr<Sink>(new NatsSink(config, std::move(servers), std::move(*login),
                                            std::move(*router), std::move(filters)));
}

std::optional<std::string> NatsSink::common_place(const NatsConfig& a, const NatsConfig& b) {
  if (a.id_prefix != b.id_prefix) return std::nullopt;
  const auto same_server = [&](const Secret& one) {
    const auto here = NatsServer::parse(one.reveal());
    return std::any_of(b.servers.begin(), b.servers.end(), [&](const Secret& other) {
      const auto there = NatsServer::parse(other.reveal());
      return here && there && here->host == there->host && here->port == there->port;
    });
  };
  if (std::none_of(a.servers.begin(), a.servers.end(), same_server)) return std::nullopt;
  if (a.create_stream && b.create_stream && a.create_stream->name == b.create_stream->name) {
    return "stream \"" + a.create_stream->name + "\" of the same server";
  }
  const auto one = Router::create(a.subject);
  const auto other = Router::create(b.subject);
  if (!one || !other) return std::nullopt;
  const auto subject = Router::common_name(*one, *other);
  if (!subject) return std::nullopt;
  return "subject \"" + *subject + "\" of the same server";
}

// For an error of the connection: mask the keys of all messages.
Error NatsSink::masked(Error error) const {
  error.what = mask_.apply(keys_.apply(std::move(error.what)));
  return error;
}

Error NatsSink::masked(uint64_t number, Error error) const {
  error.what = mask_.apply(keys_.apply(number, std::move(error.what)));
  return error;
}

// Each server gets a share of the remaining time. The last good server is the first.
Result<void> NatsSink::open(TimePoint deadline) {
  const TimePoint end = std::min(deadline, Clock::now() + config_.connect_timeout);
  std::optional<Error> first;
  std::string others;
  for (size_t i = 0; i < servers_.size(); ++i) {
    const size_t at = (server_ + i) % servers_.size();
    const TimePoint now = Clock::now();
    const auto rest = static_cast<Duration::rep>(servers_.size() - i);
    const TimePoint until = now + std::max(Duration::zero(), (end - now) / rest);
    auto opened = NatsLink::open(servers_[at], config_, login_, until);
    if (opened) {
      link_ = std::move(*opened);
      server_ = at;
      return {};
    }
    Error error = std::move(opened.error());
    // An error that may pass comes before one that an operator must fix.
    if (!first || (first->kind == ErrorKind::kFatal && error.kind == ErrorKind::kRetry)) {
      if (first) others += "; " + first->message();
      first = std::move(error);
    } else {
      others += "; " + error.message();
    }
  }
  first->what += others;
  server_ = (server_ + 1) % servers_.size();
  return tl::unexpected(masked(std::move(*first)));
}

Result<WindowClient::Connection> NatsSink::connect(TimePoint deadline) {
  if (link_ != nullptr) {
    const bool leave = link_->is_leaving() && servers_.size() > 1;
    if (!window_.flight().empty() || (!leave && !renew_)) return Connection::kSame;
    if (leave) server_ = (server_ + 1) % servers_.size();
    link_->close();
    abandon();
  }
  if (auto opened = open(deadline); !opened) return tl::unexpected(opened.error());
  const TimePoint until = std::min(deadline, Clock::now() + config_.connect_timeout);
  const auto nothing = [](uint64_t, const NatsFrame&) {};
  if (auto seen = streams_.ensure(*link_, until, nothing); !seen) {
    abandon();
    return tl::unexpected(masked(seen.error()));
  }
  renew_ = false;
  return Connection::kNew;
}

void NatsSink::abandon() {
  link_.reset();
  subjects_.clear();
  keys_.clear();
  unplaced_.clear();
}

Result<void> NatsSink::check(const SourceState&, TimePoint deadline) {
  // Inspect the current streams, not those of the time of connecting.
  if (window_.flight().empty()) renew_ = true;
  if (auto connected = window_.connect(deadline); !connected) return connected;
  Flight& flight = window_.flight();
  if (!flight.empty()) return tl::unexpected(late(flight));
  const TimePoint until = std::min(deadline, Clock::now() + config_.connect_timeout);
  auto inspected = streams_.inspect(*link_, until, answered(flight));
  if (!inspected) return tl::unexpected(masked(inspected.error()));
  return {};
}

Result<bool> NatsSink::submit(uint64_t number, const Event& event) {
  const auto routed = router_.route(event, subject_);
  if (!routed) return tl::unexpected(routed.error());
  if (!*routed) return false;
  std::string problem;
  if (subject_.size() > kLongestSubject) {
    problem = "is longer than " + std::to_string(kLongestSubject) + " bytes";
  } else if (subject_.find("..") != std::string::npos || subject_.front() == '.' ||
             subject_.back() == '.') {
    problem = nats_subject_problem(subject_);
  }
  if (!problem.empty()) {
    return tl::unexpected(Error{ErrorKind::kReject,
                                "the subject \"" + KeyMask::hide(router_.key(event), subject_) +
                                    "\" " + problem + ": give " +
                                    (event.table == nullptr ? "\"message\"" : "the table") +
                                    " an entry of its own under subject's tables",
                                link_->name()});
  }
  headers_.clear();
  append_nats_headers(headers_, event, config_.id_prefix);
  const size_t size = headers_.size() + event.document.size();
  if (size > link_->max_payload()) {
    return tl::unexpected(
        Error{ErrorKind::kReject,
              "a message of " + std::to_string(size) + " bytes is larger than the server's " +
                  "max_payload, " + std::to_string(link_->max_payload()) +
                  ": raise that (up to 64MB), or set max_value_bytes in the source",
              link_->name()});
  }
  if (window_.flight().pending() == 0) heard_ = Clock::now();
  subjects_.note(number, subject_);
  if (has_key_) keys_.note(number, router_.key(event));
  link_->publish(number, subject_, headers_, event.document);
  return true;
}

NatsLink::Answered NatsSink::answered(Flight& flight) {
  return [this, &flight](uint64_t number, const NatsFrame& answer) {
    take_answer(number, answer, flight);
  };
}

void NatsSink::take_answer(uint64_t number, const NatsFrame& answer, Flight& flight) {
  if (!flight.is_pending(number)) return;
  heard_ = Clock::now();
  if (answer.status() != 0) {
    unplaced_.push_back(number);
    return;
  }
  // {"stream":"S","seq":7}, also with "duplicate":true, is success
  if (answer.body.find("\"error\"") == std::string_view::npos &&
      answer.body.find("\"seq\":") != std::string_view::npos) {
    flight.done(number);
    return;
  }
  const auto error = json_member(answer.body, "error");
  if (!error && json_member(answer.body, "seq")) {  // a stream may be called "error"
    flight.done(number);
    return;
  }
  if (error) {
    flight.failed(number, masked(number, nats_stream_error(*error,
                                                           "take a message with the subject \"" +
                                                               subjects_.of(number) + "\"",
                                                           link_->name())));
    return;
  }
  flight.failed(
      number,
      masked(number, {ErrorKind::kFatal,
                      "no stream of JetStream answered to the subject \"" + subjects_.of(number) +
                          "\", but another program: correct subject, or stop that program",
                      link_->name()}));
}

// One query serves all messages with the same subject.
tl::expected<void, Broken> NatsSink::judge_unplaced(Flight& flight) {
  std::map<std::string, Error> reasons;
  while (!unplaced_.empty()) {
    std::vector<uint64_t> numbers = std::exchange(unplaced_, {});
    for (const uint64_t number : numbers) {
      const std::string& subject = subjects_.of(number);
      auto reason = reasons.find(subject);
      if (reason == reasons.end()) {
        auto found = streams_.missing(*link_, subject, Clock::now() + kLookup, answered(flight));
        if (!found) return tl::unexpected(Broken{masked(found.error())});
        reason = reasons.emplace(subject, masked(number, std::move(*found))).first;
      }
      flight.failed(number, reason->second);
    }
    renew_ = true;
  }
  return {};
}

tl::expected<void, Broken> NatsSink::poll(TimePoint until, Flight& flight) {
  subjects_.forget_before(flight.first());
  keys_.forget_before(flight.first());
  const TimePoint patience = flight.pending() > 0 ? heard_ + config_.ack_timeout : TimePoint::max();
  auto listened = link_->listen(std::min(until, patience), answered(flight));
  if (!listened) return tl::unexpected(Broken{masked(listened.error())});
  if (auto judged = judge_unplaced(flight); !judged) return judged;
  if (flight.pending() > 0 && Clock::now() >= heard_ + config_.ack_timeout) {
    return tl::unexpected(Broken{Error{
        ErrorKind::kRetry,
        "JetStream has acknowledged nothing for ack_timeout: messages in flight are sent again "
        "on another connection",
        link_->name()}});
  }
  return {};
}

Error NatsSink::late(const Flight& flight) const {
  std::string what = link_->has_unsent()
                         ? "NATS does not read what is published"
                         : "JetStream did not acknowledge in time (deliver_timeout)";
  if (!flight.empty()) {
    what += ". " + std::to_string(flight.next() - flight.first()) +
            " messages stay in flight on the same connection";
  }
  return {ErrorKind::kRetry, what, link_->name()};
}

}  // namespace walspout
