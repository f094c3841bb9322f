#include "source/kafka/probe.h"

#include <regex.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "kafka/ends.h"
#include "source/kafka/consumer.h"
#include "source/kafka/foreign.h"

namespace walspout {
namespace {

using Level = KafkaFinding::Level;
using Key = KafkaOffsets::Key;

constexpr size_t kMostPartitions = 200;  // at most this many are checked
constexpr int kPoll = 100;               // in milliseconds
constexpr Milliseconds kAsk{2'000};

// The group's coordinator is not available yet, or no longer.
bool may_pass(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
         code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
         code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

// A regular expression, with the flags that librdkafka uses.
class Pattern {
 public:
  explicit Pattern(const std::string& text)
      : good_(regcomp(&regex_, text.c_str(), REG_EXTENDED | REG_NOSUB) == 0) {}
  ~Pattern() {
    if (good_) regfree(&regex_);
  }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  bool is_good() const { return good_; }
  bool matches(const std::string& name) const {
    return good_ && regexec(&regex_, name.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t regex_{};
  bool good_;
};

class Probe : private KafkaHandle {
 public:
  Probe(const KafkaSourceConfig& config, Duration patience)
      : KafkaHandle(config, kafka_name(config)), config_(config), patience_(patience) {}
  ~Probe() {
    if (handle() == nullptr) return;
    rd_kafka_assign(handle(), nullptr);
    end(RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }

  std::vector<KafkaFinding> run() {
    if (connect() && topics() && group()) sample();
    return std::move(findings_);
  }

 private:
  TimePoint until() const { return Clock::now() + patience_; }
  void say(Level level, std::string what, std::string remedy = "") {
    findings_.push_back({level, std::move(what), std::move(remedy)});
  }
  // The text of an error includes the remedy.
  bool bad(std::string what) {
    say(Level::kBad, std::move(what));
    return false;
  }

  bool connect();
  bool topics();
  bool group();
  std::optional<Error> trouble_of_group();
  void sample();
  void judge(const rd_kafka_message_t& message);

  const KafkaSourceConfig& config_;
  const Duration patience_;
  std::vector<KafkaFinding> findings_;
  std::vector<Key> partitions_;
  size_t read_ = 0;
  size_t foreign_ = 0;
};

bool Probe::connect() {
  const Result<KafkaOptions> options = kafka_source_options(config_);
  if (!options) return bad(options.error().message());
  if (auto made = make(RD_KAFKA_CONSUMER, *options); !made) return bad(made.error().message());
  if (auto reached = reach(until()); !reached) return bad(reached.error().message());
  say(Level::kGood, "brokers of " + where() + " answer");
  return true;
}

bool Probe::topics() {
  const struct rd_kafka_metadata* got = nullptr;
  const auto code = rd_kafka_metadata(handle(), 1, nullptr, &got, kafka_timeout(until()));
  const KafkaOwned<const struct rd_kafka_metadata> metadata(got);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return bad(std::string("cannot look for topics: ") + rd_kafka_err2str(code));
  }
  std::map<std::string, int> there;
  for (int i = 0; i < metadata->topic_cnt; i++) {
    there[metadata->topics[i].topic] = metadata->topics[i].partition_cnt;
  }
  std::set<std::string> chosen;
  bool good = true;
  for (const std::string& topic : config_.topics) {
    if (topic.front() == '^') {
      const Pattern pattern(topic);
      if (!pattern.is_good()) good = bad("\"" + topic + "\" in topics is no regular expression");
      bool any = false;
      for (const auto& [name, count] : there) {
        if (!pattern.matches(name)) continue;
        chosen.insert(name);
        any = true;
      }
      if (pattern.is_good() && !any) {
        say(Level::kDoubtful, "no topic that may be seen matches \"" + topic + "\"",
            "correct `topics`, start what fills the topics, or let the user Describe and Read "
            "these");
      }
    } else if (there.contains(topic)) {
      chosen.insert(topic);
    } else {
      say(Level::kBad, "topic \"" + topic + "\" is not there, or the user may not see it",
          "correct `topics`, start what fills the topic, or: kafka-acls.sh --bootstrap-server "
          "BROKER --add "
          "--allow-principal User:NAME --operation Read --operation Describe --topic '" +
              topic + "'");
      good = false;
    }
  }
  for (const std::string& name : chosen) {
    for (int i = 0; i < there[name]; i++) partitions_.emplace_back(name, i);
  }
  if (good && !chosen.empty()) {
    say(Level::kGood, std::to_string(chosen.size()) + " topics with " +
                          std::to_string(partitions_.size()) + " partitions");
  }
  if (partitions_.size() > kMostPartitions) partitions_.resize(kMostPartitions);
  return good;
}

// The library keeps waiting for a coordinator that rejects the user. Only an event has the reason.
std::optional<Error> Probe::trouble_of_group() {
  while (const KafkaConsumer::Event event{rd_kafka_queue_poll(queue(), 0)}) {
    if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_ERROR) {
      static_cast<void>(handle_event(event.get()));
      continue;
    }
    const std::string said = mask().apply(rd_kafka_event_error_string(event.get()));
    auto found = kafka_source_trouble(rd_kafka_event_error(event.get()), said, config_, where());
    if (found) return found;
    static_cast<void>(handle_event(event.get()));
  }
  return trouble() && trouble()->kind == ErrorKind::kFatal ? trouble() : std::nullopt;
}

// The group's offsets. A user without the right to use the group may not ask for them.
bool Probe::group() {
  if (partitions_.empty()) return true;
  KafkaOwned<rd_kafka_topic_partition_list_t> list(
      rd_kafka_topic_partition_list_new(static_cast<int>(partitions_.size())));
  for (const auto& [topic, number] : partitions_) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), number);
  }
  rd_kafka_poll_set_consumer(handle());
  replace_queue(KafkaOwned<rd_kafka_queue_t>(rd_kafka_queue_get_consumer(handle())));
  const TimePoint deadline = until();
  auto code = RD_KAFKA_RESP_ERR__TIMED_OUT;
  while (may_pass(code) && Clock::now() < deadline) {
    const TimePoint next = Clock::now() + kAsk;
    code = rd_kafka_committed(handle(), list.get(), kafka_timeout(std::min(deadline, next)));
    if (!may_pass(code)) break;
    if (const auto why = trouble_of_group()) return bad(why->message());
    if (Clock::now() < next) std::this_thread::sleep_for(Milliseconds(kPoll));
  }
  int64_t lag = 0;
  size_t fresh = 0;
  for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
    const auto& at = list->elems[i];
    code = at.err;
    const auto ends = kafka_ends(handle(), at.topic, at.partition, deadline);
    if (!ends) continue;
    if (at.offset < 0) fresh++;
    if (at.offset >= 0 && at.offset < ends->first) {
      return bad(kafka_gap_error({at.topic, at.partition}, config_));
    }
    lag += std::max<int64_t>(0, ends->end - (at.offset < 0 ? ends->first : at.offset));
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const auto trouble = kafka_source_trouble(code, rd_kafka_err2str(code), config_, where());
    return bad(trouble ? trouble->message()
                       : "cannot ask where group \"" + config_.group +
                             "\" is: " + rd_kafka_err2str(code));
  }
  say(Level::kGood,
      "group \"" + config_.group + "\" is " + std::to_string(lag) + " messages behind" +
          (fresh == 0
               ? ""
               : "; it begins at the first message of " + std::to_string(fresh) + " partitions"));
  return true;
}

// Checks the last messages of each partition.
void Probe::sample() {
  constexpr int64_t kLast = 3;
  if (partitions_.empty()) return;
  KafkaOwned<rd_kafka_topic_partition_list_t> list(
      rd_kafka_topic_partition_list_new(static_cast<int>(partitions_.size())));
  for (const auto& [topic, number] : partitions_) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), number)->offset =
        RD_KAFKA_OFFSET_TAIL(kLast);
  }
  rd_kafka_assign(handle(), list.get());
  std::set<Key> left(partitions_.begin(), partitions_.end());
  const TimePoint deadline = until();
  while (!left.empty() && Clock::now() < deadline) {
    const KafkaConsumer::Event event(rd_kafka_queue_poll(queue(), kPoll));
    if (event == nullptr) continue;
    if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_FETCH) {
      const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get());
      if (message != nullptr && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) judge(*message);
      continue;
    }
    if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_ERROR) {
      static_cast<void>(handle_event(event.get()));
      continue;
    }
    Key key;
    if (rd_kafka_topic_partition_t* at = rd_kafka_event_topic_partition(event.get())) {
      key = {at->topic, at->partition};
      rd_kafka_topic_partition_destroy(at);
    }
    left.erase(key);
    const auto code = rd_kafka_event_error(event.get());
    const std::string said = mask().apply(rd_kafka_event_error_string(event.get()));
    if (const auto trouble = kafka_source_trouble(code, said, config_, where())) {
      bad(trouble->message());
    }
  }
  if (!left.empty()) {
    say(Level::kDoubtful, "not all partitions could be looked into in time",
        "look at the brokers, whether all partitions have a leader");
  }
  if (read_ > 0 && foreign_ == 0) {
    say(Level::kGood, "the last messages, " + std::to_string(read_) + ", are events of walspout");
  } else if (read_ == 0 && left.empty()) {
    say(Level::kGood, "the topics are empty");
  }
}

void Probe::judge(const rd_kafka_message_t& message) {
  read_++;
  std::vector<KafkaHeader> headers;
  std::optional<std::string_view> value;
  if (message.payload != nullptr) {
    value = std::string_view(static_cast<const char*>(message.payload), message.len);
  }
  const bool good = kafka_headers(message, headers);
  const auto found = kafka_event(value, headers);
  if (good && found) return;
  if (foreign_++ > 0) return;
  const Error why =
      found ? Error{ErrorKind::kReject, "its headers cannot be read", ""} : found.error();
  const bool stops =
      why.kind != ErrorKind::kReject || config_.foreign == KafkaSourceConfig::Foreign::kError;
  say(stops ? Level::kBad : Level::kDoubtful, kafka_foreign_error(message, why, config_));
}

}  // namespace

std::vector<KafkaFinding> kafka_probe(const KafkaSourceConfig& config, Duration patience) {
  return Probe(config, patience).run();
}

}  // namespace walspout
