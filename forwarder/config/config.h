// The configuration file: YAML, and strict. Anything unknown is an error that names the place and a
// likely intention. All errors are found in one run.
//
// ${NAME} in a value is the environment variable of that name. A secret may be `file:PATH`: the
// content of the file, without the line break at its end.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "sink/sinks.h"
#include "source/config.h"
#include "stream/tap.h"

namespace walspout {

struct DeadLetterConfig {
  uint64_t after = 0;  // failed attempts of an event; 0: only rejected events
  std::string path;
};

struct PipelineConfig {
  std::string name;
  SourceConfig source;
  std::vector<SinkConfig> sinks;
  uint64_t memory = 64u << 20;
  BackoffConfig retry;
  std::optional<DeadLetterConfig> dead_letter;
  std::string state;              // directory; empty: nothing is remembered
  TapLevel tap = TapLevel::kOff;  // what the status page may show of events
  std::map<std::string, std::string> given{};
};

struct StatusConfig {
  std::string listen = "127.0.0.1:8470";
  std::string host = "127.0.0.1";
  int port = 8470;
  std::optional<TapLevel> tap;  // nothing: what the address allows
  Secret control;               // empty: the server allows no changes

  // Sets host and port from `listen`; false: it is not ADDRESS:PORT.
  bool parse();
  // Keys if only this machine can connect.
  TapLevel tap_level() const;
};

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  bool json = false;
};

struct Config {
  std::vector<PipelineConfig> pipelines;
  std::optional<StatusConfig> status;
  LogConfig log;
  std::string state;           // directory for all pipelines; empty: none
  Milliseconds drain{10'000};  // how long SIGTERM waits for the sinks
};

struct ConfigProblem {
  int line = 0;  // from 1; 0: the file as a whole
  int column = 0;
  std::string what;
};

struct LoadedConfig {
  Config config;
  std::vector<ConfigProblem> problems;  // none: the configuration is good
  std::string text{};
};

LoadedConfig parse_config(const std::string& text);
// "-" is standard input.
LoadedConfig load_config(const std::string& path);

// "file:line:column: what" for each problem. Quotes the key at that place with a caret below.
// Leaves out the key's value, as it may be a secret.
std::string describe(const std::string& path, const LoadedConfig& loaded);

}  // namespace walspout
