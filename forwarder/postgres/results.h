// Converts libpq's results to our values. For files that include libpq.
#pragma once

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postgres/connection.h"
#include "postgres/remedy.h"

namespace walspout {

using ResultHandle = std::unique_ptr<PGresult, decltype(&PQclear)>;

// libpq's message as one line.
inline std::string one_line(const char* text) {
  std::string line(text ? text : "");
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  for (size_t at; (at = line.find('\n')) != std::string::npos;) {
    const size_t next = std::min(line.find_first_not_of("\n\t ", at), line.size());
    line.replace(at, next - at, "; ");
  }
  return line;
}

inline void append_rows(const PGresult* result, std::vector<Row>& rows) {
  for (int i = 0; i < PQntuples(result); i++) {
    Row& row = rows.emplace_back();
    for (int j = 0; j < PQnfields(result); j++) {
      if (PQgetisnull(result, i, j)) {
        row.emplace_back();
      } else {
        row.emplace_back(PQgetvalue(result, i, j));
      }
    }
  }
}

// Whether the server's message may repeat a row's values, as for constraints or bad values.
inline bool repeats_values(std::string_view sqlstate) {
  return sqlstate.starts_with("22") || sqlstate.starts_with("23") || sqlstate.starts_with("44") ||
         sqlstate.starts_with("21");
}

// The text with *** for everything in double quotes.
inline std::string without_quoted(std::string_view text) {
  std::string made;
  while (true) {
    const size_t begin = text.find('"');
    made += text.substr(0, begin);
    if (begin == std::string_view::npos) return made;
    made += "\"***\"";
    // A value may contain quotes.
    const size_t end = text.rfind('"');
    text.remove_prefix(std::max(begin, end) + 1);
  }
}

// The server's error about a statement; without SQLSTATE: the connection broke.
inline ServerError server_error(const PGresult* result, const PGconn* conn, std::string endpoint,
                                bool with_values = true) {
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  std::string text = one_line(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
  const std::string_view state = sqlstate != nullptr ? sqlstate : "";
  const bool hides = !with_values && repeats_values(state);
  if (hides && state.starts_with("22")) text = without_quoted(text);
  if (const char* detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
      detail != nullptr && !hides) {
    text += ": " + one_line(detail);
  }
  if (const char* hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT)) {
    text += " (" + one_line(hint) + ")";
  }
  if (text.empty()) text = one_line(PQerrorMessage(conn));
  text += remedy(text);
  return {sqlstate ? sqlstate : "", {ErrorKind::kRetry, std::move(text), std::move(endpoint)}};
}

}  // namespace walspout
