#include "sink/exec/exec.h"
#include "sink/exec/trial.h"
#include "sink/types.h"

namespace walspout {
namespace {

std::optional<KeyProblem> wrong_command(ExecConfig& config, const Section::Has& has) {
  if (!has("command")) return std::nullopt;
  if (config.command.empty() || config.command.front().empty()) {
    return KeyProblem{"command", "\"command\" needs a program, such as [./my-sink, --flag]"};
  }
  return std::nullopt;
}

std::optional<KeyProblem> wrong_env(ExecConfig& config, const Section::Has&) {
  for (const auto& [name, value] : config.env) {
    if (name.empty() || name.find('=') != std::string::npos) {
      return KeyProblem{"env", "a name in \"env\" is empty, or has a \"=\""};
    }
  }
  return std::nullopt;
}

KeyTable<ExecConfig> table() {
  KeyTable<ExecConfig> table;
  table
      .key("command", &ExecConfig::command,
           "The program and its arguments; no shell sees them. A name without `/` is looked for in "
           "`PATH`")
      .required()
      .key("directory", &ExecConfig::directory, "Where the program is started")
      .set_default("where walspout was started")
      .key("env", &ExecConfig::env, "Variables besides walspout's own")
      .choice<Order>("order", &ExecConfig::order,
                     {{"all", Order::kAll}, {"key", Order::kKey}, {"none", Order::kNone}},
                     "Which later events come again after one that failed: `all`, those of the "
                     "same key, or `none`")
      .key("unanswered", &ExecConfig::unanswered, "Events without an answer, at most")
      .between(1, 65'535)
      .key("answer_timeout", &ExecConfig::answer_timeout,
           "A program that owes answers, and gives none for this long, is ended and started again")
      .key("grace", &ExecConfig::grace,
           "How long a program may take to end: after end of file, and again after SIGTERM")
      .rule(wrong_command)
      .rule(wrong_env);
  return table;
}

}  // namespace

SinkType exec_type() {
  SinkType type = sink_type<ExecConfig>(
      "exec", "Writes a line to a program, which answers for each event", table(),
      [](const ExecConfig& config) { return ExecSink::create(config); });
  type.capabilities = {.becomes = "a line on the standard input of a program",
                       .delivered = "the program answers with its `id`",
                       .repeated = "known by its `id`",
                       .largest = "what the program takes"};
  type.needs_id = [](const std::any&) { return true; };
  type.reads_documents = [](const std::any&, bool) { return "type \"exec\""; };
  type.trial = [](const std::any& options, const SayTrial& say) {
    try_exec_program(std::any_cast<const ExecConfig&>(options), say);
  };
  return type;
}

}  // namespace walspout
