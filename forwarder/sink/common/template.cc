#include "sink/common/template.h"

#include <algorithm>
#include <utility>

namespace walspout {

namespace {

constexpr std::string_view kMessages = "message";  // their key in the map

}  // namespace

Result<Template> Template::parse(std::string_view text, const Origin& origin,
                                 std::string_view escape) {
  Template made;
  for (const char c : escape) made.escaped_.set(static_cast<unsigned char>(c));
  const auto bad = [&](const std::string& why) {
    return fatal("the template \"" + std::string(text) + "\" " + why);
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      made.add_text(text.substr(i, 1));
      ++i;
      continue;
    }
    if (c == '}') return bad("has a } without a {; }} stands for a brace");
    if (c != '{') {
      made.add_text(text.substr(i, 1));
      continue;
    }
    const size_t close = text.find('}', i);
    if (close == std::string_view::npos) return bad("has a { without a }; {{ stands for a brace");
    const std::string_view name = text.substr(i + 1, close - i - 1);
    i = close;
    std::string known;
    if (name == "schema") {
      made.parts_.push_back({Part::Kind::kSchema, ""});
    } else if (name == "table") {
      made.parts_.push_back({Part::Kind::kTable, ""});
    } else if (name == "op") {
      made.parts_.push_back({Part::Kind::kOp, ""});
    } else if (name == "key") {
      made.parts_.push_back({Part::Kind::kKey, ""});
    } else if (name == "database" || name == "pipeline") {
      made.append_name(name == "database" ? origin.database : origin.pipeline, known);
      made.add_text(known);
    } else {
      return bad("names {" + std::string(name) +
                 "}; there are {schema}, {table}, {op}, {key}, {database} and {pipeline}");
    }
  }
  return made;
}

void Template::add_text(std::string_view text) {
  if (text.empty()) return;
  if (parts_.empty() || !parts_.back().is_text()) parts_.push_back({Part::Kind::kText, ""});
  parts_.back().text += text;
}

void Template::append_name(std::string_view name, std::string& out) const {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (escaped_[byte]) {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
}

void Template::append(const Event& event, std::string& out) const {
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Part::Kind::kText:
        out += part.text;
        break;
      case Part::Kind::kSchema:
        append_name(event.schema(), out);
        break;
      case Part::Kind::kTable:
        append_name(event.table_name(), out);
        break;
      case Part::Kind::kOp:
        out += event.op;
        break;
      case Part::Kind::kKey:
        append_name(event.key(), out);
        break;
    }
  }
}

std::string Template::pattern(std::string_view any) const {
  std::string made;
  for (const Part& part : parts_) made += part.is_text() ? std::string_view(part.text) : any;
  return made;
}

Template Template::of_table(std::string_view schema, std::string_view table) const {
  Template made;
  made.escaped_ = escaped_;
  for (const Part& part : parts_) {
    std::string known;
    switch (part.kind) {
      case Part::Kind::kText:
        known = part.text;
        break;
      case Part::Kind::kSchema:
        append_name(schema, known);
        break;
      case Part::Kind::kTable:
        append_name(table, known);
        break;
      case Part::Kind::kOp:
      case Part::Kind::kKey:
        made.parts_.push_back(part);
        break;
    }
    made.add_text(known);
  }
  return made;
}

bool Template::has_key() const {
  return std::any_of(parts_.begin(), parts_.end(),
                     [](const Part& part) { return part.kind == Part::Kind::kKey; });
}

std::string Template::key(const Event& event) const {
  std::string made;
  if (has_key()) append_name(event.key(), made);
  return made;
}

// Looks for a name that two templates can make: walks both at once, from their beginnings.
class Template::Meeting {
 public:
  Meeting(const Template& a, const Template& b)
      : a_(steps_of(a)), b_(steps_of(b)), dead_((a_.size() + 1) * (b_.size() + 1), false) {}

  bool meet() { return meet(0, 0); }
  std::string name() const { return {found_.rbegin(), found_.rend()}; }

 private:
  // One place of a name: one character out of a set, or, for a placeholder, any characters.
  struct Step {
    enum class Kind { kOne, kOp, kAny } kind;
    char one = 0;
    std::bitset<256> escaped{};

    bool takes(char c) const {
      if (kind == Kind::kOne) return c == one;
      if (kind == Kind::kOp) return kOps.find(c) != std::string_view::npos;
      return c == '%' || !escaped[static_cast<unsigned char>(c)];
    }
  };

  static std::vector<Step> steps_of(const Template& made) {
    std::vector<Step> steps;
    for (const Part& part : made.parts_) {
      if (part.kind == Part::Kind::kOp) {
        steps.push_back({Step::Kind::kOp});
      } else if (!part.is_text()) {
        steps.push_back({Step::Kind::kAny, 0, made.escaped_});
      }
      for (const char c : part.text) steps.push_back({Step::Kind::kOne, c});
    }
    return steps;
  }

  // Whether a from step i on and b from step j on can make the same name.
  bool meet(size_t i, size_t j) {
    if (i == a_.size() && j == b_.size()) return true;
    const size_t place = i * (b_.size() + 1) + j;
    if (dead_[place]) return false;
    const bool any_a = i < a_.size() && a_[i].kind == Step::Kind::kAny;
    const bool any_b = j < b_.size() && b_[j].kind == Step::Kind::kAny;
    if (any_a && meet(i + 1, j)) return true;
    if (any_b && meet(i, j + 1)) return true;
    // A character that both accept; a placeholder may accept more after it.
    if (i < a_.size() && j < b_.size() && !(any_a && any_b)) {
      const bool from_a = any_b || (!any_a && a_[i].kind == Step::Kind::kOne);
      for (const char c : letters(from_a ? a_[i] : b_[j])) {
        if (!a_[i].takes(c) || !b_[j].takes(c)) continue;
        if (!meet(any_a ? i : i + 1, any_b ? j : j + 1)) continue;
        found_ += c;
        return true;
      }
    }
    dead_[place] = true;
    return false;
  }

  static std::string_view letters(const Step& step) {
    return step.kind == Step::Kind::kOp ? kOps : std::string_view(&step.one, 1);
  }

  const std::vector<Step> a_;
  const std::vector<Step> b_;
  std::vector<bool> dead_;  // places from which no name is possible
  std::string found_;       // backwards
};

std::optional<std::string> Template::common_name(const Template& a, const Template& b) {
  Meeting meeting(a, b);
  if (!meeting.meet()) return std::nullopt;
  return meeting.name();
}

Result<Template> Router::parse(const std::string& text, const Route& route) {
  auto made = Template::parse(text, route.origin, route.escape);
  if (!made || route.no_key.empty() || !made->has_key()) return made;
  return fatal("the template \"" + text + "\" names {key}, " + route.no_key);
}

Result<Router> Router::create(const Route& config) {
  Router router;
  router.unmapped_ = config.unmapped;
  for (const auto& [table, text] : config.tables) {
    auto made = parse(text, config);
    if (!made) return tl::unexpected(made.error());
    router.tables_.emplace(table, std::move(*made));
  }
  if (config.fallback) {
    auto made = parse(*config.fallback, config);
    if (!made) return tl::unexpected(made.error());
    router.fallback_ = std::move(*made);
  }
  if (config.schemas) {
    auto made = parse(*config.schemas, config);
    if (!made) return with_prefix("schemas_to", made.error());
    router.schemas_ = std::move(*made);
  }
  return router;
}

bool Router::has_key() const {
  return (fallback_ && fallback_->has_key()) ||
         std::any_of(tables_.begin(), tables_.end(),
                     [](const auto& mapped) { return mapped.second.has_key(); });
}

std::string Router::key(const Event& event) const {
  std::string name;
  const Template* found = find(event, name);
  return found == nullptr ? "" : found->key(event);
}

std::vector<std::string> Router::fixed_names() const {
  std::vector<std::string> names;
  const auto add = [&](const Template& pattern) {
    if (!pattern.fixed()) return;
    names.emplace_back();
    pattern.append(Event{}, names.back());
  };
  for (const auto& [table, pattern] : tables_) add(pattern);
  if (fallback_) add(*fallback_);
  if (schemas_) add(*schemas_);
  return names;
}

// With each table's template restricted to that table.
std::vector<Template> Router::templates_of_events() const {
  std::vector<Template> all;
  for (const auto& [table, pattern] : tables_) {
    if (table == kMessages) {
      all.push_back(pattern.of_table("", ""));
      continue;
    }
    // "a.b.c" may be table b.c of schema a, or c of a.b.
    for (size_t dot = table.find('.'); dot != std::string::npos; dot = table.find('.', dot + 1)) {
      all.push_back(pattern.of_table(std::string_view(table).substr(0, dot),
                                     std::string_view(table).substr(dot + 1)));
    }
  }
  if (fallback_) all.push_back(*fallback_);
  return all;
}

std::vector<Template> Router::templates() const {
  std::vector<Template> all = templates_of_events();
  if (schemas_) all.push_back(*schemas_);
  return all;
}

std::optional<std::string> Router::name_of_both() const {
  if (!schemas_) return std::nullopt;
  for (const Template& one : templates_of_events()) {
    if (auto name = Template::common_name(one, *schemas_)) return name;
  }
  return std::nullopt;
}

std::vector<std::string> Router::patterns(std::string_view any) const {
  std::vector<std::string> all;
  for (const Template& one : templates()) all.push_back(one.pattern(any));
  return all;
}

std::optional<std::string> Router::common_name(const Router& a, const Router& b) {
  for (const Template& one : a.templates()) {
    for (const Template& other : b.templates()) {
      if (auto name = Template::common_name(one, other)) return name;
    }
  }
  return std::nullopt;
}

const Template* Router::find(const Event& event, std::string& key) const {
  if (event.is_schema() && schemas_) return &*schemas_;
  if (event.table == nullptr) {
    key = kMessages;
  } else {
    key = event.schema();
    key += '.';
    key += event.table_name();
  }
  const auto mapped = tables_.find(key);
  if (mapped != tables_.end()) return &mapped->second;
  return fallback_ ? &*fallback_ : nullptr;
}

Result<bool> Router::route(const Event& event, std::string& name) const {
  name.clear();
  const Template* found = find(event, name);
  if (found != nullptr) {
    name.clear();
    found->append(event, name);
    return true;
  }
  if (unmapped_ == Unmapped::kDrop) return false;
  const std::string what =
      event.table == nullptr ? "logical messages are" : "table " + name + " is";
  return reject(what + " mapped nowhere: add \"" + name +
                "\" to the sink's tables, give a fallback, or set unmapped: drop");
}

}  // namespace walspout
