// `walspout run`: runs all pipelines until a signal says stop, or until none is left.
//
// SIGHUP reads the configuration again. A changed pipeline is drained and ends. Another pipeline
// takes its place, and continues from the slot's position. The other pipelines are not touched.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "base/version.h"
#include "command/commands.h"
#include "command/log.h"
#include "command/notify.h"
#include "command/reload.h"
#include "command/warnings.h"
#include "pipeline/pipelines.h"
#include "status/server.h"

namespace walspout {

namespace {

// after the drain, to close the connection to the server
constexpr Duration kGrace = std::chrono::seconds(4);
constexpr Duration kSameSignal = std::chrono::milliseconds(200);
constexpr Duration kStatusReadTime = std::chrono::milliseconds(10);  // by the status server
constexpr Duration kStartAgain = std::chrono::seconds(5);

// Names of held sinks, by pipeline.
using Held = std::map<std::string, std::set<std::string>>;

class Runner {
 public:
  Runner(std::string path, Config config) : path_(std::move(path)), config_(std::move(config)) {}
  ~Runner() { close(signals_); }

  int run();

 private:
  // The configuration was read again, and pipelines end because of that.
  struct Change {
    Config config;
    Pipelines::List leaving;
    TimePoint late_at;
    bool late_said = false;
  };

  Result<std::shared_ptr<Pipeline>> make(const PipelineConfig& config);
  ExitCode make_all();
  void warn(const PipelineConfig& config) const;
  void take_signals();
  void signal(uint32_t number);
  void stop();
  void reload();
  void apply(Config next);
  TimePoint go_on();
  void finish();
  void start(const PipelineConfig& config, const PipelineConfig* before, const Held& held);
  void start_waiting();
  void insert(const std::shared_ptr<Pipeline>& pipeline);
  TimePoint wake_at(TimePoint now);
  bool ended() const;
  int exit_code() const;

  const std::string path_;
  Config config_;  // in force, except its pipelines: each pipeline has its own
  Wake ended_;
  Pipelines pipelines_;
  std::optional<Change> change_;
  bool reload_again_ = false;
  std::vector<PipelineConfig> waiting_;  // could not be started; will be tried again
  TimePoint start_at_;                   // when to try them
  std::unique_ptr<StatusServer> status_;
  Notifier notifier_;
  int signals_ = -1;
  bool stopping_ = false;
  TimePoint stopping_since_;
  TimePoint give_up_ = TimePoint::max();
};

Result<std::shared_ptr<Pipeline>> Runner::make(const PipelineConfig& config) {
  auto made = Pipeline::make(config, [this] { ended_(); });
  if (!made) return Failure(std::move(made.error()));
  return std::shared_ptr<Pipeline>(std::move(*made));
}

ExitCode Runner::make_all() {
  Pipelines::List list;
  for (const PipelineConfig& config : config_.pipelines) {
    auto pipeline = make(config);
    if (!pipeline && pipeline.error().kind == ErrorKind::kFatal) {
      std::fprintf(stderr, "pipeline \"%s\": %s\n", config.name.c_str(),
                   pipeline.error().message().c_str());
      return kUsage;
    }
    // The file system may be full, or not mounted yet: the service manager tries again.
    if (!pipeline) {
      log(LogLevel::kError, "could not start",
          {{"pipeline", config.name}, {"error", pipeline.error().message()}});
      flush_log();
      return kFailed;
    }
    list.push_back(std::move(*pipeline));
  }
  pipelines_.set(std::move(list));
  return kClean;
}

void Runner::warn(const PipelineConfig& config) const {
  for (const Warning& warning : warnings_of(config)) {
    log(LogLevel::kWarn, warning.what, {{"pipeline", config.name}, {"remedy", warning.remedy}});
  }
}

void Runner::take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGXFSZ, SIG_IGN);  // past a file size limit, write() fails as on a full disk
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int Runner::run() {
  take_signals();
  for (const PipelineConfig& pipeline : config_.pipelines) warn(pipeline);
  const ExitCode made = make_all();
  if (made != kClean) return made;
  log(LogLevel::kInfo, "starting",
      {{"version", kVersion}, {"pipelines", config_.pipelines.size()}});
  if (config_.status) {
    auto status = StatusServer::start(*config_.status, pipelines_);
    if (!status) {
      log(LogLevel::kError, "no status server", {{"error", status.error().message()}});
      return kFailed;
    }
    status_ = std::move(*status);
  }
  for (const auto& pipeline : pipelines_.list()) pipeline->start();
  notifier_.ready();

  while (!ended()) {
    pollfd fds[2] = {{signals_, POLLIN, 0}, {ended_.fd(), POLLIN, 0}};
    const TimePoint now = Clock::now();
    if (now >= give_up_) break;
    notifier_.tick(pipelines_.list(), now);
    const TimePoint until = wake_at(now);
    int timeout = -1;
    if (until != TimePoint::max()) {
      timeout = static_cast<int>(
          std::max<int64_t>(0, std::chrono::ceil<Milliseconds>(until - Clock::now()).count()));
    }
    poll(fds, 2, timeout);
    if (fds[1].revents) ended_.clear();
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof(info)) == sizeof(info)) signal(info.ssi_signo);
  }

  if (!stopping_) notifier_.stopping();
  if (status_) status_->stop();
  if (!ended()) {
    // A client library hangs; what was confirmed stays confirmed.
    log(LogLevel::kWarn, "a sink did not end in time, leaving it");
    flush_log();
    std::_Exit(exit_code());
  }
  for (const auto& pipeline : pipelines_.list()) pipeline->join();
  flush_log();
  return exit_code();
}

// Does what is due. Returns when there is something to do next.
TimePoint Runner::wake_at(TimePoint now) {
  TimePoint until = std::min(give_up_, notifier_.next());
  if (change_) until = std::min(until, go_on());
  if (!waiting_.empty() && now >= start_at_) start_waiting();
  if (!waiting_.empty()) until = std::min(until, start_at_);
  return until;
}

void Runner::signal(uint32_t number) {
  switch (number) {
    case SIGHUP:
      reload();
      break;
    case SIGUSR1:
      toggle_debug();
      log(LogLevel::kInfo, "log level switched");
      break;
    default:
      stop();
  }
}

void Runner::stop() {
  // Some programs signal a process twice: directly, and through its process group.
  if (stopping_ && Clock::now() < stopping_since_ + kSameSignal) return;
  if (stopping_) {
    log(LogLevel::kWarn, "second signal, leaving at once");
    flush_log();
    std::_Exit(kFailed);
  }
  stopping_ = true;
  stopping_since_ = Clock::now();
  change_.reset();
  waiting_.clear();
  notifier_.stopping();
  log(LogLevel::kInfo, "stopping", {{"drain_ms", config_.drain.count()}});
  give_up_ = Clock::now() + config_.drain + kGrace;
  for (const auto& pipeline : pipelines_.list()) pipeline->stop(Clock::now() + config_.drain);
}

// For SIGHUP. Files are reopened in any case.
void Runner::reload() {
  if (stopping_) return;
  if (change_) {
    reload_again_ = true;
    return;
  }
  notifier_.reloading();
  log(LogLevel::kInfo, "opening files again");
  for (const auto& pipeline : pipelines_.list()) pipeline->reopen();
  if (path_ == "-") {
    log(LogLevel::kInfo, "the configuration came from standard input, and is not read again");
    notifier_.ready();
    return;
  }
  LoadedConfig loaded = load_whole_configuration(path_, config_.state);
  for (const ConfigProblem& problem : loaded.problems) {
    std::string where = path_;
    if (problem.line > 0) {
      where += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
    }
    log(LogLevel::kError, "the configuration is wrong, and none of it is applied",
        {{"at", where}, {"error", problem.what}});
  }
  if (!loaded.problems.empty()) {
    notifier_.ready();
    return;
  }
  apply(std::move(loaded.config));
}

void Runner::apply(Config next) {
  for (const std::string& key : restart_keys(config_, next)) {
    log(LogLevel::kWarn, "a changed key is not applied: it needs a restart", {{"key", key}});
  }
  if (next.log.level != config_.log.level) set_log_level(next.log.level);
  config_.log.level = next.log.level;
  config_.drain = next.drain;
  if (config_.status && next.status) {
    // The address in force decides what the tap may show.
    StatusConfig status = *next.status;
    status.listen = config_.status->listen;
    status.host = config_.status->host;
    status.port = config_.status->port;
    for (PipelineConfig& pipeline : next.pipelines) pipeline.tap = status.tap_level();
    config_.status = std::move(status);
    status_->apply(*config_.status);
  }
  waiting_.clear();
  pipelines_.set_missing({});
  Pipelines::List leaving;
  for (const auto& pipeline : pipelines_.list()) {
    const PipelineConfig& now = pipeline->config();
    const PipelineConfig* then = find_pipeline(next, now.name);
    const std::string changed = then ? changed_keys(now, *then) : "";
    if (!then) {
      log(LogLevel::kWarn,
          "the pipeline is no longer in the configuration, and ends; its slot stays, and keeps "
          "WAL: walspout drop",
          {{"pipeline", now.name}, {"slot", now.source.slot}});
    } else if (!changed.empty()) {
      log(LogLevel::kInfo, "the pipeline has changed, and begins again",
          {{"pipeline", now.name}, {"keys", changed}});
    } else if (pipeline->has_ended()) {
      log(LogLevel::kInfo, "the pipeline had stopped, and begins again", {{"pipeline", now.name}});
    } else {
      pipeline->tap().set_level(then->tap);
      continue;
    }
    leaving.push_back(pipeline);
  }
  const TimePoint drained = Clock::now() + config_.drain;
  for (const auto& pipeline : leaving) pipeline->stop(drained);
  change_ = Change{std::move(next), std::move(leaving), drained + kGrace};
}

// Continues the change. Returns when there is something to do next.
TimePoint Runner::go_on() {
  const bool ended = std::all_of(change_->leaving.begin(), change_->leaving.end(),
                                 [](const auto& pipeline) { return pipeline->has_ended(); });
  if (!ended) {
    if (Clock::now() < change_->late_at) return change_->late_at;
    if (!std::exchange(change_->late_said, true)) {
      log(LogLevel::kWarn, "a changed pipeline does not end in time; still waiting");
    }
    return TimePoint::max();
  }
  Pipelines::List stay;
  for (auto& pipeline : pipelines_.list()) {
    const auto& leaving = change_->leaving;
    if (std::find(leaving.begin(), leaving.end(), pipeline) == leaving.end()) {
      stay.push_back(pipeline);
    }
  }
  pipelines_.set(std::move(stay));
  // A pipeline keeps its files until it is gone, and the status server may still look at it.
  for (const auto& pipeline : change_->leaving) {
    pipeline->join();
    if (pipeline.use_count() > 1) return Clock::now() + kStatusReadTime;
  }
  finish();
  return Clock::now();
}

void Runner::finish() {
  Held held;
  std::map<std::string, PipelineConfig> before;
  for (const auto& pipeline : change_->leaving) {
    const PipelineConfig& config = pipeline->config();
    before.emplace(config.name, config);
    for (size_t i = 0; i < config.sinks.size(); i++) {
      if (pipeline->is_held(i)) held[config.name].insert(config.sinks[i].name);
    }
  }
  change_->leaving.clear();
  config_.pipelines = change_->config.pipelines;
  const Pipelines::List running = pipelines_.list();
  for (const PipelineConfig& config : config_.pipelines) {
    const bool runs = std::any_of(running.begin(), running.end(), [&](const auto& pipeline) {
      return pipeline->config().name == config.name;
    });
    if (runs) continue;
    warn(config);
    const auto old = before.find(config.name);
    start(config, old == before.end() ? nullptr : &old->second, held);
  }
  change_.reset();
  log(LogLevel::kInfo, "the configuration is applied", {{"pipelines", pipelines_.list().size()}});
  notifier_.ready();
  if (std::exchange(reload_again_, false)) reload();
}

// Starts a pipeline, or else the pipeline as it was before the change.
void Runner::start(const PipelineConfig& config, const PipelineConfig* before, const Held& held) {
  auto made = make(config);
  if (!made) {
    const std::string why = made.error().message();
    auto missing = pipelines_.missing();
    const auto said = missing.find(config.name);
    if (said == missing.end() || said->second != why) {
      log(LogLevel::kError, "the pipeline could not be started",
          {{"pipeline", config.name}, {"error", why}});
    }
    if (before) made = make(*before);
    if (!made) {
      missing[config.name] = why;
      pipelines_.set_missing(std::move(missing));
      waiting_.push_back(config);
      start_at_ = Clock::now() + kStartAgain;
      return;
    }
    log(LogLevel::kWarn, "the pipeline continues as it was before the change",
        {{"pipeline", config.name}});
  }
  auto missing = pipelines_.missing();
  if (missing.erase(config.name) > 0) pipelines_.set_missing(std::move(missing));
  const auto names = held.find(config.name);
  const PipelineConfig& used = (*made)->config();
  for (size_t i = 0; names != held.end() && i < used.sinks.size(); i++) {
    if (names->second.contains(used.sinks[i].name)) (*made)->hold(i, true);
  }
  insert(*made);
  (*made)->start();
}

void Runner::start_waiting() {
  for (const PipelineConfig& config : std::exchange(waiting_, {})) start(config, nullptr, {});
}

// Keeps the order of the configuration.
void Runner::insert(const std::shared_ptr<Pipeline>& pipeline) {
  Pipelines::List list = pipelines_.list();
  list.push_back(pipeline);
  const auto place = [this](const std::shared_ptr<Pipeline>& each) {
    return find_pipeline(config_, each->config().name);
  };
  std::stable_sort(list.begin(), list.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  pipelines_.set(std::move(list));
}

bool Runner::ended() const {
  if (change_ || !waiting_.empty()) return false;
  for (const auto& pipeline : pipelines_.list()) {
    if (!pipeline->has_ended()) return false;
  }
  return true;
}

// A supervisor restarts the program after a failure, and not after a wrong configuration.
int Runner::exit_code() const {
  int code = kClean;
  for (const auto& pipeline : pipelines_.list()) {
    if (!pipeline->has_failed()) continue;
    if (!pipeline->is_misconfigured()) return kFailed;
    code = kUsage;
  }
  return code;
}

}  // namespace

int run_command(const std::string& path) {
  std::optional<Config> config = configuration(path);
  if (!config) return kUsage;
  start_log(config->log);
  Runner runner(path, std::move(*config));
  return runner.run();
}

}  // namespace walspout
