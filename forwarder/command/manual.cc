#include "command/manual.h"

#include <algorithm>

namespace walspout {

namespace {

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// In single quotes, for a shell.
std::string quoted(const std::string& text, const std::string& quote = "'\\''") {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += quote;
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::vector<std::string> names_of(const std::vector<CommandHelp>& commands) {
  std::vector<std::string> names{"help"};
  for (const CommandHelp& command : commands) names.push_back(command.name);
  return names;
}

// The names of all options, without arguments: either those that take a value, or those that take
// none.
std::vector<std::string> option_names(const CommandHelp& command, bool with_value_only) {
  std::vector<std::string> names;
  for (const OptionHelp& option : command.options) {
    if (option.is_positional || (with_value_only && !option.takes_value)) continue;
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

// None: nullptr.
const OptionHelp* last_positional(const CommandHelp& command) {
  const OptionHelp* last = nullptr;
  for (const OptionHelp& option : command.options) {
    if (option.is_positional) last = &option;
  }
  return last;
}

bool takes_files(const CommandHelp& command) {
  return std::any_of(command.options.begin(), command.options.end(), [](const OptionHelp& option) {
    return option.is_positional && option.is_file;
  });
}

std::vector<std::string> words_of(const CommandHelp& command) {
  for (const OptionHelp& option : command.options) {
    if (option.is_positional && !option.words.empty()) return option.words;
  }
  return {};
}

}  // namespace

std::string bash_completion(const ProgramHelp& program) {
  const std::string function = "_" + program.name;
  const std::string commands = joined(names_of(program.commands), " ");
  std::string out = "# Completions of bash for " + program.name + ".\n" + function + "() {\n" +
                    "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                    "  COMPREPLY=()\n"
                    "  if ((COMP_CWORD == 1)); then\n"
                    "    mapfile -t COMPREPLY < <(compgen -W '" +
                    commands + " --help --version' -- \"$cur\")\n    return\n  fi\n" +
                    "  local options= words= files=\n  case ${COMP_WORDS[1]} in\n" +
                    "    help) words='" + commands + "' ;;\n";
  for (const CommandHelp& command : program.commands) {
    out += "    " + command.name + ")\n";
    const std::vector<std::string> valued = option_names(command, true);
    if (!valued.empty()) out += "      case $prev in " + joined(valued, "|") + ") return ;; esac\n";
    out += "      options='" + joined(option_names(command, false), " ") + "'\n";
    if (takes_files(command)) out += "      files=yes\n";
    const std::vector<std::string> words = words_of(command);
    if (!words.empty()) out += "      words='" + joined(words, " ") + "'\n";
    out += "      ;;\n";
  }
  out +=
      "  esac\n"
      "  if [[ $cur == -* ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
      "  elif [[ $words ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
      "  elif [[ $files ]]; then\n"
      "    compopt -o filenames 2>/dev/null\n"
      "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
      "  fi\n"
      "}\n"
      "complete -F " +
      function + " " + program.name + "\n";
  return out;
}

std::string zsh_completion(const ProgramHelp& program) {
  const auto plain = [](const std::string& text, const std::string& special) {
    std::string out;
    for (const char c : text) {
      if (special.find(c) != std::string::npos) out += '\\';
      out += c;
    }
    return out;
  };
  std::string list = "    " + quoted("help:explain a command") + "\n";
  std::string cases;
  for (const CommandHelp& command : program.commands) {
    list += "    " + quoted(command.name + ":" + plain(command.help, ":")) + "\n";
    cases += "    " + command.name + ")\n      _arguments";
    for (const OptionHelp& option : command.options) {
      const std::string help = plain(option.help, "[]:");
      if (!option.is_positional) {
        for (const std::string& name : option.names) {
          cases += " \\\n        " +
                   quoted(name + "[" + help + "]" + (option.takes_value ? ":value: " : ""));
        }
        continue;
      }
      const std::string action = option.is_file         ? "_files"
                                 : option.words.empty() ? " "
                                                        : "(" + joined(option.words, " ") + ")";
      // zsh allows one argument that repeats, the last one.
      const std::string repeats = &option == last_positional(command) ? "*:" : ":";
      cases += " \\\n        " + quoted(repeats + option.names.front() + ":" + action);
    }
    cases += "\n      ;;\n";
  }
  return "#compdef " + program.name + "\n# Completions of zsh.\n_" + program.name +
         "() {\n  local -a commands=(\n" + list +
         "  )\n  if ((CURRENT == 2)); then\n    _describe command commands\n    return\n  fi\n"
         "  local command=$words[2]\n  shift words\n  ((CURRENT--))\n  case $command in\n"
         "    help) _describe command commands ;;\n" +
         cases + "  esac\n}\nif [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n  _" +
         program.name + " \"$@\"\nelse\n  compdef _" + program.name + " " + program.name + "\nfi\n";
}

std::string fish_completion(const ProgramHelp& program) {
  const std::string begin = "complete -c " + program.name;
  const auto text = [](const std::string& words) { return quoted(words, "\\'"); };
  std::string out = "# Completions of fish.\n" + begin + " -f\n" + begin +
                    " -n __fish_use_subcommand -l version -s V -d 'print the version'\n" + begin +
                    " -n __fish_use_subcommand -a help -d 'explain a command'\n" + begin +
                    " -n '__fish_seen_subcommand_from help' -a '" +
                    joined(names_of(program.commands), " ") + "'\n";
  for (const CommandHelp& command : program.commands) {
    out +=
        begin + " -n __fish_use_subcommand -a " + command.name + " -d " + text(command.help) + "\n";
    const std::string seen = begin + " -n '__fish_seen_subcommand_from " + command.name + "'";
    for (const OptionHelp& option : command.options) {
      if (option.is_positional) continue;
      out += seen;
      for (const std::string& name : option.names) {
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      out += (option.takes_value ? " -x" : "") + (" -d " + text(option.help)) + "\n";
    }
    if (takes_files(command)) out += seen + " -F\n";
    const std::vector<std::string> words = words_of(command);
    if (!words.empty()) out += seen + " -a '" + joined(words, " ") + "'\n";
  }
  return out;
}

namespace {

// Escapes text for a manual page.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  if (out.starts_with('.') || out.starts_with('\'')) out = "\\&" + out;
  return out;
}

std::string usage(const ProgramHelp& program, const CommandHelp& command) {
  std::string out = ".B " + roff(program.name) + " " + roff(command.name) + "\n";
  for (const OptionHelp& option : command.options) {
    if (!option.is_positional && option.names.front() == "--help") continue;
    const std::string name = option.is_positional ? option.names.front()
                             : option.takes_value ? option.names.front() + " VALUE"
                                                  : option.names.front();
    out += option.is_required ? ".I " + roff(name) + "\n" : "[" + roff(name) + "]\n";
  }
  return out;
}

constexpr const char* kRest =
    R"(.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
End. Sinks get the time of the key
.B drain
to finish; a second signal ends at once.
.TP
.B SIGHUP
Read the configuration again, apply what has changed, and open files again.
A configuration that is wrong changes nothing.
.TP
.B SIGUSR1
Switch debug messages on, and off again.
.SH EXIT STATUS
.TP
.B 0
All is well.
.TP
.B 1
Something failed that may pass.
.TP
.B 2
The command or the configuration is wrong.
.SH ENVIRONMENT
.TP
.B NO_COLOR
Not empty: no colors on a terminal.
.TP
.B STATE_DIRECTORY
The directory of the key
.BR state ,
where the configuration has none. systemd sets the variable.
.SH SEE ALSO
.BR psql (1),
.BR systemctl (1)
)";

}  // namespace

std::string manual_page(const ProgramHelp& program) {
  std::string upper = program.name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string out = ".\\\" Made by the program itself: " + program.name + " man\n.TH " + upper +
                    " 1 \"\" \"" + program.name + " " + program.version +
                    "\" \"User Commands\"\n.SH NAME\n" + roff(program.name) + " \\- " +
                    roff(program.help) + "\n.SH SYNOPSIS\n.B " + roff(program.name) +
                    "\n.I COMMAND\n[ARGUMENTS]\n.SH COMMANDS\n";
  for (const CommandHelp& command : program.commands) {
    out += ".SS " + roff(command.name) + "\n" + usage(program, command) + ".PP\n" +
           roff(command.help) + ".\n";
    for (const OptionHelp& option : command.options) {
      if (!option.is_positional && option.names.front() == "--help") continue;
      out += ".TP\n.B " + roff(joined(option.names, ", ")) + "\n" + roff(option.help) + "\n";
    }
    if (!command.more.empty()) out += ".PP\n" + roff(command.more) + "\n";
  }
  return out + kRest;
}

}  // namespace walspout
