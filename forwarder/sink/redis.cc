#include "sink/redis.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "sink/redis_errors.h"

namespace walspout {
namespace {

// A transaction is sent and executed as a whole. Long enough that its round trip does not count,
// short enough that Redis, which executes nothing else meanwhile, stays responsive.
constexpr size_t kTransactionBytes = 4 * 1024 * 1024;
constexpr size_t kBuffer = 64 * 1024;  // bytes written at once
constexpr size_t kCopied = 16 * 1024;  // longer documents are not copied into the buffer

constexpr std::string_view kMulti = "*1\r\n$5\r\nMULTI\r\n";
constexpr std::string_view kExec = "*1\r\n$4\r\nEXEC\r\n";

void append_length(std::string& out, size_t length) {
  std::array<char, 20> digits;
  out += '$';
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + 20, length).ptr);
  out += "\r\n";
}

void append_word(std::string& out, std::string_view word) {
  append_length(out, word.size());
  out += word;
  out += "\r\n";
}

template <typename Id>
std::string id_text(const Id& id) {
  return std::to_string(id.lsn) + "-" + std::to_string(id.index);
}

template <typename Id>
bool parse_id(std::string_view text, Id& id) {
  const char* dash = text.data() + std::min(text.find('-'), text.size());
  const char* end = text.data() + text.size();
  return dash != end && std::from_chars(text.data(), dash, id.lsn).ptr == dash &&
         std::from_chars(dash + 1, end, id.index).ptr == end;
}

std::string_view text_of(const redisReply& reply) {
  return reply.str != nullptr ? std::string_view(reply.str, reply.len) : std::string_view();
}

// The stream's last id out of XINFO STREAM's list of names and values.
template <typename Id>
bool last_generated_id(const redisReply& reply, Id& id) {
  for (size_t i = 0; i + 1 < reply.elements; i += 2) {
    if (text_of(*reply.element[i]) == "last-generated-id") {
      return parse_id(text_of(*reply.element[i + 1]), id);
    }
  }
  return false;
}

tl::unexpected<DeliveryError> failed(Error error) {
  return tl::unexpected(DeliveryError{std::move(error), 0, std::nullopt});
}

}  // namespace

RedisSink::RedisSink(RedisEndpoint endpoint, RedisConfig config, Router router)
    : endpoint_(std::move(endpoint)),
      config_(std::move(config)),
      router_(std::move(router)),
      name_(endpoint_.name()) {
  buffer_.reserve(kBuffer + kCopied + 1024);
}

Result<std::unique_ptr<Sink>> RedisSink::create(const RedisConfig& config) {
  auto endpoint = RedisEndpoint::parse(config.url.reveal());
  if (!endpoint) return tl::unexpected(endpoint.error());
  auto router = Router::create(config.stream);
  if (!router) return in("stream", router.error());
  if (!config.username.empty()) endpoint->user = config.username;
  if (!config.password.empty()) endpoint->password = config.password;
  endpoint->files = config.tls;
  std::unique_ptr<RedisSink> sink(new RedisSink(std::move(*endpoint), config, std::move(*router)));
  constexpr std::array kNames = {"data", "id", "op", "schema", "table", "key"};
  for (const std::string& name : config.fields) {
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end()) {
      return fatal("fields names \"" + name + "\"; there are data, id, op, schema, table and key");
    }
    sink->fields_.push_back(static_cast<Field>(found - kNames.begin()));
  }
  if (sink->fields_.empty()) return fatal("fields is empty; an entry needs one, data as a rule");
#ifndef WALSPOUT_REDIS_TLS
  if (sink->endpoint_.tls) return redis_without_tls(sink->name_);
#endif
  return sink;
}

Result<void> RedisSink::connect(TimePoint deadline) {
  if (link_ != nullptr && link_->alive()) return {};
  link_.reset();
  auto opened =
      RedisLink::open(endpoint_, std::min(deadline, Clock::now() + config_.connect_timeout));
  if (!opened) return tl::unexpected(opened.error());
  // Where MULTI is refused, what follows it would be executed, one by one.
  for (const std::string_view word : {"MULTI", "EXEC"}) {
    const auto reply = (*opened)->command({word}, deadline);
    if (!reply) return tl::unexpected(reply.error());
    if ((*reply)->type == REDIS_REPLY_ERROR) {
      return tl::unexpected(redis_error(text_of(**reply), "", name_));
    }
  }
  link_ = std::move(*opened);
  ++connection_;
  return {};
}

RedisSink::Stream& RedisSink::stream_named(const std::string& name) {
  std::unique_ptr<Stream>& stream = streams_[name];
  if (stream != nullptr) return *stream;
  stream = std::make_unique<Stream>();
  stream->name = name;
  const size_t words = 3 + 2 * fields_.size() + (config_.maxlen ? 3 : 0);
  stream->command = "*" + std::to_string(words) + "\r\n$4\r\nXADD\r\n";
  append_word(stream->command, name);
  if (config_.maxlen) {
    append_word(stream->command, "MAXLEN");
    append_word(stream->command, "~");
    append_word(stream->command, std::to_string(*config_.maxlen));
  }
  return *stream;
}

Result<void> RedisSink::check(const SourceState& source, TimePoint deadline) {
  replay_ = source.replay;
  if (source.wal_position) {
    wal_known_ = true;
    wal_position_ = std::max(wal_position_, source.wal_position.value);
  }
  if (auto connected = connect(deadline); !connected) return connected;
  std::vector<Stream*> streams;
  for (const std::string& name : router_.fixed_names()) streams.push_back(&stream_named(name));
  auto checked = check_streams(streams, true, deadline);
  if (!checked) link_.reset();
  return checked;
}

Delivery RedisSink::find_streams(std::span<const Event> events) {
  targets_.clear();
  for (size_t i = 0; i < events.size(); ++i) {
    if (i > 0 && events[i].table == events[i - 1].table && events[i].op == events[i - 1].op) {
      targets_.push_back(targets_.back());
      continue;
    }
    const auto routed = router_.route(events[i], routed_);
    if (!routed) return tl::unexpected(DeliveryError{routed.error(), i, std::nullopt});
    targets_.push_back(*routed ? &stream_named(routed_) : nullptr);
  }
  return {};
}

Result<void> RedisSink::check_streams(std::span<Stream* const> streams, bool position_is_fresh,
                                      TimePoint deadline) {
  unseen_.clear();
  for (Stream* stream : streams) {
    if (stream == nullptr || stream->seen_in == connection_) continue;
    stream->seen_in = connection_;
    unseen_.push_back(stream);
    if (auto sent = link_->send({"XINFO", "STREAM", stream->name}, deadline); !sent) return sent;
  }
  Result<void> outcome;
  for (Stream* stream : unseen_) {
    const auto reply = link_->receive(deadline);
    if (!reply) return tl::unexpected(reply.error());
    auto checked = check_top(*stream, **reply, position_is_fresh);
    if (outcome) outcome = std::move(checked);
  }
  return outcome;
}

Result<void> RedisSink::check_top(Stream& stream, const redisReply& reply, bool position_is_fresh) {
  Id top;
  const std::string_view text = text_of(reply);
  const bool missing = reply.type == REDIS_REPLY_ERROR && text == "ERR no such key";
  if (reply.type == REDIS_REPLY_ERROR && !missing) {
    return tl::unexpected(redis_error(text, stream.name, name_));
  }
  if (!missing && !last_generated_id(reply, top)) {
    return retry("Redis did not say where stream \"" + stream.name + "\" ends", name_);
  }
  if (replay_) return {};
  stream.end = top;
  if (wal_known_ && top.lsn > wal_position_) {
    // The position known here may be old, and another forwarder of the slot may have been at work
    // since. Without a top, each refused event is looked for.
    stream.top = {};
    if (!position_is_fresh) return {};
    return fatal("stream \"" + stream.name + "\" ends with id " + id_text(top) +
                     ", beyond the database's WAL position " + std::to_string(wal_position_) +
                     ": another program adds to it, or it was filled from another server or "
                     "timeline. Choose another name for the stream, or, if nobody needs what is "
                     "in it, DEL it",
                 name_);
  }
  const bool lost = stream.confirmed && top < stream.top;
  const Id was = std::exchange(stream.top, top);
  stream.confirmed = false;
  if (!lost) return {};
  return retry("Redis has lost entries of stream \"" + stream.name +
                   "\" that it had confirmed: it ended with id " + id_text(was) + ", now with " +
                   id_text(top) +
                   ". What follows will be added; what is lost does not come again. To keep "
                   "entries over restarts set appendonly yes",
               name_);
}

Delivery RedisSink::deliver(std::span<const Event> events, TimePoint deadline, Progress& progress) {
  if (events.empty()) return {};
  wal_position_ = std::max(wal_position_, events.back().lsn.value);
  Delivery outcome = find_streams(events);
  // What comes before an event without a stream is delivered.
  const auto routed = events.first(targets_.size());
  Result<void> ready = connect(deadline);
  if (ready) ready = check_streams(targets_, false, deadline);
  Delivery sent = ready ? transact(routed, deadline, progress) : failed(std::move(ready.error()));
  if (sent) return outcome;
  // Replies may be on their way, and the next attempt may find another server.
  link_.reset();
  return sent;
}

void RedisSink::append_field(Field field, const Event& event) {
  switch (field) {
    case Field::kData:
      buffer_ += "$4\r\ndata\r\n";
      append_length(buffer_, event.document.size());
      break;
    case Field::kId:
      buffer_ += "$2\r\nid\r\n";
      append_word(buffer_, EventId(event));
      break;
    case Field::kOp:
      buffer_ += "$2\r\nop\r\n";
      append_word(buffer_, {&event.op, 1});
      break;
    case Field::kSchema:
      buffer_ += "$6\r\nschema\r\n";
      append_word(buffer_, event.schema());
      break;
    case Field::kTable:
      buffer_ += "$5\r\ntable\r\n";
      append_word(buffer_, event.table_name());
      break;
    case Field::kKey:
      buffer_ += "$3\r\nkey\r\n";
      append_word(buffer_, event.key());
      break;
  }
}

Result<void> RedisSink::encode(const Event& event, const Stream& stream, TimePoint deadline) {
  buffer_ += stream.command;
  append_word(buffer_, EventId(event));
  for (const Field field : fields_) {
    append_field(field, event);
    if (field != Field::kData) continue;
    if (event.document.size() <= kCopied) {
      buffer_ += event.document;
    } else {
      auto written = link_->write(buffer_, event.document, deadline);
      buffer_.clear();
      if (!written) return written;
    }
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
  batch.events.clear();
  batch.queued = false;
  batch.replies = {};
  const size_t first = next;
  size_t bytes = 0;
  for (; next < events.size() && batch.events.size() < config_.pipeline; ++next) {
    if (targets_[next] == nullptr) {
      progress.drop(next);
      continue;
    }
    bytes += events[next].document.size();
    if (!batch.events.empty() && bytes > kTransactionBytes) break;
    batch.events.push_back(next);
  }
  // Without EXEC nothing could hold it back, so it must be the first one.
  batch.alone = batch.events.size() == 1 && first == 0;
}

Result<void> RedisSink::queue(std::span<const Event> events, Batch& batch, TimePoint deadline) {
  batch.replies = {};
  batch.replies.expected = batch.alone ? 1 : batch.events.size() + 2;
  batch.queued = true;
  link_->expect(&batch.replies);
  if (!batch.alone) buffer_ += kMulti;
  for (const size_t event : batch.events) {
    if (auto encoded = encode(events[event], *targets_[event], deadline); !encoded) return encoded;
  }
  return {};
}

Delivery RedisSink::transact(std::span<const Event> events, TimePoint deadline,
                             Progress& progress) {
  buffer_.clear();
  size_t chosen = 0;
  Batch* batch = &batches_[0];
  Batch* next = &batches_[1];
  choose(events, chosen, *batch, progress);
  while (!batch->events.empty()) {
    if (!progress.may_go_on()) return halted();
    Result<void> sent;
    if (!batch->queued) sent = queue(events, *batch, deadline);
    if (!batch->alone) buffer_ += kExec;
    choose(events, chosen, *next, progress);
    if (sent && !next->events.empty()) sent = queue(events, *next, deadline);
    if (sent) sent = flush(deadline);
    if (sent) sent = link_->await(batch->replies, deadline);
    // What Redis said last tells more than that it closed the connection.
    const bool answered = batch->replies.replies == batch->replies.expected;
    if (!sent && !answered && batch->replies.queue_error.empty()) {
      return failed(std::move(sent.error()));
    }
    if (auto settled = settle(events, *batch, *next, deadline); !settled) return settled;
    for (const size_t event : batch->events) progress.durable(event);
    std::swap(batch, next);
    if (sent) continue;
    const std::string& why = batch->replies.queue_error;
    return why.empty() ? failed(std::move(sent.error())) : refused_in(*batch);
  }
  return {};
}

Delivery RedisSink::settle(std::span<const Event> events, Batch& batch, Batch& next,
                           TimePoint deadline) {
  RedisTransaction& replies = batch.replies;
  if (batch.alone && redis_says_not_larger(replies.queue_error)) {
    replies.refusals.push_back({0, std::exchange(replies.queue_error, "")});
  }
  if (!replies.queue_error.empty()) return refused_in(batch);
  if (!replies.exec_error.empty()) return refused(replies.exec_error, batch.events.front());
  if (!batch.alone && replies.executed != batch.events.size()) {
    return undelivered(ErrorKind::kRetry,
                       "Redis answered " + std::to_string(replies.executed) + " of " +
                           std::to_string(batch.events.size()) + " commands of a transaction",
                       name_);
  }
  auto refusal = replies.refusals.begin();
  for (size_t i = 0; i < batch.events.size(); ++i) {
    const size_t event = batch.events[i];
    const Id id = {events[event].lsn.value, events[event].index};
    Stream& stream = *targets_[event];
    const bool is_refused = refusal != replies.refusals.end() && refusal->index == i;
    if (is_refused && !redis_says_not_larger(refusal->text)) return refused(refusal->text, event);
    Result<void> there;
    if (is_refused) {
      ++refusal;
      if (id > stream.top || replay_) there = verify(id, stream, next, deadline);
      stream.refused = id;
    } else if (const Id last = std::exchange(stream.refused, Id{});
               last < stream.end && last != Id{}) {
      there = verify(last, stream, next, deadline);
    }
    if (!there) return tl::unexpected(DeliveryError{std::move(there.error()), event, std::nullopt});
  }
  for (const size_t event : batch.events) {
    Stream& stream = *targets_[event];
    stream.top = std::max(stream.top, Id{events[event].lsn.value, events[event].index});
    stream.confirmed = true;
  }
  return {};
}

// A command of the batch was not even queued.
Delivery RedisSink::refused_in(const Batch& batch) const {
  // The first reply is MULTI's.
  const size_t reply = batch.replies.queue_error_reply;
  const size_t at = batch.alone || reply == 0 ? 0 : std::min(reply, batch.events.size()) - 1;
  return refused(batch.replies.queue_error, batch.events[at]);
}

Delivery RedisSink::refused(std::string_view reply, size_t event) const {
  return tl::unexpected(
      DeliveryError{redis_error(reply, targets_[event]->name, name_), event, std::nullopt});
}

Result<void> RedisSink::reconnect(TimePoint deadline) {
  link_.reset();
  if (auto connected = connect(deadline); !connected) return connected;
  return check_streams(targets_, false, deadline);
}

Result<void> RedisSink::verify(Id id, const Stream& stream, Batch& next, TimePoint deadline) {
  // Within the next transaction, which waits for its EXEC, nothing can be asked.
  if (std::exchange(next.queued, false)) {
    if (auto again = reconnect(deadline); !again) return again;
  }
  const std::string text = id_text(id);
  const auto reply = link_->command({"XRANGE", stream.name, text, text}, deadline);
  if (!reply) return tl::unexpected(reply.error());
  if ((*reply)->type == REDIS_REPLY_ERROR) {
    return tl::unexpected(redis_error(text_of(**reply), stream.name, name_));
  }
  // Another forwarder of this slot, one that was thought dead, may have been faster.
  if ((*reply)->elements > 0) return {};
  if (replay_) {
    return reject("stream \"" + stream.name +
                      "\" has later entries, and not this one: Redis adds " + text +
                      " behind them no more. Replay with --stream NAME puts it into another stream",
                  name_);
  }
  return fatal("stream \"" + stream.name + "\" refuses id " + text +
                   " as too small and does not have it: another program adds to it, or it was "
                   "filled from another server or timeline. Choose another name for the stream, "
                   "or, if nobody needs what is in it, DEL it",
               name_);
}

}  // namespace walspout
