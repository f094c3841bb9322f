#include "config/yaml.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <sstream>
#include <system_error>

#include "config/units.h"

namespace walspout {

namespace {

bool is_empty_file(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && std::filesystem::is_empty(path, error) &&
         !error;
}

// Letters that changed places are one edit.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  std::vector<size_t> above = row;
  std::vector<size_t> above_that = row;
  for (size_t i = 1; i <= a.size(); i++) {
    above_that.swap(above);
    above.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      const size_t change = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({change, above[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], above_that[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

bool is_variable(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

std::string list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

using Entries = std::vector<std::pair<YAML::Node, YAML::Node>>;

constexpr std::string_view kMerge = "<<";
constexpr size_t kMostMerged = 1'000;  // mappings: a mapping may refer to itself

bool is_word(const YAML::Node& key, std::string_view word) {
  return key.IsScalar() && key.Scalar() == word;
}

// The pairs of a mapping, and the pairs of its merge keys whose keys the mapping lacks. `left`: how
// many mappings may still be merged. Returns the place of a wrong merge key, if there is one.
std::optional<YAML::Node> collect(const YAML::Node& node, Entries& entries, size_t& left) {
  std::vector<YAML::Node> others;
  for (const auto& pair : node) {
    if (is_word(pair.first, kMerge)) {
      if (pair.second.IsSequence()) {
        for (const auto& item : pair.second) others.push_back(item);
      } else {
        others.push_back(pair.second);
      }
      continue;
    }
    const bool is_known = std::any_of(entries.begin(), entries.end(), [&](const auto& known) {
      return pair.first.IsScalar() && is_word(known.first, pair.first.Scalar());
    });
    if (!is_known) entries.emplace_back(pair.first, pair.second);
  }
  for (const YAML::Node& other : others) {
    if (!other.IsMap() || left == 0) return other;
    left--;
    if (auto wrong = collect(other, entries, left)) return wrong;
  }
  return std::nullopt;
}

// No deeper than `depth`: an alias may lead back to where it stands.
void flatten(const YAML::Node& node, const std::string& name, size_t depth, size_t& left,
             std::map<std::string, std::string>& out) {
  if (left == 0 || depth == 0) return;
  left--;
  if (node.IsSequence()) {
    out[name] = "[" + std::to_string(node.size());
    for (size_t i = 0; i < node.size(); i++) {
      flatten(node[i], name + "[" + std::to_string(i) + "]", depth - 1, left, out);
    }
  } else if (node.IsMap()) {
    if (!name.empty()) out[name] = "{";
    Entries entries;
    size_t merges = kMostMerged;
    collect(node, entries, merges);
    for (const auto& [key, value] : entries) {
      if (!key.IsScalar()) continue;
      flatten(value, name.empty() ? key.Scalar() : name + "." + key.Scalar(), depth - 1, left, out);
    }
  } else {
    out[name] = node.IsScalar() ? "=" + node.Scalar() : "";
  }
}

// Notes where the documents of a text begin.
class DocumentStarts : public YAML::EventHandler {
 public:
  // Whether the parser made a document without reading anything, and where.
  bool is_stuck() const { return is_stuck_; }
  const YAML::Mark& last() const { return last_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    is_stuck_ = mark.pos == last_.pos;
    last_ = mark;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  YAML::Mark last_ = YAML::Mark::null_mark();
  bool is_stuck_ = false;
};

}  // namespace

std::vector<YAML::Node> load_documents(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  while (parser.HandleNextDocument(starts)) {
    if (starts.is_stuck()) throw YAML::ParserException(starts.last(), "unexpected \",\"");
  }
  return YAML::LoadAll(text);
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& words) {
  std::optional<std::string> best;
  size_t least = word.size() / 2 + 1;
  for (const std::string& candidate : words) {
    size_t distance = edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

YamlMap::YamlMap(YAML::Node node, std::string what, std::vector<ConfigProblem>& problems)
    : node_(std::move(node)), what_(std::move(what)), problems_(problems) {
  if (!node_.IsMap()) {
    note(node_.Mark(), what_ + " must be a mapping of keys to values");
    is_map_ = false;
    node_.reset(YAML::Node(YAML::NodeType::Map));
    return;
  }
  entries_ = merged(node_);
  for (auto it = node_.begin(); it != node_.end(); ++it) {
    for (auto other = node_.begin(); other != it; ++other) {
      if (it->first.IsScalar() && other->first.IsScalar() &&
          it->first.Scalar() == other->first.Scalar()) {
        note(it->first.Mark(), "\"" + it->first.Scalar() + "\" is there twice");
      }
    }
  }
}

YamlMap::Entries YamlMap::merged(const YAML::Node& node) {
  Entries entries;
  size_t left = kMostMerged;
  const auto wrong = collect(node, entries, left);
  if (wrong) {
    note(wrong->Mark(), left == 0 ? "the merge key (\"<<\") leads back to its own mapping"
                                  : "a merge key (\"<<\") needs a mapping, such as *NAME, or a "
                                    "list of mappings");
  }
  return entries;
}

std::map<std::string, std::string> YamlMap::given() const {
  constexpr size_t kDepth = 16;
  constexpr size_t kMost = 100'000;  // values: aliases may multiply them
  std::map<std::string, std::string> all;
  size_t left = kMost;
  flatten(node_, "", kDepth, left, all);
  return all;
}

YAML::Node YamlMap::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  for (const auto& pair : entries_) {
    if (is_word(pair.first, key)) return pair.second;
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

bool YamlMap::has(const std::string& key) {
  return find(key).IsDefined();
}

bool YamlMap::says(const std::string& key, const std::string& word) {
  const YAML::Node node = find(key);
  return node.IsDefined() && node.IsScalar() && node.Scalar() == word;
}

bool YamlMap::is_map(const std::string& key) {
  YAML::Node value = find(key);
  return value.IsDefined() && value.IsMap();
}

// The library places an empty value at the token after it.
std::optional<YAML::Node> YamlMap::value_of(const std::string& key) {
  YAML::Node value = find(key);
  if (!value.IsDefined()) return std::nullopt;
  if (!value.IsNull()) return value;
  for (const auto& pair : entries_) {
    if (is_word(pair.first, key)) {
      note(pair.first.Mark(), "\"" + key + "\" has no value");
    }
  }
  return std::nullopt;
}

std::optional<std::string> YamlMap::scalar(const std::string& key) {
  const std::optional<YAML::Node> value = value_of(key);
  return value ? expand(*value, key) : std::nullopt;
}

std::optional<std::string> YamlMap::expand(const YAML::Node& value, const std::string& name) {
  if (!value.IsScalar()) {
    note(value.Mark(), "\"" + name + "\" must be a single value");
    return std::nullopt;
  }
  const std::string& raw = value.Scalar();
  std::string text;
  for (size_t at = 0; at < raw.size();) {
    size_t start = raw.find("${", at);
    text += raw.substr(at, start - at);
    if (start == std::string::npos) break;
    const size_t end = raw.find('}', start);
    const bool is_closed = end != std::string::npos;
    const std::string variable = is_closed ? raw.substr(start + 2, end - start - 2) : "";
    if (!is_variable(variable)) {
      note(value.Mark(), "\"${\" in \"" + name +
                             "\" must be followed by the name of a variable and \"}\", such as "
                             "${PASSWORD}");
      return std::nullopt;
    }
    const char* content = std::getenv(variable.c_str());
    if (!content) {
      note(value.Mark(), "environment variable " + variable + ", for \"" + name + "\", is not set");
      return std::nullopt;
    }
    text += content;
    at = end + 1;
  }
  if (text.find('\0') != std::string::npos) {
    note(value.Mark(), "\"" + name + "\" must not hold a NUL character");
    return std::nullopt;
  }
  return text;
}

std::optional<Secret> YamlMap::expand_secret(const YAML::Node& value, const std::string& name) {
  std::optional<std::string> text = expand(value, name);
  if (!text) return std::nullopt;
  constexpr std::string_view kFile = "file:";
  if (!text->starts_with(kFile)) return Secret(std::move(*text));
  const std::string path = text->substr(kFile.size());
  std::optional<Secret> secret = Secret::from_file(path);
  if (secret ? secret->empty() : is_empty_file(path)) {
    note(value.Mark(), "file \"" + path + "\", for \"" + name +
                           "\", is empty: write the value into it, on one line");
    return std::nullopt;
  }
  if (!secret) {
    note(value.Mark(), "could not read file \"" + path + "\", for \"" + name +
                           "\": it must be a file that this process may read");
  }
  return secret;
}

bool YamlMap::text(const std::string& key, std::string& target) {
  auto value = scalar(key);
  if (value) target = std::move(*value);
  return value.has_value();
}

bool YamlMap::text(const std::string& key, std::optional<std::string>& target) {
  auto value = scalar(key);
  if (value) target = std::move(*value);
  return value.has_value();
}

void YamlMap::secret(const std::string& key, Secret& target) {
  const std::optional<YAML::Node> value = value_of(key);
  if (!value) return;
  auto secret = expand_secret(*value, key);
  if (secret && secret->reveal().empty()) {
    note(value->Mark(), "\"" + key +
                            "\" is empty: give it a value, or set the environment variable "
                            "that it names");
  } else if (secret) {
    target = std::move(*secret);
  }
}

void YamlMap::secrets(const std::string& key, std::vector<Secret>& target) {
  const std::optional<YAML::Node> value = value_of(key);
  if (!value) return;
  target.clear();
  if (!value->IsSequence()) {
    if (auto secret = expand_secret(*value, key)) target.push_back(std::move(*secret));
    return;
  }
  for (const auto& item : *value) {
    if (auto secret = expand_secret(item, key)) target.push_back(std::move(*secret));
  }
}

void YamlMap::flag(const std::string& key, bool& target) {
  const auto value = scalar(key);
  if (!value) return;
  const auto is_one_of = [&](std::initializer_list<const char*> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](const char* word) { return strcasecmp(word, value->c_str()) == 0; });
  };
  if (is_one_of({"true", "yes", "on"})) {
    target = true;
  } else if (is_one_of({"false", "no", "off"})) {
    target = false;
  } else {
    problem(key, "\"" + key + "\" must be true or false" + not_this(key));
  }
}

void YamlMap::size(const std::string& key, uint64_t& target, uint64_t least, uint64_t most) {
  const auto value = scalar(key);
  if (!value) return;
  const auto must = [&](const std::string& what, const std::string& more = "") {
    problem(key, "\"" + key + "\" must be " + what + not_this(key) + more);
  };
  const auto bytes = parse_size(*value);
  if (value->starts_with('-')) {
    must("positive");
  } else if (!bytes) {
    const auto meant = meant_size(*value);
    must("a whole number with a unit, such as 64MiB (B, kB, MB, GB, TB)",
         meant ? "; did you mean \"" + *meant + "\"?" : "");
  } else if (*bytes < least || *bytes > most) {
    must("between " + size_text(least) + " and " + size_text(most));
  } else {
    target = *bytes;
  }
}

void YamlMap::duration(const std::string& key, Milliseconds& target) {
  const auto value = scalar(key);
  if (!value) return;
  const auto must = [&](const std::string& what) {
    problem(key, "\"" + key + "\" must be " + what + not_this(key));
  };
  const auto time = parse_duration(*value);
  if (value->starts_with('-') || (time && time->count() == 0)) {
    must("positive");
  } else if (!time) {
    must("a whole number with a unit, such as 30s (ms, s, m, h, d)");
  } else if (*time > kLongest) {
    must("at most 1000d");
  } else {
    target = *time;
  }
}

std::optional<uint64_t> YamlMap::whole_number(const std::string& key, uint64_t least,
                                              uint64_t most) {
  auto value = scalar(key);
  if (!value) return std::nullopt;
  uint64_t number = 0;
  const char* last = value->data() + value->size();
  auto [end, error] = std::from_chars(value->data(), last, number);
  if (error != std::errc() || end != last || number < least || number > most) {
    const std::string range = most == INT64_MAX
                                  ? "of at least " + std::to_string(least)
                                  : "from " + std::to_string(least) + " to " + std::to_string(most);
    problem(key, "\"" + key + "\" must be a whole number " + range + not_this(key));
    return std::nullopt;
  }
  return number;
}

void YamlMap::texts(const std::string& key, std::vector<std::string>& target) {
  texts(key, target, [](const std::string&) { return std::string(); });
}

void YamlMap::texts(const std::string& key, std::vector<std::string>& target,
                    const std::vector<std::string>& allowed) {
  texts(key, target);
  for (const std::string& text : target) {
    if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
      problem(key, "\"" + text + "\" in \"" + key + "\" is not one of " + list(allowed));
    }
  }
}

void YamlMap::texts(const std::string& key, std::vector<std::string>& target,
                    const std::function<std::string(const std::string&)>& wrong) {
  const std::optional<YAML::Node> value = value_of(key);
  if (!value) return;
  if (!value->IsSequence()) {
    note(value->Mark(), "\"" + key + "\" must be a list, such as [a, b]");
    return;
  }
  target.clear();
  for (const auto& item : *value) {
    if (item.Tag().size() > 1 && item.Tag().front() == '!') {
      note(item.Mark(), "an item of \"" + key + "\" that begins with ! must be in quotes");
      continue;
    }
    if (!item.IsScalar()) {
      note(item.Mark(), "an item of \"" + key + "\" must be a single value");
      continue;
    }
    auto text = expand(item, key);
    if (!text) continue;
    const std::string what = wrong(*text);
    if (!what.empty()) note(item.Mark(), "\"" + key + "\" " + what);
    target.push_back(std::move(*text));
  }
}

// The library does not tell an empty value from the word null. The word stands in the line of its
// key.
bool YamlMap::is_null_word(const std::string& key) {
  find(key);
  for (const auto& pair : entries_) {
    if (!is_word(pair.first, key)) continue;
    return pair.second.IsNull() && pair.second.Mark().line == pair.first.Mark().line;
  }
  return false;
}

std::optional<size_t> YamlMap::choice(const std::string& key,
                                      const std::vector<std::string>& words) {
  // YAML has a null of its own; where a word is expected, null is that word.
  std::optional<std::string> value;
  if (is_null_word(key)) {
    value = "null";
  } else {
    value = scalar(key);
  }
  if (!value) return std::nullopt;
  auto found = std::find(words.begin(), words.end(), *value);
  if (found != words.end()) return static_cast<size_t>(found - words.begin());
  auto meant = nearest(*value, words);
  problem(key, "\"" + key + "\" must be one of " + list(words) + not_this(key) +
                   (meant ? "; did you mean \"" + *meant + "\"?" : ""));
  return std::nullopt;
}

void YamlMap::map(const std::string& key, const std::function<void(YamlMap&)>& read) {
  const std::optional<YAML::Node> value = value_of(key);
  if (!value) return;
  YamlMap inner(*value, "\"" + key + "\"", problems_);
  read(inner);
  inner.finish();
}

void YamlMap::maps(const std::string& key, const std::function<void(YamlMap&)>& read) {
  const std::optional<YAML::Node> value = value_of(key);
  if (!value) return;
  if (!value->IsSequence() || value->size() == 0) {
    note(value->Mark(),
         "\"" + key + "\" must be a list" +
             (value->IsMap() ? ": begin each item with \"- \"" : " with at least one item"));
    return;
  }
  for (const auto& item : *value) {
    YamlMap inner(item, "an item of \"" + key + "\"", problems_);
    read(inner);
    inner.finish();
  }
}

void YamlMap::dictionary(const std::string& key,
                         const std::function<void(const std::string&, YAML::Node)>& read) {
  const std::optional<YAML::Node> value = value_of(key);
  if (!value) return;
  if (!value->IsMap()) {
    note(value->Mark(), "\"" + key + "\" must be a mapping of names to values");
    return;
  }
  for (const auto& pair : merged(*value)) {
    if (pair.first.IsScalar()) read(pair.first.Scalar(), pair.second);
  }
}

void YamlMap::require(const std::string& key, const std::string& other) {
  if (has(key) || !is_map_) return;
  problem(what_ + " needs \"" + key + "\"" + (other.empty() ? "" : " or \"" + other + "\""));
}

// A value without quotes, by mistake, or from a variable may hold a secret.
std::string YamlMap::not_this(const std::string& key) {
  constexpr size_t kMost = 32;
  const YAML::Node value = find(key);
  if (!value.IsDefined() || !value.IsScalar()) return "";
  const std::string& raw = value.Scalar();
  if (raw.find(": ") != std::string::npos) return ". Is a quote before it not closed?";
  if (raw.size() > kMost || raw.find("${") != std::string::npos) return "";
  return ", not \"" + raw + "\"";
}

void YamlMap::problem(const std::string& key, std::string what) {
  YAML::Node value = key.empty() ? YAML::Node(YAML::NodeType::Undefined) : find(key);
  note(value.IsDefined() ? value.Mark() : node_.Mark(), std::move(what));
}

void YamlMap::problem(std::string what) {
  note(node_.Mark(), std::move(what));
}

void YamlMap::note(const YAML::Mark& mark, std::string what) {
  problems_.push_back({mark.line + 1, mark.column + 1, std::move(what)});
}

void YamlMap::finish() {
  for (const auto& pair : entries_) {
    if (!pair.first.IsScalar()) {
      note(pair.first.Mark(), "a key must be a word");
      continue;
    }
    const std::string& key = pair.first.Scalar();
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    if (key.starts_with("x-")) continue;
    auto meant = nearest(key, known_);
    std::vector<std::string> sorted = known_;
    std::sort(sorted.begin(), sorted.end());
    note(pair.first.Mark(),
         "unknown key \"" + key + "\" in " + what_ +
             (meant ? ": did you mean \"" + *meant + "\"?" : ": known are " + list(sorted)));
  }
}

}  // namespace walspout
