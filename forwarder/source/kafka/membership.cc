// What a KafkaInput does when the group gives it partitions or takes them away.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "source/kafka/input.h"

namespace walspout {

namespace {

constexpr Duration kAnswer = std::chrono::seconds(5);
constexpr Duration kAsk = std::chrono::seconds(30);
constexpr Duration kStep = std::chrono::milliseconds(20);
// How long to wait for the delivery of a partition's events before another member gets the
// partition. The group waits longer: max.poll.interval.ms.
constexpr Duration kRevoke = std::chrono::seconds(10);
constexpr Duration kStuck = std::chrono::seconds(3);  // without any progress
// Less than the shortest time after which brokers drop a member, 6 s by default.
constexpr Duration kLease = std::chrono::seconds(3);

// "orders-0, orders-3", and how many more.
std::string names(const std::vector<KafkaOffsets::Key>& keys) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < std::min(keys.size(), kShown); i++) {
    text += (i ? ", " : "") + keys[i].first + "-" + std::to_string(keys[i].second);
  }
  if (keys.size() > kShown) text += " and " + std::to_string(keys.size() - kShown) + " more";
  return text;
}

}  // namespace

Result<void> KafkaInput::rebalance(rd_kafka_event_t* event) {
  hand_over();
  queue_.announce(true);
  last_topic_ = nullptr;
  const auto keys = kafka_keys(rd_kafka_event_topic_partition_list(event));
  switch (rd_kafka_event_error(event)) {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
      return assign(keys);
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
      return revoke(keys);
    default:
      return retry(std::string("the group cannot be joined: ") +
                       rd_kafka_err2str(rd_kafka_event_error(event)),
                   consumer_->where());
  }
}

Result<void> KafkaInput::assign(const std::vector<Key>& partitions) {
  stats_.pulse.set_return_time(Clock::now() + kAsk);
  const auto begin = consumer_->committed(partitions, Clock::now() + kAsk);
  if (!begin) return tl::unexpected(begin.error());
  if (Result<void> assigned = consumer_->assign(*begin); !assigned) return assigned;
  for (const auto& [key, offset] : *begin) offsets_.assign(key, offset);
  if (paused_) consumer_->pause(partitions);
  joined_ = true;
  if (!partitions.empty()) {
    if (partitions_ == 0) stats_.connects++;
    queue_.fence().open(-1, kLease);
    began_ = true;
    stats_.last_error.set("");
    trouble_said_.clear();
  }
  update_phase();
  log(LogLevel::kInfo, partitions_ > 0 ? "streaming" : "waiting for partitions",
      {{"pipeline", pipeline_},
       {"group", config_.group},
       {"server", consumer_->where()},
       {"new", names(partitions)},
       {"partitions", partitions_.load()}});
  return {};
}

Result<void> KafkaInput::revoke(const std::vector<Key>& partitions) {
  const bool lost = consumer_->is_lost();
  if (!lost) settle(partitions);
  update_handled();
  const uint64_t handled = queue_.handled();
  const bool done = std::all_of(partitions.begin(), partitions.end(), [&](const Key& key) {
    const KafkaOffsets::Place* place = offsets_.find(key);
    return place == nullptr || place->events <= handled;
  });
  Result<void> kept;
  if (!done) kept = abandon(partitions);
  if (!lost) commit_last(partitions);
  // The library keeps the pause, also if these partitions are ours again later.
  if (paused_) consumer_->resume(partitions);
  for (const Key& key : partitions) offsets_.revoke(key);
  if (offsets_.all().empty()) queue_.fence().close();
  Result<void> given = consumer_->unassign(partitions);
  update_phase();
  log(LogLevel::kInfo, lost ? "partitions were lost" : "partitions go to another member",
      {{"pipeline", pipeline_},
       {"group", config_.group},
       {"gone", names(partitions)},
       {"partitions", partitions_.load()}});
  return kept ? given : kept;
}

// Waits for a limited time until the sinks are done with all events of these partitions.
void KafkaInput::settle(const std::vector<Key>& partitions) {
  uint64_t events = 0;
  for (const Key& key : partitions) {
    if (const KafkaOffsets::Place* place = offsets_.find(key)) {
      events = std::max(events, place->events);
    }
  }
  TimePoint until = Clock::now() + kRevoke;
  stats_.pulse.set_return_time(until + kAnswer);
  uint64_t handled = queue_.handled();
  TimePoint moved = Clock::now();
  while (handled < events && !queue_.closed() && Clock::now() < std::min(until, moved + kStuck)) {
    if (stopping()) until = std::min(until, drain_until());
    wake_.clear();
    show_life();
    wait(std::min(until, Clock::now() + kStep));
    if (const uint64_t now = queue_.handled(); now != handled) {
      handled = now;
      moved = Clock::now();
    }
  }
}

// Discards what is queued. Events of partitions that stay are read again.
Result<void> KafkaInput::abandon(const std::vector<Key>& gone) {
  const uint64_t events = queue_.discard();
  offsets_.forget();
  log(LogLevel::kInfo,
      "what is not delivered is discarded, and read again by the owner of its partition",
      {{"pipeline", pipeline_}, {"events", events}});
  Offsets stay;
  for (const auto& [key, place] : offsets_.all()) {
    if (std::find(gone.begin(), gone.end(), key) == gone.end()) stay.emplace_back(key, place.next);
  }
  stats_.pulse.set_return_time(Clock::now() + 2 * kAnswer);
  return consumer_->seek(stay, Clock::now() + kAnswer);
}

void KafkaInput::commit_last(const std::vector<Key>& partitions) {
  Offsets last;
  for (auto& [key, offset] : offsets_.to_commit()) {
    if (std::find(partitions.begin(), partitions.end(), key) != partitions.end()) {
      last.emplace_back(key, offset);
    }
  }
  if (last.empty()) return;
  stats_.pulse.set_return_time(Clock::now() + 2 * kAnswer);
  const Result<void> committed = consumer_->commit_now(last, Clock::now() + kAnswer);
  if (!committed) return note_trouble(committed.error());
  for (const auto& [key, offset] : last) offsets_.committed(key, offset);
}

// Ends the consumer. Events that were not delivered are read again later.
void KafkaInput::leave() {
  update_handled();
  if (queue_.handled() < queue_.pushed() && !stopping()) queue_.discard();
  if (!consumer_->is_lost()) commit_last(ours());
  queue_.fence().close();
  offsets_.clear();
  last_topic_ = nullptr;
  taken_.clear();
  taken_bytes_ = 0;
  stats_.pulse.set_return_time(Clock::now() + 2 * kAnswer);
  joined_ = false;
  partitions_ = lag_ = 0;
  consumer_.reset();
}

void KafkaInput::update_phase() {
  partitions_ = offsets_.all().size();
  if (consumer_->is_down() || !joined_) {
    stats_.state = SourcePhase::kConnecting;
  } else if (partitions_ == 0) {
    stats_.state = SourcePhase::kWaiting;
  } else {
    stats_.state = SourcePhase::kStreaming;
  }
}

}  // namespace walspout
