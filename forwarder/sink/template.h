// Names that depend on the event: of a stream, a routing key, an event type.
//
// "walspout:{schema}.{table}" is a template; {schema}, {table} and {op} stand for the event's. A
// router picks the template: the one given for the table, or else the fallback. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pipeline/event.h"
#include "sink/config.h"

namespace walspout {

class Template {
 public:
  // {{ and }} stand for braces. Error: kFatal, names the placeholder that is none and the good
  // ones.
  [[nodiscard]] static Result<Template> parse(std::string_view text);

  // Schema and table of a logical message are empty.
  void append(const Event& event, std::string& out) const;

  // Whether the name is the same for all events.
  bool fixed() const { return parts_.empty() || (parts_.size() == 1 && parts_[0].is_text()); }

 private:
  struct Part {
    enum class Kind { kText, kSchema, kTable, kOp } kind;
    std::string text;

    bool is_text() const { return kind == Kind::kText; }
  };

  std::vector<Part> parts_;
};

class Router {
 public:
  // A table stands in the route's map as "schema.table", logical messages as "message".
  [[nodiscard]] static Result<Router> create(const Route& route);

  // Replaces `name` by the event's. False: the event is to be dropped, as configured. Error:
  // kReject, the event is mapped nowhere; says what to add.
  [[nodiscard]] Result<bool> route(const Event& event, std::string& name) const;

  // Names that can be known without an event.
  std::vector<std::string> fixed_names() const;

 private:
  const Template* find(const Event& event, std::string& key) const;

  std::map<std::string, Template, std::less<>> tables_;
  std::optional<Template> fallback_;
  Unmapped unmapped_ = Unmapped::kError;
};

}  // namespace walspout
