#include "stream/only.h"

#include <algorithm>

namespace walspout {

namespace {

constexpr size_t kMostKnown = 4096;  // tables whose decision is remembered

// Whether `text` is what a pattern with stars describes.
bool is_like(std::string_view text, std::string_view pattern) {
  size_t at = 0, in = 0;                 // in the text, in the pattern
  size_t star = std::string_view::npos;  // the last star passed
  size_t resume = 0;                     // where the text goes on behind what that star took
  while (at < text.size()) {
    if (in < pattern.size() && pattern[in] == '*') {
      star = in++;
      resume = at;
    } else if (in < pattern.size() && pattern[in] == text[at]) {
      in++;
      at++;
    } else if (star != std::string_view::npos) {
      in = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in) == std::string_view::npos;
}

}  // namespace

TablePattern::TablePattern(std::string_view text) : excludes_(text.starts_with('!')) {
  text_ = text.substr(excludes_ ? 1 : 0);
}

std::string TablePattern::problem(const std::string& text) {
  const TablePattern pattern(text);
  const std::string& name = pattern.text_;
  const std::string not_this = ", not \"" + text + "\"";
  const std::string advice =
      "must hold patterns such as public.orders, public.* or "
      "\"!public.audit_*\"" +
      not_this;
  if (text.empty()) {
    return "has an empty pattern. Put a pattern that begins with ! or * in quotes";
  }
  if (name.find('.') == std::string::npos) {
    return advice + ": the schema and a dot are missing";
  }
  // With several dots, one of the schemas or tables that the text may mean has a name.
  if (name.size() < 3 || name.find('.', 1) == std::string::npos ||
      name.rfind('.', name.size() - 2) == std::string::npos) {
    return advice + ": " + (name.front() == '.' ? "the schema" : "the table") + " is missing";
  }
  return "";
}

// "a.b.c" may be table b.c of schema a, or c of a.b.
bool TablePattern::matches(std::string_view schema, std::string_view table) const {
  const std::string_view text = text_;
  for (size_t dot = text.find('.'); dot != text.npos; dot = text.find('.', dot + 1)) {
    if (is_like(schema, text.substr(0, dot)) && is_like(table, text.substr(dot + 1))) return true;
  }
  return false;
}

Only::Only(const OnlyConfig& config) {
  ops_.fill(config.ops.empty());
  for (const std::string& op : config.ops) ops_[static_cast<unsigned char>(op.front())] = true;
  for (const std::string& pattern : config.tables) patterns_.emplace_back(pattern);
}

bool Only::wants_table(const Table* table) const {
  if (patterns_.empty() || table == nullptr) return true;
  const auto last = std::find_if(patterns_.rbegin(), patterns_.rend(), [&](const auto& pattern) {
    return pattern.matches(table->schema, table->name);
  });
  return last == patterns_.rend() ? patterns_.front().excludes() : !last->excludes();
}

void Only::look_up(const Table* table, const Chunk& chunk) {
  auto known = known_.find(table);
  if (known != known_.end()) {
    last_ = table;
    last_wanted_ = known->second.wanted;
    return;
  }
  last_wanted_ = wants_table(table);
  last_ = nullptr;
  const auto kept = std::find_if(chunk.tables.begin(), chunk.tables.end(),
                                 [&](const auto& each) { return each.get() == table; });
  if (kept == chunk.tables.end()) return;
  if (known_.size() >= kMostKnown) known_.clear();
  known_.emplace(table, Decision{*kept, last_wanted_});
  last_ = table;
}

}  // namespace walspout
