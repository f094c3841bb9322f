#include "sink/common/keys.h"
#include "sink/nats/nats.h"
#include "sink/types.h"

namespace walspout {
namespace {

KeyTable<NatsStreamConfig> stream_table() {
  KeyTable<NatsStreamConfig> table;
  table.key("name", &NatsStreamConfig::name, "Name of the stream")
      .required()
      .key("subjects", &NatsStreamConfig::subjects, "Subjects that it takes")
      .set_default("all that `subject` can make")
      .choice<std::string>("storage", &NatsStreamConfig::storage,
                           {{"file", "file"}, {"memory", "memory"}}, "Where messages are kept")
      .key("replicas", &NatsStreamConfig::replicas, "Servers of the cluster that have a copy")
      .between(1, 5)
      .choice<std::string>(
          "retention", &NatsStreamConfig::retention,
          {{"limits", "limits"}, {"interest", "interest"}, {"workqueue", "workqueue"}},
          "What messages are kept for: the limits, or consumers")
      .choice<std::string>("discard", &NatsStreamConfig::discard, {{"old", "old"}, {"new", "new"}},
                           "What a full stream drops: `old` loses messages, `new` makes the sink "
                           "wait")
      .key("max_bytes", &NatsStreamConfig::max_bytes, "Bytes that are kept")
      .bytes(1, INT64_MAX)
      .set_default("no limit")
      .key("max_messages", &NatsStreamConfig::max_messages, "Messages that are kept")
      .between(1, INT64_MAX)
      .set_default("no limit")
      .key("max_message_size", &NatsStreamConfig::max_message_size, "Largest message")
      .bytes(1, INT32_MAX)
      .set_default("no limit")
      .key("max_age", &NatsStreamConfig::max_age, "How long messages are kept")
      .set_default("no limit")
      .key("duplicate_window", &NatsStreamConfig::duplicate_window,
           "How long the stream knows repeats, at most `max_age`");
  return table;
}

// What the server forbids in a stream's name.
std::optional<KeyProblem> stream_problem(NatsStreamConfig& stream, const Section::Has&) {
  if (stream.name.find_first_of(".*>/\\ \t\r\n") != std::string::npos) {
    return KeyProblem{"name", "\"name\" of a stream has no dots, wildcards, slashes and spaces"};
  }
  return std::nullopt;
}

KeyTable<NatsConfig> table() {
  KeyTable<NatsStreamConfig> stream = stream_table();
  stream.rule(stream_problem);
  KeyTable<NatsConfig> table;
  table
      .key("servers", &NatsConfig::servers,
           "`nats://[user:password@|token@]host[:port]`, or `tls://…` to require TLS; if one "
           "server fails, the sink takes the next")
      .required();
  add_route(table, "subject", &NatsConfig::subject,
            "Template of the subject. In names that replace a placeholder, `%`, `.`, `*`, `>`, "
            "spaces and control characters become `%25`, `%2E` and so on");
  table.key("id_prefix", &NatsConfig::id_prefix,
            "Precedes the event's id in `Nats-Msg-Id`: sources that share a stream need different "
            "prefixes");
  table
      .section("create_stream", &NatsConfig::create_stream, stream,
               "Makes this stream if it is missing; without this section, a stream must take the "
               "subjects")
      .key("user", &NatsConfig::user, "User")
      .set_default("the URL's")
      .key("password", &NatsConfig::password, "Password")
      .set_default("the URL's")
      .key("token", &NatsConfig::token, "Token")
      .set_default("the URL's")
      .key("credentials", &NatsConfig::credentials,
           "A JWT and its seed, as in `file:PATH` of a `.creds` file")
      .key("nkey", &NatsConfig::nkey, "Seed of an nkey, `SU…`, as in `file:PATH`")
      .key("domain", &NatsConfig::domain, "Domain of JetStream")
      .set_default("the server's")
      .key("inbox_prefix", &NatsConfig::inbox_prefix,
           "What the subjects of acknowledgements begin with")
      .key("unconfirmed", &NatsConfig::unconfirmed, "Messages without an acknowledgement, at most")
      .between(1, 65'535)
      .key("ack_timeout", &NatsConfig::ack_timeout,
           "After this long without any acknowledgement, messages in flight are sent again")
      .key("heartbeat", &NatsConfig::heartbeat,
           "A server that is silent for twice this long, also to pings, is given up")
      .section("tls", &NatsConfig::tls, tls_table(), "TLS; URL and server say whether it is used")
      .key("connect_timeout", &NatsConfig::connect_timeout, "Time limit of connecting");
  return table;
}

}  // namespace

SinkType nats_type() {
  SinkType type =
      sink_type<NatsConfig>("nats", "Publishes a message to a stream of NATS JetStream", table(),
                            [](const NatsConfig& config) { return NatsSink::create(config); });
  type.route = [](std::any& options) { return &std::any_cast<NatsConfig&>(options).subject; };
  type.shared = [](const std::any& a, const std::any& b) -> std::optional<SharedPlace> {
    const auto place = NatsSink::common_place(std::any_cast<const NatsConfig&>(a),
                                              std::any_cast<const NatsConfig&>(b));
    if (!place) return std::nullopt;
    return SharedPlace{*place, "id_prefix", false};
  };
  type.capabilities = {
      .deduplication = Deduplication::kReceiver,
      .becomes = "a message of a stream of JetStream",
      .delivered = "the stream acknowledges it",
      .repeated =
          "dropped by the stream within `duplicate_window`: its `Nats-Msg-Id` is the event's id",
      .largest = "`max_payload` of the server, or `max_msg_size` of the stream"};
  return type;
}

}  // namespace walspout
