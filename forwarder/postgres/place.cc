#include "postgres/place.h"

#include <arpa/inet.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <string_view>

#include "base/folder.h"

namespace walspout {
namespace {

struct FinishConn {
  void operator()(PGconn* conn) const { PQfinish(conn); }
};
using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

std::string value_of(const Options& options, std::string_view name) {
  for (const PQconninfoOption* option = options.get(); option && option->keyword; option++) {
    if (option->keyword == name) return option->val ? option->val : "";
  }
  return "";
}

// "a,,b" has three items, and "" has one.
std::vector<std::string> items(std::string_view list) {
  std::vector<std::string> found;
  for (size_t comma; (comma = list.find(',')) != std::string_view::npos;) {
    found.emplace_back(list.substr(0, comma));
    list.remove_prefix(comma + 1);
  }
  found.emplace_back(list);
  return found;
}

// An address in the system's spelling; other texts unchanged.
std::string canonical_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, host.c_str(), bytes.data()) == 1 &&
        inet_ntop(family, bytes.data(), text.data(), text.size()) != nullptr) {
      return text.data();
    }
  }
  return host;
}

std::string canonical_host(const std::string& text) {
  if (!text.empty() && text.front() == '/') return resolved(text);
  std::string host = text;
  std::transform(host.begin(), host.end(), host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!host.empty() && host.back() == '.') host.pop_back();
  host = canonical_address(host);
  return host == "localhost" || host == "::1" || host.starts_with("127.") ? "127.0.0.1" : host;
}

}  // namespace

Place Place::of(const Secret& dsn) {
  // libpq fills in what the DSN leaves out. An invalid setting then stops it before it looks for a
  // server.
  std::array keys = {"dbname", "sslmode", static_cast<const char*>(nullptr)};
  std::array values = {dsn.reveal().c_str(), "refuse", static_cast<const char*>(nullptr)};
  const std::unique_ptr<PGconn, FinishConn> conn(
      PQconnectStartParams(keys.data(), values.data(), 1));
  if (!conn) return {};
  const Options options(PQconninfo(conn.get()), PQconninfoFree);
  const auto said = [](const char* text) { return std::string(text ? text : ""); };
  Place place;
  place.database = said(PQdb(conn.get()));
  const std::vector<std::string> names = items(value_of(options, "host"));
  const std::vector<std::string> addresses = items(value_of(options, "hostaddr"));
  const std::vector<std::string> ports = items(value_of(options, "port"));
  const auto item = [](const std::vector<std::string>& list, size_t i) {
    return i < list.size() ? list[i] : std::string();
  };
  for (size_t i = 0; i < std::max(names.size(), addresses.size()); i++) {
    std::string host = item(addresses, i);
    if (host.empty()) host = item(names, i);
    if (host.empty()) host = said(PQhost(conn.get()));
    std::string port = ports.size() == 1 ? ports[0] : item(ports, i);
    if (port.empty()) port = "5432";
    place.servers.push_back(canonical_host(host) + ":" + port);
  }
  std::sort(place.servers.begin(), place.servers.end());
  place.servers.erase(std::unique(place.servers.begin(), place.servers.end()), place.servers.end());
  if (place.servers.size() > 1) place.choice = value_of(options, "target_session_attrs");
  return place;
}

}  // namespace walspout
