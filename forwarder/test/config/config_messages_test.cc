// Mistakes of people who are new to the configuration, and the messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/config.h"
#include "config/units.h"

namespace walspout {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const char* const kGood =
    "pipelines:\n"
    "  - name: p\n"
    "    source:\n"
    "      dsn: host=x\n"
    "      slot: s\n"
    "    sinks:\n"
    "      - type: file\n"
    "        path: /tmp/x\n";

std::string problems(const std::string& text) {
  return describe("f", parse_config(text));
}

// The good configuration with the first `from` replaced.
std::string with(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// The same, with lines added to the pipeline.
std::string plus(const std::string& lines) {
  return kGood + lines;
}

// The message of a single problem.
void expect(const std::string& text, const std::string& says) {
  EXPECT_EQ(problems(text), "f:" + says + "\n") << text;
}

TEST(ConfigMessages, TheExampleOfThisTestIsGood) {
  EXPECT_EQ(problems(kGood), "");
}

TEST(ConfigMessages, OfSizes) {
  const std::string units = "a whole number with a unit, such as 64MiB (B, kB, MB, GB, TB)";
  expect(plus("    memory: -64MiB\n"), "9:13: \"memory\" must be positive, not \"-64MiB\"");
  expect(plus("    memory: 1B\n"), "9:13: \"memory\" must be between 1MiB and 1TiB, not \"1B\"");
  expect(plus("    memory: 99999999999999999999GiB\n"),
         "9:13: \"memory\" must be between 1MiB and 1TiB, not \"99999999999999999999GiB\"");
  expect(plus("    memory: 64\n"), "9:13: \"memory\" must be " + units + ", not \"64\"");
  expect(plus("    memory: 1.5GiB\n"), "9:13: \"memory\" must be " + units + ", not \"1.5GiB\"");
  expect(plus("    memory: 64mb\n"),
         "9:13: \"memory\" must be " + units + ", not \"64mb\"; did you mean \"64MB\"?");
  expect(plus("    memory: 64M\n"),
         "9:13: \"memory\" must be " + units + ", not \"64M\"; did you mean \"64MB\"?");
  expect(plus("    memory: 64 Mi\n"),
         "9:13: \"memory\" must be " + units + ", not \"64 Mi\"; did you mean \"64MiB\"?");
  expect(with("slot: s", "slot: s\n      batch_bytes: 0B"),
         "6:20: \"batch_bytes\" must be between 1B and 16MiB, not \"0B\"");
}

TEST(ConfigMessages, OfDurations) {
  const std::string units = "a whole number with a unit, such as 30s (ms, s, m, h, d)";
  expect(plus("drain: -1s\n"), "9:8: \"drain\" must be positive, not \"-1s\"");
  expect(plus("drain: 0s\n"), "9:8: \"drain\" must be positive, not \"0s\"");
  expect(plus("drain: 10\n"), "9:8: \"drain\" must be " + units + ", not \"10\"");
  expect(plus("drain: 1.5s\n"), "9:8: \"drain\" must be " + units + ", not \"1.5s\"");
  expect(plus("drain: 1001d\n"), "9:8: \"drain\" must be at most 1000d, not \"1001d\"");
}

TEST(ConfigMessages, OfOtherValues) {
  expect(plus("    memory:\n"), "9:5: \"memory\" has no value");
  expect(with("name: p", "name:"), "2:5: \"name\" has no value");
  expect(with("dsn: host=x", "dsn:"), "4:7: \"dsn\" has no value");
  expect(with("dsn: host=x", "dsn: ''"),
         "4:12: \"dsn\" is empty: give it a value, or set the environment variable that it names");
  expect(with("path: /tmp/x", "path: ''"), "8:15: \"path\" is empty");
  expect(plus("    dead_letter: {path: ''}\n"), "9:25: \"path\" is empty");
  expect(with("name: p", "name: my pipe"),
         "2:11: \"name\" must be up to 63 letters, digits and any of _ - ., not \"my pipe\"");
  expect(with("slot: s", "slot: Orders"),
         "5:13: \"slot\" must be up to 63 lower case letters, digits and underscores, not "
         "\"Orders\"");
  expect(with("slot: s", "slot: s\n      messages: 1"),
         "6:17: \"messages\" must be true or false, not \"1\"");
  EXPECT_EQ(problems(with("slot: s", "slot: s\n      messages: True")), "");
  expect(plus("    dead_letter: {after: 0, path: x}\n"),
         "9:26: \"after\" must be a whole number of at least 1, not \"0\"");
  expect(with("type: file\n        path: /tmp/x",
              "type: http\n        url: http://x\n        lanes: 300"),
         "9:16: \"lanes\" must be a whole number from 1 to 256, not \"300\"");
}

TEST(ConfigMessages, ShowNoSecrets) {
  setenv("WALSPOUT_HUSH", "hush", 1);
  for (const std::string& text :
       {with("slot: s", "slot: ${WALSPOUT_HUSH}!"), plus("    memory: ${WALSPOUT_HUSH}\n"),
        with("type: file", "type: ${WALSPOUT_HUSH}"), plus("drain: ${WALSPOUT_HUSH}\n"),
        with("name: p\n    source:\n      dsn: host=x",
             "name: \"p\n    source:\n      dsn: hush")}) {
    EXPECT_THAT(problems(text), AllOf(Not(HasSubstr("hush")), HasSubstr("f:"))) << text;
  }
}

TEST(ConfigMessages, OfMappingsAndLists) {
  expect(plus("status:\n"), "9:1: \"status\" has no value");
  expect(plus("status: 127.0.0.1:8470\n"), "9:9: \"status\" must be a mapping of keys to values");
  expect(plus("    dead_letter: /tmp/x\n"),
         "9:18: \"dead_letter\" must be a mapping of keys to values");
  expect("- name: p\n", "1:1: the configuration must be a mapping of keys to values");
  expect(with("      dsn: host=x\n      slot: s\n", ""), "3:5: \"source\" has no value");
  expect(with("      - type: file\n        path: /tmp/x\n", ""), "6:5: \"sinks\" has no value");
  expect(with("      - type: file\n        path: /tmp/x", "      []"),
         "7:7: \"sinks\" must be a list with at least one item");
  expect(with("- type", "  type"), "7:9: \"sinks\" must be a list: begin each item with \"- \"");
  expect(with("slot: s", "slot: s\n      publications: a, b"),
         "6:21: \"publications\" must be a list, such as [a, b]");
  expect(with("slot: s", "slot: s\n      publications:"), "6:7: \"publications\" has no value");
  expect(with("slot: s", "slot: s\n      publications: [[a]]"),
         "6:22: an item of \"publications\" must be a single value");
  expect(plus("    memory: 1MiB\n    memory: 2MiB\n"), "10:5: \"memory\" is there twice");
  expect(plus("    <<: 1\n"),
         "9:9: a merge key (\"<<\") needs a mapping, such as *NAME, or a list of mappings");
  expect(plus("    <<: {memroy: 1MiB}\n"),
         "9:10: unknown key \"memroy\" in an item of \"pipelines\": did you mean \"memory\"?");
  EXPECT_THAT(problems(plus("    retry: &a {<<: *a}\n")), HasSubstr("leads back"));
}

TEST(ConfigMessages, OfPrograms) {
  const auto exec = [](const std::string& lines) {
    return with("type: file\n        path: /tmp/x", "type: exec" + lines);
  };
  expect(exec(""), "7:9: an item of \"sinks\" needs \"command\"");
  expect(exec("\n        command: ./my-sink --flag"),
         "8:18: \"command\" must be a list, such as [a, b]");
  const std::string needs = "\"command\" needs a program, such as [./my-sink, --flag]";
  expect(exec("\n        command: []"), "8:18: " + needs);
  expect(exec("\n        command: ['', x]"), "8:18: " + needs);
  expect(exec("\n        command: [[a]]"), "8:19: an item of \"command\" must be a single value");
  expect(exec("\n        command: [a]\n        env: [A=b]"),
         "9:14: \"env\" must be a mapping of names to values");
  expect(exec("\n        command: [a]\n        env: {A=b: c}"),
         "9:14: a name in \"env\" is empty, or has a \"=\"");
  expect(exec("\n        command: [a]\n        order: keys"),
         "9:16: \"order\" must be one of all, key, none, not \"keys\"; did you mean \"key\"?");
  expect(exec("\n        command: [a]\n        unanswered: 0"),
         "9:21: \"unanswered\" must be a whole number from 1 to 65535, not \"0\"");
  EXPECT_THAT(problems(exec("\n        comand: [a]")),
              HasSubstr("f:8:9: unknown key \"comand\" in an item of \"sinks\": did you mean "
                        "\"command\"?"));
}

TEST(ConfigMessages, OfSinkTypes) {
  // If the type is unknown, the keys of all types are known.
  expect(with("type: file",
              "type: redys\n        url: x\n        lanes: 3\n        heartbeat: 3s\n"
              "        cloudevents: true\n        cloudevents_source: x\n        redirects: 1\n"
              "        http2: true\n        timeout: 1s\n        declare: topic\n"
              "        persistent: true\n        mandatory: true\n        unconfirmed: 1\n"
              "        fsync: true"),
         "7:15: \"type\" must be one of redis, http, rabbitmq, kafka, nats, exec, postgres, file, "
         "stdout, "
         "null, not "
         "\"redys\"; "
         "did you mean \"redis\"?");
  EXPECT_THAT(problems(with("type: file", "type: redys\n        mandatery: true")),
              HasSubstr("did you mean \"mandatory\"?"));
  expect(with("type: file", "name: x"), "7:9: an item of \"sinks\" needs \"type\"");
  expect(with("type: file", "type:"), "7:9: \"type\" has no value");
}

// Errors from a sink's own code are reported with the others, with their place.
TEST(ConfigMessages, OfSinksThatCannotBeMade) {
  const auto sinks = [](const std::string& list) {
    return problems(with("      - type: file\n        path: /tmp/x\n", list));
  };
  EXPECT_THAT(
      sinks("      - {name: a, type: redis, url: redis://h/x}\n"
            "      - {name: b, type: http, url: http://h, secret: whsec_hush!}\n"
            "      - {name: c, type: redis, url: redis://h, stream: '{nothing}'}\n"
            "      - {name: d, type: http, url: http://h, headers: {Host: hush}}\n"),
      AllOf(HasSubstr("f:7:9: sink \"a\": url is not one of Redis"),
            HasSubstr("f:8:9: sink \"b\": secret 1 of 1"), HasSubstr("f:9:9: sink \"c\": stream: "),
            HasSubstr("f:10:9: sink \"d\": headers: \"Host\""), Not(HasSubstr("hush"))));
  // Each problem is reported once.
  EXPECT_EQ(sinks("      - {type: redis, url: redis://h/x, maxlen: 0}\n"),
            "f:7:49: \"maxlen\" must be a whole number of at least 1, not \"0\"\n");
}

TEST(ConfigMessages, OfKafkaAsASource) {
  const auto source = [](const std::string& keys, const std::string& more = "") {
    const std::string text =
        "pipelines:\n  - name: a\n    source: {" + keys + "}\n    sinks: [{type: null}]\n" + more;
    return describe("f", parse_config(text));
  };
  const std::string kafka = "kafka: {brokers: ['a:1'], topics: [t, '^u.*'], group: g";
  EXPECT_EQ(source(kafka + "}"), "");
  EXPECT_EQ(source(""),
            "f:3:13: \"source\" needs \"dsn\" or \"kafka\"\n"
            "f:3:13: \"source\" needs \"slot\" or \"kafka\"\n");
  EXPECT_EQ(source("dsn: 'host=h'"), "f:3:13: \"source\" needs \"slot\" or \"kafka\"\n");
  EXPECT_EQ(source("dsn: 'host=h', slot: s, " + kafka + "}"),
            "f:3:19: \"dsn\" cannot go with \"kafka\": take one of them out\n"
            "f:3:35: \"slot\" cannot go with \"kafka\": take one of them out\n");
  EXPECT_EQ(source("omit: [id], " + kafka + "}"),
            "f:3:20: \"omit\" cannot go with \"kafka\": take one of them out\n");
  EXPECT_EQ(source("kafka: {brokers: [a], topics: [], group: g}"),
            "f:3:32: \"brokers\" must name brokers as HOST:PORT\n"
            "f:3:44: \"topics\" is an empty list: name the topics to read\n");
  EXPECT_THAT(source("kafka: {}"), AllOf(HasSubstr("\"kafka\" needs \"brokers\""),
                                         HasSubstr("\"kafka\" needs \"topics\""),
                                         HasSubstr("\"kafka\" needs \"group\"")));
  EXPECT_THAT(source("kafka: {brokers: ['a:1'], topics: ['a b'], group: g}"),
              HasSubstr("no name of a topic"));
  EXPECT_THAT(source(kafka + ", foreign: skipp}"), HasSubstr("did you mean \"skip\"?"));
  EXPECT_THAT(source(kafka + ", foreign: dead_letter}"),
              HasSubstr("\"foreign: dead_letter\" needs the file of \"dead_letter\""));
  EXPECT_THAT(
      source(kafka + "}", "  - name: b\n    source: {" + kafka + "}}\n    sinks: [{type: null}]\n"),
      HasSubstr("f:6:13: two pipelines are members of group \"g\""));
  EXPECT_EQ(source(kafka + ", foreign: dead_letter}", "    dead_letter: {path: /tmp/x}\n"), "");
}

TEST(ConfigMessages, OfKafka) {
  const auto kafka = [](const std::string& rest) {
    return with("type: file\n        path: /tmp/x", "type: kafka\n" + rest);
  };
  expect(kafka("        brokers: [a]\n"), "8:19: \"brokers\" must name brokers as HOST:PORT");
  expect(kafka("        topic: x\n"), "7:9: an item of \"sinks\" needs \"brokers\"");
  const std::string good = "        brokers: [\"a:1\"]\n";
  expect(kafka(good + "        sasl: {user: u}\n"), "9:15: \"sasl\" needs \"mechanism\"");
  expect(kafka(good + "        sasl: {mechanism: plain, user: u}\n"),
         "9:27: this mechanism needs \"password\"");
  expect(kafka(good + "        sasl: {mechanism: oauthbearer}\n"),
         "9:27: this mechanism needs \"token\"");
  expect(kafka(good + "        compression: lz5\n"),
         "9:22: \"compression\" must be one of none, gzip, snappy, lz4, zstd, not \"lz5\"; did you "
         "mean \"lz4\"?");
  expect(kafka(good + "        create_topics: {partitions: 0}\n"),
         "9:37: \"partitions\" must be a whole number from 1 to 100000, not \"0\"");
  EXPECT_EQ(problems(kafka(good + "        tls: {}\n        create_topics: {}\n")), "");
}

TEST(ConfigMessages, OfVariables) {
  const std::string must =
      "4:12: \"${\" in \"dsn\" must be followed by the name of a variable and "
      "\"}\", such as ${PASSWORD}";
  expect(with("host=x", "${WALSPOUT_NOT_SET}"),
         "4:12: environment variable WALSPOUT_NOT_SET, for \"dsn\", is not set");
  expect(with("host=x", "${WALSPOUT_NOT_SET:-x}"), must);
  expect(with("host=x", "a${}b"), must);
  expect(with("host=x", "${WALSPOUT"), must);
}

TEST(ConfigMessages, OfYaml) {
  const std::string tab = "a tab is not allowed for indentation: use spaces";
  expect(with("      dsn", "\t\t\tdsn"), "4:1: " + tab);
  expect(with("  - name", "\t- name"), "2:1: " + tab);
  expect(with("    source", "\tsource"), "3:1: " + tab);
  expect(plus("    retry:\n    \tmax: 1s\n"), "10:5: " + tab);
  EXPECT_EQ(problems(with("slot: s", "slot:\ts")), "");
  EXPECT_THAT(problems(with("slot: s", "slot: {s}.{t}")),
              AllOf(StartsWith("f:5:16: not valid YAML: "), HasSubstr("in quotes")));
  EXPECT_THAT(problems(with("slot: s", "slot: a: b")),
              AllOf(StartsWith("f:5:14: not valid YAML: "), HasSubstr("in quotes")));
  EXPECT_THAT(problems(with("      slot: s", "        slot: s")), HasSubstr("indentation"));
  EXPECT_THAT(problems(with("slot: s", "slot: *s")), HasSubstr("in quotes"));
  EXPECT_THAT(problems(with("slot: s", "slot: * ")), HasSubstr("in quotes"));
  EXPECT_THAT(problems(with("slot: s", "slot: @s")), HasSubstr("in quotes"));
  EXPECT_THAT(problems(with("slot: s", "slot: \"\\d\"")), HasSubstr("backslash"));
  EXPECT_THAT(problems(with("slot: s", "slot: \"s")), HasSubstr("a quote before it not closed?"));
  EXPECT_THAT(problems(with("slot: s", "slot:s")), HasSubstr("space"));
  EXPECT_THAT(problems(std::string(5000, '[')), HasSubstr("deep"));
  // The library's parser reads no further here, and would not end.
  EXPECT_THAT(problems(", max_depth"), StartsWith("f:1:1: not valid YAML: unexpected \",\""));
  EXPECT_THAT(problems("{a: 1}, b\n"), StartsWith("f:1:7: not valid YAML: unexpected \",\""));
}

TEST(ConfigMessages, OfDocuments) {
  const std::string one =
      "one file has one configuration. A second document begins here: remove "
      "the \"---\" before it, or use another file";
  expect(std::string(kGood) + "---\n" + kGood, "10:1: " + one);
  expect(std::string("---\n") + kGood + "---\n{}\n", "11:1: " + one);
  EXPECT_EQ(problems(std::string("---\n") + kGood + "...\n"), "");
  EXPECT_EQ(problems(std::string(kGood) + "---\n"), "");
  expect("[pipelines]\nname = x\n", "2:1: not valid YAML: the configuration ends before this");
  expect("# nothing\n", " the file is empty");
  expect("", " the file is empty");
}

TEST(ConfigMessages, OfEncodings) {
  EXPECT_EQ(problems("\xEF\xBB\xBF" + std::string(kGood)), "");
  std::string windows;
  for (const char c : std::string(kGood)) windows += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(problems(windows), "");
  expect(with("host=x", "host=\xe9"), "4:17: this is not UTF-8: save the file as UTF-8");
  expect(with("host=x", "host=\xc3\xa9\xff"), "4:19: this is not UTF-8: save the file as UTF-8");
  expect(with("host=x", std::string("host=\0", 6)), "4:17: there is a NUL character here");
  EXPECT_EQ(problems(with("host=x", "host=\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), "");
  // Overlong, a surrogate, beyond the last character, truncated.
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_THAT(problems(with("host=x", bad)), HasSubstr("4:12: this is not UTF-8")) << bad;
  }
}

TEST(ConfigMessages, OfFiles) {
  const auto says = [](const std::string& path) { return describe("f", load_config(path)); };
  EXPECT_EQ(says(testing::TempDir()), "f: this is a directory: name the file in it\n");
  EXPECT_EQ(says("/nonexistent"), "f: could not read the file: No such file or directory\n");
  EXPECT_EQ(says("/dev/null"), "f: the file is empty\n");
}

TEST(ConfigMessages, OfLongerUnits) {
  // As in postgresql.conf, and in the plugin's options.
  EXPECT_EQ(parse_size("64kB"), 65536u);
  EXPECT_EQ(parse_size("64KiB"), 65536u);
  EXPECT_EQ(parse_size("1MB"), parse_size("1MiB"));
  EXPECT_EQ(parse_size("1TB"), parse_size("1024GB"));
  EXPECT_EQ(size_text(0), "0B");
  EXPECT_EQ(size_text(1), "1B");
  EXPECT_EQ(size_text(1 << 10), "1KiB");
  EXPECT_EQ(size_text(1536 << 10), "1536KiB");
  EXPECT_EQ(size_text(uint64_t{1} << 40), "1TiB");
}

}  // namespace
}  // namespace walspout
