#include "sink/redis/redis.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "sink/redis/errors.h"
#include "sink/redis/probe.h"

namespace walspout {
namespace {

// The size of a transaction. Redis executes nothing else during a transaction, so it must be short;
// its round trip must not matter, so it must be long.
constexpr size_t kTransactionBytes = 4 * 1024 * 1024;
constexpr size_t kBuffer = 64 * 1024;  // bytes written at once
constexpr size_t kCopied = 16 * 1024;  // longer documents are not copied into the buffer

constexpr std::string_view kMulti = "*1\r\n$5\r\nMULTI\r\n";
constexpr std::string_view kExec = "*1\r\n$4\r\nEXEC\r\n";

tl::unexpected<DeliveryError> failed(Error error, size_t event = 0) {
  return tl::unexpected(DeliveryError{std::move(error), event, std::nullopt});
}

// One spelling for hosts that can be written in several ways.
std::string canonical_host(std::string host) {
  std::transform(host.begin(), host.end(), host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return host == "localhost" || host == "::1" || host.starts_with("127.") ? "127.0.0.1" : host;
}

bool same_database(const RedisEndpoint& a, const RedisEndpoint& b) {
  if (a.database != b.database || a.host.empty() != b.host.empty()) return false;
  if (a.host.empty()) return a.unix_socket == b.unix_socket;
  return a.port == b.port && canonical_host(a.host) == canonical_host(b.host);
}

// On each connection, the schema comes again before the first row, so no entry may have its id.
// Rows delivered up to that id already had this schema.
bool is_superseded(const Event& event, const RedisStream& stream) {
  return event.is_schema() && RedisId::of(event) <= stream.delivered.id &&
         event.commit_time <= stream.delivered.time;
}

}  // namespace

RedisSink::RedisSink(RedisEndpoint endpoint, RedisConfig config, Router router,
                     std::vector<RedisField> fields)
    : endpoint_(std::move(endpoint)),
      config_(std::move(config)),
      router_(std::move(router)),
      name_(endpoint_.name()),
      streams_(std::make_unique<RedisStreams>(std::move(fields), config_.maxlen, endpoint_,
                                              config_.memory)) {
  buffer_.reserve(kBuffer + kCopied + 1024);
}

Result<std::unique_ptr<Sink>> RedisSink::create(const RedisConfig& config) {
  auto endpoint = RedisEndpoint::parse(config.url.reveal());
  if (!endpoint) return tl::unexpected(endpoint.error());
  auto router = Router::create(config.stream);
  if (!router) return with_prefix("stream", router.error());
  if (const auto name = router->name_of_both(); name && !config.own_ids) {
    return fatal(
        "\"schemas_to\" and \"stream\" can both make \"" + *name +
        "\", and a stream of rows has no place for a schema, because ids of entries have to "
        "grow: give schemas a stream of their own");
  }
  auto fields = redis_fields(config.fields);
  if (!fields) return tl::unexpected(fields.error());
  if (!config.username.empty()) endpoint->user = config.username;
  if (!config.password.empty()) endpoint->password = config.password;
  endpoint->files = config.tls;
#ifndef WALSPOUT_REDIS_TLS
  if (endpoint->tls) return redis_without_tls(endpoint->name());
#endif
  return std::unique_ptr<Sink>(
      new RedisSink(std::move(*endpoint), config, std::move(*router), std::move(*fields)));
}

std::optional<std::string> RedisSink::common_stream(const RedisConfig& a, const RedisConfig& b) {
  const auto here = RedisEndpoint::parse(a.url.reveal());
  const auto there = RedisEndpoint::parse(b.url.reveal());
  if (!here || !there || !same_database(*here, *there)) return std::nullopt;
  const auto one = Router::create(a.stream);
  const auto other = Router::create(b.stream);
  if (!one || !other) return std::nullopt;
  return Router::common_name(*one, *other);
}

// The old sink's knowledge counts only for the same server and database.
void RedisSink::take_over_from(Sink& old) {
  auto* redis = dynamic_cast<RedisSink*>(&old);
  if (redis == nullptr || redis->name_ != name_ || !same_database(redis->endpoint_, endpoint_)) {
    return;
  }
  std::swap(streams_, redis->streams_);
  batch_ = redis->batch_;  // the streams have its numbers
}

Result<void> RedisSink::connect(TimePoint deadline) {
  if (link_ != nullptr && link_->alive()) return {};
  link_.reset();
  auto opened =
      RedisLink::open(endpoint_, std::min(deadline, Clock::now() + config_.connect_timeout));
  if (!opened) return tl::unexpected(opened.error());
  // If Redis refused MULTI, it would execute the commands after it one by one.
  for (const std::string_view word : {"MULTI", "EXEC"}) {
    const auto reply = (*opened)->command({word}, deadline);
    if (!reply) return tl::unexpected(reply.error());
    if ((*reply)->type == REDIS_REPLY_ERROR) {
      return tl::unexpected(redis_error(text_of(**reply), "", name_));
    }
  }
  link_ = std::move(*opened);
  streams_->connected();
  return {};
}

Result<void> RedisSink::check(const SourceState& source, TimePoint deadline) {
  warnings_.clear();
  if (!config_.own_ids && !source.ordered) {
    return misconfigured(
        "the ids of these events do not grow in a stream, because they come from several "
        "partitions, "
        "and "
        "Redis rejects an id that is not beyond the last one: set `ids: redis` in this sink. An "
        "event that comes again then is there twice, with one `id` in its document",
        name_);
  }
  if (!config_.own_ids) {
    if (auto set = streams_->set_source(source); !set) return set;
  }
  if (auto probed = probe(deadline); !probed) return probed;
  if (auto connected = connect(deadline); !connected) return connected;
  std::vector<RedisStream*> streams;
  for (const std::string& name : router_.fixed_names()) streams.push_back(&streams_->named(name));
  Result<void> checked;
  if (!config_.own_ids) checked = streams_->find_old_losses(*link_, deadline);
  if (checked && !config_.own_ids) {
    checked = streams_->look(*link_, streams, RedisStreams::Purpose::kCheck, deadline);
  }
  if (checked) checked = check_settings(deadline);
  if (!checked) link_.reset();
  return checked;
}

// Looks whether the server's settings endanger streams.
Result<void> RedisSink::check_settings(TimePoint deadline) {
  const auto memory = link_->command({"INFO", "memory"}, deadline);
  if (!memory) return tl::unexpected(memory.error());
  if (auto warning = redis_eviction_warning(text_of(**memory)); !warning.empty()) {
    warnings_.push_back(std::move(warning));
  }
  if (config_.wait.replicas == 0) return {};
  RedisTransaction waited;
  buffer_.clear();
  append_wait(buffer_);
  waited.expected = 1;
  link_->expect(&waited);
  auto done = flush(deadline);
  if (done) done = link_->await(waited, deadline);
  return done ? judge_wait(waited) : done;
}

Result<void> RedisSink::probe(TimePoint deadline) {
  const std::vector<std::string> known = router_.fixed_names();
  RedisProbe probe{known.empty() ? "walspout" : known.front(), !known.empty(),
                   streams_->keeps_positions(), config_.wait.replicas > 0, name_};
  if (auto connected = connect(deadline); !connected) return connected;
  auto probed = redis_probe(*link_, probe, deadline);
  link_.reset();
  return probed;
}

Delivery RedisSink::find_streams(std::span<const Event> events) {
  targets_.clear();
  for (size_t i = 0; i < events.size(); ++i) {
    if (i > 0 && events[i].table == events[i - 1].table && events[i].op == events[i - 1].op) {
      targets_.push_back(targets_.back());
      continue;
    }
    const auto routed = router_.route(events[i], routed_);
    if (!routed) return failed(routed.error(), i);
    targets_.push_back(*routed ? &streams_->named(routed_) : nullptr);
  }
  return {};
}

Delivery RedisSink::deliver(std::span<const Event> events, TimePoint deadline, Progress& progress) {
  if (events.empty()) return {};
  streams_->reached(events.back().lsn);
  Delivery outcome = find_streams(events);
  // Deliver the events before the first event that has no stream.
  const auto routed = events.first(targets_.size());
  Result<void> ready = connect(deadline);
  if (ready && !config_.own_ids) {
    ready = streams_->look(*link_, targets_, RedisStreams::Purpose::kDeliver, deadline);
  }
  Delivery sent = ready ? transact(routed, deadline, progress) : failed(std::move(ready.error()));
  if (sent) {
    if (!config_.own_ids) streams_->passed(routed);
    return outcome;
  }
  // Replies may still arrive, and the next attempt may reach another server.
  link_.reset();
  return sent;
}

Result<void> RedisSink::encode(const Event& event, const RedisStream& stream, TimePoint deadline) {
  const EventId id(event);
  buffer_ += stream.command;
  if (event.is_no_change() && !config_.own_ids) {
    append_word(buffer_, RedisId::of(event).text());
  } else {
    append_word(buffer_, config_.own_ids ? std::string_view("*") : id.view());
  }
  for (const RedisField field : streams_->fields()) {
    buffer_ += header_of(field);
    const std::string_view value = value_of(field, event, id);
    if (value.size() <= kCopied) {
      append_word(buffer_, value);
      continue;
    }
    append_length(buffer_, value.size());
    auto written = link_->write(buffer_, value, deadline);
    buffer_.clear();
    if (!written) return written;
    buffer_ += "\r\n";
  }
  return buffer_.size() < kBuffer ? Result<void>() : flush(deadline);
}

Result<void> RedisSink::flush(TimePoint deadline) {
  auto written = link_->write(buffer_, "", deadline);
  buffer_.clear();
  return written;
}

void RedisSink::choose(std::span<const Event> events, size_t& next, Batch& batch,
                       Progress& progress) const {
  batch.old.clear();
  batch.events.clear();
  batch.claims.clear();
  batch.queued = false;
  batch.replies = {};
  const size_t first = next;
  size_t bytes = 0;
  for (; next < events.size() && batch.old.size() + batch.events.size() < config_.pipeline;
       ++next) {
    if (targets_[next] == nullptr) {
      progress.drop(next);
      continue;
    }
    const bool old = !config_.own_ids && RedisId::of(events[next]) <= targets_[next]->top;
    if (old && is_superseded(events[next], *targets_[next])) {
      progress.durable(next);
      continue;
    }
    bytes += events[next].document.size();
    if (!batch.empty() && bytes > kTransactionBytes) break;
    (old ? batch.old : batch.events).push_back(next);
  }
  // Without EXEC the event cannot be held back, so it must be the first one.
  batch.alone = batch.events.size() == 1 && first == 0 && !streams_->keeps_positions();
}

void RedisSink::make_claims(std::span<const Event> events, Batch& batch) {
  ++batch_;
  for (const size_t event : batch.events) {
    RedisStream& stream = *targets_[event];
    if (stream.batch != batch_) {
      stream.batch = batch_;
      stream.claim = batch.claims.size();
      stream.latest = std::max(stream.latest, stream.delivered.time);
      batch.claims.push_back({&stream, {}, 0});
    }
    ++batch.claims[stream.claim].events;
    RedisPosition& position = batch.claims[stream.claim].position;
    position.id = std::max(position.id, RedisId::of(events[event]));
    stream.latest = std::max(stream.latest, events[event].commit_time);
    position.time = stream.latest;
  }
}

Result<void> RedisSink::queue(std::span<const Event> events, Batch& batch, TimePoint deadline) {
  const bool positions = streams_->keeps_positions();
  batch.replies = {};
  batch.replies.expected = batch.alone ? 1 : batch.events.size() + (positions ? 3 : 2);
  batch.queued = true;
  batch.claims.clear();
  if (!config_.own_ids) make_claims(events, batch);
  link_->expect(&batch.replies);
  if (!batch.alone) buffer_ += kMulti;
  for (const size_t event : batch.events) {
    if (auto encoded = encode(events[event], *targets_[event], deadline); !encoded) return encoded;
  }
  if (positions) streams_->append_claims(buffer_, batch.claims);
  return {};
}

Delivery RedisSink::transact(std::span<const Event> events, TimePoint deadline,
                             Progress& progress) {
  buffer_.clear();
  size_t chosen = 0;
  Batch* batch = &batches_[0];
  Batch* next = &batches_[1];
  choose(events, chosen, *batch, progress);
  while (!batch->empty()) {
    if (!progress.may_continue()) return halted();
    if (auto there = verify_old(events, *batch, deadline, progress); !there) return there;
    choose(events, chosen, *next, progress);
    if (!batch->events.empty()) {
      if (auto done = execute(events, *batch, *next, deadline, progress); !done) return done;
    }
    std::swap(batch, next);
  }
  return {};
}

Delivery RedisSink::verify_old(std::span<const Event> events, const Batch& batch,
                               TimePoint deadline, Progress& progress) {
  if (batch.old.empty()) return {};
  auto there = streams_->verify(*link_, events, batch.old, targets_, deadline);
  if (!there) return there;
  if (auto safe = replicate(deadline); !safe) return failed(safe.error(), batch.old.front());
  for (const size_t event : batch.old) progress.durable(event);
  return {};
}

void RedisSink::append_wait(std::string& out) const {
  append_command(out, {"WAIT", std::to_string(config_.wait.replicas),
                       std::to_string(config_.wait.timeout.count())});
}

Result<void> RedisSink::judge_wait(const RedisTransaction& waited) const {
  if (!waited.queue_error.empty()) {
    return tl::unexpected(redis_error(waited.queue_error, "", name_));
  }
  if (waited.integer >= static_cast<int64_t>(config_.wait.replicas)) return {};
  return retry(std::to_string(waited.integer) + " of the " + std::to_string(config_.wait.replicas) +
                   " replicas that `wait` asks for have acknowledged within its timeout, " +
                   std::to_string(config_.wait.timeout.count()) +
                   "ms: look at INFO replication, let replicas catch up, or change wait",
               name_);
}

Result<void> RedisSink::await_replicas(const Batch& batch, TimePoint deadline) {
  if (config_.wait.replicas == 0) return {};
  if (auto waited = link_->await(batch.waited, deadline); !waited) return waited;
  return judge_wait(batch.waited);
}

// WAIT covers only writes of its own connection. So write a field and delete it: replicas that have
// these have all older writes, too.
Result<void> RedisSink::replicate(TimePoint deadline) {
  if (config_.wait.replicas == 0) return {};
  RedisTransaction written;
  RedisTransaction waited;
  buffer_ += kMulti;
  append_command(buffer_, {"HSET", kRedisPositions, "", "wait"});
  append_command(buffer_, {"HDEL", kRedisPositions, ""});
  buffer_ += kExec;
  append_wait(buffer_);
  written.expected = 4;
  waited.expected = 1;
  link_->expect(&written);
  link_->expect(&waited);
  auto done = flush(deadline);
  if (done) done = link_->await(waited, deadline);
  if (!done) return done;
  for (const std::string& error : {written.queue_error, written.exec_error}) {
    if (!error.empty()) return tl::unexpected(redis_position_error(error, name_));
  }
  if (!written.refusals.empty()) {
    return tl::unexpected(redis_position_error(written.refusals.front().text, name_));
  }
  return judge_wait(waited);
}

Delivery RedisSink::execute(std::span<const Event> events, Batch& batch, Batch& next,
                            TimePoint deadline, Progress& progress) {
  Result<void> sent;
  if (!batch.queued) sent = queue(events, batch, deadline);
  if (!batch.alone) buffer_ += kExec;
  if (sent && config_.wait.replicas > 0) {
    batch.waited = {};
    batch.waited.expected = 1;
    append_wait(buffer_);
    link_->expect(&batch.waited);
  }
  // Between MULTI and EXEC no query is possible, so old events must be verified before.
  if (sent && next.old.empty() && !next.events.empty()) sent = queue(events, next, deadline);
  if (sent) sent = flush(deadline);
  if (sent) sent = link_->await(batch.replies, deadline);
  // The last reply of Redis says more than that it closed the connection.
  const bool answered = batch.replies.replies == batch.replies.expected;
  if (!sent && !answered && batch.replies.queue_error.empty()) {
    return failed(std::move(sent.error()));
  }
  if (auto settled = settle(events, batch, next, deadline); !settled) return settled;
  for (const size_t event : batch.events) progress.durable(event);
  if (sent) return {};
  return next.replies.queue_error.empty() ? failed(std::move(sent.error())) : refused_in(next);
}

Delivery RedisSink::settle(std::span<const Event> events, Batch& batch, Batch& next,
                           TimePoint deadline) {
  RedisTransaction& replies = batch.replies;
  if (batch.alone && redis_says_not_larger(replies.queue_error)) {
    replies.refusals.push_back({0, std::exchange(replies.queue_error, "")});
  }
  if (!replies.queue_error.empty()) return refused_in(batch);
  if (!replies.exec_error.empty()) return refused(replies.exec_error, batch.events.front());
  const size_t commands = batch.events.size() + (streams_->keeps_positions() ? 1 : 0);
  if (!batch.alone && replies.executed != commands) {
    return undelivered(ErrorKind::kRetry,
                       "Redis answered " + std::to_string(replies.executed) + " of " +
                           std::to_string(commands) + " commands of a transaction",
                       name_);
  }
  std::vector<size_t> too_small;
  for (const RedisTransaction::Refusal& refusal : replies.refusals) {
    if (refusal.index >= batch.events.size()) {
      return failed(redis_position_error(refusal.text, name_), batch.events.front());
    }
    const size_t event = batch.events[refusal.index];
    if (!redis_says_not_larger(refusal.text)) return refused(refusal.text, event);
    too_small.push_back(event);
  }
  if (auto safe = await_replicas(batch, deadline); !safe) {
    for (const size_t event : too_small) targets_[event]->doubtful = true;
    return failed(std::move(safe.error()), batch.events.front());
  }
  if (!too_small.empty()) return settle_refused(events, too_small, batch, next, deadline);
  streams_->settle(batch.claims);
  return {};
}

Delivery RedisSink::settle_refused(std::span<const Event> events, std::span<const size_t> refused,
                                   Batch& batch, Batch& next, TimePoint deadline) {
  for (const size_t event : refused) targets_[event]->doubtful = true;
  // The next transaction is open and waits for its EXEC, so no query is possible on this
  // connection.
  if (std::exchange(next.queued, false)) {
    if (auto again = reconnect(deadline); !again) return failed(std::move(again.error()));
  }
  auto there = streams_->verify(*link_, events, refused, targets_, deadline);
  if (there) {
    for (const size_t event : refused) targets_[event]->doubtful = true;
    streams_->settle(batch.claims);
  } else if (auto again = reconnect(deadline); !again) {
    return there;  // replies may be left; the next look rewrites doubtful records
  }
  // Write the positions that were found before anything is acknowledged.
  if (auto written = streams_->rewrite(*link_, batch.claims, deadline); !written && there) {
    return failed(std::move(written.error()));
  }
  return there;
}

// The error for a batch of which a command was not queued.
Delivery RedisSink::refused_in(const Batch& batch) const {
  // The first reply is MULTI's.
  const size_t reply = batch.replies.queue_error_reply;
  const size_t at = batch.alone || reply == 0 ? 0 : std::min(reply, batch.events.size()) - 1;
  return refused(batch.replies.queue_error, batch.events[at]);
}

Delivery RedisSink::refused(std::string_view reply, size_t event) const {
  return failed(redis_error(reply, targets_[event]->name, name_), event);
}

Result<void> RedisSink::reconnect(TimePoint deadline) {
  link_.reset();
  if (auto connected = connect(deadline); !connected) return connected;
  return streams_->look(*link_, targets_, RedisStreams::Purpose::kDeliver, deadline);
}

}  // namespace walspout
