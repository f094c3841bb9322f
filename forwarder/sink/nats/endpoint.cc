#include "sink/nats/endpoint.h"

#include <nats/nats.h>
#include <openssl/evp.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/json.h"
#include "base/version.h"

namespace walspout {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr unsigned char kSeedPrefix = 18 << 3;
constexpr unsigned char kUserPrefix = 20 << 3;
constexpr size_t kSeed = 32;  // bytes, after two of a prefix and before two of a checksum

Failure no_url() {
  return fatal(
      "an item of servers is no url of NATS: it looks like nats://HOST[:PORT] or "
      "tls://HOST[:PORT], "
      "with USER:PASSWORD@ or TOKEN@ before the host if need be; other characters than letters and "
      "digits in these are percent-encoded");
}

std::string unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr ==
            text.data() + i + 3) {
      plain += static_cast<char>(byte);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Parses host and port, with brackets around an IPv6 address.
bool parse_place(std::string_view text, NatsServer& server) {
  size_t colon = text.rfind(':');
  if (!text.empty() && text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    server.host = text.substr(1, close - 1);
    colon = close + 1 < text.size() ? close + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && text[colon] != ':') return false;
  } else {
    server.host = text.substr(0, colon);
  }
  if (server.host.empty() || server.host.find_first_of(" /?#@[]") != std::string::npos) {
    return false;
  }
  if (colon == std::string_view::npos) return true;
  const std::string_view port = text.substr(colon + 1);
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), server.port);
  return parsed.ec == std::errc() && parsed.ptr == port.data() + port.size() && server.port > 0 &&
         server.port < 65'536;
}

std::optional<std::vector<unsigned char>> decoded_base32(std::string_view text) {
  std::vector<unsigned char> bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = kBase32.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 5 | static_cast<uint32_t>(value)) & 0xffff;
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<unsigned char>(bits >> count));
  }
  return bytes;
}

std::string encoded_base32(const std::vector<unsigned char>& bytes) {
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const unsigned char byte : bytes) {
    bits = (bits << 8 | byte) & 0xffff;
    for (count += 8; count >= 5; count -= 5) text += kBase32[bits >> (count - 5) & 31];
  }
  if (count > 0) text += kBase32[bits << (5 - count) & 31];
  return text;
}

// CRC-16/XMODEM.
uint16_t checksum(const std::vector<unsigned char>& bytes) {
  uint16_t sum = 0;
  for (const unsigned char byte : bytes) {
    sum = static_cast<uint16_t>(sum ^ byte << 8);
    for (int i = 0; i < 8; ++i) {
      sum = static_cast<uint16_t>(sum & 0x8000 ? sum << 1 ^ 0x1021 : sum << 1);
    }
  }
  return sum;
}

void add_checksum(std::vector<unsigned char>& bytes) {
  const uint16_t sum = checksum(bytes);
  bytes.push_back(static_cast<unsigned char>(sum & 0xff));
  bytes.push_back(static_cast<unsigned char>(sum >> 8));
}

std::string encoded_base64url(const unsigned char* bytes, size_t size) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < size; ++i) {
    bits = (bits << 8 | bytes[i]) & 0xffff;
    for (count += 8; count >= 6; count -= 6) text += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += kDigits[bits << (6 - count) & 63];
  return text;
}

// The line after the one that contains `sign`, in a credentials file.
std::string line_behind(const std::string& text, std::string_view sign) {
  const size_t at = text.find(sign);
  if (at == std::string::npos) return "";
  const size_t begin = text.find_first_not_of("\r\n ", text.find('\n', at));
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_first_of("\r\n ", begin) - begin);
}

void add(std::string& json, std::string_view name, std::string_view value) {
  json += ",\"";
  json += name;
  json += "\":";
  append_json(json, value);
}

}  // namespace

Result<NatsServer> NatsServer::parse(const std::string& url) {
  NatsServer server;
  std::string_view rest = url;
  if (const size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    const std::string_view name = rest.substr(0, scheme);
    if (name != "nats" && name != "tls") return no_url();
    server.tls = name == "tls";
    rest.remove_prefix(scheme + 3);
  }
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view who = rest.substr(0, at);
    const size_t colon = who.find(':');
    if (colon == std::string_view::npos) {
      server.token = Secret(unescaped(who));
    } else {
      server.user = unescaped(who.substr(0, colon));
      server.password = Secret(unescaped(who.substr(colon + 1)));
    }
    rest.remove_prefix(at + 1);
  }
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  if (!parse_place(rest, server)) return no_url();
  return server;
}

std::string NatsServer::name() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (tls ? "tls://" : "nats://") + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<std::string> nats_public_key(const std::string& seed) {
  const auto bytes = decoded_base32(seed);
  const auto bad = [] {
    return fatal(
        "is not the seed of a user: that begins with SU, and `nk -gen user` makes one. A file is "
        "named as file:PATH");
  };
  if (!bytes || bytes->size() != 2 + kSeed + 2) return bad();
  std::vector<unsigned char> summed(bytes->begin(), bytes->end() - 2);
  add_checksum(summed);
  const auto kind = static_cast<unsigned char>((*bytes)[0] << 5 | (*bytes)[1] >> 3);
  if (summed != *bytes || ((*bytes)[0] & 0xf8) != kSeedPrefix || kind != kUserPrefix) return bad();
  using PrivateKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  const PrivateKey key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes->data() + 2, kSeed),
      &EVP_PKEY_free);
  std::array<unsigned char, 32> open;
  size_t size = open.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), open.data(), &size) != 1) return bad();
  std::vector<unsigned char> text{kUserPrefix};
  text.insert(text.end(), open.begin(), open.end());
  add_checksum(text);
  return encoded_base32(text);
}

Result<NatsLogin> NatsLogin::create(const NatsConfig& config) {
  NatsLogin login;
  const int ways = (config.user.empty() && config.password.empty() ? 0 : 1) +
                   (config.token.empty() ? 0 : 1) + (config.credentials.empty() ? 0 : 1) +
                   (config.nkey.empty() ? 0 : 1);
  if (ways > 1) {
    return fatal("give one of user with password, token, credentials and nkey, and not several");
  }
  login.user_ = config.user;
  login.password_ = config.password;
  login.token_ = config.token;
  if (!config.credentials.empty()) {
    const std::string& text = config.credentials.reveal();
    login.jwt_ = Secret(line_behind(text, "BEGIN NATS USER JWT"));
    login.seed_ = Secret(line_behind(text, "BEGIN USER NKEY SEED"));
    if (login.jwt_.empty() || login.seed_.empty()) {
      return fatal(
          "credentials has no JWT and seed: it is what nsc writes into a file with the ending "
          ".creds. Name that as file:PATH");
    }
    if (auto key = nats_public_key(login.seed_.reveal()); !key) {
      return with_prefix("the seed in credentials", key.error());
    }
  }
  if (!config.nkey.empty()) {
    auto key = nats_public_key(config.nkey.reveal());
    if (!key) return with_prefix("nkey", key.error());
    login.public_key_ = std::move(*key);
    login.seed_ = config.nkey;
  }
  return login;
}

std::string NatsLogin::name(const NatsServer& server) const {
  if (!jwt_.empty()) return "the user of credentials";
  if (!public_key_.empty()) return "the user of nkey, " + public_key_;
  if (!token_.empty()) return "the token";
  if (!user_.empty()) return "user \"" + user_ + "\"";
  if (!server.token.empty()) return "the token in servers";
  if (!server.user.empty()) return "user \"" + server.user + "\"";
  return "no user: neither user, token, credentials nor nkey is given";
}

Result<std::string> NatsLogin::connect(const NatsServer& server, const std::string& nonce,
                                       bool tls) const {
  std::string json =
      "{\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"echo\":false,\"headers\":true,"
      "\"no_responders\":true,\"lang\":\"C++\",\"name\":\"walspout\"";
  add(json, "version", kVersion);
  json += tls ? ",\"tls_required\":true" : ",\"tls_required\":false";
  if (!seed_.empty() && !nonce.empty()) {
    unsigned char* made = nullptr;
    int size = 0;
    const natsStatus status = nats_Sign(seed_.reveal().c_str(), nonce.c_str(), &made, &size);
    const std::unique_ptr<unsigned char, decltype(&std::free)> signature(made, &std::free);
    if (status != NATS_OK) {
      return fatal(std::string("could not sign the server's challenge: ") +
                   natsStatus_GetText(status));
    }
    if (!jwt_.empty()) add(json, "jwt", jwt_.reveal());
    if (!public_key_.empty()) add(json, "nkey", public_key_);
    add(json, "sig", encoded_base64url(signature.get(), static_cast<size_t>(size)));
  } else if (!token_.empty()) {
    add(json, "auth_token", token_.reveal());
  } else if (!user_.empty() || !password_.empty()) {
    add(json, "user", user_);
    add(json, "pass", password_.reveal());
  } else if (!server.token.empty()) {
    add(json, "auth_token", server.token.reveal());
  } else if (!server.user.empty()) {
    add(json, "user", server.user);
    add(json, "pass", server.password.reveal());
  }
  return json + "}";
}

}  // namespace walspout
