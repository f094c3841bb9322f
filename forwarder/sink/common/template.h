// Names that depend on the event, such as a stream, a routing key, an event type.
//
// "walspout:{database}:{schema}.{table}" is a template; {schema}, {table}, {op} and {key} stand for
// the event's, {database} and {pipeline} for the origin's. A router picks the table's template,
// else the fallback. Pure.
#pragma once

#include <bitset>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sink/common/route.h"
#include "stream/event.h"

namespace walspout {

class Template {
 public:
  // {{ and }} stand for braces. If `origin` is known, it replaces its placeholders at once.
  // `escape`: as in Route. Error: kFatal, names the unknown placeholder and the known ones.
  [[nodiscard]] static Result<Template> parse(std::string_view text, const Origin& origin = {},
                                              std::string_view escape = {});

  // Schema and table of a logical message are empty.
  void append(const Event& event, std::string& out) const;

  // This template for one table: then only {op} and {key} depend on the event.
  Template of_table(std::string_view schema, std::string_view table) const;

  // Whether the name is the same for all events.
  bool fixed() const { return parts_.empty() || (parts_.size() == 1 && parts_[0].is_text()); }

  bool has_key() const;
  // The text of {key} in the name; empty: {key} is not in the name.
  std::string key(const Event& event) const;
  // The name with `any` for each part that depends on the event.
  std::string pattern(std::string_view any) const;

  // A name that both templates can make; none: there is no such name. A placeholder stands for any
  // characters except the escaped ones.
  static std::optional<std::string> common_name(const Template& a, const Template& b);

 private:
  struct Part {
    enum class Kind { kText, kSchema, kTable, kOp, kKey } kind;
    std::string text;

    bool is_text() const { return kind == Kind::kText; }
  };
  class Meeting;

  void add_text(std::string_view text);
  void append_name(std::string_view name, std::string& out) const;

  std::vector<Part> parts_;   // no two texts in a row
  std::bitset<256> escaped_;  // by character
};

class Router {
 public:
  // The route's map has tables as "schema.table", and logical messages as "message". Error: kFatal,
  // an unusable template.
  [[nodiscard]] static Result<Router> create(const Route& route);

  // Sets `name` to the event's destination. False: the configuration drops the event. Error:
  // kReject, the event is mapped nowhere; says what to add.
  [[nodiscard]] Result<bool> route(const Event& event, std::string& name) const;

  // Whether names may contain the key, and the key as the event's name contains it; empty: not at
  // all.
  bool has_key() const;
  std::string key(const Event& event) const;

  // Names that can be known without an event.
  std::vector<std::string> fixed_names() const;

  // The names of all events, with `any` for each part that is unknown.
  std::vector<std::string> patterns(std::string_view any) const;

  // A name that both routers can make; none: there is no such name.
  static std::optional<std::string> common_name(const Router& a, const Router& b);

  // A name that both schemas and other events can have; none: there is no such name.
  std::optional<std::string> name_of_both() const;

 private:
  static Result<Template> parse(const std::string& text, const Route& route);
  const Template* find(const Event& event, std::string& key) const;
  std::vector<Template> templates() const;
  std::vector<Template> templates_of_events() const;

  std::map<std::string, Template, std::less<>> tables_;
  std::optional<Template> fallback_;
  std::optional<Template> schemas_;
  Unmapped unmapped_ = Unmapped::kError;
};

}  // namespace walspout
