// Shell completions and the manual page, from the same words as the help. Pure.
#pragma once

#include <string>
#include <vector>

namespace walspout {

struct OptionHelp {
  std::vector<std::string> names;    // "--yes", "-p"; of a positional argument "FILE"
  std::string help;                  // a sentence without its period
  std::vector<std::string> words{};  // allowed words; empty: anything
  bool is_positional = false;
  bool takes_value = false;  // an option; a flag takes none
  bool is_file = false;      // the value names a file
  bool is_required = false;
};

struct CommandHelp {
  std::string name;
  std::string help;
  std::string more;  // paragraphs after the options; may be empty
  std::vector<OptionHelp> options;
};

struct ProgramHelp {
  std::string name;
  std::string version;
  std::string help;
  std::vector<CommandHelp> commands;
};

std::string bash_completion(const ProgramHelp& program);
std::string zsh_completion(const ProgramHelp& program);
std::string fish_completion(const ProgramHelp& program);

// In the language of man(7), for section 1.
std::string manual_page(const ProgramHelp& program);

}  // namespace walspout
