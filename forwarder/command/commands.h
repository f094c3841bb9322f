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

// Writes a configuration to begin with; "-": to standard output. Never replaces a file.
int init_command(const std::string& path);

struct TailOptions {
  std::string dsn;
  std::vector<std::string> publications;
  bool schemas = false;
  std::string dialect = SourceConfig::kDefaultDialect;
  bool color = true;
};
int tail_command(const TailOptions& options);

struct StatusOptions {
  std::string url = "http://127.0.0.1:8470";
  bool watch = false;
  bool color = true;
};
// Exits with 1 if not everything is ready.
int status_command(const StatusOptions& options);

struct ReplayOptions {
  std::string file;
  std::string config;
  std::string to;  // a template of destinations; empty: as configured
  bool dry_run = false;
  bool overwrite = false;  // rows of a target, even if they may be newer
};
int replay_command(const ReplayOptions& options);

// Prints the keys of the configuration, or their JSON Schema.
int keys_command(bool json);
int schema_command();
int sinks_command(bool json);

// Tests whether a program can be a sink.
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

// Selects copies: the tables of a sink of the type postgres.
struct CopiesOptions {
  std::string config;
  std::string pipeline;  // empty: the only one that has such a sink
  std::string sink;      // empty: the only such sink
};

struct SequencesOptions {
  CopiesOptions copies;
  bool dry_run = false;
  bool owned = false;  // only sequences that columns own
  bool json = false;
};
int sequences_command(const SequencesOptions& options);

struct CompareOptions {
  CopiesOptions copies;
  std::vector<std::string> tables;  // patterns; empty: all
  int wait = 60;                    // seconds, for rows that differ to settle
  int limit = 1000;                 // differences of a table
  bool json = false;
};
// Exits with 1 if something differs.
int compare_command(const CompareOptions& options);

int drop_command(const std::string& path, bool yes);

struct AdoptOptions {
  std::string config;
  std::string pipeline;  // empty: all of them
  bool yes = false;      // do not ask
};
int adopt_command(const AdoptOptions& options);

// Loads a configuration, with all problems that can be found without a connection. If `state` is
// given, the pipelines use it instead of the file's.
LoadedConfig load_whole_configuration(const std::string& path,
                                      const std::optional<std::string>& state = std::nullopt);
// The same; prints the problems, and returns no value if there are any.
std::optional<Config> configuration(const std::string& path);

}  // namespace walspout
