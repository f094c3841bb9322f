#include "sink/nats/errors.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "sink/nats/json.h"

namespace walspout {
namespace {

struct Refusal {
  std::string_view sign;  // in the text, in lower case
  ErrorKind kind;
  std::string_view remedy;
};

constexpr std::string_view kLogin =
    "correct user and password, token, credentials or nkey, or add the user to the server";

// The first match counts.
constexpr std::array kRefusals = {
    Refusal{"permissions violation for publish", ErrorKind::kFatal,
            "allow the user to publish to that subject: permissions: {publish: {allow: [...]}} in "
            "the server's configuration, or nsc edit user --allow-pub"},
    Refusal{"permissions violation for subscription", ErrorKind::kFatal,
            "acknowledgements come to that subject: allow the user to subscribe to _INBOX.>, or "
            "set inbox_prefix to what the user may subscribe to"},
    Refusal{"authorization violation", ErrorKind::kFatal, kLogin},
    Refusal{"user authentication expired", ErrorKind::kFatal,
            "the JWT in credentials has expired: make another one (nsc generate creds)"},
    Refusal{"user authentication revoked", ErrorKind::kFatal, kLogin},
    Refusal{"account authentication expired", ErrorKind::kFatal,
            "the JWT of the account has expired: renew the account (nsc edit account, nsc push)"},
    Refusal{"authentication timeout", ErrorKind::kRetry,
            "raise the server's authorization timeout"},
    Refusal{"secure connection - tls required", ErrorKind::kFatal, "write tls:// in servers"},
    Refusal{"maximum connections exceeded", ErrorKind::kRetry,
            "raise max_connections of the server, or end idle connections"},
    Refusal{"maximum account active connections exceeded", ErrorKind::kRetry,
            "raise the account's limit of connections, or end idle ones"},
    Refusal{"maximum payload violation", ErrorKind::kRetry,
            "the server's max_payload has changed: the sink connects again to learn it"},
    Refusal{"maximum control line exceeded", ErrorKind::kFatal,
            "subjects are too long for the server's max_control_line: shorten subject"},
    Refusal{"stale connection", ErrorKind::kRetry, "this passes"},
    Refusal{"server shutdown", ErrorKind::kRetry, "this passes"},
};

struct Trouble {
  int64_t code;           // err_code; 0: any
  std::string_view sign;  // in the text; empty: any
  ErrorKind kind;
  std::string_view remedy;
};

constexpr std::string_view kResources =
    "the server or the account has no storage left for JetStream: free some (nats stream ls, nats "
    "stream purge), or raise max_file_store, max_memory_store or the account's limits";

constexpr std::array kTroubles = {
    Trouble{10054, "", ErrorKind::kReject,
            "raise max_msg_size of the stream (nats stream edit), or set max_value_bytes in the "
            "source"},
    Trouble{10097, "", ErrorKind::kReject, "the headers of a message may have 64 kB"},
    Trouble{10076, "", ErrorKind::kFatal, "start nats-server with -js, or a jetstream block"},
    Trouble{
        10039, "", ErrorKind::kFatal,
        "enable JetStream for the account: jetstream: enabled in its block, or nsc edit account "
        "--js-disk-storage"},
    Trouble{10109, "", ErrorKind::kFatal, "a sealed stream takes nothing more: use another one"},
    Trouble{10023, "", ErrorKind::kRetry, kResources},
    Trouble{10028, "", ErrorKind::kRetry, kResources},
    Trouble{10047, "", ErrorKind::kRetry, kResources},
    Trouble{10002, "", ErrorKind::kRetry, kResources},
    Trouble{0, "maximum messages", ErrorKind::kRetry,
            "the stream is full and discards what is new: let consumers catch up, raise max_msgs "
            "(nats stream edit), or set discard to old"},
    Trouble{0, "maximum bytes", ErrorKind::kRetry,
            "the stream is full and discards what is new: let consumers catch up, raise max_bytes "
            "(nats stream edit), or set discard to old"},
    Trouble{10058, "", ErrorKind::kFatal,
            "the stream exists and is another: correct create_stream, or take create_stream out"},
    Trouble{10065, "", ErrorKind::kFatal,
            "another stream has some of these subjects: correct subjects of create_stream, or take "
            "create_stream out"},
    Trouble{10008, "", ErrorKind::kRetry, "the cluster has no leader now: this passes"},
    Trouble{10009, "", ErrorKind::kRetry, "the cluster has no leader now: this passes"},
    Trouble{10005, "", ErrorKind::kRetry,
            "the cluster has too few servers for so many replicas: start the others, or lower "
            "replicas"},
    Trouble{10074, "", ErrorKind::kFatal,
            "more than one replica needs a cluster: lower replicas of create_stream"},
    Trouble{10167, "", ErrorKind::kRetry, "the stream is busy: this passes"},
};

bool has(std::string_view text, std::string_view sign) {
  return text.find(sign) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return made;
}

}  // namespace

Error nats_refusal(std::string_view text, std::string_view doing, std::string_view who,
                   std::string_view where) {
  std::string what = "NATS refused to " + std::string(doing) + ": " + std::string(text);
  const std::string plain = lower(text);
  for (const Refusal& refusal : kRefusals) {
    if (!has(plain, refusal.sign)) continue;
    if (refusal.kind == ErrorKind::kFatal) what += " (" + std::string(who) + ")";
    return {refusal.kind, what + ". Remedy: " + std::string(refusal.remedy), std::string(where)};
  }
  return {ErrorKind::kRetry, what, std::string(where)};
}

Error nats_stream_error(std::string_view error, std::string_view doing, std::string_view where) {
  const int64_t code = json_number(error, "err_code");
  const std::string text = json_text(error, "description");
  std::string what = "JetStream refused to " + std::string(doing) + ": " + text + " (" +
                     std::to_string(json_number(error, "code")) + ", " + std::to_string(code) + ")";
  for (const Trouble& trouble : kTroubles) {
    if (trouble.code != 0 && trouble.code != code) continue;
    if (!trouble.sign.empty() && !has(text, trouble.sign)) continue;
    return {trouble.kind, what + ". Remedy: " + std::string(trouble.remedy), std::string(where)};
  }
  return {ErrorKind::kRetry, what, std::string(where)};
}

std::string_view nats_denied_subject(std::string_view text) {
  constexpr std::string_view kSign = "Permissions Violation for Publish to \"";
  const size_t at = text.find(kSign);
  if (at == std::string_view::npos) return {};
  const size_t begin = at + kSign.size();
  return text.substr(begin, text.find('"', begin) - begin);
}

}  // namespace walspout
