#include "source/options.h"

#include "postgres/connection.h"
#include "source/columns.h"
#include "source/frames.h"

namespace walspout {

namespace {

// A list in the syntax of the plugin's options. Quotes keep commas within an item.
std::string join_quoted(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    if (!list.empty()) list += ',';
    list += Connection::quote_name(name);
  }
  return list;
}

std::string join(const std::vector<std::string>& parts) {
  std::string list;
  for (const std::string& part : parts) {
    if (!list.empty()) list += ',';
    list += part;
  }
  return list;
}

}  // namespace

std::vector<PluginOption> plugin_options(const SourceConfig& config) {
  std::vector<PluginOption> options = {
      {"format", "frames"},
      {"proto_version", std::to_string(kFramesVersion)},
      {"batch_bytes", std::to_string(config.batch_bytes) + "B"},
  };
  auto option = [&](const char* name, std::string value) { options.push_back({name, value}); };
  if (!config.publications.empty()) option("publications", join_quoted(config.publications));
  if (!config.messages) option("messages", "false");
  if (!config.message_prefixes.empty()) {
    option("message_prefixes", join_quoted(config.message_prefixes));
  }
  if (config.origin != "any") option("origin", config.origin);
  if (!config.omit.empty()) option("omit", join(config.omit));
  if (config.max_value_bytes) {
    option("max_value_bytes", std::to_string(config.max_value_bytes) + "B");
  }
  if (config.max_depth != SourceConfig::kDefaultDepth) {
    option("max_depth", std::to_string(config.max_depth));
  }
  if (config.numbers != "json") option("numbers", config.numbers);
  if (config.user_casts) option("user_casts", "true");
  if (!config.has_envelope()) option("dialect", config.dialect);
  for (const auto& [name, value] : config.dialect_options) option(name.c_str(), value);
  if (!config.columns.empty()) option("columns", column_rules_option(config.columns));
  if (!config.set.empty()) option("set", constants_option(config.set));
  if (config.transactions) option("transactions", "true");
  if (config.schemas) option("schemas", "true");
  if (config.schema_format != "walspout") option("schema_format", config.schema_format);
  return options;
}

Secret rendering_dsn(const SourceConfig& config) {
  if (config.hash_key.empty()) return config.dsn;
  return Connection::with_setting(config.dsn, "walspout.hash_key", config.hash_key);
}

std::string start_replication(const SourceConfig& config, Lsn from) {
  std::string statement = "START_REPLICATION SLOT " + Connection::quote_name(config.slot) +
                          " LOGICAL " + to_string(from) + " (";
  for (const PluginOption& option : plugin_options(config)) {
    if (statement.back() != '(') statement += ", ";
    statement += Connection::quote_name(option.name) + " " + Connection::quote_option(option.value);
  }
  return statement + ")";
}

}  // namespace walspout
