// The commands of the program. Each returns its exit code: 0 clean, 1 failure, 2 wrong usage or
// configuration. Standard output is data, standard error is for people.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace walspout {

enum ExitCode { kClean = 0, kFailed = 1, kUsage = 2 };

int run_command(const std::string& path);

struct CheckOptions {
  bool color = true;  // on a terminal
  bool json = false;
};
int check_command(const std::string& path, const CheckOptions& options);

// Writes a configuration to begin with; "-": to standard output. Replaces no file.
int init_command(const std::string& path);

struct TailOptions {
  std::string dsn;
  std::vector<std::string> publications;
  bool schemas = false;
  bool color = true;
};
int tail_command(const TailOptions& options);

struct StatusOptions {
  std::string url = "http://127.0.0.1:8470";
  bool watch = false;
  bool color = true;
};
// Exits with 1 where not all is ready.
int status_command(const StatusOptions& options);

struct ReplayOptions {
  std::string file;
  std::string config;
  std::string to;  // a template of destinations; empty: as configured
  bool dry_run = false;
  bool overwrite = false;  // rows of a target, although they may be newer
};
int replay_command(const ReplayOptions& options);

// What keys the configuration has, and their JSON Schema.
int keys_command(bool json);
int schema_command();
int sinks_command(bool json);

// Tries whether a program can be a sink.
int sink_test_command(const std::vector<std::string>& command, bool color);

struct BackfillOptions {
  std::string config;
  std::string pipeline;  // empty: the only one
  std::vector<std::string> tables;
  std::string where;  // a condition in SQL; empty: all rows
  int rate = 0;       // rows a second; 0: as configured
  bool status = false;
  bool cancel = false;
  bool pause = false;
  bool resume = false;
};
int backfill_command(const BackfillOptions& options);

int drop_command(const std::string& path, bool yes);

struct AdoptOptions {
  std::string config;
  std::string pipeline;  // empty: all of them
  bool yes = false;      // do not ask
};
int adopt_command(const AdoptOptions& options);

// Loads a configuration, with all that can be seen to be wrong without a connection. The pipelines
// remember things in `state`, if it is given, whatever the file says.
LoadedConfig whole_configuration(const std::string& path,
                                 const std::optional<std::string>& state = std::nullopt);
// The same; prints what is wrong with it, and then has no value.
std::optional<Config> configuration(const std::string& path);

}  // namespace walspout
