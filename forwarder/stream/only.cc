#include "stream/only.h"

#include <algorithm>

namespace walspout {

namespace {

constexpr size_t kMostKnown = 4096;  // tables with a remembered decision

constexpr size_t kMostSchemas = 65'536;  // remembered schemas

// Signs of a pattern that stand for no single byte.
constexpr char16_t kStar = 0x100;      // any characters
constexpr char16_t kQuestion = 0x101;  // one character
constexpr char16_t kDot = 0x102;       // between schema and table, or one of a name

// The number of bytes of the UTF-8 character at `at`.
size_t character(std::string_view text, size_t at) {
  size_t size = 1;
  while (at + size < text.size() && (static_cast<unsigned char>(text[at + size]) & 0xc0) == 0x80) {
    size++;
  }
  return size;
}

}  // namespace

bool TablePattern::is_like(std::string_view text, std::u16string_view signs) {
  size_t at = 0, in = 0;                    // in the text; in the pattern
  size_t star = std::u16string_view::npos;  // the last star passed
  size_t resume = 0;                        // where the text continues after that star's match
  const auto byte = [](char16_t sign) { return sign == kDot ? u'.' : sign; };
  while (at < text.size()) {
    if (in < signs.size() && signs[in] == kStar) {
      star = in++;
      resume = at;
    } else if (in < signs.size() && signs[in] == kQuestion) {
      in++;
      at += character(text, at);
    } else if (in < signs.size() && byte(signs[in]) == static_cast<unsigned char>(text[at])) {
      in++;
      at++;
    } else if (star != std::u16string_view::npos) {
      in = star + 1;
      at = resume += character(text, resume);
    } else {
      return false;
    }
  }
  return signs.find_first_not_of(kStar, in) == std::u16string_view::npos;
}

std::string TablePattern::like(std::u16string_view signs) {
  std::string text;
  for (const char16_t sign : signs) {
    if (sign == kStar) {
      text += '%';
    } else if (sign == kQuestion) {
      text += '_';
    } else if (sign == kDot) {
      text += '.';
    } else {
      if (sign == u'%' || sign == u'_' || sign == u'\\') text += '\\';
      text += static_cast<char>(sign);
    }
  }
  return text;
}

TablePattern::Signs TablePattern::read(std::string_view text, bool& closed) {
  Signs signs;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (c == '"' && quoted && text.substr(i + 1).starts_with('"')) {
      signs += u'"';
      i++;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (quoted) {
      signs += static_cast<unsigned char>(c);
    } else {
      signs += c == '*'   ? kStar
               : c == '?' ? kQuestion
               : c == '.' ? kDot
                          : static_cast<char16_t>(static_cast<unsigned char>(c));
    }
  }
  closed = !quoted;
  return signs;
}

TablePattern::TablePattern(std::string_view text) : excludes_(text.starts_with('!')) {
  signs_ = read(text.substr(excludes_ ? 1 : 0), closed_);
}

std::vector<size_t> TablePattern::dots() const {
  std::vector<size_t> all;
  for (size_t i = 0; i < signs_.size(); i++) {
    if (signs_[i] == kDot) all.push_back(i);
  }
  return all;
}

std::string TablePattern::problem(const std::string& text) {
  const TablePattern pattern(text);
  const std::string not_this = ", not \"" + text + "\"";
  const std::string advice =
      "must hold patterns such as public.orders, public.* or "
      "\"!public.audit_*\"" +
      not_this;
  if (text.empty()) {
    return "has an empty pattern. Put a pattern that begins with ! or * in quotes";
  }
  if (!pattern.closed_) return advice + ": a double quote has no second one";
  const std::vector<size_t> dots = pattern.dots();
  if (dots.empty()) return advice + ": the schema and a dot are missing";
  // With several dots, at least one possible split has a schema and a table.
  const size_t size = pattern.signs_.size();
  if (size < 3 || dots.back() == 0 || dots.front() == size - 1) {
    return advice + ": " + (dots.front() == 0 ? "the schema" : "the table") + " is missing";
  }
  return "";
}

// "a.b.c" may be table b.c of schema a, or c of a.b.
bool TablePattern::matches(std::string_view schema, std::string_view table) const {
  const std::u16string_view signs = signs_;
  for (const size_t dot : dots()) {
    if (is_like(schema, signs.substr(0, dot)) && is_like(table, signs.substr(dot + 1))) return true;
  }
  return false;
}

std::vector<TablePattern::Like> TablePattern::likes() const {
  const std::u16string_view signs = signs_;
  std::vector<Like> all;
  for (const size_t dot : dots()) {
    all.push_back({like(signs.substr(0, dot)), like(signs.substr(dot + 1))});
  }
  return all;
}

Only::Only(const OnlyConfig& config) : schemas_once_(config.schemas_once) {
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

void Only::remember(uint64_t fingerprint) {
  if (schemas_.size() >= kMostSchemas) schemas_.clear();
  schemas_.insert(fingerprint);
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
