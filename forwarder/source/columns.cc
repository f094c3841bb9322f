#include "source/columns.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "postgres/connection.h"
#include "stream/only.h"

namespace walspout {

namespace {

constexpr const char* kChanges =
    "omit, hash, mask TEXT, keep N or truncate N, with or without as NAME, or as NAME alone";

// A word as written, and without its quotes.
struct Word {
  std::string text;
  std::string plain;
};

bool is_space(char c) {
  return std::string_view(" \t\n\r\f\v").find(c) != std::string_view::npos;
}

// Splits at spaces outside of quotes. Nothing: a quote is not closed, or a word holds a comma or a
// semicolon outside of quotes.
std::optional<std::vector<Word>> words_of(std::string_view text, std::string& problem) {
  std::vector<Word> words;
  bool quoted = false, open = false;
  for (size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (!quoted && is_space(c)) {
      open = false;
      continue;
    }
    if (!quoted && (c == ',' || c == ';')) {
      problem = "holds a comma or a semicolon: put what holds them into double quotes";
      return std::nullopt;
    }
    if (!open) words.emplace_back();
    open = true;
    words.back().text += c;
    if (c != '"') {
      words.back().plain += c;
    } else if (quoted && text.substr(i + 1).starts_with('"')) {
      words.back().text += text[++i];
      words.back().plain += '"';
    } else {
      quoted = !quoted;
    }
  }
  if (!quoted) return words;
  problem = "holds a double quote that has no second one";
  return std::nullopt;
}

// Whether the character has a meaning in the option's text.
bool is_own(char c) {
  return c == ',' || c == ';' || c == ':' || is_space(c);
}

bool is_count(const std::string& text) {
  return !text.empty() && text.size() <= 9 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Fills in `change`. Returns what is wrong with the text; empty: nothing.
std::string read_change(const std::string& text, ColumnChange& change) {
  std::string problem;
  const std::optional<std::vector<Word>> words = words_of(text, problem);
  if (!words) return problem;
  size_t next = 0;
  const auto word = [&](size_t i) { return i < words->size() ? (*words)[i].text : std::string(); };
  const std::string what = word(0);
  if (what == "omit" || what == "hash") {
    change.omits = what == "omit";
    change.hashes = what == "hash";
    change.suits_key = change.hashes;
    next = 1;
  } else if (what == "mask" || what == "keep" || what == "truncate") {
    change.suits_key = false;
    if (what == "mask" && words->size() < 2) return "lacks a text behind mask, as in mask \"***\"";
    if (what != "mask" && !is_count(word(1))) {
      return "lacks a number of characters behind " + what + ", as in " + what + " 4";
    }
    next = 2;
  }
  if (word(next) == "as") {
    if (next + 1 >= words->size() || (*words)[next + 1].plain.empty()) {
      return "lacks a name behind as";
    }
    if (change.omits) return "gives a name to a column that is left out";
    change.name = (*words)[next + 1].plain;
    next += 2;
  }
  if (next == 0 || next < words->size()) return std::string("is not one of ") + kChanges;
  return "";
}

// The same pattern, with quotes around characters that have a meaning in the option's text. A quote
// ends only before a wildcard or a period, so two quotes never meet by accident.
std::string quoted_pattern(const std::string& pattern) {
  std::string text;
  bool given = false, quoted = false;  // in quotes here, and in the result
  const auto quote = [&](bool wanted) {
    if (quoted != wanted) text += '"';
    quoted = wanted;
  };
  for (size_t i = 0; i < pattern.size(); i++) {
    const char c = pattern[i];
    const bool doubled = given && c == '"' && pattern.compare(i, 2, "\"\"") == 0;
    if (c == '"' && !doubled) {
      given = !given;
      continue;
    }
    const bool sign = c == '*' || c == '?' || c == '.';
    if (sign) quote(given);
    if (given || is_own(c)) quote(true);
    text += c;
    if (doubled) text += pattern[++i];
  }
  quote(false);
  return text;
}

std::string pattern_of_column(const std::string& column) {
  return "*." + column;
}

std::string column_problem(const std::string& table, const std::string& column,
                           const std::string& change) {
  const std::string where = "\"columns\" of \"" + table + "\" ";
  if (column.empty()) return where + "has a column without a name";
  if (const std::string what = TablePattern::problem(pattern_of_column(column)); !what.empty()) {
    return where + "has a column \"" + column + "\": a double quote has no second one";
  }
  ColumnChange ignored;
  const std::string what = read_change(change, ignored);
  if (what.empty()) return "";
  return where + "has for column \"" + column + "\" a change that " + what + ": \"" + change + "\"";
}

}  // namespace

std::string column_rules_problem(const TextMaps& rules) {
  if (rules.empty()) return "\"columns\" is empty: leave the key out, or name tables";
  for (const auto& [table, columns] : rules) {
    if (const std::string what = TablePattern::problem(table); !what.empty()) {
      return "\"columns\" " + what;
    }
    if (columns.empty()) return "\"columns\" of \"" + table + "\" is empty: name columns";
    for (const auto& [column, change] : columns) {
      if (std::string what = column_problem(table, column, change); !what.empty()) return what;
    }
  }
  return "";
}

std::string constants_problem(const TextMap& constants) {
  if (constants.empty()) return "\"set\" is empty: leave the key out, or give names and values";
  for (const auto& [name, value] : constants) {
    if (name.empty()) return "\"set\" has a name that is empty";
  }
  return "";
}

std::string column_rules_option(const TextMaps& rules) {
  std::string text;
  for (const auto& [table, columns] : rules) {
    text += (text.empty() ? "" : "; ") + quoted_pattern(table);
    std::string separator = ": ";
    for (const auto& [column, change] : columns) {
      text += separator + quoted_pattern(column) + " " + change;
      separator = ", ";
    }
  }
  return text;
}

std::string constants_option(const TextMap& constants) {
  std::string text;
  for (const auto& [name, value] : constants) {
    text += (text.empty() ? "" : ",") + Connection::quote_name(name) + "=" +
            Connection::quote_name(value);
  }
  return text;
}

ColumnChange column_change(const std::string& change) {
  ColumnChange read;
  (void)read_change(change, read);
  return read;
}

bool column_matches(const std::string& pattern, const std::string& column) {
  return TablePattern(pattern_of_column(pattern)).matches("", column);
}

}  // namespace walspout
