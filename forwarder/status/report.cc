#include "status/report.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <utility>

#include "base/version.h"
#include "pipeline/pipeline.h"
#include "status/json.h"
#include "status/process.h"

namespace walspout {

namespace {

constexpr int64_t kStuck = 60'000'000;  // microseconds with work but no progress

std::string name_of(SourcePhase phase, const Input& input) {
  switch (phase) {
    case SourcePhase::kConnecting:
      return "connecting";
    case SourcePhase::kWaiting:
      return "waiting for " + std::string(input.waits_for());
    case SourcePhase::kStreaming:
      return "streaming";
    default:
      return "stopped";
  }
}

const char* name_of(SinkState state) {
  switch (state) {
    case SinkState::kConnecting:
      return "connecting";
    case SinkState::kDelivering:
      return "delivering";
    case SinkState::kRetrying:
      return "retrying";
    case SinkState::kParked:
      return "parked";
    case SinkState::kHeld:
      return "paused";
    default:
      return "stopped";
  }
}

const char* name_of(TapLevel level) {
  switch (level) {
    case TapLevel::kKeys:
      return "keys";
    case TapLevel::kRows:
      return "rows";
    default:
      return "off";
  }
}

bool is_stuck(const Pipeline& pipeline, size_t sink, int64_t now) {
  const SinkStats& stats = pipeline.sink_stats(sink);
  int64_t moved = std::max(stats.progress_at.load(), stats.taken_at.load());
  return pipeline.waiting(sink) > 0 && moved && now - moved > kStuck;
}

void sink_json(std::string& out, const Pipeline& pipeline, size_t i) {
  const SinkStats& stats = pipeline.sink_stats(i);
  Object sink(out);
  sink.text("name", pipeline.config().sinks[i].name);
  sink.text("endpoint", pipeline.endpoint(i));
  sink.text("state", name_of(stats.state));
  sink.number("waiting", pipeline.waiting(i));
  sink.number("events", stats.events);
  sink.number("bytes", stats.bytes);
  sink.number("retries", stats.retries);
  sink.number("failures_in_a_row", stats.failures);
  sink.number("rejects", stats.rejects);
  sink.number("dead_letters", stats.dead_letters);
  sink.number("dropped", stats.dropped);
  sink.number("missing", stats.missing);
  sink.number("losses", stats.losses);
  if (stats.progress_at) sink.text("last_delivery_time", time_text(stats.progress_at));
  sink.text("last_loss", stats.last_loss.get());
  sink.text("last_error", stats.last_error.get());
}

void backfills_json(std::string& out, const Pipeline& pipeline) {
  out += '[';
  bool first = true;
  for (const BackfillRecord& record : pipeline.backfills()) {
    if (!std::exchange(first, false)) out += ',';
    Object backfill(out);
    backfill.number("id", static_cast<uint64_t>(record.id));
    backfill.text("table", record.schema + "." + record.name);
    backfill.text("state", name_of(record.state));
    backfill.number("rows", record.rows);
    if (record.estimate >= 0) backfill.number("estimate", static_cast<uint64_t>(record.estimate));
    backfill.text("held_up_by", record.held_up_by);
    backfill.text("error", record.error);
  }
  out += ']';
}

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  void add(std::string_view name, MetricType type, std::string_view help, const Labels& labels,
           double value) {
    ClientMetric metric;
    metric.label = labels;
    if (type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family(name, type, help).metric.push_back(std::move(metric));
  }

  void histogram(const char* name, const char* help, const Labels& labels,
                 const LatencyHistogram& counts) {
    ClientMetric metric;
    metric.label = labels;
    uint64_t sum = 0;
    for (size_t i = 0; i < LatencyHistogram::kBuckets; i++) {
      sum += counts.count(i);
      const bool last = i + 1 == LatencyHistogram::kBuckets;
      double bound = last ? std::numeric_limits<double>::infinity() : counts.bound_seconds(i);
      metric.histogram.bucket.push_back({sum, bound});
    }
    metric.histogram.sample_count = sum;
    metric.histogram.sample_sum = static_cast<double>(counts.sum_micros()) / 1e6;
    family(name, MetricType::Histogram, help).metric.push_back(std::move(metric));
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  MetricFamily& family(std::string_view name, MetricType type, std::string_view help) {
    for (MetricFamily& family : families_) {
      if (family.name == name) return family;
    }
    MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
    return family;
  }

  std::vector<MetricFamily> families_;
};

// The names are those of Prometheus' client libraries.
void process_metrics(Families& families) {
  const ProcessFigures process = process_figures();
  const auto add = [&](const char* name, MetricType type, const char* help, double value) {
    families.add(name, type, help, {}, value);
  };
  add("process_cpu_seconds_total", MetricType::Counter, "CPU time, user and system.",
      process.cpu_seconds);
  add("process_start_time_seconds", MetricType::Gauge, "Unix time of the start.",
      process.start_time);
  add("process_resident_memory_bytes", MetricType::Gauge, "Resident memory.",
      process.resident_bytes);
  add("process_virtual_memory_bytes", MetricType::Gauge, "Virtual memory.", process.virtual_bytes);
  add("process_open_fds", MetricType::Gauge, "Open file descriptors.", process.open_files);
  add("process_max_fds", MetricType::Gauge, "The most file descriptors that may be open.",
      process.max_files);
  add("process_threads", MetricType::Gauge, "Threads.", process.threads);
}

void source_metrics(Families& families, const Pipeline& pipeline, int64_t now) {
  const InputStats& source = pipeline.input().stats();
  const Labels labels = {{"pipeline", pipeline.config().name}};
  auto gauge = [&](const char* name, const char* help, double value) {
    families.add(name, MetricType::Gauge, help, labels, value);
  };
  auto counter = [&](const char* name, const char* help, uint64_t value) {
    families.add(name, MetricType::Counter, help, labels, static_cast<double>(value));
  };
  gauge("walspout_up", "Whether the pipeline streams.",
        source.state == SourcePhase::kStreaming ? 1 : 0);
  gauge("walspout_lag_seconds", "Age of the oldest event that a sink is not done with.",
        lag_seconds(pipeline, now));
  gauge("walspout_in_flight_bytes", "Received bytes, kept until all sinks are done with them.",
        static_cast<double>(pipeline.queue().bytes()));
  gauge("walspout_memory_limit_bytes", "Limit of the bytes that are kept.",
        static_cast<double>(pipeline.queue().capacity()));
  uint64_t rows = 0;
  const std::vector<BackfillRecord> backfills = pipeline.backfills();
  for (const BackfillRecord& record : backfills) rows += record.rows;
  gauge("walspout_backfills", "Backfills that are not finished.",
        static_cast<double>(backfills.size()));
  gauge("walspout_backfill_rows", "Rows that these have delivered.", static_cast<double>(rows));
  if (const Backfill* backfill = pipeline.backfill()) {
    gauge("walspout_backfill_held_bytes", "WAL that the slot keeps because of these.",
          static_cast<double>(backfill->held_bytes()));
  }
  if (const int64_t at = source.last_commit_at) {
    gauge("walspout_last_event_timestamp_seconds", "Unix time of the commit of the last event.",
          static_cast<double>(at) / 1e6);
  }
  counter("walspout_source_connects_total", "Times that streaming began.", source.connects);
  counter("walspout_source_events_total", "Events received, repetitions included.", source.events);
  counter("walspout_source_bytes_total", "Bytes received.", source.bytes);
  counter("walspout_source_pauses_total", "Times that reading waited for room.", source.pauses);
  for (const InputFigure& figure : pipeline.input().figures()) {
    const auto* number = std::get_if<uint64_t>(&figure.value);
    if (figure.metric.empty() || number == nullptr) continue;
    Labels all = labels;
    if (!figure.label.empty()) {
      all.push_back({std::string(figure.label), std::string(figure.label_value)});
    }
    families.add(figure.metric, figure.counts ? MetricType::Counter : MetricType::Gauge,
                 figure.help, all, static_cast<double>(*number));
  }
}

void sink_metrics(Families& families, const Pipeline& pipeline, size_t i) {
  const SinkStats& stats = pipeline.sink_stats(i);
  const Labels labels = {{"pipeline", pipeline.config().name},
                         {"sink", pipeline.config().sinks[i].name}};
  auto counter = [&](const char* name, const char* help, uint64_t value) {
    families.add(name, MetricType::Counter, help, labels, static_cast<double>(value));
  };
  families.add("walspout_sink_up", MetricType::Gauge, "Whether the last attempt succeeded.", labels,
               stats.state == SinkState::kDelivering ? 1 : 0);
  families.add("walspout_sink_waiting_events", MetricType::Gauge,
               "Events received that the sink is not done with.", labels,
               static_cast<double>(pipeline.waiting(i)));
  if (const int64_t at = stats.progress_at) {
    families.add("walspout_sink_last_delivery_timestamp_seconds", MetricType::Gauge,
                 "Unix time at which the sink was done with an event last.", labels,
                 static_cast<double>(at) / 1e6);
  }
  counter("walspout_sink_events_total", "Events durable at the receiver.", stats.events);
  counter("walspout_sink_bytes_total", "Bytes of their documents.", stats.bytes);
  counter("walspout_sink_batches_total", "Batches tried.", stats.batches);
  counter("walspout_sink_retries_total", "Attempts that failed and were repeated.", stats.retries);
  counter("walspout_sink_rejects_total", "Events refused.", stats.rejects);
  counter("walspout_sink_dead_letters_total", "Events set aside.", stats.dead_letters);
  counter("walspout_sink_dropped_total", "Events that the configuration keeps from the sink.",
          stats.dropped);
  counter("walspout_sink_missing_total", "Rows to change that the receiver lacked.", stats.missing);
  counter("walspout_sink_losses_total", "Times that the receiver lost confirmed events.",
          stats.losses);
  families.histogram("walspout_sink_latency_seconds", "From the commit until durable.", labels,
                     stats.latency);
}

}  // namespace

double lag_seconds(const Pipeline& pipeline, int64_t now) {
  int64_t oldest = pipeline.queue().oldest_commit();
  return oldest && now > oldest ? static_cast<double>(now - oldest) / 1e6 : 0;
}

std::optional<double> lag_of(const Pipeline& pipeline) {
  for (const InputFigure& figure : pipeline.input().figures()) {
    const auto* number = std::get_if<uint64_t>(&figure.value);
    const bool is_lag =
        figure.metric == "walspout_lag_bytes" || figure.metric == "walspout_lag_messages";
    if (number != nullptr && is_lag) {
      return static_cast<double>(*number);
    }
  }
  return std::nullopt;
}

Readiness readiness(const std::vector<const Pipeline*>& pipelines, int64_t now,
                    const std::map<std::string, std::string>& missing) {
  Readiness result;
  for (const auto& [name, why] : missing) {
    result.ready = false;
    result.why += name + ": could not be started: " + why + "\n";
  }
  auto not_ready = [&](const Pipeline& pipeline, const std::string& why) {
    result.ready = false;
    result.why += pipeline.config().name + ": " + why + "\n";
  };
  for (const Pipeline* pipeline : pipelines) {
    const InputStats& source = pipeline->input().stats();
    SourcePhase phase = source.state;
    if (phase != SourcePhase::kStreaming) {
      std::string error = source.last_error.get();
      not_ready(*pipeline, "source is " + name_of(phase, pipeline->input()) +
                               (error.empty() ? "" : ": " + error));
    }
    for (size_t i = 0; i < pipeline->config().sinks.size(); i++) {
      const SinkStats& stats = pipeline->sink_stats(i);
      SinkState state = stats.state;
      std::string sink = "sink " + pipeline->config().sinks[i].name;
      if (state != SinkState::kDelivering) {
        std::string error = stats.last_error.get();
        not_ready(*pipeline, sink + " is " + name_of(state) + (error.empty() ? "" : ": " + error));
      } else if (is_stuck(*pipeline, i, now)) {
        not_ready(*pipeline, sink + " has work and makes no progress");
      }
    }
  }
  return result;
}

std::string status_json(const std::vector<const Pipeline*>& pipelines, int64_t now, bool control,
                        const std::map<std::string, std::string>& missing) {
  std::string out;
  {
    Object root(out);
    root.text("version", kVersion);
    root.text("commit", kCommit);
    root.flag("control", control);
    root.flag("ready", readiness(pipelines, now, missing).ready);
    root.key("pipelines") += '[';
    bool first = true;
    for (const Pipeline* each : pipelines) {
      if (!first) out += ',';
      first = false;
      const InputStats& source = each->input().stats();
      Object pipeline(out);
      pipeline.text("name", each->config().name);
      pipeline.flag("ready", readiness({each}, now).ready);
      pipeline.text("state", name_of(source.state, each->input()));
      for (const InputFigure& figure : each->input().figures()) {
        if (!figure.member.empty()) pipeline.value(figure.member, figure.value);
      }
      pipeline.real("lag_seconds", lag_seconds(*each, now));
      pipeline.number("in_flight_bytes", each->queue().bytes());
      pipeline.number("memory_limit_bytes", each->queue().capacity());
      pipeline.text("tap", name_of(each->tap().level()));
      pipeline.flag("dead_letter", each->config().dead_letter.has_value());
      pipeline.number("events", source.events);
      if (source.last_commit_at) pipeline.text("last_event_time", time_text(source.last_commit_at));
      pipeline.number("connects", source.connects);
      pipeline.text("last_error", source.last_error.get());
      backfills_json(pipeline.key("backfills"), *each);
      if (const Backfill* backfill = each->backfill()) {
        pipeline.number("backfill_held_bytes", backfill->held_bytes());
        pipeline.text("backfill_error", backfill->trouble());
      }
      pipeline.key("sinks") += '[';
      for (size_t i = 0; i < each->config().sinks.size(); i++) {
        if (i) out += ',';
        sink_json(out, *each, i);
      }
      out += ']';
    }
    out += ']';
  }
  return out + "\n";
}

std::string metrics_text(const std::vector<const Pipeline*>& pipelines, int64_t now) {
  Families families;
  families.add("walspout_build_info", MetricType::Gauge, "Which program this is; always 1.",
               {{"version", kVersion}, {"commit", kCommit}}, 1);
  process_metrics(families);
  for (const Pipeline* pipeline : pipelines) {
    source_metrics(families, *pipeline, now);
    for (size_t i = 0; i < pipeline->config().sinks.size(); i++) {
      sink_metrics(families, *pipeline, i);
    }
  }
  return families.text();
}

}  // namespace walspout
