// Names that depend on the event: of a stream, a routing key, an event type.
//
// "walspout:{database}:{schema}.{table}" is a template; {schema}, {table}, {op} and {key} stand for
// the event's, {database} and {pipeline} for the origin's. A router picks the template: the one
// given for the table, or else the fallback. Pure.
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
  // {{ and }} stand for braces. `origin`, when it is known, replaces its placeholders at once.
  // `escape` as in Route. Error: kFatal, names the unknown placeholder and the known ones.
  [[nodiscard]] static Result<Template> parse(std::string_view text, const Origin& origin = {},
                                              std::string_view escape = {});

  // Schema and table of a logical message are empty.
  void append(const Event& event, std::string& out) const;

  // The same template for one table only: nothing but {op} and {key} depends on the event then.
  Template of_table(std::string_view schema, std::string_view table) const;

  // Whether the name is the same for all events.
  bool fixed() const { return parts_.empty() || (parts_.size() == 1 && parts_[0].is_text()); }

  bool has_key() const;
  // What stands for {key} in the name; empty: nothing.
  std::string key(const Event& event) const;
  // The name with `any` in place of what depends on the event.
  std::string pattern(std::string_view any) const;

  // A name that both templates can make; none: there is no such name. A placeholder stands for any
  // characters, but for those that are escaped.
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
  // A table stands in the route's map as "schema.table", logical messages as "message". Error:
  // kFatal, a template that cannot be used.
  [[nodiscard]] static Result<Router> create(const Route& route);

  // Replaces `name` by the event's. False: the event is to be dropped, as configured. Error:
  // kReject, the event is mapped nowhere; says what to add.
  [[nodiscard]] Result<bool> route(const Event& event, std::string& name) const;

  // Whether names may have the key in them, and how it stands in the event's name; empty: it does
  // not.
  bool has_key() const;
  std::string key(const Event& event) const;

  // Names that can be known without an event.
  std::vector<std::string> fixed_names() const;

  // What the names of all events look like, with `any` in place of what is unknown.
  std::vector<std::string> patterns(std::string_view any) const;

  // A name that both routers can make; none: there is no such name.
  static std::optional<std::string> common_name(const Router& a, const Router& b);

  // A name that schemas and other events can have; none: schemas have names of their own, or no
  // such name.
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
