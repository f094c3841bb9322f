#include "sink/exec/exec.h"

#include <algorithm>
#include <utility>

namespace walspout {
namespace {

constexpr size_t kLongestLine = 64 * 1024;  // bytes of an answer
constexpr size_t kInput = 64 * 1024;        // bytes read at once
constexpr size_t kRounds = 16;              // reads in a row, so that writes do not wait
constexpr size_t kExcerpt = 120;            // bytes of a line, in errors
constexpr size_t kLongestError = 1000;      // bytes of a program's error about an event
constexpr size_t kLeastSecret = 8;    // bytes; shorter variables are hidden only if from a file
constexpr size_t kRemembered = 4096;  // answered events
constexpr std::chrono::seconds kHalfClosed{1};  // from closing a pipe to the program's end
constexpr std::string_view kIdFirst = R"({"id":")";

std::string id_of(const Flight::Message& message) {
  return std::string(EventId(message.as_event()).view());
}

// The oldest event without an answer; empty: all events have one.
std::string oldest_pending(const Flight& flight) {
  for (uint64_t number = flight.first(); number < flight.next(); ++number) {
    if (flight.is_pending(number)) return id_of(*flight.find(number));
  }
  return "";
}

std::string unanswered(const Flight& flight) {
  if (flight.pending() == 0) return "";
  return std::to_string(flight.pending()) + " events, the first of them " + oldest_pending(flight);
}

// Do not hide short values, because they occur in many words.
Mask mask_of(const SecretMap& env) {
  Mask mask;
  for (const auto& [name, value] : env) {
    if (!value.file().empty() || value.reveal().size() >= kLeastSecret) mask.hide(value.reveal());
  }
  return mask;
}

}  // namespace

ExecSink::ExecSink(const ExecConfig& config)
    : config_(config),
      name_(config.command.front()),
      talk_(mask_of(config.env)),
      window_(*this, {.order = config.order, .messages = config.unanswered}),
      lines_(kLongestLine),
      input_(kInput) {}

ExecSink::~ExecSink() {
  if (process_ == nullptr) std::swap(process_, ending_);
  if (process_ != nullptr) static_cast<void>(process_->end(config_.grace, TimePoint::max()));
}

Result<std::unique_ptr<Sink>> ExecSink::create(const ExecConfig& config) {
  if (config.command.empty() || config.command.front().empty()) {
    return fatal("command has no program");
  }
  if (config.unanswered == 0) return fatal("unanswered must be at least 1");
  return std::unique_ptr<Sink>(new ExecSink(config));
}

BatchLimits ExecSink::limits() const {
  return {.events = std::max<size_t>(4096, config_.unanswered), .barriers_alone = false};
}

Result<void> ExecSink::check(const SourceState&, TimePoint) {
  auto program = find_exec_program(config_);
  if (!program) return Failure(std::move(program.error()));
  return {};
}

Delivery ExecSink::deliver(std::span<const Event> events, TimePoint deadline, Progress& progress) {
  Delivery outcome = window_.deliver(events, deadline, progress);
  if (!outcome) untold_.reset();
  return outcome;
}

void ExecSink::idle() {
  window_.idle();
  look_after_ending();
}

void ExecSink::let_go() {
  window_.let_go();
  look_after_ending();
}

void ExecSink::look_after_ending() {
  if (ending_ != nullptr && ending_->end(config_.grace, TimePoint())) ending_.reset();
}

Result<WindowClient::Connection> ExecSink::connect(TimePoint deadline) {
  if (process_ != nullptr) return Connection::kSame;
  if (ending_ != nullptr && !ending_->end(config_.grace, deadline)) {
    return retry(
        "the program was told to end and has not ended yet. The next program starts after that",
        name_);
  }
  ending_.reset();
  if (untold_) return Failure(*std::exchange(untold_, std::nullopt));
  talk_.forget();
  auto started = ExecProcess::start(config_, talk_);
  if (!started) return Failure(std::move(started.error()));
  process_ = std::move(*started);
  return Connection::kNew;
}

void ExecSink::abandon() {
  if (process_ != nullptr) {
    ending_ = std::move(process_);
    ending_->close_output();
    if (ending_->end(config_.grace, TimePoint())) ending_.reset();
  }
  outbox_.clear();
  lines_.clear();
  answered_.clear();
  expected_ = 1;
  half_closed_since_.reset();
}

Result<bool> ExecSink::submit(uint64_t number, const Event& event) {
  if (!event.document.starts_with(kIdFirst)) {
    return misconfigured(
        "documents have no \"id\", and the program could not answer for them: leave id out of "
        "`omit` of the source",
        name_);
  }
  if (window_.flight().pending() == 0) waiting_since_ = Clock::now();
  outbox_.add(number, event.document);
  return true;
}

tl::expected<void, Broken> ExecSink::poll(TimePoint until, Flight& flight) {
  const bool had_room = has_room();
  const size_t pending = flight.pending();
  for (;;) {
    Result<void> outcome = exchange(flight);
    if (outcome) outcome = look(flight);
    if (!outcome) {
      const bool matters = flight.pending() > 0 || process_->has_failed() || !process_->has_ended();
      if (matters) untold_ = outcome.error();
      return tl::unexpected(Broken{std::move(outcome.error())});
    }
    if (flight.pending() < pending || (!had_room && has_room()) || Clock::now() >= until) return {};
    TimePoint look_at = until;
    if (pending > 0) look_at = std::min(look_at, waiting_since_ + config_.answer_timeout);
    if (half_closed_since_) look_at = std::min(look_at, *half_closed_since_ + kHalfClosed);
    process_->wait(!outbox_.empty(), look_at);
  }
}

// Writes and reads what is possible now.
Result<void> ExecSink::exchange(Flight& flight) {
  const bool was_waiting = flight.pending() > 0;
  write();
  // Ask this before reading, so that no output is missed.
  const bool has_ended = process_->has_ended();
  // Standard error before a bad answer may have the cause.
  process_->listen();
  if (auto got = read(flight); !got) return got;
  // If the program answered for all events before its end, they are delivered: report the end
  // later.
  if (has_ended && was_waiting && flight.pending() == 0) return {};
  if (has_ended) return ended(flight);
  if ((process_->is_input_closed() || process_->is_output_closed()) && !half_closed_since_) {
    half_closed_since_ = Clock::now();
  }
  return {};
}

void ExecSink::write() {
  while (!outbox_.empty()) {
    const size_t written = process_->write(outbox_.front());
    if (written == 0) return;
    outbox_.wrote(written);
  }
}

Result<void> ExecSink::read(Flight& flight) {
  for (size_t round = 0; round < kRounds; ++round) {
    const size_t got = process_->read(input_.data(), input_.size());
    if (got == 0) return {};
    lines_.add({input_.data(), got});
    while (const auto line = lines_.next()) {
      if (auto heard = hear(*line, flight); !heard) return heard;
    }
    if (lines_.is_too_long()) {
      return wrong(
          "wrote a line of more than 64 KiB to its standard output, where answers belong. "
          "The line begins with " +
          quoted(lines_.rest()));
    }
  }
  return {};
}

Result<void> ExecSink::hear(std::string_view line, Flight& flight) {
  const auto answer = parse_exec_answer(line);
  if (answer) return hear(*answer, flight);
  return wrong("wrote a line to its standard output that is no answer: " + quoted(line) + " (" +
               answer.error() + "). Other output belongs on standard error");
}

Result<void> ExecSink::hear(const ExecAnswer& answer, Flight& flight) {
  Event event;
  const bool is_id = EventId::parse(answer.id, event);
  const Id id = Id::of(event);
  const std::optional<uint64_t> number = is_id ? find(id, flight) : std::nullopt;
  if (!number && is_id && was_answered(id)) return {};
  if (!number) {
    return wrong("answered for an event that it was not given: id " + quoted(answer.id));
  }
  if (!outbox_.is_written(*number)) {
    if (was_answered(id)) return {};  // an answer again, to an event that was given before
    return wrong("answered for event " + answer.id + " before it was given all of it");
  }
  expected_ = *number + 1;
  if (!flight.is_pending(*number)) return {};
  waiting_since_ = Clock::now();
  remember(id);
  if (!answer.error) {
    flight.done(*number);
  } else {
    flight.failed(*number, Error{answer.reject ? ErrorKind::kReject : ErrorKind::kRetry,
                                 "the program says of event " + answer.id + ": " +
                                     talk_.show(*answer.error, kLongestError),
                                 name_});
  }
  return {};
}

// Answers mostly arrive in the order of the events.
std::optional<uint64_t> ExecSink::find(const Id& id, const Flight& flight) const {
  const auto is_it = [&](uint64_t number) {
    const Flight::Message* message = flight.find(number);
    return message != nullptr && Id::of(message->as_event()) == id;
  };
  if (is_it(expected_)) return expected_;
  std::optional<uint64_t> found;
  for (uint64_t number = flight.first(); number < flight.next(); ++number) {
    if (!is_it(number)) continue;
    found = number;
    if (flight.is_pending(number)) break;
  }
  return found;
}

bool ExecSink::was_answered(const Id& id) const {
  return std::find(answered_.rbegin(), answered_.rend(), id) != answered_.rend();
}

void ExecSink::remember(const Id& id) {
  answered_.push_back(id);
  if (answered_.size() > std::max(kRemembered, 2 * config_.unanswered)) answered_.pop_front();
}

// Whether a running program can still be used.
Result<void> ExecSink::look(const Flight& flight) {
  const TimePoint now = Clock::now();
  if (half_closed_since_ && now >= *half_closed_since_ + kHalfClosed) {
    return wrong(process_->is_output_closed()
                     ? "closed its standard output, where answers belong, and goes on"
                     : "closed its standard input, and goes on");
  }
  if (flight.pending() > 0 && now >= waiting_since_ + config_.answer_timeout) {
    return wrong("has answered for nothing within answer_timeout, and owes answers for " +
                 unanswered(flight));
  }
  return {};
}

Failure ExecSink::ended(const Flight& flight) {
  std::string what = "the program " + process_->how_it_ended();
  if (flight.pending() > 0) what += ", and owed answers for " + unanswered(flight);
  if (!lines_.rest().empty()) {
    what += "; its last line of output has no end: " + quoted(lines_.rest());
  }
  return retry(what + talk_.last_lines(), name_);
}

std::string ExecSink::quoted(std::string_view text) const {
  return "\"" + talk_.show(text, kExcerpt) + "\"";
}

Failure ExecSink::wrong(std::string what) const {
  return retry("the program " + std::move(what) + ". It is started again" + talk_.last_lines(),
               name_);
}

void ExecSink::withdraw(Flight& flight) {
  for (const uint64_t number : outbox_.take_back()) flight.undone(number);
}

Error ExecSink::late(const Flight& flight) const {
  const char* what = outbox_.empty() ? "the program did not answer in time (deliver_timeout)"
                                     : "the program does not read its standard input";
  return {ErrorKind::kRetry,
          std::string(what) + ". It goes on, and owes answers for " + unanswered(flight), name_};
}

}  // namespace walspout
