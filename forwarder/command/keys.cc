// Prints the tables of keys: for people, for programs, and as a JSON Schema for editors.

#include <cstdio>
#include <string>
#include <vector>

#include "base/json.h"
#include "command/commands.h"
#include "config/keys.h"
#include "sink/sinks.h"

namespace walspout {
namespace {

// A section under its name in the documentation, and its keys.
struct Named {
  std::string name;  // "" is the file itself
  std::string help;
  const Section* section;
};

std::vector<Named> sections() {
  std::vector<Named> list{{"", "the file itself", &root_keys()},
                          {"pipeline", "an item of pipelines", &pipeline_keys()}};
  for (const Key& key : pipeline_keys().keys) {
    if (key.name == "source") list.push_back({"source", key.help, key.section.get()});
  }
  list.push_back({"sink", "every sink", &sink_keys()});
  for (const SinkType& type : sink_types()) list.push_back({type.name, type.help, &type.keys});
  return list;
}

const char* kind_name(KeyKind kind) {
  switch (kind) {
    case KeyKind::kText:
      return "text";
    case KeyKind::kSecret:
      return "secret";
    case KeyKind::kSecrets:
      return "secret or list of secrets";
    case KeyKind::kFlag:
      return "true or false";
    case KeyKind::kNumber:
      return "number";
    case KeyKind::kSize:
      return "size";
    case KeyKind::kDuration:
      return "duration";
    case KeyKind::kChoice:
      return "word";
    case KeyKind::kTexts:
      return "list";
    case KeyKind::kSecretMap:
      return "mapping of names to secrets";
    case KeyKind::kTextMap:
      return "mapping of names to texts";
    case KeyKind::kTextMaps:
      return "mapping of names to such mappings";
    case KeyKind::kTemplates:
      return "template, or templates by table";
    case KeyKind::kSection:
      return "mapping";
    case KeyKind::kSections:
      return "list of mappings";
  }
  return "";
}

bool is_secret(KeyKind kind) {
  return kind == KeyKind::kSecret || kind == KeyKind::kSecrets || kind == KeyKind::kSecretMap;
}

// Calls `each` with the full name of each key that takes a value, those of inner sections included.
template <typename Each>
void walk(const std::string& prefix, const Section& section, const Each& each) {
  for (const Key& key : section.keys) {
    const std::string name = prefix.empty() ? key.name : prefix + "." + key.name;
    if (key.kind == KeyKind::kSections && !key.inner) continue;
    if (prefix == "pipeline" && key.name == "source") continue;
    if (key.kind == KeyKind::kSection || key.kind == KeyKind::kSections) {
      walk(name, *key.section, each);
    } else {
      each(name, key);
    }
  }
}

std::string member(const std::string& name, const std::string& value) {
  std::string out;
  append_json(out, name);
  out += ':';
  append_json(out, value);
  return out;
}

std::string list_of(const TextList& words) {
  std::string out;
  for (const std::string& word : words) {
    out += out.empty() ? "" : ",";
    append_json(out, word);
  }
  return out;
}

void print_json() {
  std::string out = "[";
  for (const Named& named : sections()) {
    walk(named.name, *named.section, [&](const std::string& name, const Key& key) {
      out += (out.size() > 1 ? ",\n " : "") + ("{" + member("key", name)) + "," +
             member("takes", kind_name(key.kind)) + "," + member("default", key.initial) +
             ",\"required\":" + (key.required ? "true" : "false") + "," +
             member("unless", key.unless) +
             ",\"secret\":" + (is_secret(key.kind) ? "true" : "false") + "," +
             member("help", key.help) + ",\"words\":[" + list_of(key.words) + "]}";
    });
  }
  std::printf("%s]\n", out.c_str());
}

void print_text() {
  for (const Named& named : sections()) {
    std::printf("%s%s%s\n", named.name.c_str(), named.name.empty() ? "" : ": ", named.help.c_str());
    walk(named.name, *named.section, [](const std::string& name, const Key& key) {
      std::string what = key.required ? "required" : key.initial;
      if (key.required && !key.unless.empty()) what += " unless " + key.unless;
      std::printf("  %-28s %-28s %s\n", name.c_str(), what.c_str(), key.help.c_str());
    });
  }
}

// JSON Schema -----------------------------------------------------------------------------------

std::string schema_of(const Section& section, const std::string& more = "");

// A text needs no quotes, even if YAML reads it as a number.
constexpr const char* kScalar = R"("type":["string","number","boolean"])";

// ${NAME} may stand for any value.
std::string or_variable(const std::string& schema) {
  return R"("anyOf":[{)" + schema + R"(},{"type":"string","pattern":"\\$\\{"}])";
}

std::string words_of(const Key& key) {
  return "\"enum\":[" + list_of(key.words) + "]";
}

std::string sinks_schema() {
  std::string any;
  for (const SinkType& type : sink_types()) {
    Section all = sink_keys();
    all.keys.insert(all.keys.end(), type.keys.keys.begin(), type.keys.keys.end());
    std::string about = "\"type\":{\"const\":";
    append_json(about, type.name);
    about += ",";
    about += member("description", type.help) + "},";
    any += (any.empty() ? "" : ",") + schema_of(all, about);
  }
  return R"("type":"array","minItems":1,"items":{"type":"object","required":["type"],"oneOf":[)" +
         any + "]}";
}

std::string value_schema(const Key& key) {
  switch (key.kind) {
    case KeyKind::kText:
    case KeyKind::kSecret:
      return kScalar;
    case KeyKind::kSecrets:
      return R"("anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}])";
    case KeyKind::kFlag:
      return or_variable(R"("type":"boolean")");
    case KeyKind::kNumber:
      return or_variable(R"("type":"integer","minimum":)" + std::to_string(key.least) +
                         ",\"maximum\":" + std::to_string(key.most));
    case KeyKind::kSize:
      return or_variable(R"("type":"string","pattern":"^[0-9]+ ?(B|[kK]B|[MG]B|[KMG]iB)$")");
    case KeyKind::kDuration:
      return or_variable(R"("type":"string","pattern":"^[0-9]+ ?(ms|s|m|min|h|d)$")");
    case KeyKind::kChoice:
      return or_variable(words_of(key));
    case KeyKind::kTexts: {
      const std::string list =
          R"("type":"array","items":{)" +
          (key.words.empty() ? std::string(kScalar) : or_variable(words_of(key))) + "}";
      // The loader takes the word, too.
      if (key.initial == "all") return R"("anyOf":[{"const":"all"},{)" + list + "}]";
      return list;
    }
    case KeyKind::kSecretMap:
      return R"("type":"object","additionalProperties":{"type":["string","number","boolean"]})";
    case KeyKind::kTextMap:
      return R"("type":"object","additionalProperties":{"type":["string","number","boolean"]})";
    case KeyKind::kTextMaps:
      return R"("type":"object","minProperties":1,"additionalProperties":{"type":"object",)"
             R"("minProperties":1,"additionalProperties":{"type":"string"}})";
    case KeyKind::kTemplates:
      return R"("anyOf":[{"type":"string"},{"type":"object","additionalProperties":false,)"
             R"("minProperties":1,"properties":{"fallback":{"type":"string"},)"
             R"("tables":{"type":"object","additionalProperties":{"type":"string"}}}}])";
    case KeyKind::kSection:
      return schema_of(*key.section).substr(1, schema_of(*key.section).size() - 2);
    case KeyKind::kSections:
      if (key.name == "sinks") return sinks_schema();
      return R"("type":"array","minItems":1,"items":)" + schema_of(*key.section);
  }
  return "";
}

// The loader has resolved merge keys; editors have not.
constexpr std::string_view kObject =
    R"({"type":"object","additionalProperties":false,"patternProperties":{"^x-":{},)"
    R"("^<<$":{"type":["object","array"]}},"properties":{)";

// `more`: properties in front of the table's.
std::string schema_of(const Section& section, const std::string& more) {
  std::string properties, required, either, other;
  for (const Key& key : section.keys) {
    properties += properties.empty() ? "" : ",";
    append_json(properties, key.name);
    std::string help = key.help;
    if (!key.initial.empty()) help += ". Default: " + key.initial;
    properties += ":{" + member("description", help) + "," + value_schema(key) + "}";
    if (!key.required) continue;
    std::string& list = key.unless.empty() ? required : either;
    list += list.empty() ? "" : ",";
    append_json(list, key.name);
    other = key.unless;
  }
  if (properties.empty() && !more.empty())
    return std::string(kObject) + more.substr(0, more.size() - 1) + "}}";
  return std::string(kObject) + more + properties + "}" +
         (required.empty() ? "" : ",\"required\":[" + required + "]") +
         (either.empty() ? ""
                         : R"(,"oneOf":[{"required":[)" + either + R"(]},{"required":[)" +
                               list_of({other}) + "]}]") +
         "}";
}

}  // namespace

int keys_command(bool json) {
  json ? print_json() : print_text();
  return kClean;
}

int schema_command() {
  const std::string schema = schema_of(root_keys());
  std::printf(R"({"$schema":"https://json-schema.org/draft/2020-12/schema",)"
              R"("title":"Configuration of walspout",%s)"
              "\n",
              schema.substr(1).c_str());
  return kClean;
}

}  // namespace walspout
