#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <vector>

#include "base/farewell.h"
#include "base/version.h"
#include "command/commands.h"

namespace {

// Takes the command of `sink-test` out of the arguments: all from the first one on that is no
// option of ours, or from behind "--".
std::vector<std::string> take_command(int& argc, char** argv) {
  constexpr std::string_view kSinkTest = "sink-test";
  if (argc < 2 || argv[1] != kSinkTest) return {};
  int begin = 2;
  while (begin < argc && std::string_view(argv[begin]).starts_with("-")) {
    if (std::string_view(argv[begin++]) == "--") break;
  }
  std::vector<std::string> command(argv + begin, argv + argc);
  argc = begin > 2 && std::string_view(argv[begin - 1]) == "--" ? begin - 1 : begin;
  return command;
}

int dispatch(int argc, char** argv) {
  const std::vector<std::string> command = take_command(argc, argv);
  CLI::App app("Row changes in Postgres, pushed to where they are needed.", "walspout");
  app.require_subcommand(1);

  std::string file;
  CLI::App* run = app.add_subcommand("run", "deliver changes until told to stop (SIGTERM)");
  run->add_option("FILE", file, "configuration")->required();

  CLI::App* check = app.add_subcommand("check", "say whether `run` would work, and what to mend");
  check->add_option("FILE", file, "configuration")->required();
  const char* no_color = std::getenv("NO_COLOR");
  bool plain = no_color && *no_color;
  check->add_flag("--no-color", plain, "plain text on a terminal");

  walspout::TailOptions tail_options;
  CLI::App* tail = app.add_subcommand("tail", "print changes as they come; needs no configuration");
  tail->add_option("DSN", tail_options.dsn, "postgresql://user@host/database")->required();
  tail->add_option("-p,--publication", tail_options.publications,
                   "only what this publication has; may be repeated");
  tail->add_flag("--no-color", plain, "plain text on a terminal");

  bool yes = false;
  CLI::App* drop = app.add_subcommand("drop", "drop the slots of a configuration");
  drop->add_option("FILE", file, "configuration")->required();
  drop->add_flag("--yes", yes, "do not ask");

  walspout::AdoptOptions adopt_options;
  CLI::App* adopt =
      app.add_subcommand("adopt", "after pg_upgrade: go on with the slots that the new server has");
  adopt->add_option("FILE", adopt_options.config, "configuration")->required();
  adopt->add_option("--pipeline", adopt_options.pipeline, "only this one");
  adopt->add_flag("--yes", adopt_options.yes, "do not ask");

  walspout::BackfillOptions backfill_options;
  CLI::App* backfill = app.add_subcommand(
      "backfill", "request that rows which tables have already are sent, while `run` runs");
  backfill->add_option("CONFIG", backfill_options.config, "configuration")->required();
  backfill->add_option("TABLE", backfill_options.tables, "SCHEMA.TABLE; several are possible");
  backfill->add_option("--pipeline", backfill_options.pipeline,
                       "this one, where there are several");
  backfill->add_option("--where", backfill_options.where, "only rows for which this SQL is true");
  backfill->add_option("--rate", backfill_options.rate, "rows a second at most")
      ->check(CLI::PositiveNumber);
  auto* action = backfill->add_option_group("instead of a request");
  action->add_flag("--status", backfill_options.status, "say how far backfills are");
  action->add_flag("--cancel", backfill_options.cancel, "end backfills");
  action->add_flag("--pause", backfill_options.pause, "stop backfills until they are resumed");
  action->add_flag("--resume", backfill_options.resume, "let paused backfills go on");
  action->require_option(0, 1);

  walspout::ReplayOptions replay_options;
  CLI::App* replay = app.add_subcommand(
      "replay", "send dead letters again; those that are delivered are removed from their file");
  replay->add_option("FILE", replay_options.file, "dead letters")->required();
  replay->add_option("CONFIG", replay_options.config, "configuration, with the sinks they name")
      ->required();
  replay->add_flag("--dry-run", replay_options.dry_run, "list them, send nothing");
  replay->add_option("--to", replay_options.to,
                     "template of another stream or routing key to send them to");

  bool json = false;
  CLI::App* keys = app.add_subcommand("keys", "list the keys of the configuration");
  keys->add_flag("--json", json, "for programs");
  CLI::App* sinks = app.add_subcommand("sinks", "list the types of sinks, and what they guarantee");
  sinks->add_flag("--json", json, "for programs");
  CLI::App* schema = app.add_subcommand("schema", "print a JSON Schema of the configuration");

  CLI::App* sink_test = app.add_subcommand(
      "sink-test",
      "say whether a program can be a sink of the type exec: sink-test [--] COMMAND...");
  sink_test->add_flag("--no-color", plain, "plain text on a terminal");
  sink_test->footer("The program gets events of a table walspout_test.orders, and is killed once.");

  CLI::App* version = app.add_subcommand("version", "print the version");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? walspout::kClean : walspout::kUsage;
  }
  if (*run) return walspout::run_command(file);
  if (*check) return walspout::check_command(file, !plain);
  if (*tail) {
    tail_options.color = !plain;
    return walspout::tail_command(tail_options);
  }
  if (*replay) return walspout::replay_command(replay_options);
  if (*backfill) return walspout::backfill_command(backfill_options);
  if (*drop) return walspout::drop_command(file, yes);
  if (*keys) return walspout::keys_command(json);
  if (*schema) return walspout::schema_command();
  if (*sinks) return walspout::sinks_command(json);
  if (*sink_test && !command.empty()) return walspout::sink_test_command(command, !plain);
  if (*sink_test) {
    std::fprintf(stderr, "walspout: sink-test needs a COMMAND\n");
    return walspout::kUsage;
  }
  if (*adopt) return walspout::adopt_command(adopt_options);
  if (*version) std::printf("walspout %s\n", walspout::kVersion);
  return walspout::kClean;
}

}  // namespace

// Threads of a library that does not end would use what exit() takes away.
int ended(int code) {
  if (walspout::farewells() == 0) return code;
  std::fflush(nullptr);
  std::_Exit(code);
}

int main(int argc, char** argv) {
  // A reader that has gone, of a socket or a pipe, is an error like others.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return ended(dispatch(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "walspout: %s\n", error.what());
    return walspout::kFailed;
  }
}
