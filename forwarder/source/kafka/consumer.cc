#include "source/kafka/consumer.h"

#include <array>
#include <limits>
#include <thread>

#include "kafka/errors.h"

namespace walspout {
namespace {

// Options that the source sets itself, or has a key for.
constexpr std::array kOwned = {
    KafkaOwnedOption{"group.id", "group"},
    KafkaOwnedOption{"enable.auto.commit", ""},
    KafkaOwnedOption{"auto.commit.enable", ""},
    KafkaOwnedOption{"auto.commit.interval.ms", ""},
    KafkaOwnedOption{"enable.auto.offset.store", ""},
    KafkaOwnedOption{"auto.offset.reset", ""},
    KafkaOwnedOption{"enable.partition.eof", ""},
    KafkaOwnedOption{"allow.auto.create.topics", ""},
};

constexpr Milliseconds kGoodbye{3'000};
constexpr Milliseconds kStep{50};

using List = KafkaOwned<rd_kafka_topic_partition_list_t>;

List list_of(const KafkaConsumer::Offsets& offsets) {
  List list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
  for (const auto& [key, offset] : offsets) {
    rd_kafka_topic_partition_list_add(list.get(), key.first.c_str(), key.second)->offset =
        offset == KafkaOffsets::kUnknown ? RD_KAFKA_OFFSET_BEGINNING : offset;
  }
  return list;
}

List list_of(const std::vector<KafkaConsumer::Key>& keys) {
  List list(rd_kafka_topic_partition_list_new(static_cast<int>(keys.size())));
  for (const auto& [topic, number] : keys) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), number);
  }
  return list;
}

// The error of the list, or of its first partition that failed.
rd_kafka_resp_err_t outcome(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t* list) {
  for (int i = 0; list != nullptr && code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
    code = list->elems[i].err;
  }
  return code;
}

Result<void> judged(rd_kafka_resp_err_t code, std::string_view what, const std::string& where) {
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return retry(std::string(what) + ": " + rd_kafka_err2str(code), where);
}

Result<void> judged(rd_kafka_error_t* error, std::string_view what, const std::string& where) {
  if (error == nullptr) return {};
  const KafkaOwned<rd_kafka_error_t> owned(error);
  return retry(std::string(what) + ": " + rd_kafka_error_string(error), where);
}

bool is_cooperative(const rd_kafka_t* handle) {
  const char* protocol = rd_kafka_rebalance_protocol(const_cast<rd_kafka_t*>(handle));
  return protocol != nullptr && std::string_view(protocol) == "COOPERATIVE";
}

// Gives back all partitions if the protocol stops all members while the group changes.
Result<void> give_back(rd_kafka_t* handle, const std::vector<KafkaConsumer::Key>& partitions,
                       const std::string& where) {
  constexpr std::string_view kWhat = "cannot give partitions back";
  if (!is_cooperative(handle)) return judged(rd_kafka_assign(handle, nullptr), kWhat, where);
  const List list = list_of(partitions);
  return judged(rd_kafka_incremental_unassign(handle, list.get()), kWhat, where);
}

// The library never ends a client that has not answered a rebalance, whatever the flags are.
// Version 2.0 also never returns from an answer given while the client leaves the group. So we
// answer first.
void leave(rd_kafka_t* handle, rd_kafka_queue_t* queue, bool asked) {
  const TimePoint until = Clock::now() + kGoodbye;
  if (asked) static_cast<void>(give_back(handle, {}, {}));
  const KafkaOwned<rd_kafka_error_t> refused(rd_kafka_consumer_close_queue(handle, queue));
  while (refused == nullptr && !rd_kafka_consumer_closed(handle) && Clock::now() < until) {
    const KafkaConsumer::Event event(rd_kafka_queue_poll(queue, static_cast<int>(kStep.count())));
    if (event == nullptr || rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_REBALANCE) continue;
    const auto keys = kafka_keys(rd_kafka_event_topic_partition_list(event.get()));
    static_cast<void>(give_back(handle, keys, {}));
  }
}

}  // namespace

Result<KafkaOptions> kafka_source_options(const KafkaSourceConfig& config) {
  KafkaOptions options(rd_kafka_conf_new());
  rd_kafka_conf_set_events(options.get(), RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                              kafka_events(config));
  KafkaSetter to(options.get(), config);
  const bool good =
      // Users may override these. With this strategy all members stop while the group changes. With
      // cooperative-sticky a commit during the change is rejected, and the library takes that for
      // the loss of all partitions.
      to.set_all({{"partition.assignment.strategy", "roundrobin"},
                  {"heartbeat.interval.ms", "1000"},
                  {"isolation.level", "read_committed"},
                  {"topic.metadata.refresh.interval.ms", "30000"},
                  // `memory` does not include what the library reads ahead.
                  {"queued.max.messages.kbytes", "16384"}}) &&
      to.set_access(kOwned, "source") &&
      to.set_all({{"group.id", config.group},
                  {"enable.auto.commit", "false"},
                  {"enable.auto.offset.store", "false"},
                  // Removed messages are a gap. Where the group has no offset, assign() sets the
                  // beginning.
                  {"auto.offset.reset", "error"},
                  {"enable.partition.eof", "true"},
                  {"allow.auto.create.topics", "false"}});
  if (!good) return misconfigured(to.problem());
  return options;
}

std::vector<KafkaOffsets::Key> kafka_keys(const rd_kafka_topic_partition_list_t* list) {
  std::vector<KafkaOffsets::Key> keys;
  for (int i = 0; list != nullptr && i < list->cnt; i++) {
    keys.emplace_back(list->elems[i].topic, list->elems[i].partition);
  }
  return keys;
}

Result<std::unique_ptr<KafkaConsumer>> KafkaConsumer::open(const KafkaSourceConfig& config,
                                                           const KafkaOptions& options,
                                                           const Wake& wake, TimePoint deadline) {
  std::unique_ptr<KafkaConsumer> consumer(new KafkaConsumer(config, kafka_name(config)));
  if (auto made = consumer->make(RD_KAFKA_CONSUMER, options); !made) {
    return tl::unexpected(made.error());
  }
  if (auto reached = consumer->reach(deadline); !reached) return tl::unexpected(reached.error());
  rd_kafka_poll_set_consumer(consumer->handle());
  consumer->replace_queue(
      KafkaOwned<rd_kafka_queue_t>(rd_kafka_queue_get_consumer(consumer->handle())));
  const uint64_t one = 1;
  rd_kafka_queue_io_event_enable(consumer->queue(), wake.fd(), &one, sizeof(one));
  std::vector<Key> topics;
  for (const std::string& topic : config.topics) topics.emplace_back(topic, RD_KAFKA_PARTITION_UA);
  const auto code = rd_kafka_subscribe(consumer->handle(), list_of(topics).get());
  if (code == RD_KAFKA_RESP_ERR__INVALID_ARG) {
    return misconfigured("topics has a pattern that librdkafka does not understand",
                         consumer->where());
  }
  if (auto good = judged(code, "cannot subscribe", consumer->where()); !good) {
    return tl::unexpected(good.error());
  }
  return consumer;
}

KafkaConsumer::~KafkaConsumer() {
  if (handle() == nullptr) return;
  rd_kafka_queue_io_event_enable(queue(), -1, nullptr, 0);
  const auto goodbye = [asked = asked_](rd_kafka_t* handle, rd_kafka_queue_t* queue) {
    leave(handle, queue, asked);
  };
  end(RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, goodbye, kGoodbye + kStep);
}

KafkaConsumer::Event KafkaConsumer::next() {
  Event event(rd_kafka_queue_poll(queue(), 0));
  if (event != nullptr && rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_REBALANCE) {
    asked_ = true;
  }
  return event;
}

Result<KafkaConsumer::Offsets> KafkaConsumer::committed(const std::vector<Key>& partitions,
                                                        TimePoint deadline) {
  Offsets offsets;
  if (partitions.empty()) return offsets;
  const List list = list_of(partitions);
  auto code = rd_kafka_committed(handle(), list.get(), kafka_timeout(deadline));
  code = outcome(code, list.get());
  if (auto good = judged(code, "cannot ask where the group is", where()); !good) {
    return tl::unexpected(good.error());
  }
  for (int i = 0; i < list->cnt; i++) {
    const auto& one = list->elems[i];
    offsets.emplace_back(Key(one.topic, one.partition),
                         one.offset >= 0 ? one.offset : KafkaOffsets::kUnknown);
  }
  return offsets;
}

Result<void> KafkaConsumer::assign(const Offsets& partitions) {
  constexpr std::string_view kWhat = "cannot take over partitions";
  const List list = list_of(partitions);
  return answered(is_cooperative(handle())
                      ? judged(rd_kafka_incremental_assign(handle(), list.get()), kWhat, where())
                      : judged(rd_kafka_assign(handle(), list.get()), kWhat, where()));
}

Result<void> KafkaConsumer::unassign(const std::vector<Key>& partitions) {
  return answered(give_back(handle(), partitions, where()));
}

Result<void> KafkaConsumer::answered(Result<void> result) {
  if (result) asked_ = false;
  return result;
}

Result<void> KafkaConsumer::commit(const Offsets& offsets) {
  return judged(rd_kafka_commit_queue(handle(), list_of(offsets).get(), queue(), nullptr, nullptr),
                "cannot commit offsets", where());
}

Result<void> KafkaConsumer::commit_now(const Offsets& offsets, TimePoint deadline) {
  const KafkaOwned<rd_kafka_queue_t> answers(rd_kafka_queue_new(handle()));
  auto code =
      rd_kafka_commit_queue(handle(), list_of(offsets).get(), answers.get(), nullptr, nullptr);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const Event answer(rd_kafka_queue_poll(answers.get(), kafka_timeout(deadline)));
    code = answer == nullptr ? RD_KAFKA_RESP_ERR__TIMED_OUT
                             : outcome(rd_kafka_event_error(answer.get()),
                                       rd_kafka_event_topic_partition_list(answer.get()));
  }
  return judged(code, "cannot commit offsets", where());
}

void KafkaConsumer::pause(const std::vector<Key>& partitions) {
  if (!partitions.empty()) rd_kafka_pause_partitions(handle(), list_of(partitions).get());
}

void KafkaConsumer::resume(const std::vector<Key>& partitions) {
  if (!partitions.empty()) rd_kafka_resume_partitions(handle(), list_of(partitions).get());
}

// The library (2.0) takes the timeout in milliseconds for microseconds, so it gives up too early.
Result<void> KafkaConsumer::seek(const Offsets& offsets, TimePoint deadline) {
  constexpr std::string_view kWhat = "cannot go back to what is not delivered";
  if (offsets.empty()) return {};
  for (;;) {
    const List list = list_of(offsets);
    const KafkaOwned<rd_kafka_error_t> failed(
        rd_kafka_seek_partitions(handle(), list.get(), std::max(1, kafka_timeout(deadline))));
    if (failed == nullptr) {
      return judged(outcome(RD_KAFKA_RESP_ERR_NO_ERROR, list.get()), kWhat, where());
    }
    const bool late = rd_kafka_error_code(failed.get()) == RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!late || Clock::now() >= deadline) {
      return retry(std::string(kWhat) + ": " + rd_kafka_error_string(failed.get()), where());
    }
    std::this_thread::sleep_for(kStep);
  }
}

std::pair<int64_t, int64_t> KafkaConsumer::limits(const Key& key) const {
  int64_t first = -1;
  int64_t end = -1;
  rd_kafka_get_watermark_offsets(handle(), key.first.c_str(), key.second, &first, &end);
  return {first < 0 ? KafkaOffsets::kUnknown : first, end < 0 ? KafkaOffsets::kUnknown : end};
}

bool KafkaConsumer::answers(Milliseconds patience) {
  const struct rd_kafka_metadata* got = nullptr;
  const auto code =
      rd_kafka_metadata(handle(), 0, nullptr, &got, static_cast<int>(patience.count()));
  const KafkaOwned<const struct rd_kafka_metadata> metadata(got);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

}  // namespace walspout
