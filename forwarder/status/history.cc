#include "status/history.h"

#include <algorithm>

#include <utility>

#include "pipeline/pipelines.h"
#include "status/json.h"
#include "status/report.h"

namespace walspout {
namespace {

constexpr double kNothing = -1;

void list(std::string& out, const std::deque<double>& values) {
  out += '[';
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    out += values[i] < 0 ? "null" : short_number(values[i]);
  }
  out += ']';
}

}  // namespace

double quantile(const std::array<uint64_t, LatencyHistogram::kBuckets>& counts, double part) {
  uint64_t all = 0;
  for (const uint64_t count : counts) all += count;
  if (all == 0) return 0;
  const double wanted = part * static_cast<double>(all);
  double before = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && before + here >= wanted) {
      if (i + 1 == counts.size()) break;
      const double high = LatencyHistogram::bound_seconds(i);
      const double low = i == 0 ? 0 : LatencyHistogram::bound_seconds(i - 1);
      return low + (high - low) * std::max(0.0, wanted - before) / here;
    }
    before += here;
  }
  return LatencyHistogram::bound_seconds(counts.size() - 2);
}

History::History(const Pipelines& pipelines, Duration interval, size_t samples)
    : pipelines_(pipelines), interval_(interval), samples_(samples), sampled_at_(Clock::now()) {
  for (const auto& pipeline : pipelines_.list()) {
    Series& series = series_[pipeline->config().name];
    for (const SinkConfig& sink : pipeline->config().sinks) series.sinks[sink.name];
  }
  thread_ = std::thread([this] { run(); });
}

History::~History() {
  {
    std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

void History::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (ended_.wait_for(lock, interval_, [this] { return end_; })) return;
    sample();
  }
}

void History::sample() {
  const TimePoint now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - sampled_at_).count();
  sampled_at_ = now;
  std::map<std::string, Series> before = std::exchange(series_, {});
  for (const auto& pipeline : pipelines_.list()) {
    const std::string& name = pipeline->config().name;
    Series& series = series_[name] = std::move(before[name]);
    sample(*pipeline, series, seconds);
  }
}

void History::keep(std::deque<double>& values, double value) const {
  values.push_back(value);
  if (values.size() > samples_) values.pop_front();
}

void History::sample(const Pipeline& pipeline, Series& series, double seconds) {
  // A pipeline made by a reload counts from 0.
  const auto since = [](uint64_t now, uint64_t& before) {
    const uint64_t past = std::exchange(before, now);
    return now < past ? now : now - past;
  };
  const auto rate = [&](uint64_t now, uint64_t& before) {
    return static_cast<double>(since(now, before)) / seconds;
  };
  keep(series.lag_seconds, lag_seconds(pipeline, wall_micros()));
  keep(series.lag, lag_of(pipeline).value_or(kNothing));
  keep(series.events, rate(pipeline.input().stats().events, series.events_before));
  std::map<std::string, SinkSeries> before = std::exchange(series.sinks, {});
  for (size_t i = 0; i < pipeline.config().sinks.size(); ++i) {
    const SinkStats& stats = pipeline.sink_stats(i);
    const std::string& name = pipeline.config().sinks[i].name;
    SinkSeries& sink = series.sinks[name] = std::move(before[name]);
    keep(sink.events, rate(stats.events, sink.events_before));
    Counts fresh{};
    bool any = false;
    for (size_t bucket = 0; bucket < fresh.size(); ++bucket) {
      fresh[bucket] = since(stats.latency.count(bucket), sink.counts_before[bucket]);
      any = any || fresh[bucket] > 0;
    }
    keep(sink.p50, any ? quantile(fresh, 0.5) : kNothing);
    keep(sink.p99, any ? quantile(fresh, 0.99) : kNothing);
  }
}

std::string History::json() const {
  std::lock_guard lock(mutex_);
  std::string out;
  {
    Object root(out);
    root.real("interval", std::chrono::duration<double>(interval_).count());
    root.key("pipelines") += '[';
    bool first = true;
    for (const auto& [name, series] : series_) {
      if (!std::exchange(first, false)) out += ',';
      Object pipeline(out);
      pipeline.text("name", name);
      list(pipeline.key("lag_seconds"), series.lag_seconds);
      list(pipeline.key("lag"), series.lag);
      list(pipeline.key("events"), series.events);
      pipeline.key("sinks") += '[';
      bool first_sink = true;
      for (const auto& [sink_name, values] : series.sinks) {
        if (!std::exchange(first_sink, false)) out += ',';
        Object sink(out);
        sink.text("name", sink_name);
        list(sink.key("events"), values.events);
        list(sink.key("p50"), values.p50);
        list(sink.key("p99"), values.p99);
      }
      out += ']';
    }
    out += ']';
  }
  return out + "\n";
}

}  // namespace walspout
