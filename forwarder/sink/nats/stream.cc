#include "sink/nats/stream.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "sink/nats/errors.h"
#include "sink/nats/json.h"

namespace walspout {
namespace {

constexpr int64_t kNotFound = 10059;
constexpr int64_t kNotEnabled = 10076;
constexpr int64_t kNotEnabledForAccount = 10039;
constexpr size_t kMostInspected = 16;
constexpr int64_t kShortWindow = 120;  // seconds; the server's default
constexpr int64_t kFewMessages = 10'000;
constexpr int64_t kNanoseconds = 1'000'000'000;

// Iterates over the tokens of a subject.
class Tokens {
 public:
  explicit Tokens(std::string_view subject) : rest_(subject) {}

  bool is_over() const { return over_; }
  std::string_view next() {
    const size_t dot = rest_.find('.');
    const std::string_view token = rest_.substr(0, dot);
    over_ = dot == std::string_view::npos;
    rest_ = over_ ? std::string_view() : rest_.substr(dot + 1);
    return token;
  }

 private:
  std::string_view rest_;
  bool over_ = false;
};

void add_text(std::string& json, std::string_view name, std::string_view value) {
  append_json(json, name);
  json += ':';
  append_json(json, value);
  json += ',';
}

void add_number(std::string& json, std::string_view name, int64_t value) {
  append_json(json, name);
  json += ':';
  json += std::to_string(value);
  json += ',';
}

int64_t or_unlimited(const std::optional<uint64_t>& limit) {
  return limit ? static_cast<int64_t>(*limit) : -1;
}

}  // namespace

std::string nats_subject_problem(std::string_view subject) {
  if (subject.empty()) return "is empty";
  Tokens tokens(subject);
  while (!tokens.is_over()) {
    const std::string_view token = tokens.next();
    if (token.empty()) return "has nothing between two dots, or before or behind one";
    for (const char c : token) {
      if (c == '*' || c == '>') return "has a wildcard, * or >, in it";
      if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return "has a space in it";
    }
  }
  return "";
}

std::string nats_filter(std::string_view pattern) {
  std::string filter;
  Tokens tokens(pattern);
  while (!tokens.is_over()) {
    const std::string_view token = tokens.next();
    if (!filter.empty()) filter += '.';
    filter += token.find('*') == std::string_view::npos ? token : "*";
  }
  return filter;
}

bool nats_covers(std::string_view all, std::string_view one) {
  Tokens broad(all);
  Tokens narrow(one);
  while (!broad.is_over()) {
    const std::string_view token = broad.next();
    if (narrow.is_over()) return false;
    if (token == ">") return true;
    const std::string_view other = narrow.next();
    if (other == ">" || (token != "*" && token != other)) return false;
  }
  return narrow.is_over();
}

NatsStreams::NatsStreams(const NatsConfig& config, std::vector<std::string> filters,
                         bool subject_has_key)
    : config_(config), filters_(std::move(filters)), subject_has_key_(subject_has_key) {}

// A stream may not have two subjects that overlap.
std::vector<std::string> NatsStreams::subjects() const {
  if (config_.create_stream && !config_.create_stream->subjects.empty()) {
    return config_.create_stream->subjects;
  }
  std::vector<std::string> kept;
  for (const std::string& filter : filters_) {
    const auto covers = [&](const std::string& other) { return nats_covers(other, filter); };
    if (std::any_of(kept.begin(), kept.end(), covers)) continue;
    kept.erase(std::remove_if(kept.begin(), kept.end(),
                              [&](const std::string& other) { return nats_covers(filter, other); }),
               kept.end());
    kept.push_back(filter);
  }
  return kept;
}

std::string NatsStreams::definition() const {
  const NatsStreamConfig& wanted = *config_.create_stream;
  // The server rejects a window that is longer than max_age.
  const Milliseconds window =
      wanted.max_age ? std::min(wanted.duplicate_window, *wanted.max_age) : wanted.duplicate_window;
  std::string json = "{";
  add_text(json, "name", wanted.name);
  json += "\"subjects\":[";
  bool first = true;
  for (const std::string& subject : subjects()) {
    if (!std::exchange(first, false)) json += ',';
    append_json(json, subject);
  }
  json += "],";
  add_text(json, "storage", wanted.storage);
  add_text(json, "retention", wanted.retention);
  add_text(json, "discard", wanted.discard);
  add_number(json, "num_replicas", static_cast<int64_t>(wanted.replicas));
  add_number(json, "max_consumers", -1);
  add_number(json, "max_msgs", or_unlimited(wanted.max_messages));
  add_number(json, "max_bytes", or_unlimited(wanted.max_bytes));
  add_number(json, "max_msg_size", or_unlimited(wanted.max_message_size));
  add_number(json, "max_age", wanted.max_age ? wanted.max_age->count() * 1'000'000 : 0);
  add_number(json, "duplicate_window", window.count() * 1'000'000);
  json.back() = '}';
  return json;
}

std::string NatsStreams::remedy(const std::string& subject) const {
  if (config_.create_stream) {
    return "add the subject to create_stream's subjects, and to the stream (nats stream edit " +
           config_.create_stream->name + "), or correct subject";
  }
  std::string wanted;
  for (const std::string& filter : filters_) {
    if (nats_covers(filter, subject)) wanted = filter;
  }
  return "create one (nats stream add NAME --subjects '" + (wanted.empty() ? subject : wanted) +
         "' --dupe-window 10m --defaults), set create_stream, or correct subject";
}

Error NatsStreams::no_jetstream(const NatsLink& link) const {
  if (link.is_clustered()) {
    return {ErrorKind::kRetry,
            "JetStream does not answer: no server of the cluster has it now, or the account has it "
            "not enabled",
            link.name()};
  }
  return {ErrorKind::kFatal,
          "JetStream does not answer: start nats-server with -js, or with a jetstream block, and "
          "enable JetStream for the account" +
              std::string(config_.domain.empty() ? "" : ", or correct domain"),
          link.name()};
}

Result<NatsReply> NatsStreams::names(NatsLink& link, const std::string& filter, TimePoint deadline,
                                     const NatsLink::Answered& answered) const {
  std::string question = "{";
  add_text(question, "subject", filter);
  question.back() = '}';
  return link.ask("STREAM.NAMES", question, deadline, answered);
}

Result<void> NatsStreams::make(NatsLink& link, TimePoint deadline,
                               const NatsLink::Answered& answered) const {
  const std::string& name = config_.create_stream->name;
  const std::string doing = "create stream \"" + name + "\"";
  const auto there = link.ask("STREAM.INFO." + name, "", deadline, answered);
  if (!there) return tl::unexpected(there.error());
  if (there->kind == NatsReply::Kind::kAnswer && there->error_code() != kNotFound) {
    if (there->error().empty()) return {};
    return tl::unexpected(nats_stream_error(there->error(), doing, link.name()));
  }
  if (there->kind == NatsReply::Kind::kNoResponders) return tl::unexpected(no_jetstream(link));
  if (there->kind == NatsReply::Kind::kSilence) {
    return retry("could not " + doing + ": JetStream did not answer in time", link.name());
  }
  const auto made = link.ask("STREAM.CREATE." + name, definition(), deadline, answered);
  if (!made) return tl::unexpected(made.error());
  switch (made->kind) {
    case NatsReply::Kind::kAnswer:
      if (made->error().empty()) return {};
      return tl::unexpected(nats_stream_error(made->error(), doing, link.name()));
    case NatsReply::Kind::kNoResponders:
      return tl::unexpected(no_jetstream(link));
    case NatsReply::Kind::kDenied:
      // Without the right to look, publishing shows whether the stream exists.
      if (there->kind == NatsReply::Kind::kDenied) return {};
      return fatal("could not " + doing + ": " + made->text +
                       ". Remedy: allow the user to publish to that subject, or create the stream "
                       "yourself and take create_stream out",
                   link.name());
    case NatsReply::Kind::kSilence:
      break;
  }
  return retry("could not " + doing + ": JetStream did not answer in time", link.name());
}

Result<void> NatsStreams::ensure(NatsLink& link, TimePoint deadline,
                                 const NatsLink::Answered& answered) {
  found_.clear();
  warnings_.clear();
  if (config_.create_stream) {
    if (auto made = make(link, deadline, answered); !made) return made;
  }
  for (const std::string& filter : filters_) {
    const auto reply = names(link, filter, deadline, answered);
    if (!reply) return tl::unexpected(reply.error());
    if (reply->kind == NatsReply::Kind::kNoResponders) return tl::unexpected(no_jetstream(link));
    if (reply->kind == NatsReply::Kind::kSilence) {
      return retry("JetStream did not answer in time which streams there are", link.name());
    }
    if (reply->kind == NatsReply::Kind::kDenied) {
      warnings_ = {
          "the user may not ask which streams there are, so a missing one is noticed only when an "
          "event is published: allow to publish to $JS.API.STREAM.NAMES and $JS.API.STREAM.INFO.*"};
      return {};
    }
    if (!reply->error().empty()) {
      return tl::unexpected(nats_stream_error(reply->error(), "list streams", link.name()));
    }
    const auto listed = json_member(reply->text, "streams");
    const auto streams = json_items(listed.value_or(std::string_view()));
    if (streams.empty()) {
      return fatal(
          "no stream takes messages with the subject \"" + filter + "\": " + remedy(filter),
          link.name());
    }
    for (const std::string_view stream : streams) {
      const std::string name = json_string(stream);
      if (std::find(found_.begin(), found_.end(), name) == found_.end()) found_.push_back(name);
    }
  }
  return {};
}

Result<void> NatsStreams::inspect(NatsLink& link, TimePoint deadline,
                                  const NatsLink::Answered& answered) {
  for (size_t i = 0; i < std::min(found_.size(), kMostInspected); ++i) {
    const auto reply = link.ask("STREAM.INFO." + found_[i], "", deadline, answered);
    if (!reply) return tl::unexpected(reply.error());
    if (reply->kind != NatsReply::Kind::kAnswer || !reply->error().empty()) continue;
    const auto config = json_member(reply->text, "config");
    if (!config) continue;
    if (auto judged = judge(found_[i], *config, link); !judged) return judged;
    const auto state = json_member(reply->text, "state");
    const bool unwanted = state && json_number(*state, "consumer_count", -1) == 0;
    if (unwanted && json_text(*config, "retention") == "interest") {
      warnings_.push_back("stream \"" + found_[i] +
                          "\" has retention interest and no consumer: it acknowledges messages, "
                          "and drops them at once (nats consumer add " +
                          found_[i] + ")");
    }
  }
  return {};
}

Result<void> NatsStreams::judge(const std::string& name, std::string_view config,
                                const NatsLink& link) {
  const std::string stream = "stream \"" + name + "\"";
  if (json_flag(config, "no_ack")) {
    return fatal(stream +
                     " does not acknowledge messages (no_ack): use another stream, because nothing "
                     "could be confirmed",
                 link.name());
  }
  if (json_flag(config, "sealed")) {
    return fatal(stream + " is sealed and takes nothing more: use another stream", link.name());
  }
  const int64_t window = json_number(config, "duplicate_window") / kNanoseconds;
  if (window < kShortWindow) {
    warnings_.push_back(stream + " drops repeats only for " + std::to_string(window) +
                        " s: events that come again after a longer outage are there twice (nats "
                        "stream edit " +
                        name + " --dupe-window 10m)");
  }
  const int64_t most = json_number(config, "max_msgs", -1);
  if (json_text(config, "discard") == "old" && most > 0 && most < kFewMessages) {
    warnings_.push_back(stream + " keeps only " + std::to_string(most) +
                        " messages and drops the oldest, whether or not they were read (nats "
                        "stream edit " +
                        name + " --max-msgs)");
  }
  if (json_text(config, "discard") == "new" && config_.unconfirmed > 1 &&
      (most > 0 || json_number(config, "max_bytes", -1) > 0)) {
    warnings_.push_back(stream +
                        " rejects messages while it is full, and may take a later or smaller one: "
                        "a row's older version may then follow the newer one (set unconfirmed: 1)");
  }
  const int64_t of_subject = json_number(config, "max_msgs_per_subject", -1);
  if (!subject_has_key_ && json_text(config, "discard") == "old" && of_subject > 0 &&
      of_subject < kFewMessages) {
    warnings_.push_back(stream + " keeps only " + std::to_string(of_subject) +
                        " messages of each subject and drops the oldest, whether or not they were "
                        "read (nats stream edit " +
                        name + " --max-msgs-per-subject)");
  }
  const int64_t size = json_number(config, "max_msg_size", -1);
  if (size > 0 && static_cast<size_t>(size) < link.max_payload()) {
    warnings_.push_back(stream + " takes messages of at most " + std::to_string(size) +
                        " bytes, headers included: a larger event is rejected (max_msg_size)");
  }
  if (json_text(config, "storage") == "memory") {
    warnings_.push_back(stream + " is kept in memory: what it has is lost when its server ends");
  }
  return {};
}

// The error if no stream has the subject. The next connection re-creates our deleted stream.
Result<Error> NatsStreams::no_stream_error(NatsLink& link, const std::string& what,
                                           const std::string& subject, TimePoint deadline,
                                           const NatsLink::Answered& answered) {
  if (config_.create_stream) {
    const std::string& name = config_.create_stream->name;
    const auto there = link.ask("STREAM.INFO." + name, "", deadline, answered);
    if (!there) return tl::unexpected(there.error());
    if (there->error_code() == kNotFound) {
      return Error{ErrorKind::kRetry, what + ": stream \"" + name + "\" is gone, and is re-created",
                   link.name()};
    }
  }
  return Error{ErrorKind::kFatal, what + ", because no stream has that subject: " + remedy(subject),
               link.name()};
}

Result<Error> NatsStreams::missing(NatsLink& link, const std::string& subject, TimePoint deadline,
                                   const NatsLink::Answered& answered) {
  const std::string what = "no stream took a message with the subject \"" + subject + "\"";
  const auto reply = names(link, subject, deadline, answered);
  if (!reply) return tl::unexpected(reply.error());
  if (reply->kind == NatsReply::Kind::kNoResponders) return no_jetstream(link);
  const int64_t code = reply->error_code();
  if (code == kNotEnabled || code == kNotEnabledForAccount) {
    return nats_stream_error(reply->error(), "take a message", link.name());
  }
  if (reply->kind == NatsReply::Kind::kAnswer && code == 0) {
    const auto listed = json_member(reply->text, "streams");
    if (json_items(listed.value_or(std::string_view())).empty()) {
      return no_stream_error(link, what, subject, deadline, answered);
    }
    return Error{ErrorKind::kRetry,
                 what + ": its stream has no leader now. This passes once most of its servers run",
                 link.name()};
  }
  return Error{ErrorKind::kRetry,
               what + ": it has no leader now, or there is none. In that case, " + remedy(subject),
               link.name()};
}

}  // namespace walspout
