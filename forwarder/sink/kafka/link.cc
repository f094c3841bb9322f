#include "sink/kafka/link.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <thread>
#include <utility>

#include "kafka/errors.h"

namespace walspout {
namespace {

constexpr Milliseconds kFirstWait{50};
constexpr size_t kLongestTopic = 249;

bool is_topic_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestTopic || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace

std::string kafka_create_command(const KafkaConfig& config, const std::string& name,
                                 const KafkaTopics& how) {
  std::string command = "kafka-topics.sh --bootstrap-server " +
                        (config.brokers.empty() ? "HOST:PORT" : config.brokers.front()) +
                        " --create --topic " + name;
  if (how.partitions > 0) command += " --partitions " + std::to_string(how.partitions);
  if (how.replication_factor > 0) {
    command += " --replication-factor " + std::to_string(how.replication_factor);
  }
  // Of the options, show only the policy, which the topic's owner decides.
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
  std::vector<std::pair<const char*, std::string>> extra;
  if (!use.transactional_id.empty()) extra.emplace_back("transactional.id", use.transactional_id);
  if (use.reads) {
    extra.emplace_back("isolation.level", "read_committed");
    extra.emplace_back("enable.partition.eof", "true");
    // A broker answers at the end of a partition after this time, and the first event waits for the
    // answer. The library's default is 500 ms.
    extra.emplace_back("fetch.wait.max.ms", "10");
  }
  const rd_kafka_type_t type = use.reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
  if (auto made = link->make(type, options, extra); !made) return tl::unexpected(made.error());
  link->last_ = link->topics_.end();
  if (auto reached = link->reach(deadline); !reached) return tl::unexpected(reached.error());
  return link;
}

KafkaLink::~KafkaLink() {
  if (handle() == nullptr) return;
  if (rd_kafka_type(handle()) == RD_KAFKA_PRODUCER) {
    rd_kafka_purge(handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                 RD_KAFKA_PURGE_F_NON_BLOCKING);
  }
  topics_.clear();
}

Result<KafkaOwned<rd_kafka_event_t>> KafkaLink::next(TimePoint until) {
  for (;;) {
    KafkaOwned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue(), kafka_timeout(until)));
    if (event == nullptr) {
      if (Clock::now() >= until) return event;
      continue;
    }
    if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_DR) return event;
    if (auto heard = handle_event(event.get()); !heard) return tl::unexpected(heard.error());
  }
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
                  where());
  }
  KafkaOwned<rd_kafka_topic_t> topic(rd_kafka_topic_new(handle(), name.c_str(), nullptr));
  if (topic == nullptr) {
    return retry("topic \"" + name + "\": " + rd_kafka_err2str(rd_kafka_last_error()), where());
  }
  if (auto found = find_topic(name, how, topic.get(), deadline); !found) {
    return tl::unexpected(found.error());
  }
  last_ = topics_.emplace(name, std::move(topic)).first;
  return last_->second.get();
}

std::string KafkaLink::topic_names() const {
  constexpr size_t kShown = 10;
  std::string names;
  for (auto topic = topics_.begin(); topic != topics_.end(); ++topic) {
    const auto at = static_cast<size_t>(std::distance(topics_.begin(), topic));
    if (at == kShown) return names + " and " + std::to_string(topics_.size() - at) + " more";
    names += (at == 0 ? "" : ", ") + topic->first;
  }
  return names;
}

std::string KafkaLink::missing_topic(TimePoint deadline) const {
  const struct rd_kafka_metadata* got = nullptr;
  const auto code = rd_kafka_metadata(handle(), 0, nullptr, &got, kafka_timeout(deadline));
  const KafkaOwned<const struct rd_kafka_metadata> metadata(got);
  for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < metadata->topic_cnt; ++i) {
    const auto& topic = metadata->topics[i];
    if (topic.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return topic.topic;
  }
  return {};
}

Result<void> KafkaLink::find_topic(const std::string& name, const KafkaTopics& how,
                                   rd_kafka_topic_t* topic, TimePoint deadline) {
  for (bool created = false;;) {
    const struct rd_kafka_metadata* got = nullptr;
    const auto code = rd_kafka_metadata(handle(), 0, topic, &got, kafka_timeout(deadline));
    const KafkaOwned<const struct rd_kafka_metadata> metadata(got);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return retry("cannot look for topic \"" + name + "\": " + rd_kafka_err2str(code), where());
    }
    rd_kafka_resp_err_t state = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (metadata->topic_cnt > 0) state = metadata->topics[0].err;
    switch (state) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        return {};
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        if (!config_.create_topics) {
          return misconfigured("there is no topic \"" + name + "\". Create it (" +
                                   kafka_create_command(config_, name, how) +
                                   "), set create_topics, or correct " +
                                   (name == config_.positions ? "positions" : "topic"),
                               where());
        }
        if (!created) {
          if (auto made = create_topic(name, how, deadline); !made) return made;
          created = true;
        }
        break;
      case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
        break;  // a topic that was just created has none
      default:
        return tl::unexpected(kafka_error(state, name, where()));
    }
    if (Clock::now() >= deadline) {
      return retry("topic \"" + name + "\" has no leader: " + rd_kafka_err2str(state), where());
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
  if (topic == nullptr) return misconfigured("create_topics: " + std::string(said.data()), where());
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
    text = mask().apply(why != nullptr ? why : rd_kafka_err2str(code));
  }
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return {};
  }
  // In the names of metrics a dot is a _ too, so Kafka rejects a.b_c beside a_b.c.
  if (code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
    return reject("cannot create topic \"" + name + "\": " + text +
                      ": give the table an entry of its own under topic",
                  where());
  }
  Error error = kafka_error(code, name, where());
  if (error.kind == ErrorKind::kReject) error.kind = ErrorKind::kFatal;
  const size_t remedy = error.what.find(". Remedy: ");
  error.what = "cannot create topic \"" + name + "\": " + text +
               (remedy == std::string::npos ? "" : error.what.substr(remedy)) +
               ". Or create it by hand: " + kafka_create_command(config_, name, how);
  return tl::unexpected(std::move(error));
}

}  // namespace walspout
