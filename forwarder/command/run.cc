// `walspout run`: all pipelines until a signal says stop, or until none is left.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/folder.h"
#include "base/log.h"
#include "base/version.h"
#include "command/commands.h"
#include "command/log.h"
#include "command/notify.h"
#include "command/warnings.h"
#include "pipeline/pipeline.h"
#include "postgres/connection.h"
#include "postgres/place.h"
#include "sink/sinks.h"
#include "source/kafka/consumer.h"
#include "status/server.h"

namespace walspout {

namespace {

// Beyond the drain: saying good-bye to the server.
constexpr Duration kGrace = std::chrono::seconds(4);
constexpr Duration kSameSignal = std::chrono::milliseconds(200);

class Runner {
 public:
  explicit Runner(const Config& config) : config_(config) {}
  ~Runner() { close(signals_); }

  int run();

 private:
  ExitCode make();
  void take_signals();
  void signal(uint32_t number);
  bool ended() const;
  int exit_code() const;

  const Config& config_;
  Wake ended_;
  std::vector<std::unique_ptr<Pipeline>> pipelines_;
  std::unique_ptr<HttpServer> status_;
  Notifier notifier_;
  int signals_ = -1;
  bool stopping_ = false;
  TimePoint stopping_since_;
  TimePoint give_up_ = TimePoint::max();
};

ExitCode Runner::make() {
  for (const PipelineConfig& config : config_.pipelines) {
    auto pipeline = Pipeline::make(config, [this] { ended_(); });
    if (!pipeline && pipeline.error().kind == ErrorKind::kFatal) {
      std::fprintf(stderr, "pipeline \"%s\": %s\n", config.name.c_str(),
                   pipeline.error().message().c_str());
      return kUsage;
    }
    // A file system that is full, or not mounted yet: the service manager tries again.
    if (!pipeline) {
      log(LogLevel::kError, "could not start",
          {{"pipeline", config.name}, {"error", pipeline.error().message()}});
      flush_log();
      return kFailed;
    }
    pipelines_.push_back(std::move(*pipeline));
  }
  return kClean;
}

void Runner::take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGXFSZ, SIG_IGN);  // a limit of file size is an error like a full disk
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int Runner::run() {
  take_signals();
  for (const PipelineConfig& pipeline : config_.pipelines) {
    for (const Warning& warning : warnings_of(pipeline)) {
      log(LogLevel::kWarn, warning.what, {{"pipeline", pipeline.name}, {"remedy", warning.remedy}});
    }
  }
  const ExitCode made = make();
  if (made != kClean) return made;
  log(LogLevel::kInfo, "starting", {{"version", kVersion}, {"pipelines", pipelines_.size()}});
  if (config_.status) {
    std::vector<const Pipeline*> pipelines;
    for (const auto& pipeline : pipelines_) pipelines.push_back(pipeline.get());
    auto status = start_status_server(*config_.status, std::move(pipelines));
    if (!status) {
      log(LogLevel::kError, "no status server", {{"error", status.error().message()}});
      return kFailed;
    }
    status_ = std::move(*status);
  }
  for (auto& pipeline : pipelines_) pipeline->start();
  notifier_.ready();

  while (!ended()) {
    pollfd fds[2] = {{signals_, POLLIN, 0}, {ended_.fd(), POLLIN, 0}};
    const TimePoint now = Clock::now();
    if (now >= give_up_) break;
    notifier_.tick(pipelines_, now);
    const TimePoint until = std::min(give_up_, notifier_.next());
    int timeout = -1;
    if (until != TimePoint::max()) {
      timeout = static_cast<int>(std::chrono::ceil<Milliseconds>(until - now).count());
    }
    poll(fds, 2, timeout);
    if (fds[1].revents) ended_.clear();
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof(info)) == sizeof(info)) signal(info.ssi_signo);
  }

  if (!stopping_) notifier_.stopping();
  if (status_) status_->stop();
  if (!ended()) {
    // A client library does not come back; what was confirmed is confirmed.
    log(LogLevel::kWarn, "a sink did not end in time, leaving it");
    flush_log();
    std::_Exit(exit_code());
  }
  for (auto& pipeline : pipelines_) pipeline->join();
  flush_log();
  return exit_code();
}

void Runner::signal(uint32_t number) {
  switch (number) {
    case SIGHUP:
      for (auto& pipeline : pipelines_) pipeline->reopen();
      log(LogLevel::kInfo, "opening files again");
      break;
    case SIGUSR1:
      toggle_debug();
      log(LogLevel::kInfo, "log level switched");
      break;
    default:
      // Some who end a program signal it twice: by itself, and with its process group.
      if (stopping_ && Clock::now() < stopping_since_ + kSameSignal) break;
      if (stopping_) {
        log(LogLevel::kWarn, "second signal, leaving at once");
        flush_log();
        std::_Exit(kFailed);
      }
      stopping_ = true;
      stopping_since_ = Clock::now();
      notifier_.stopping();
      log(LogLevel::kInfo, "stopping", {{"drain_ms", config_.drain.count()}});
      give_up_ = Clock::now() + config_.drain + kGrace;
      for (auto& pipeline : pipelines_) pipeline->stop(Clock::now() + config_.drain);
  }
}

bool Runner::ended() const {
  for (const auto& pipeline : pipelines_) {
    if (!pipeline->has_ended()) return false;
  }
  return true;
}

// A supervisor starts the program again after a failure, and not after a wrong configuration.
int Runner::exit_code() const {
  int code = kClean;
  for (const auto& pipeline : pipelines_) {
    if (!pipeline->has_failed()) continue;
    if (!pipeline->is_misconfigured()) return kFailed;
    code = kUsage;
  }
  return code;
}

// "can both write ...": what two sinks would fill that takes events of one sink only, and the
// remedy. Empty: nothing is known.
std::string conflict(const SinkConfig& a, const SinkConfig& b, bool one_pipeline) {
  const auto shared = shared_place(a, b);
  if (!shared) return "";
  return "can both write " + shared->what + ", which takes events from one of them only: " +
         (one_pipeline || !shared->has_templates
              ? "give each sink a `" + shared->key + "` of its own"
              : "put {pipeline} or {database} into `" + shared->key + "`");
}

// Tells the sinks where their events come from, and finds those that fill one place.
void find_shared(Config& config, std::vector<ConfigProblem>& problems) {
  std::vector<std::pair<const PipelineConfig*, const SinkConfig*>> sinks;
  for (PipelineConfig& pipeline : config.pipelines) {
    const auto& kafka = pipeline.source.kafka;
    const Origin origin{pipeline.name,
                        kafka ? kafka->group : Place::of(pipeline.source.dsn).database};
    for (SinkConfig& sink : pipeline.sinks) {
      if (Route* route = route_of(sink)) route->origin = origin;
      sinks.emplace_back(&pipeline, &sink);
    }
  }
  for (const PipelineConfig& pipeline : config.pipelines) {
    if (!pipeline.dead_letter) continue;
    const std::string letters = resolved(pipeline.dead_letter->path);
    for (const auto& [owner, sink] : sinks) {
      if (file_of(*sink) != letters) continue;
      problems.push_back({0, 0,
                          "sink \"" + sink->name + "\" of pipeline \"" + owner->name +
                              "\" writes the dead letter file of pipeline \"" + pipeline.name +
                              "\", " + letters + ": give each a `path` of its own"});
    }
  }
  for (size_t i = 0; i < sinks.size(); i++) {
    for (size_t j = i + 1; j < sinks.size(); j++) {
      const std::string what =
          conflict(*sinks[i].second, *sinks[j].second, sinks[i].first == sinks[j].first);
      if (what.empty()) continue;
      const auto name = [&](size_t k) {
        return "sink \"" + sinks[k].second->name + "\" of pipeline \"" + sinks[k].first->name +
               "\"";
      };
      problems.push_back({0, 0, name(i) + " and " + name(j) + " " + what});
    }
  }
}

// Texts that are the same were found when the file was read.
void find_shared_slots(const Config& config, std::vector<ConfigProblem>& problems) {
  std::vector<Place> places;
  for (const PipelineConfig& pipeline : config.pipelines) {
    const size_t i = places.size();
    places.push_back(Place::of(pipeline.source.dsn));
    if (pipeline.source.kafka) continue;
    for (size_t j = 0; j < i; j++) {
      const PipelineConfig& other = config.pipelines[j];
      if (other.source.slot != pipeline.source.slot || other.source.kafka) continue;
      if (!places[i].is_server_of(places[j])) continue;
      problems.push_back({0, 0,
                          "pipelines \"" + other.name + "\" and \"" + pipeline.name +
                              "\" read slot \"" + pipeline.source.slot +
                              "\" of one server: put all of its sinks into one"});
    }
  }
}

}  // namespace

std::optional<Config> configuration(const std::string& path) {
  LoadedConfig loaded = load_config(path);
  if (loaded.problems.empty()) {
    for (const PipelineConfig& pipeline : loaded.config.pipelines) {
      if (pipeline.source.kafka) {
        if (auto good = kafka_source_options(*pipeline.source.kafka); !good) {
          loaded.problems.push_back(
              {0, 0, "pipeline \"" + pipeline.name + "\": source: " + good.error().what});
        }
        continue;
      }
      Result<void> good = Connection::check_dsn(pipeline.source.dsn);
      if (!good) {
        loaded.problems.push_back(
            {0, 0, "pipeline \"" + pipeline.name + "\": dsn: " + good.error().what});
      }
    }
  }
  if (loaded.problems.empty()) {
    find_shared_slots(loaded.config, loaded.problems);
    find_shared(loaded.config, loaded.problems);
  }
  if (loaded.problems.empty()) {
    // systemd names the directory that it has made for the service; of several, the first.
    const char* given = std::getenv("STATE_DIRECTORY");
    std::string& state = loaded.config.state;
    if (state.empty() && given) state = std::string(given, std::strcspn(given, ":"));
    for (PipelineConfig& pipeline : loaded.config.pipelines) {
      pipeline.state = state;
      if (loaded.config.status) pipeline.tap = loaded.config.status->tap_level();
      if (state.empty()) continue;
      for (SinkConfig& sink : pipeline.sinks) remember_in(sink, state, pipeline.name);
    }
    return std::move(loaded.config);
  }
  std::fputs(describe(path, loaded).c_str(), stderr);
  return std::nullopt;
}

int run_command(const std::string& path) {
  std::optional<Config> config = configuration(path);
  if (!config) return kUsage;
  start_log(config->log);
  Runner runner(*config);
  return runner.run();
}

}  // namespace walspout
