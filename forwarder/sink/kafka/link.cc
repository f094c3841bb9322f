#include "sink/kafka/link.h"

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "sink/kafka/errors.h"

namespace walspout {
namespace {

constexpr Milliseconds kFirstWait{50};
// A host may have several addresses, of which the library tries one after the other.
constexpr Milliseconds kDownFor{1'000};
constexpr std::chrono::minutes kTokenFor{5};
constexpr int kWarning = 4;  // of syslog's levels
constexpr size_t kLongestTopic = 249;

// What rd_kafka_metadata() gives.
struct Metadata {
  ~Metadata() {
    if (got != nullptr) rd_kafka_metadata_destroy(got);
  }
  const struct rd_kafka_metadata* got = nullptr;
};

bool is_topic_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestTopic || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace

int kafka_timeout(TimePoint until) {
  const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

std::string kafka_create_command(const KafkaConfig& config, const std::string& name,
                                 const KafkaTopics& how) {
  std::string command = "kafka-topics.sh --bootstrap-server " +
                        (config.brokers.empty() ? "HOST:PORT" : config.brokers.front()) +
                        " --create --topic " + name;
  if (how.partitions > 0) command += " --partitions " + std::to_string(how.partitions);
  if (how.replication_factor > 0) {
    command += " --replication-factor " + std::to_string(how.replication_factor);
  }
  // Whether a topic of events is compacted is for its owner to say.
  for (const auto& [option, value] : how.config) {
    if (option == "cleanup.policy") command += " --config " + option + "=" + value.reveal();
  }
  return command;
}

Result<std::unique_ptr<KafkaLink>> KafkaLink::open(const KafkaConfig& config,
                                                   const KafkaOptions& options,
                                                   const std::string& where, TimePoint deadline,
                                                   const KafkaUse& use) {
  std::unique_ptr<KafkaLink> link(new KafkaLink(config, where));
  KafkaOptions copy(rd_kafka_conf_dup(options.get()));
  std::array<char, 512> said{};
  const auto set = [&](const char* option, const std::string& value) {
    rd_kafka_conf_set(copy.get(), option, value.c_str(), said.data(), said.size());
  };
  if (!use.transactional_id.empty()) set("transactional.id", use.transactional_id);
  if (use.reads) {
    set("isolation.level", "read_committed");
    set("enable.partition.eof", "true");
  }
  link->handle_.reset(rd_kafka_new(use.reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, copy.get(),
                                   said.data(), said.size()));
  if (link->handle_ == nullptr) return misconfigured(link->mask_.apply(said.data()), where);
  (void)copy.release();  // the producer has it
  rd_kafka_set_log_queue(link->handle(), nullptr);
  link->queue_.reset(rd_kafka_queue_get_main(link->handle()));
  link->last_ = link->topics_.end();
  if (auto reached = link->reach(deadline); !reached) return tl::unexpected(reached.error());
  return link;
}

KafkaLink::~KafkaLink() {
  if (handle_ == nullptr) return;
  if (rd_kafka_type(handle()) == RD_KAFKA_PRODUCER) {
    rd_kafka_purge(handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  }
  topics_.clear();
  queue_.reset();
}

Result<void> KafkaLink::reach(TimePoint deadline) {
  for (Milliseconds wait = kFirstWait;; wait *= 2) {
    Metadata metadata;
    const int timeout = kafka_timeout(std::min(deadline, Clock::now() + wait));
    const auto code = rd_kafka_metadata(handle(), 0, nullptr, &metadata.got, timeout);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      forget_trouble();
      return {};
    }
    while (KafkaOwned<rd_kafka_event_t> event{rd_kafka_queue_poll(queue_.get(), 0)}) {
      if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_DR) continue;
      if (auto heard = hear(event.get()); !heard) return heard;
    }
    if (trouble_ && trouble_->kind == ErrorKind::kFatal) return tl::unexpected(*trouble_);
    const bool down = down_since_ && Clock::now() - *down_since_ >= kDownFor;
    if (!down && Clock::now() < deadline) continue;
    if (trouble_) return tl::unexpected(*trouble_);
    return retry("no broker answered in time: " + std::string(rd_kafka_err2str(code)), where_);
  }
}

Result<KafkaOwned<rd_kafka_event_t>> KafkaLink::next(TimePoint until) {
  for (;;) {
    KafkaOwned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue_.get(), kafka_timeout(until)));
    if (event == nullptr) {
      if (Clock::now() >= until) return event;
      continue;
    }
    if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_DR) return event;
    if (auto heard = hear(event.get()); !heard) return tl::unexpected(heard.error());
  }
}

Result<void> KafkaLink::hear(rd_kafka_event_t* event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_ERROR:
      return hear_error(event);
    case RD_KAFKA_EVENT_LOG:
      hear_log(event);
      break;
    case RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH:
      give_token();
      break;
    default:
      break;
  }
  return {};
}

// The library asks again before the time is over that it is told here.
void KafkaLink::give_token() {
  Secret token = config_.sasl->token;
  if (auto changed = token.reread(); !changed) {
    trouble_ = changed.error();
  } else if (*changed) {
    token = std::move(**changed);
  }
  const auto until = std::chrono::system_clock::now() + kTokenFor;
  const auto at = std::chrono::duration_cast<Milliseconds>(until.time_since_epoch()).count();
  std::array<char, 512> said{};
  const auto code = rd_kafka_oauthbearer_set_token(handle(), token.reveal().c_str(), at, "walspout",
                                                   nullptr, 0, said.data(), said.size());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  trouble_ = Error{ErrorKind::kRetry, "sasl.token: " + mask_.apply(said.data()), where_};
  rd_kafka_oauthbearer_set_token_failure(handle(), said.data());
}

void KafkaLink::hear_log(rd_kafka_event_t* event) {
  const char* facility = nullptr;
  const char* text = nullptr;
  int level = 0;
  if (rd_kafka_event_log(event, &facility, &text, &level) != 0 || level > kWarning) return;
  // Errors come as such, too, and say more of what they are.
  if (!trouble_) trouble_ = Error{ErrorKind::kRetry, mask_.apply(text), where_};
}

Result<void> KafkaLink::hear_error(rd_kafka_event_t* event) {
  const rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  std::string text = mask_.apply(rd_kafka_event_error_string(event));
  if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(event)) {
    std::array<char, 512> said{};
    const auto cause = rd_kafka_fatal_error(handle(), said.data(), said.size());
    Error error = kafka_trouble(cause, mask_.apply(said.data()), {}, where_);
    if (error.kind == ErrorKind::kRetry) {
      error.what = "the producer cannot go on, and is made again: " + error.what;
    }
    return tl::unexpected(std::move(error));
  }
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    if (!down_since_) down_since_ = Clock::now();
    if (trouble_) return {};
  }
  trouble_ = kafka_trouble(code, std::move(text), config_.tls.value_or(TlsConfig{}), where_);
  return {};
}

Result<rd_kafka_topic_t*> KafkaLink::topic(const std::string& name, const KafkaTopics& how,
                                           TimePoint deadline) {
  if (last_ != topics_.end() && last_->first == name) return last_->second.get();
  if (auto known = topics_.find(name); known != topics_.end()) {
    last_ = known;
    return known->second.get();
  }
  if (!is_topic_name(name)) {
    return reject("\"" + name +
                      "\" is no name of a topic, which has up to 249 letters, digits and . _ -: "
                      "give the table an entry of its own under topic",
                  where_);
  }
  KafkaOwned<rd_kafka_topic_t> topic(rd_kafka_topic_new(handle(), name.c_str(), nullptr));
  if (topic == nullptr) {
    return retry("topic \"" + name + "\": " + rd_kafka_err2str(rd_kafka_last_error()), where_);
  }
  if (auto found = find_topic(name, how, topic.get(), deadline); !found) {
    return tl::unexpected(found.error());
  }
  last_ = topics_.emplace(name, std::move(topic)).first;
  return last_->second.get();
}

Result<void> KafkaLink::find_topic(const std::string& name, const KafkaTopics& how,
                                   rd_kafka_topic_t* topic, TimePoint deadline) {
  for (bool created = false;;) {
    Metadata metadata;
    const auto code = rd_kafka_metadata(handle(), 0, topic, &metadata.got, kafka_timeout(deadline));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return retry("cannot look for topic \"" + name + "\": " + rd_kafka_err2str(code), where_);
    }
    rd_kafka_resp_err_t state = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (metadata.got->topic_cnt > 0) state = metadata.got->topics[0].err;
    switch (state) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        return {};
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        if (!config_.create_topics) {
          return misconfigured("there is no topic \"" + name + "\". Create it (" +
                                   kafka_create_command(config_, name, how) +
                                   "), set create_topics, or correct " +
                                   (name == config_.positions ? "positions" : "topic"),
                               where_);
        }
        if (!created) {
          if (auto made = create_topic(name, how, deadline); !made) return made;
          created = true;
        }
        break;
      case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
        break;  // as of a topic that was just made
      default:
        return tl::unexpected(kafka_error(state, name, where_));
    }
    if (Clock::now() >= deadline) {
      return retry("topic \"" + name + "\" has no leader: " + rd_kafka_err2str(state), where_);
    }
    std::this_thread::sleep_for(kFirstWait);
  }
}

Result<void> KafkaLink::create_topic(const std::string& name, const KafkaTopics& how,
                                     TimePoint deadline) {
  const auto number = [](uint64_t value) { return value == 0 ? -1 : static_cast<int>(value); };
  std::array<char, 512> said{};
  rd_kafka_NewTopic_t* topic =
      rd_kafka_NewTopic_new(name.c_str(), number(how.partitions), number(how.replication_factor),
                            said.data(), said.size());
  if (topic == nullptr) return misconfigured("create_topics: " + std::string(said.data()), where_);
  for (const auto& [option, value] : how.config) {
    rd_kafka_NewTopic_set_config(topic, option.c_str(), value.reveal().c_str());
  }
  rd_kafka_AdminOptions_t* options =
      rd_kafka_AdminOptions_new(handle(), RD_KAFKA_ADMIN_OP_CREATETOPICS);
  const int timeout = std::max(1, kafka_timeout(deadline));
  rd_kafka_AdminOptions_set_request_timeout(options, timeout, said.data(), said.size());
  KafkaOwned<rd_kafka_queue_t> answers(rd_kafka_queue_new(handle()));
  rd_kafka_CreateTopics(handle(), &topic, 1, options, answers.get());
  KafkaOwned<rd_kafka_event_t> answer(rd_kafka_queue_poll(answers.get(), timeout));
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_NewTopic_destroy(topic);
  auto code = RD_KAFKA_RESP_ERR__TIMED_OUT;
  std::string text = "no answer in time";
  if (answer != nullptr) {
    code = rd_kafka_event_error(answer.get());
    const char* why = rd_kafka_event_error_string(answer.get());
    size_t count = 0;
    const auto* result = rd_kafka_event_CreateTopics_result(answer.get());
    const auto* topics =
        result != nullptr ? rd_kafka_CreateTopics_result_topics(result, &count) : nullptr;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && count == 1) {
      code = rd_kafka_topic_result_error(topics[0]);
      why = rd_kafka_topic_result_error_string(topics[0]);
    }
    text = mask_.apply(why != nullptr ? why : rd_kafka_err2str(code));
  }
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return {};
  }
  Error error = kafka_error(code, name, where_);
  if (error.kind == ErrorKind::kReject) error.kind = ErrorKind::kFatal;
  const size_t remedy = error.what.find(". Remedy: ");
  error.what = "cannot create topic \"" + name + "\": " + text +
               (remedy == std::string::npos ? "" : error.what.substr(remedy)) +
               ". Or create it by hand: " + kafka_create_command(config_, name, how);
  return tl::unexpected(std::move(error));
}

}  // namespace walspout
