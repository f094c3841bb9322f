// Reads typed values from a YAML mapping and reports every problem with its place.
#pragma once

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "config/config.h"

namespace walspout {

// The documents of a text. Throws what the library throws. Also throws where the library's own
// function would not end: its parser does not read past a "," outside of a list.
std::vector<YAML::Node> load_documents(const std::string& text);

// A mapping whose keys are read by name. finish() reports the keys that nothing has read. A merge
// key, "<<", gives the keys of another mapping, or of several; the mapping's own keys win. A key
// that begins with "x-" is ignored: the writer of the file may use it. An absent key, or a wrong
// value, leaves the target as it was. Readers of one value say whether they set it.
class YamlMap {
 public:
  // `what` names the mapping in messages: "a sink", "pipelines[0].source".
  YamlMap(YAML::Node node, std::string what, std::vector<ConfigProblem>& problems);
  YamlMap(const YamlMap&) = delete;
  YamlMap& operator=(const YamlMap&) = delete;

  bool has(const std::string& key);
  bool text(const std::string& key, std::string& target);
  bool text(const std::string& key, std::optional<std::string>& target);
  void secret(const std::string& key, Secret& target);
  void secrets(const std::string& key, std::vector<Secret>& target);  // one or a list
  void flag(const std::string& key, bool& target);
  void size(const std::string& key, uint64_t& target, uint64_t least, uint64_t most);
  void duration(const std::string& key, Milliseconds& target);
  void texts(const std::string& key, std::vector<std::string>& target);
  void texts(const std::string& key, std::vector<std::string>& target,
             const std::vector<std::string>& allowed);

  // `wrong` returns what is wrong with an item; nothing if it is good.
  void texts(const std::string& key, std::vector<std::string>& target,
             const std::function<std::string(const std::string& item)>& wrong);

  template <typename T>
  void number(const std::string& key, T& target, uint64_t least, uint64_t most) {
    if (std::optional<uint64_t> value = whole_number(key, least, most)) {
      target = static_cast<T>(*value);
    }
  }

  // The index of the value in a list of words.
  std::optional<size_t> choice(const std::string& key, const std::vector<std::string>& words);

  // Calls `read` for the mapping, or for each of the list of mappings, under a key.
  void map(const std::string& key, const std::function<void(YamlMap&)>& read);
  void maps(const std::string& key, const std::function<void(YamlMap&)>& read);

  // Text values under names of the user's choice.
  void dictionary(const std::string& key,
                  const std::function<void(const std::string& name, YAML::Node value)>& read);

  // Whether the value under a key is that word.
  bool says(const std::string& key, const std::string& word);

  // Whether the value under a key is a mapping.
  bool is_map(const std::string& key);

  // The value of a scalar with its variables replaced.
  std::optional<std::string> expand(const YAML::Node& node, const std::string& name);
  std::optional<Secret> expand_secret(const YAML::Node& node, const std::string& name);

  // `other` may replace the key; empty: nothing may.
  void require(const std::string& key, const std::string& other = "");

  // For the end of a message: `, not "VALUE"`, if the value is short and cannot be a secret.
  std::string not_this(const std::string& key);

  // All that the mapping has, as in the file: "source.slot" and its value. Two texts differ if the
  // values do.
  std::map<std::string, std::string> given() const;

  void problem(const std::string& key, std::string what);  // at the key's value
  void problem(std::string what);                          // at the mapping
  size_t problem_count() const { return problems_.size(); }
  void finish();

 private:
  YAML::Node find(const std::string& key);
  // The value of a key that has one. Reports a key without a value.
  std::optional<YAML::Node> value_of(const std::string& key);
  bool is_null_word(const std::string& key);
  std::optional<std::string> scalar(const std::string& key);
  std::optional<uint64_t> whole_number(const std::string& key, uint64_t least, uint64_t most);
  void note(const YAML::Mark& mark, std::string what);

  using Entries = std::vector<std::pair<YAML::Node, YAML::Node>>;
  Entries merged(const YAML::Node& node);

  YAML::Node node_;
  Entries entries_;  // keys and values, with those of merge keys
  std::string what_;
  std::vector<ConfigProblem>& problems_;
  std::vector<std::string> known_;
  bool is_map_ = true;  // false: that is the only problem to report
};

// The nearest of `words` to `word`, if any is near.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& words);

}  // namespace walspout
