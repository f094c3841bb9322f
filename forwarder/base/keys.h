// The keys of a section of the configuration, as data. One table feeds the loader, its messages,
// `walspout keys`, the JSON Schema and the pages for users.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace walspout {

// One template, or one for each table and one for all others.
struct Templates {
  std::map<std::string, std::string> tables;
  std::optional<std::string> fallback;
};
using TextList = std::vector<std::string>;
using SecretList = std::vector<Secret>;
using SecretMap = std::vector<std::pair<std::string, Secret>>;
using TextMap = std::vector<std::pair<std::string, std::string>>;  // in the order of the file
using TextMaps = std::vector<std::pair<std::string, TextMap>>;

// What a key takes, and the type of the KeyValue that Key::set gets.
enum class KeyKind {
  kText,       // std::string
  kSecret,     // Secret
  kSecrets,    // SecretList: one, or a list
  kFlag,       // bool
  kNumber,     // uint64_t, within the range
  kSize,       // uint64_t, bytes within the range
  kDuration,   // Milliseconds
  kChoice,     // uint64_t: which of the words
  kTexts,      // TextList
  kSecretMap,  // SecretMap: under names of the user's choice
  kTextMap,    // TextMap: likewise
  kTextMaps,   // TextMaps: such mappings, under names of the user's choice
  kTemplates,  // Templates
  kSection,    // a mapping with keys of its own
  kSections,   // a list of such mappings; without `inner` code reads it
};
using KeyValue = std::variant<std::string, Secret, SecretList, bool, uint64_t, Milliseconds,
                              TextList, SecretMap, TextMap, TextMaps, Templates>;

struct Section;

struct Key {
  std::string name;
  KeyKind kind = KeyKind::kText;
  std::string help;       // one line for users
  std::string initial{};  // the default as the file would have it; empty: none
  bool required = false;
  // A key that replaces this one. If this one is required, exactly one of both must be present,
  // else at most one. Empty: no such key.
  std::string unless{};
  uint64_t least = 0;                        // kNumber, kSize
  uint64_t most = INT64_MAX;                 // likewise
  TextList words{};                          // kChoice; kTexts: the allowed words, empty: all
  std::shared_ptr<const Section> section{};  // kSection, kSections

  // kTexts: what is wrong with an item; empty: nothing.
  std::function<std::string(const std::string& item)> item_problem{};
  // Stores a value in the structure that the table describes.
  std::function<void(void* target, const KeyValue& value)> set{};
  // The target's secrets under this key, including empty ones.
  std::function<std::vector<Secret*>(void* target)> secrets{};
  // kSection: the structure that the inner table describes. kSections: adds one for an item.
  std::function<void*(void* target)> inner{};
};

struct KeyProblem {
  std::string key;  // empty: the problem is the section's
  std::string what;
  bool shows_value = false;  // the message ends with the value that the file has
};

struct Section {
  std::vector<Key> keys;

  // Rules over several keys, checked after all keys are read. `has`: whether a key has a good
  // value.
  using Has = std::function<bool(const std::string& key)>;
  using Rule = std::function<std::optional<KeyProblem>(void* target, const Has& has)>;
  std::vector<Rule> rules{};
};

namespace keys {

template <typename M>
struct Plain {
  using Type = M;
};
template <typename M>
struct Plain<std::optional<M>> {
  using Type = M;
};

template <typename M>
constexpr KeyKind kind_of() {
  if constexpr (std::is_same_v<M, std::string>) {
    return KeyKind::kText;
  } else if constexpr (std::is_same_v<M, Secret>) {
    return KeyKind::kSecret;
  } else if constexpr (std::is_same_v<M, SecretList>) {
    return KeyKind::kSecrets;
  } else if constexpr (std::is_same_v<M, bool>) {
    return KeyKind::kFlag;
  } else if constexpr (std::is_integral_v<M>) {
    return KeyKind::kNumber;
  } else if constexpr (std::is_same_v<M, TextList>) {
    return KeyKind::kTexts;
  } else if constexpr (std::is_same_v<M, SecretMap>) {
    return KeyKind::kSecretMap;
  } else if constexpr (std::is_same_v<M, TextMap>) {
    return KeyKind::kTextMap;
  } else if constexpr (std::is_same_v<M, TextMaps>) {
    return KeyKind::kTextMaps;
  } else if constexpr (requires(M m) { m.fallback, m.tables; }) {
    return KeyKind::kTemplates;
  } else {
    return KeyKind::kDuration;
  }
}

// As the file would have it.
std::string in_words(uint64_t bytes);
std::string in_words(Milliseconds time);

template <typename M>
std::string initial_of(const M& member) {
  constexpr KeyKind kKind = kind_of<M>();
  if constexpr (kKind == KeyKind::kText) {
    return member;
  } else if constexpr (kKind == KeyKind::kFlag) {
    return member ? "true" : "false";
  } else if constexpr (kKind == KeyKind::kNumber) {
    return std::to_string(member);
  } else if constexpr (kKind == KeyKind::kDuration) {
    return in_words(std::chrono::duration_cast<Milliseconds>(member));
  } else if constexpr (kKind == KeyKind::kTemplates) {
    return member.fallback.value_or("");
  } else if constexpr (kKind == KeyKind::kTexts) {
    std::string text;
    for (const std::string& item : member) text += (text.empty() ? "[" : ", ") + item;
    return text.empty() ? text : text + "]";
  } else {
    return {};
  }
}
template <typename M>
std::string initial_of(const std::optional<M>& member) {
  return member ? initial_of(*member) : std::string();
}

// The loader never creates a value of another type.
template <typename M>
void assign(M& member, const KeyValue& value) {
  using P = typename Plain<M>::Type;
  constexpr KeyKind kKind = kind_of<P>();
  if constexpr (kKind == KeyKind::kNumber) {
    if (const auto* number = std::get_if<uint64_t>(&value)) member = static_cast<P>(*number);
  } else if constexpr (kKind == KeyKind::kDuration) {
    if (const auto* time = std::get_if<Milliseconds>(&value)) member = std::chrono::ceil<P>(*time);
  } else if constexpr (kKind == KeyKind::kTemplates) {
    if (const auto* templates = std::get_if<Templates>(&value)) {
      member.tables = templates->tables;
      member.fallback = templates->fallback;
    }
  } else {
    if (const auto* plain = std::get_if<P>(&value)) member = *plain;
  }
}

inline std::vector<Secret*> secrets_in(Secret& secret) {
  return {&secret};
}
inline std::vector<Secret*> secrets_in(SecretList& list) {
  std::vector<Secret*> all;
  for (Secret& secret : list) all.push_back(&secret);
  return all;
}
inline std::vector<Secret*> secrets_in(SecretMap& map) {
  std::vector<Secret*> all;
  for (auto& [name, secret] : map) all.push_back(&secret);
  return all;
}
template <typename M>
std::vector<Secret*> secrets_in(M&) {
  return {};
}

}  // namespace keys

// Makes the table of a structure T. Each call adds a key whose value goes where `get` points: a
// pointer to a member of T, or a function from T& to a reference. The member's type decides what
// the key takes; its value in a new T is the default.
template <typename T>
class KeyTable {
 public:
  template <typename Get>
  KeyTable& key(std::string name, Get get, std::string help) {
    using M = std::remove_reference_t<std::invoke_result_t<Get, T&>>;
    T initial{};
    Key& key =
        add(std::move(name), keys::kind_of<typename keys::Plain<M>::Type>(), std::move(help));
    key.initial = keys::initial_of(std::as_const(std::invoke(get, initial)));
    key.set = [get](void* target, const KeyValue& value) {
      keys::assign(std::invoke(get, *static_cast<T*>(target)), value);
    };
    key.secrets = [get](void* target) {
      return keys::secrets_in(std::invoke(get, *static_cast<T*>(target)));
    };
    return *this;
  }

  // A choice: words, and what each of them means.
  template <typename V, typename Get>
  KeyTable& choice(std::string name, Get get, std::vector<std::pair<std::string, V>> values,
                   std::string help) {
    T initial{};
    const V by_default = std::invoke(get, initial);
    Key& key = add(std::move(name), KeyKind::kChoice, std::move(help));
    for (const auto& [word, value] : values) {
      key.words.push_back(word);
      if (value == by_default) key.initial = word;
    }
    key.set = [get, values = std::move(values)](void* target, const KeyValue& value) {
      const auto* chosen = std::get_if<uint64_t>(&value);
      if (chosen) std::invoke(get, *static_cast<T*>(target)) = values.at(*chosen).second;
    };
    return *this;
  }

  // A mapping that fills a structure inside T. An optional structure exists if the mapping does.
  template <typename Get, typename Inner>
  KeyTable& section(std::string name, Get get, const KeyTable<Inner>& table, std::string help) {
    using M = std::remove_reference_t<std::invoke_result_t<Get, T&>>;
    Key& key = add(std::move(name), KeyKind::kSection, std::move(help));
    key.section = std::make_shared<Section>(table.section());
    key.inner = [get](void* target) -> void* {
      M& member = std::invoke(get, *static_cast<T*>(target));
      if constexpr (std::is_same_v<M, std::optional<Inner>>) {
        return &member.emplace();
      } else {
        return &member;
      }
    };
    key.secrets = [get, inner = key.section](void* target) {
      M& member = std::invoke(get, *static_cast<T*>(target));
      void* place = nullptr;
      if constexpr (std::is_same_v<M, std::optional<Inner>>) {
        place = member ? &*member : nullptr;
      } else {
        place = &member;
      }
      std::vector<Secret*> all;
      for (const Key& each : inner->keys) {
        if (place == nullptr || !each.secrets) continue;
        for (Secret* secret : each.secrets(place)) all.push_back(secret);
      }
      return all;
    };
    return *this;
  }

  // A list of mappings. `add`, a function from T& to a structure, creates the structure that each
  // mapping fills. The list is read after the keys that were added before.
  template <typename Add, typename Inner>
  KeyTable& list(std::string name, Add each, const KeyTable<Inner>& table, std::string help) {
    Key& key = add(std::move(name), KeyKind::kSections, std::move(help));
    key.section = std::make_shared<Section>(table.section());
    key.inner = [each](void* target) -> void* { return &each(*static_cast<T*>(target)); };
    return *this;
  }

  // A list of mappings that code reads.
  KeyTable& sections(std::string name, std::shared_ptr<const Section> item, std::string help) {
    add(std::move(name), KeyKind::kSections, std::move(help)).section = std::move(item);
    return *this;
  }

  KeyTable& rule(
      std::function<std::optional<KeyProblem>(T& target, const Section::Has& has)> rule) {
    section_.rules.push_back([rule = std::move(rule)](void* target, const Section::Has& has) {
      return rule(*static_cast<T*>(target), has);
    });
    return *this;
  }

  // The functions below describe the key that was added last.
  KeyTable& required() {
    last().required = true;
    last().initial.clear();
    return *this;
  }
  // For all keys so far.
  KeyTable& set_alternative_for_all(const std::string& other) {
    for (Key& key : section_.keys) key.unless = other;
    return *this;
  }
  KeyTable& set_default(std::string text) {
    last().initial = std::move(text);
    return *this;
  }
  // The same, for all keys after the first `behind`.
  KeyTable& set_default_after(const std::string& text, size_t behind) {
    for (size_t i = behind; i < section_.keys.size(); i++) section_.keys[i].initial = text;
    return *this;
  }
  KeyTable& between(uint64_t least, uint64_t most) {
    last().least = least;
    last().most = most;
    return *this;
  }
  // The number counts bytes.
  KeyTable& bytes(uint64_t least, uint64_t most) {
    last().kind = KeyKind::kSize;
    if (!last().initial.empty()) last().initial = keys::in_words(std::stoull(last().initial));
    return between(least, most);
  }
  KeyTable& words(TextList words) {
    last().words = std::move(words);
    return *this;
  }
  KeyTable& each(std::function<std::string(const std::string& item)> item_problem) {
    last().item_problem = std::move(item_problem);
    return *this;
  }

  const Section& section() const { return section_; }

 private:
  Key& add(std::string name, KeyKind kind, std::string help) {
    Key key;
    key.name = std::move(name);
    key.kind = kind;
    key.help = std::move(help);
    section_.keys.push_back(std::move(key));
    return section_.keys.back();
  }
  Key& last() { return section_.keys.back(); }

  Section section_;
};

namespace keys {

inline std::string in_words(uint64_t bytes) {
  constexpr std::pair<uint64_t, const char*> kUnits[] = {
      {1u << 30, "GiB"}, {1u << 20, "MiB"}, {1u << 10, "KiB"}};
  for (auto [factor, unit] : kUnits) {
    if (bytes >= factor && bytes % factor == 0) return std::to_string(bytes / factor) + unit;
  }
  return std::to_string(bytes) + "B";
}

inline std::string in_words(Milliseconds time) {
  constexpr std::pair<int64_t, const char*> kUnits[] = {
      {86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}};
  for (auto [factor, unit] : kUnits) {
    if (time.count() >= factor && time.count() % factor == 0) {
      return std::to_string(time.count() / factor) + unit;
    }
  }
  return std::to_string(time.count()) + "ms";
}

}  // namespace keys

}  // namespace walspout
