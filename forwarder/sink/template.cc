#include "sink/template.h"

#include <utility>

namespace walspout {

namespace {

constexpr std::string_view kMessages = "message";  // their key in the map

}  // namespace

Result<Template> Template::parse(std::string_view text) {
  Template made;
  std::string literal;
  const auto bad = [&](const std::string& why) {
    return fatal("the template \"" + std::string(text) + "\" " + why);
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      literal += c;
      ++i;
      continue;
    }
    if (c == '}') return bad("has a } without a {; }} stands for a brace");
    if (c != '{') {
      literal += c;
      continue;
    }
    const size_t close = text.find('}', i);
    if (close == std::string_view::npos) return bad("has a { without a }; {{ stands for a brace");
    const std::string_view name = text.substr(i + 1, close - i - 1);
    Part::Kind kind = Part::Kind::kOp;
    if (name == "schema") {
      kind = Part::Kind::kSchema;
    } else if (name == "table") {
      kind = Part::Kind::kTable;
    } else if (name != "op") {
      return bad("names {" + std::string(name) + "}; there are {schema}, {table} and {op}");
    }
    if (!literal.empty()) made.parts_.push_back({Part::Kind::kText, std::exchange(literal, "")});
    made.parts_.push_back({kind, ""});
    i = close;
  }
  if (!literal.empty()) made.parts_.push_back({Part::Kind::kText, std::move(literal)});
  return made;
}

void Template::append(const Event& event, std::string& out) const {
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Part::Kind::kText:
        out += part.text;
        break;
      case Part::Kind::kSchema:
        out += event.schema();
        break;
      case Part::Kind::kTable:
        out += event.table_name();
        break;
      case Part::Kind::kOp:
        out += event.op;
        break;
    }
  }
}

Result<Router> Router::create(const Route& config) {
  Router router;
  router.unmapped_ = config.unmapped;
  for (const auto& [table, text] : config.tables) {
    auto made = Template::parse(text);
    if (!made) return tl::unexpected(made.error());
    router.tables_.emplace(table, std::move(*made));
  }
  if (config.fallback) {
    auto made = Template::parse(*config.fallback);
    if (!made) return tl::unexpected(made.error());
    router.fallback_ = std::move(*made);
  }
  return router;
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
  return names;
}

const Template* Router::find(const Event& event, std::string& key) const {
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
