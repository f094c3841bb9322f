#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/farewell.h"
#include "base/version.h"
#include "command/commands.h"
#include "command/manual.h"
#include "config/yaml.h"

namespace {

const std::string kCompletion = "completion";
const std::vector<std::string> kShells{"bash", "zsh", "fish"};

using walspout::kClean;
using walspout::kUsage;

// Takes the command of `sink-test` out of the words: everything after "--", or from the first word
// that is not our option. Only its first word stays, so the parser sees no option of the command.
std::vector<std::string> take_command(std::vector<std::string>& words) {
  if (words.empty() || words.front() != "sink-test") return {};
  const auto begin = std::find_if(words.begin() + 1, words.end(), [](const std::string& word) {
    return word == "--" || !word.starts_with("-");
  });
  std::vector<std::string> command(begin, words.end());
  words.erase(begin, words.end());
  if (!command.empty() && command.front() == "--") command.erase(command.begin());
  if (!command.empty()) words.insert(words.end(), {"--", command.front()});
  return command;
}

int print_version() {
  const bool known = *walspout::kCommit != '\0';
  std::printf("walspout %s%s%s%s\n", walspout::kVersion, known ? " (" : "", walspout::kCommit,
              known ? ")" : "");
  return kClean;
}

// The options as the help shows them.
void add_options(const CLI::App* app, std::vector<walspout::OptionHelp>& options) {
  for (const CLI::Option* option : app->get_options()) {
    walspout::OptionHelp help;
    help.is_positional = option->get_positional();
    help.help = option->get_description();
    help.is_required = option->get_required();
    if (help.is_positional) {
      help.names = {option->get_single_name()};
      const std::string& name = help.names.front();
      help.is_file = name == "FILE" || name == "CONFIG" || name == "COMMAND" || name == "ARG";
    } else {
      for (const std::string& name : option->get_lnames()) help.names.push_back("--" + name);
      for (const std::string& name : option->get_snames()) help.names.push_back("-" + name);
      help.takes_value = option->get_items_expected_max() > 0;
    }
    options.push_back(std::move(help));
  }
}

// The commands, with their arguments.
class Line {
 public:
  Line() {
    app_.require_subcommand(1);
    app_.add_flag("-V,--version", version_, "print the version, and the commit that was built");
    add_commands();
    add_tools();
    add_lists();
    app_.footer("walspout COMMAND --help explains a command.");  // last: commands would inherit it
  }

  int run(int argc, char** argv) {
    std::vector<std::string> words(argv + 1, argv + argc);
    sink_command_ = take_command(words);
    if (words.empty()) {
      std::fputs(app_.help().c_str(), stderr);
      return kUsage;
    }
    if (words.front() == "-V" || words.front() == "--version") return print_version();
    if (words.front() == "help") {  // perhaps followed by a command
      words.erase(words.begin());
      words.emplace_back("--help");
    }
    const std::string& word = words.front();
    if (word.starts_with("-") && word != "-h" && word != "--help") {
      return unknown("option", word, "", options_of(app_));
    }
    if (!word.starts_with("-") && !is_command(word))
      return unknown("command", word, "", commands());
    try {
      app_.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    } catch (const CLI::ParseError& error) {
      if (const auto code = unknown_option(words)) return *code;
      return app_.exit(error) == 0 ? kClean : kUsage;
    }
    return actions_.at(app_.get_subcommands().front())();
  }

 private:
  CLI::App* add(const std::string& name, const std::string& help, std::function<int()> action) {
    CLI::App* command = app_.add_subcommand(name, help);
    actions_[command] = std::move(action);
    return command;
  }

  void add_commands();
  void add_tools();
  void add_lists();
  void add_backfill();
  void add_copies();
  void add_sink(CLI::App* command, walspout::CopiesOptions& copies);

  void add_file(CLI::App* command, std::string& file, const char* name = "FILE") {
    command->add_option(name, file, "configuration; - is standard input")->required();
  }
  void add_no_color(CLI::App* command) {
    command->add_flag("--no-color", plain_, "plain text on a terminal");
  }

  walspout::ProgramHelp help() const {
    walspout::ProgramHelp program{app_.get_name(), walspout::kVersion, app_.get_description(), {}};
    for (const CLI::App* command : app_.get_subcommands({})) {
      walspout::CommandHelp& each = program.commands.emplace_back();
      each.name = command->get_name();
      each.help = command->get_description();
      each.more = command->get_footer();
      add_options(command, each.options);
      if (each.name == kCompletion) {
        for (walspout::OptionHelp& option : each.options) {
          if (option.is_positional) option.words = kShells;
        }
      }
    }
    return program;
  }
  int complete() const {
    const walspout::ProgramHelp program = help();
    const std::string text = shell_ == "bash"  ? walspout::bash_completion(program)
                             : shell_ == "zsh" ? walspout::zsh_completion(program)
                                               : walspout::fish_completion(program);
    std::fputs(text.c_str(), stdout);
    return kClean;
  }

  std::vector<std::string> commands() const {
    std::vector<std::string> names{"help"};
    for (const CLI::App* command : app_.get_subcommands({})) names.push_back(command->get_name());
    return names;
  }
  bool is_command(const std::string& word) const {
    const auto known = commands();
    return std::find(known.begin(), known.end(), word) != known.end();
  }
  static std::vector<std::string> options_of(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
  }
  // Of a command line that could not be parsed: its first long option that the command lacks, if
  // there is one. The parser says first what is missing because of it.
  std::optional<int> unknown_option(const std::vector<std::string>& words) const {
    if (!is_command(words.front())) return std::nullopt;
    const std::string& command = words.front();
    const auto known = options_of(*app_.get_subcommand(command));
    for (size_t i = 1; i < words.size() && words[i] != "--"; i++) {
      const std::string word = words[i].substr(0, words[i].find('='));
      if (!word.starts_with("--") || std::find(known.begin(), known.end(), word) != known.end()) {
        continue;
      }
      return unknown("option", word, command, known);
    }
    return std::nullopt;
  }
  static int unknown(const char* kind, const std::string& word, const std::string& command,
                     const std::vector<std::string>& known) {
    const auto meant = walspout::nearest(word, known);
    std::fprintf(stderr, "walspout: unknown %s \"%s\"%s%s%s\n", kind, word.c_str(),
                 command.empty() ? "" : (" of " + command).c_str(),
                 meant ? (": did you mean \"" + *meant + "\"?").c_str() : "",
                 command.empty() ? "\nwalspout --help lists the commands"
                                 : ("\nwalspout " + command + " --help lists its options").c_str());
    return kUsage;
  }

  static bool no_color() {
    const char* set = std::getenv("NO_COLOR");
    return set != nullptr && *set != '\0';
  }

  CLI::App app_{"Row changes in Postgres, pushed to where they are needed.", "walspout"};
  std::map<const CLI::App*, std::function<int()>> actions_;
  std::vector<std::string> sink_command_;
  std::string program_;  // only for the help, as sink_command_ has both
  std::vector<std::string> arguments_;
  std::string file_;
  std::string shell_;
  std::string start_ = "walspout.yaml";
  bool version_ = false;
  bool plain_ = no_color();
  bool json_ = false;
  bool yes_ = false;
  walspout::TailOptions tail_;
  walspout::AdoptOptions adopt_;
  walspout::BackfillOptions backfill_;
  walspout::CompareOptions compare_;
  walspout::SequencesOptions sequences_;
  walspout::ReplayOptions replay_;
  walspout::StatusOptions status_;
};

// The commands that deliver, and those for before and after.
void Line::add_commands() {
  CLI::App* init = add("init", "write a commented configuration to begin with",
                       [this] { return walspout::init_command(start_); });
  init->add_option("FILE", start_, "the file to write; - is standard output")
      ->capture_default_str();

  CLI::App* check = add("check", "say whether `run` would work, and what to fix", [this] {
    return walspout::check_command(file_, {!plain_, json_});
  });
  add_file(check, file_);
  add_no_color(check);
  check->add_flag("--json", json_, "a line of JSON for each finding");

  CLI::App* run = add("run", "deliver changes until told to stop (SIGTERM)",
                      [this] { return walspout::run_command(file_); });
  add_file(run, file_);

  CLI::App* tail = add("tail", "print changes as they come; needs no configuration", [this] {
    tail_.color = !plain_;
    return walspout::tail_command(tail_);
  });
  tail->add_option("DSN", tail_.dsn, "postgresql://user@host/database")->required();
  tail->add_option("-p,--publication", tail_.publications,
                   "only changes of this publication; may be repeated");
  tail->add_flag("--schemas", tail_.schemas, "the schemas of tables, too, before their first row");
  tail->add_option("-d,--dialect", tail_.dialect, "form of the documents")->capture_default_str();
  add_no_color(tail);

  CLI::App* status = add("status", "show what a running forwarder does", [this] {
    status_.color = !plain_;
    return walspout::status_command(status_);
  });
  status->add_option("URL", status_.url, "address of its status server")->capture_default_str();
  status->add_flag("--watch", status_.watch, "repeat each second, with rates");
  add_no_color(status);

  add_backfill();
  add_copies();

  CLI::App* drop = add("drop", "drop the slots of a configuration",
                       [this] { return walspout::drop_command(file_, yes_); });
  add_file(drop, file_);
  drop->add_flag("--yes", yes_, "do not ask");
}

void Line::add_backfill() {
  CLI::App* backfill =
      add("backfill", "request that existing rows of tables are sent, while `run` runs",
          [this] { return walspout::backfill_command(backfill_); });
  add_file(backfill, backfill_.config, "CONFIG");
  backfill->add_option("TABLE", backfill_.tables, "SCHEMA.TABLE; several are possible");
  backfill->add_option("--pipeline", backfill_.pipeline,
                       "name of the pipeline, if there are several");
  backfill->add_option("--where", backfill_.where, "only rows for which this SQL is true");
  backfill->add_option("--rate", backfill_.rate, "rows a second at most")
      ->check(CLI::PositiveNumber);
  const std::string instead = "Instead of a request, one of";
  backfill->add_flag("--status", backfill_.status, "show the progress of backfills")
      ->group(instead);
  backfill->add_flag("--cancel", backfill_.cancel, "end backfills")->group(instead);
  backfill->add_flag("--pause", backfill_.pause, "stop backfills until they are resumed")
      ->group(instead);
  backfill->add_flag("--resume", backfill_.resume, "continue paused backfills")->group(instead);
}

void Line::add_sink(CLI::App* command, walspout::CopiesOptions& copies) {
  command->add_option("--pipeline", copies.pipeline, "name of the pipeline, if there are several");
  command->add_option("--sink", copies.sink, "name of the sink, if there are several");
}

// The commands that look at the tables of a Postgres sink.
void Line::add_copies() {
  CLI::App* compare =
      add("compare", "compare the rows of the source with those of its Postgres sink",
          [this] { return walspout::compare_command(compare_); });
  add_file(compare, compare_.copies.config, "CONFIG");
  compare->add_option("TABLE", compare_.tables,
                      "SCHEMA.TABLE of the source, or a pattern; several are possible");
  add_sink(compare, compare_.copies);
  compare->add_option("--wait", compare_.wait, "seconds in which differing rows may become equal")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  compare->add_option("--limit", compare_.limit, "end a table after so many differing rows")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  compare->add_flag("--json", compare_.json, "a line of JSON for each row and each table");
  compare->footer("Exits with 0 if all is equal, and with 1 if something differs.");

  CLI::App* sequences =
      add("sequences", "copy the values of sequences to the target of the Postgres sink",
          [this] { return walspout::sequences_command(sequences_); });
  add_file(sequences, sequences_.copies.config, "CONFIG");
  add_sink(sequences, sequences_.copies);
  sequences->add_flag("--owned", sequences_.owned,
                      "only those that columns of the sent tables own");
  sequences->add_flag("--dry-run", sequences_.dry_run, "say what would be done, change nothing");
  sequences->add_flag("--json", sequences_.json, "a line of JSON for each sequence");
  sequences->footer("No sequence of the target is moved back.");
}

void Line::add_tools() {
  CLI::App* replay =
      add("replay", "send dead letters again; those that are delivered are removed from their file",
          [this] { return walspout::replay_command(replay_); });
  replay->add_option("FILE", replay_.file, "dead letters")->required();
  replay->add_option("CONFIG", replay_.config, "configuration, with the sinks they name")
      ->required();
  replay->add_flag("--dry-run", replay_.dry_run, "list them, send nothing");
  replay->add_flag("--overwrite", replay_.overwrite,
                   "in Postgres: also replace rows that may be newer in the target");
  replay->add_option("--to", replay_.to,
                     "template of another stream or routing key to send them to");

  CLI::App* adopt = add("adopt", "after pg_upgrade: continue with the slots of the new server",
                        [this] { return walspout::adopt_command(adopt_); });
  add_file(adopt, adopt_.config);
  adopt->add_option("--pipeline", adopt_.pipeline, "only the pipeline of this name");
  adopt->add_flag("--yes", adopt_.yes, "do not ask");

  CLI::App* sink_test = add("sink-test", "say whether a program can be a sink of the type exec",
                            [this] { return walspout::sink_test_command(sink_command_, !plain_); });
  sink_test->add_option("COMMAND", program_, "the program; -- may precede it")->required();
  sink_test->add_option("ARG", arguments_, "arguments of the program");
  add_no_color(sink_test);
  sink_test->footer("The program gets events of a table walspout_test.orders, and is killed once.");
}

void Line::add_lists() {
  add("keys", "list the keys of the configuration", [this] {
    return walspout::keys_command(json_);
  })->add_flag("--json", json_, "for programs");
  add("sinks", "list the types of sinks, and what they guarantee", [this] {
    return walspout::sinks_command(json_);
  })->add_flag("--json", json_, "for programs");
  add("schema", "print a JSON Schema of the configuration",
      [] { return walspout::schema_command(); });
  CLI::App* completion =
      add(kCompletion, "print completions for a shell", [this] { return complete(); });
  completion->add_option("SHELL", shell_, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember(kShells));
  completion->footer("For bash: source <(walspout completion bash)");
  add("man", "print the manual page: walspout man | man -l -", [this] {
    std::fputs(walspout::manual_page(help()).c_str(), stdout);
    return static_cast<int>(kClean);
  });
  add("version", "print the version", print_version);
}

}  // namespace

// Threads of a library that does not end would use what exit() destroys.
int ended(int code) {
  if (walspout::threads_still_ending() == 0) return code;
  std::fflush(nullptr);
  std::_Exit(code);
}

int main(int argc, char** argv) {
  // Without the signal, a closed socket or pipe is an error like others.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return ended(Line().run(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "walspout: %s\n", error.what());
    return walspout::kFailed;
  }
}
