#include "pipeline/pipeline.h"

#include <pthread.h>

#include <exception>
#include <system_error>

#include "base/log.h"
#include "pipeline/inputs.h"
#include "sink/sinks.h"
#include "source/state_file.h"

namespace walspout {

Pipeline::Pipeline(const PipelineConfig& config) : config_(config) {
  tap_ = std::make_unique<Tap>(config.tap);
  queue_ = std::make_unique<EventQueue>(config.sinks.size(), config.memory, [this] { wake_(); });
  queue_->show(*tap_);
  input_ = make_input(
      config_, *queue_, wake_,
      [this](const Event& event, const Error& reason) {
        return dead_letters_->put(event, kOfTheSource, reason);
      },
      backfill_);
}

Pipeline::~Pipeline() {
  join();
}

Result<std::unique_ptr<Pipeline>> Pipeline::make(const PipelineConfig& config,
                                                 std::function<void()> ended) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline(config));
  pipeline->ended_ = std::move(ended);
  if (!config.state.empty()) {
    Result<void> usable = StateFile::check(config.state);
    if (!usable) return Failure(std::move(usable.error()));
  }
  if (config.dead_letter) {
    auto file = DeadLetterFile::open(config.dead_letter->path, config.name);
    if (!file) return Failure(std::move(file.error()));
    pipeline->dead_letters_ = std::move(*file);
  }
  for (const SinkConfig& sink_config : config.sinks) {
    Result<std::unique_ptr<Sink>> sink = make_sink(sink_config);
    if (!sink) return with_prefix("sink \"" + sink_config.name + "\"", std::move(sink.error()));
    auto lane = std::make_unique<Lane>();
    lane->sink = std::move(*sink);
    lane->endpoint = lane->sink->endpoint();
    DeliverConfig deliver{config.name, sink_config.name, config.retry, sink_config.deliver_timeout,
                          config.dead_letter ? config.dead_letter->after : 0};
    const Input& input = *pipeline->input_;
    lane->deliverer =
        std::make_unique<Deliverer>(*lane->sink, *pipeline->queue_, pipeline->lanes_.size(),
                                    deliver, pipeline->dead_letters_.get(), lane->stats,
                                    lane->sleeper, [&input] { return input.state(); });
    if (auto only = only_of(sink_config)) pipeline->queue_->only(pipeline->lanes_.size(), *only);
    pipeline->lanes_.push_back(std::move(lane));
  }
  return pipeline;
}

void Pipeline::start() {
  running_ = lanes_.size() + 1;
  size_t started = 0;
  try {
    if (backfill_ != nullptr) backfill_->start();
    for (size_t i = 0; i < lanes_.size(); i++, started++) {
      Deliverer* deliverer = lanes_[i]->deliverer.get();
      const std::string name = "sink " + config_.sinks[i].name;
      threads_.emplace_back(
          [this, deliverer, name] { run([=] { return deliverer->run(); }, name); });
    }
    threads_.emplace_back([this] {
      run(
          [this] {
            Result<void> result = input_->run();
            if (backfill_ != nullptr) backfill_->stop();
            close();
            return result;
          },
          "source");
    });
  } catch (const std::system_error& error) {
    failed_ = true;
    log(LogLevel::kError, "could not create a thread, pipeline stops",
        {{"pipeline", config_.name},
         {"error", error.code().message()},
         {"remedy", "raise the limit of processes (ulimit -u, TasksMax)"}});
    close();
    const size_t missing = lanes_.size() + 1 - started;
    if ((running_ -= missing) == 0) ended_();
  }
}

// The main function of each thread.
void Pipeline::run(std::function<Result<void>()> body, const std::string& name) {
  // For top -H and debuggers.
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  Result<void> result;
  try {
    result = body();
  } catch (const std::exception& error) {
    result = fatal(std::string("a library threw: ") + error.what());
  }
  if (!result) {
    failed_ = true;
    misconfigured_ = misconfigured_ || result.error().blamed == Scope::kConfiguration;
    log(LogLevel::kError, "pipeline stops",
        {{"pipeline", config_.name}, {"at", name}, {"error", result.error().message()}});
    input_->stop(Clock::now());
    // If the source's thread has ended, only this thread can close the queue.
    if (name == "source") close();
  }
  if (--running_ == 0) ended_();
}

void Pipeline::close() {
  queue_->close();
  for (auto& lane : lanes_) {
    lane->deliverer->limit(Clock::now());
    lane->sleeper.wake();
  }
}

void Pipeline::stop(TimePoint drain_until) {
  for (auto& lane : lanes_) lane->deliverer->limit(drain_until);
  input_->stop(drain_until);
}

void Pipeline::join() {
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::string Pipeline::late_thread(TimePoint now, Duration grace) const {
  if (input_->stats().pulse.is_late(now, grace)) return "source";
  for (size_t i = 0; i < lanes_.size(); i++) {
    if (lanes_[i]->stats.pulse.is_late(now, grace)) return "sink " + config_.sinks[i].name;
  }
  return "";
}

void Pipeline::reopen() {
  for (auto& lane : lanes_) lane->deliverer->reopen();
  input_->renew();
}

}  // namespace walspout
