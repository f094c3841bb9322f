#include "config/loader.h"

namespace walspout {
namespace {

constexpr const char* kAll = "all";
constexpr std::string_view kMessages = "message";  // the entry of logical messages

std::optional<KeyValue> templates(YamlMap& map, const Key& key) {
  Templates templates;
  if (!map.is_map(key.name)) {
    map.text(key.name, templates.fallback);
    if (!templates.fallback) return std::nullopt;
    if (templates.fallback->empty()) map.problem(key.name, "\"" + key.name + "\" is empty");
    return templates;
  }
  map.map(key.name, [&](YamlMap& inner) {
    inner.text("fallback", templates.fallback);
    inner.dictionary("tables", [&](const std::string& table, const YAML::Node& value) {
      auto text = inner.expand(value, table);
      if (!text) return;
      if (text->empty()) inner.problem("tables", "the template of \"" + table + "\" is empty");
      if (table != kMessages && table.find('.') == std::string::npos) {
        inner.problem("tables", "\"" + table +
                                    "\" is no table: write SCHEMA.TABLE, or \"message\" for "
                                    "logical messages");
      }
      templates.tables[table] = *text;
    });
    if (templates.fallback && templates.fallback->empty()) {
      inner.problem("fallback", "\"fallback\" is empty");
    }
    if (!inner.has("fallback") && !inner.has("tables")) {
      inner.problem("\"" + key.name + "\" needs \"tables\" or \"fallback\"");
    }
  });
  return templates;
}

TextList texts(YamlMap& map, const Key& key) {
  TextList list;
  // "all" is the default of an absent list.
  if (key.initial == kAll && map.says(key.name, kAll)) return list;
  if (key.item_problem) {
    map.texts(key.name, list, key.item_problem);
  } else if (!key.words.empty()) {
    map.texts(key.name, list, key.words);
  } else {
    map.texts(key.name, list);
  }
  return list;
}

TextMap text_map(YamlMap& map, const std::string& key) {
  TextMap texts;
  map.dictionary(key, [&](const std::string& name, const YAML::Node& node) {
    if (auto text = map.expand(node, name)) texts.emplace_back(name, std::move(*text));
  });
  return texts;
}

TextMaps text_maps(YamlMap& map, const std::string& key) {
  TextMaps maps;
  map.dictionary(key, [&](const std::string& name, const YAML::Node& node) {
    if (!node.IsMap()) {
      map.problem(key, "\"" + name + "\" of \"" + key + "\" must be a mapping of names to values");
      return;
    }
    TextMap& inner = maps.emplace_back(name, TextMap()).second;
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) continue;
      const std::string& inner_name = pair.first.Scalar();
      if (auto text = map.expand(pair.second, inner_name)) {
        inner.emplace_back(inner_name, std::move(*text));
      }
    }
  });
  return maps;
}

// Nothing: the key is absent, or has no value of its kind.
std::optional<KeyValue> value_of(YamlMap& map, const Key& key) {
  const size_t problems = map.problem_count();
  std::optional<KeyValue> value;
  const auto read = [&](auto fresh, auto&& how) {
    how(fresh);
    value = std::move(fresh);
  };
  switch (key.kind) {
    case KeyKind::kText:
      read(std::string(), [&](std::string& text) { map.text(key.name, text); });
      break;
    case KeyKind::kSecret:
      read(Secret(), [&](Secret& secret) { map.secret(key.name, secret); });
      break;
    case KeyKind::kSecrets:
      read(SecretList(), [&](SecretList& secrets) { map.secrets(key.name, secrets); });
      break;
    case KeyKind::kFlag:
      read(false, [&](bool& flag) { map.flag(key.name, flag); });
      break;
    case KeyKind::kNumber:
      read(uint64_t{0},
           [&](uint64_t& number) { map.number(key.name, number, key.least, key.most); });
      break;
    case KeyKind::kSize:
      read(uint64_t{0}, [&](uint64_t& bytes) { map.size(key.name, bytes, key.least, key.most); });
      break;
    case KeyKind::kDuration:
      read(Milliseconds(), [&](Milliseconds& time) { map.duration(key.name, time); });
      break;
    case KeyKind::kChoice:
      if (auto chosen = map.choice(key.name, key.words)) value = uint64_t{*chosen};
      break;
    case KeyKind::kTexts:
      value = texts(map, key);
      break;
    case KeyKind::kSecretMap:
      read(SecretMap(), [&](SecretMap& secrets) {
        map.dictionary(key.name, [&](const std::string& name, const YAML::Node& node) {
          if (auto secret = map.expand_secret(node, name)) secrets.emplace_back(name, *secret);
        });
      });
      break;
    case KeyKind::kTextMap:
      value = text_map(map, key.name);
      break;
    case KeyKind::kTextMaps:
      value = text_maps(map, key.name);
      break;
    case KeyKind::kTemplates:
      value = templates(map, key);
      break;
    case KeyKind::kSection:
    case KeyKind::kSections:
      break;
  }
  const auto* list = value ? std::get_if<SecretList>(&*value) : nullptr;
  if (list && list->empty() && map.problem_count() == problems) {
    map.problem(key.name,
                "\"" + key.name + "\" is an empty list: leave the key out, or give a value");
  }
  const auto* text = value ? std::get_if<std::string>(&*value) : nullptr;
  if (key.required && text && text->empty() && map.problem_count() == problems) {
    map.problem(key.name, "\"" + key.name + "\" is empty");
  }
  return map.problem_count() == problems ? std::move(value) : std::nullopt;
}

}  // namespace

std::set<std::string> load(YamlMap& map, const Section& section, void* target) {
  std::set<std::string> good;
  for (const Key& key : section.keys) {
    if (!key.unless.empty() && map.has(key.unless)) {
      if (map.has(key.name)) {
        map.problem(key.name, "\"" + key.name + "\" cannot go with \"" + key.unless +
                                  "\": take one of them out");
      }
      continue;
    }
    if (key.required) map.require(key.name, key.unless);
    if (!map.has(key.name) || (key.kind == KeyKind::kSections && !key.inner)) continue;
    const auto inside = [&](YamlMap& inner) { load(inner, *key.section, key.inner(target)); };
    if (key.kind == KeyKind::kSection) {
      map.map(key.name, inside);
      good.insert(key.name);
    } else if (key.kind == KeyKind::kSections) {
      map.maps(key.name, inside);
      good.insert(key.name);
    } else if (std::optional<KeyValue> value = value_of(map, key)) {
      key.set(target, *value);
      good.insert(key.name);
    }
  }
  const Section::Has has = [&good](const std::string& key) { return good.contains(key); };
  for (const Section::Rule& rule : section.rules) report(map, rule(target, has));
  return good;
}

void report(YamlMap& map, const std::optional<KeyProblem>& problem) {
  if (problem)
    map.problem(problem->key,
                problem->what + (problem->shows_value ? map.not_this(problem->key) : ""));
}

void accept_keys(YamlMap& map, const Section& section) {
  for (const Key& key : section.keys) map.has(key.name);
}

}  // namespace walspout
