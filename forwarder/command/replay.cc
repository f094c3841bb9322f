// `walspout replay`: sends dead letters again, in the order of the file. Uses the sinks and the
// retry policy of their pipelines. `walspout run` may continue meanwhile.
//
// A line is marked as sent before the next one begins. So whatever ends the program, at most one
// line is sent twice. At the end the marked lines are removed.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>

#include "base/wake.h"
#include "command/commands.h"
#include "command/log.h"
#include "pipeline/dead_letter_file.h"
#include "pipeline/sleeper.h"
#include "sink/sinks.h"

namespace walspout {

namespace {

constexpr Duration kProgress = std::chrono::seconds(5);

// An event that the policy would set aside stays in the file.
class Refusal : public DeadLetters {
 public:
  Result<void> put(const Event&, std::string_view, const Error& reason) override {
    reason_ = reason.message();
    return {};
  }
  std::optional<std::string> take() { return std::exchange(reason_, std::nullopt); }

 private:
  std::optional<std::string> reason_;
};

// A sink that dead letters name, and the results of its letters.
struct Target {
  std::unique_ptr<Sink> sink;
  std::optional<Only> only;
  SinkStats stats;
  Refusal refusal;
  std::unique_ptr<Deliverer> deliverer;
  bool connected = false;
  std::string broken;  // why nothing can be sent to it
  uint64_t sent = 0;
  uint64_t discarded = 0;
};

class Replay {
 public:
  Replay(const ReplayOptions& options, const Config& config)
      : options_(options), config_(config), stop_(1, 1, [] {}) {}
  ~Replay();

  int run();

 private:
  void take_signals();
  void watch_signals();
  bool stopping() const { return stop_.closed(); }
  void list(const DeadLetterReplay::Line& line, const Result<DeadLetter>& letter);
  Result<void> send(const DeadLetterReplay::Line& line, const Result<DeadLetter>& letter);
  // The line is done: the sink has the event, or the configuration no longer sends it anywhere.
  Result<void> sent(const DeadLetter& letter, const DeadLetterReplay::Line& line, Target& target,
                    bool discarded);
  Target* target_of(const DeadLetter& letter);
  void make(const PipelineConfig& pipeline, SinkConfig sink, Target& target);
  void keep(const DeadLetterReplay::Line& line, const std::string& why);
  void say_progress();
  void say_all();

  const ReplayOptions& options_;
  const Config& config_;
  std::unique_ptr<DeadLetterReplay> file_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Target>> targets_;
  uint64_t kept_ = 0;
  TimePoint progress_at_ = Clock::now() + kProgress;

  EventQueue stop_;  // carries no events: deliverers end when it is closed
  Sleeper sleeper_;
  std::atomic<Deliverer*> current_{nullptr};
  Wake ended_;
  int signals_ = -1;
  std::thread watcher_;
};

Replay::~Replay() {
  ended_();
  if (watcher_.joinable()) watcher_.join();
  if (signals_ >= 0) close(signals_);
}

void Replay::take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  watcher_ = std::thread([this] { watch_signals(); });
}

// The first signal lets the current delivery end, the second signal ends everything.
void Replay::watch_signals() {
  while (true) {
    pollfd fds[2] = {{signals_, POLLIN, 0}, {ended_.fd(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents) return;
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
      if (stopping()) std::_Exit(kFailed);
      stop_.close();
      if (Deliverer* deliverer = current_) deliverer->limit(Clock::now() + config_.drain);
      sleeper_.wake();
    }
  }
}

int Replay::run() {
  auto file = DeadLetterReplay::open(options_.file);
  if (!file) {
    std::fprintf(stderr, "walspout: %s\n", file.error().message().c_str());
    return file.error().kind == ErrorKind::kFatal ? kUsage : kFailed;
  }
  file_ = std::move(*file);
  if (!options_.dry_run) take_signals();

  Result<void> outcome;
  DeadLetterReplay::Line line;
  while (outcome && !stopping()) {
    Result<bool> read = file_->next(line);
    if (!read) outcome = Failure(std::move(read.error()));
    if (!read || !*read) break;
    const Result<DeadLetter> letter = parse_dead_letter(line.text);
    if (options_.dry_run) {
      list(line, letter);
    } else {
      outcome = send(line, letter);
      say_progress();
    }
  }
  current_ = nullptr;
  const bool all = file_->position() >= file_->size() && !kept_;
  if (!options_.dry_run) {
    say_all();
    if (Result<void> removed = file_->remove_sent(); outcome) outcome = std::move(removed);
  }
  if (!outcome) std::fprintf(stderr, "walspout: %s\n", outcome.error().message().c_str());
  return outcome && all ? kClean : kFailed;
}

void Replay::list(const DeadLetterReplay::Line& line, const Result<DeadLetter>& letter) {
  if (!letter) return keep(line, letter.error().what);
  if (letter->sent) return;
  if (letter->sink == kOfTheSource) return keep(line, "it is no event");
  Target* target = target_of(*letter);
  if (!target) return keep(line, "the configuration has no such pipeline and sink");
  if (!target->broken.empty()) return keep(line, target->broken);
  std::printf("line %llu: %s %s %s.%s to pipeline %s, sink %s; was rejected: %s\n",
              static_cast<unsigned long long>(line.number), letter->id.c_str(),
              std::string(1, letter->event.op).c_str(), letter->table.schema.c_str(),
              letter->table.name.c_str(), letter->pipeline.c_str(), letter->sink.c_str(),
              letter->reason.c_str());
}

Result<void> Replay::send(const DeadLetterReplay::Line& line, const Result<DeadLetter>& letter) {
  if (!letter) {
    keep(line, letter.error().what);
    return {};
  }
  if (letter->sent) return {};
  if (letter->sink == kOfTheSource) {
    keep(line, "it is a message that walspout did not write, and not an event: remove the line");
    return {};
  }
  Target* target = target_of(*letter);
  if (!target) {
    keep(line, "the configuration has no pipeline \"" + letter->pipeline + "\" with a sink \"" +
                   letter->sink + "\"");
    return {};
  }
  std::vector<Event> pending{letter->view()};
  if (target->broken.empty() && target->only && !target->only->wants(pending.front())) {
    return sent(*letter, line, *target, true);
  }
  Result<void> outcome;
  current_ = target->deliverer.get();
  if (target->broken.empty() && !target->connected) {
    outcome = target->deliverer->connect();
    target->connected = outcome && !stopping();
  }
  const uint64_t dropped = target->stats.dropped;
  if (target->connected) outcome = target->deliverer->deliver(pending);
  if (!outcome) target->broken = outcome.error().message();
  if (!target->broken.empty()) {
    keep(line, target->broken);
    return {};
  }
  if (std::optional<std::string> reason = target->refusal.take()) {
    keep(line, *reason);
    return {};
  }
  if (!pending.empty()) return {};  // told to stop
  return sent(*letter, line, *target, target->stats.dropped > dropped);
}

Result<void> Replay::sent(const DeadLetter& letter, const DeadLetterReplay::Line& line,
                          Target& target, bool discarded) {
  Result<void> marked = file_->mark_sent();
  if (!marked) return marked;
  (discarded ? target.discarded : target.sent)++;
  std::fprintf(stderr, "line %llu: %s %s to pipeline %s, sink %s\n",
               static_cast<unsigned long long>(line.number), discarded ? "discarded" : "sent",
               letter.id.c_str(), letter.pipeline.c_str(), letter.sink.c_str());
  return {};
}

// Null: the configuration has no such sink.
Target* Replay::target_of(const DeadLetter& letter) {
  auto [found, fresh] = targets_.try_emplace({letter.pipeline, letter.sink});
  if (!fresh) return found->second.get();
  for (const PipelineConfig& pipeline : config_.pipelines) {
    if (pipeline.name != letter.pipeline) continue;
    for (const SinkConfig& sink : pipeline.sinks) {
      if (sink.name != letter.sink) continue;
      found->second = std::make_unique<Target>();
      make(pipeline, sink, *found->second);
    }
  }
  return found->second.get();
}

void Replay::make(const PipelineConfig& pipeline, SinkConfig sink, Target& target) {
  if (sink.only && options_.to.empty()) target.only.emplace(*sink.only);
  if (Route* route = route_of(sink); route && !options_.to.empty()) {
    route->tables.clear();
    route->fallback = options_.to;
    route->schemas.reset();
    route->unmapped = Unmapped::kError;
    route->is_for_all = true;
  }
  auto made = make_sink(sink);
  if (!made) {
    target.broken = made.error().message();
    return;
  }
  target.sink = std::move(*made);
  DeliverConfig deliver{pipeline.name,
                        sink.name,
                        pipeline.retry,
                        sink.deliver_timeout,
                        pipeline.dead_letter ? pipeline.dead_letter->after : 0,
                        false};
  SourceState state{Lsn{}, true};
  state.overwrite = options_.overwrite;
  const auto source = [state]() -> std::optional<SourceState> { return state; };
  target.deliverer = std::make_unique<Deliverer>(*target.sink, stop_, 0, std::move(deliver),
                                                 &target.refusal, target.stats, sleeper_, source);
}

void Replay::keep(const DeadLetterReplay::Line& line, const std::string& why) {
  kept_++;
  std::fprintf(options_.dry_run ? stdout : stderr, "line %llu: kept: %s\n",
               static_cast<unsigned long long>(line.number), why.c_str());
}

void Replay::say_progress() {
  if (Clock::now() < progress_at_) return;
  progress_at_ = Clock::now() + kProgress;
  std::fprintf(stderr, "%llu of %llu bytes of the file, %llu lines kept so far\n",
               static_cast<unsigned long long>(file_->position()),
               static_cast<unsigned long long>(file_->size()),
               static_cast<unsigned long long>(kept_));
}

void Replay::say_all() {
  for (const auto& [name, target] : targets_) {
    if (!target) continue;
    std::fprintf(stderr, "pipeline %s, sink %s: %llu sent", name.first.c_str(), name.second.c_str(),
                 static_cast<unsigned long long>(target->sent));
    if (target->discarded) {
      std::fprintf(stderr,
                   ", %llu discarded because the configuration says so (only, unmapped: drop)",
                   static_cast<unsigned long long>(target->discarded));
    }
    std::fputc('\n', stderr);
  }
  std::fprintf(stderr, "%llu kept%s\n", static_cast<unsigned long long>(kept_),
               stopping() ? "; stopped before the end, the rest is kept, too" : "");
}

}  // namespace

int replay_command(const ReplayOptions& options) {
  std::optional<Config> config = configuration(options.config);
  if (!config) return kUsage;
  start_log(config->log);
  const int code = Replay(options, *config).run();
  flush_log();
  return code;
}

}  // namespace walspout
