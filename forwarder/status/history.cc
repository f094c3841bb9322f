#include "status/history.h"

#include <algorithm>

#include <utility>

#include "pipeline/pipeline.h"
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

History::History(std::vector<const Pipeline*> pipelines, Duration interval, size_t samples)
    : pipelines_(std::move(pipelines)), interval_(interval), samples_(samples) {
  for (const Pipeline* pipeline : pipelines_) {
    series_.emplace_back().sinks.resize(pipeline->config().sinks.size());
  }
  sampled_at_ = Clock::now();
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
  for (size_t i = 0; i < pipelines_.size(); ++i) sample(*pipelines_[i], series_[i], seconds);
}

void History::keep(std::deque<double>& values, double value) const {
  values.push_back(value);
  if (values.size() > samples_) values.pop_front();
}

void History::sample(const Pipeline& pipeline, Series& series, double seconds) {
  const auto rate = [&](uint64_t now, uint64_t& before) {
    const uint64_t count = now - std::exchange(before, now);
    return static_cast<double>(count) / seconds;
  };
  keep(series.lag_seconds, lag_seconds(pipeline, wall_micros()));
  keep(series.lag, lag_of(pipeline).value_or(kNothing));
  keep(series.events, rate(pipeline.input().stats().events, series.events_before));
  for (size_t i = 0; i < series.sinks.size(); ++i) {
    const SinkStats& stats = pipeline.sink_stats(i);
    SinkSeries& sink = series.sinks[i];
    keep(sink.events, rate(stats.events, sink.events_before));
    Counts fresh{};
    bool any = false;
    for (size_t bucket = 0; bucket < fresh.size(); ++bucket) {
      const uint64_t now = stats.latency.count(bucket);
      fresh[bucket] = now - std::exchange(sink.counts_before[bucket], now);
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
    for (size_t i = 0; i < series_.size(); ++i) {
      if (i > 0) out += ',';
      const Series& series = series_[i];
      Object pipeline(out);
      pipeline.text("name", pipelines_[i]->config().name);
      list(pipeline.key("lag_seconds"), series.lag_seconds);
      list(pipeline.key("lag"), series.lag);
      list(pipeline.key("events"), series.events);
      pipeline.key("sinks") += '[';
      for (size_t j = 0; j < series.sinks.size(); ++j) {
        if (j > 0) out += ',';
        Object sink(out);
        sink.text("name", pipelines_[i]->config().sinks[j].name);
        list(sink.key("events"), series.sinks[j].events);
        list(sink.key("p50"), series.sinks[j].p50);
        list(sink.key("p99"), series.sinks[j].p99);
      }
      out += ']';
    }
    out += ']';
  }
  return out + "\n";
}

}  // namespace walspout
