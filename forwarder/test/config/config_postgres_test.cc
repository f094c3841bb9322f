// The keys of the sink `postgres` that have parts: tables, columns, constants, histories.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config.h"
#include "sink/postgres/config.h"

namespace walspout {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string text_with(const std::string& keys) {
  return "pipelines:\n"
         "- name: p\n"
         "  source: {dsn: x, slot: s}\n"
         "  sinks:\n"
         "  - type: postgres\n"
         "    dsn: host=h\n" +
         keys;
}

PostgresConfig good(const std::string& keys) {
  const LoadedConfig loaded = parse_config(text_with(keys));
  EXPECT_EQ(describe("f", loaded), "");
  if (loaded.config.pipelines.empty() || loaded.config.pipelines[0].sinks.empty()) return {};
  return std::any_cast<const PostgresConfig&>(loaded.config.pipelines[0].sinks[0].options);
}

std::string problems(const std::string& keys) {
  return describe("f", parse_config(text_with(keys)));
}

TEST(ConfigPostgres, Defaults) {
  const PostgresConfig config = good("");
  EXPECT_EQ(config.rows.mode, PostgresMode::kClone);
  EXPECT_EQ(config.rows.missing, Missing::kInsert);
  EXPECT_EQ(config.rows.truncate, Truncates::kApply);
  EXPECT_FALSE(config.rows.keep_elided);
  EXPECT_THAT(config.rows.columns.rename, IsEmpty());
  EXPECT_THAT(config.rows.columns.leave_out, IsEmpty());
  EXPECT_THAT(config.rows.constants, IsEmpty());
  EXPECT_THAT(config.tables, IsEmpty());
  EXPECT_EQ(config.rows.history.end, "version_end");
  EXPECT_STREQ(config.rows.history.open_end(), "infinity");
  EXPECT_EQ(config.sink, "postgres");
  EXPECT_EQ(good("    name: copies\n").sink, "copies") << "its position has that name";
}

TEST(ConfigPostgres, AnItemOfTablesHasTheSettingsOfTheSinkThatItDoesNotName) {
  const PostgresConfig config = good(
      "    tables:\n"
      "    - table: 'audit.*'\n"
      "      mode: append\n"
      "      deleted_at: gone_at\n"
      "    - table: public.\"o dd\"\n"
      "      target: 'x.{table}'\n"
      "      missing: error\n"
      "      elided: error\n"
      "      set: {}\n"
      // The sink's own settings follow the items, and still apply to them.
      "    set: {sid: eu-1, n: 7, t: 'true'}\n"
      "    missing: ignore\n"
      "    truncate: ignore\n"
      "    elided: keep\n"
      "    columns: {rename: {id: order_id}, leave_out: [note, 'a b']}\n");
  EXPECT_EQ(config.rows.constants, (TextMap{{"sid", "eu-1"}, {"n", "7"}, {"t", "true"}}));
  EXPECT_EQ(config.rows.columns.rename, (TextMap{{"id", "order_id"}}));
  EXPECT_THAT(config.rows.columns.leave_out, ElementsAre("note", "a b"));
  ASSERT_EQ(config.tables.size(), 2u);
  const TablesConfig& audit = config.tables[0];
  EXPECT_EQ(audit.table, "audit.*");
  EXPECT_EQ(audit.target, "");
  EXPECT_EQ(audit.rows.mode, PostgresMode::kAppend);
  EXPECT_EQ(audit.rows.deleted_at, "gone_at");
  EXPECT_EQ(audit.rows.missing, Missing::kIgnore);
  EXPECT_EQ(audit.rows.truncate, Truncates::kIgnore);
  EXPECT_TRUE(audit.rows.keep_elided);
  EXPECT_EQ(audit.rows.constants, config.rows.constants);
  EXPECT_EQ(audit.rows.columns.rename, config.rows.columns.rename);
  const TablesConfig& odd = config.tables[1];
  EXPECT_EQ(odd.target, "x.{table}");
  EXPECT_EQ(odd.rows.mode, PostgresMode::kClone);
  EXPECT_EQ(odd.rows.missing, Missing::kError);
  EXPECT_FALSE(odd.rows.keep_elided);
  EXPECT_THAT(odd.rows.constants, IsEmpty()) << "an empty mapping takes the sink's place";
}

TEST(ConfigPostgres, PartsOfColumnsThatAnItemDoesNotNameAreTheSinks) {
  const PostgresConfig config = good(
      "    columns: {rename: {a: b}, leave_out: [c]}\n"
      "    tables:\n"
      "    - table: public.t\n"
      "      columns: {leave_out: [d]}\n");
  EXPECT_EQ(config.tables.at(0).rows.columns.rename, (TextMap{{"a", "b"}}));
  EXPECT_THAT(config.tables.at(0).rows.columns.leave_out, ElementsAre("d"));
  EXPECT_THAT(config.rows.columns.leave_out, ElementsAre("c"));
}

TEST(ConfigPostgres, ColumnsOfHistories) {
  const PostgresConfig config = good(
      "    mode: history\n"
      "    history: {preset: kuvasz, deleted: gone}\n"
      "    tables:\n"
      "    - {table: public.a, history: {start: begin}}\n"
      "    - {table: public.b, history: {preset: walspout}}\n"
      "    - {table: public.c, mode: clone}\n");
  EXPECT_EQ(config.rows.history.id, "kvsz_id");
  EXPECT_EQ(config.rows.history.start, "kvsz_start");
  EXPECT_EQ(config.rows.history.end, "kvsz_end");
  EXPECT_EQ(config.rows.history.deleted, "gone");
  EXPECT_STREQ(config.rows.history.open_end(), "9999-01-01 00:00:00+00");
  ASSERT_EQ(config.tables.size(), 3u);
  const HistoryConfig& a = config.tables[0].rows.history;
  EXPECT_EQ(a.start, "begin");
  EXPECT_EQ(a.end, "kvsz_end");
  EXPECT_EQ(a.deleted, "gone");
  EXPECT_TRUE(a.kuvasz);
  const HistoryConfig& b = config.tables[1].rows.history;
  EXPECT_EQ(b.id, "version_id");
  EXPECT_EQ(b.deleted, "version_deleted");
  EXPECT_STREQ(b.open_end(), "infinity");
  EXPECT_EQ(config.tables[2].rows.mode, PostgresMode::kClone);
}

TEST(ConfigPostgres, WhatIsWrongIsNamedAtItsPlace) {
  EXPECT_THAT(problems("    mode: clones\n"), HasSubstr("f:7:11"));
  EXPECT_THAT(problems("    set: [a]\n"), HasSubstr("f:7:10"));
  EXPECT_THAT(problems("    set: {a: [1]}\n"), HasSubstr("f:7:14"));
  EXPECT_THAT(problems("    set: {'': x}\n"), HasSubstr("empty name"));
  EXPECT_THAT(problems("    columns: {rename: {a: b, c: b}}\n"), HasSubstr("would fill column"));
  EXPECT_THAT(problems("    columns: {rename: {a: b}, leave_out: [a]}\n"),
              HasSubstr("in \"leave_out\""));
  EXPECT_THAT(problems("    columns: {renamed: {a: b}}\n"), HasSubstr("did you mean \"rename\""));
  EXPECT_THAT(problems("    columns: {leave_out: a}\n"), HasSubstr("f:7:"));
  EXPECT_THAT(problems("    columns: {leave_out: ['']}\n"), HasSubstr("empty name"));
  EXPECT_THAT(problems("    tables: {table: public.t}\n"), HasSubstr("f:7:13"));
  EXPECT_THAT(problems("    tables: [public.t]\n"), HasSubstr("f:7:14"));
  EXPECT_THAT(problems("    tables: [{table: public.t, target: ''}]\n"),
              HasSubstr("\"target\" is empty"));
  EXPECT_THAT(problems("    mode: history\n    set: {version_end: x}\n"),
              HasSubstr("would fill column"));
  // The keys of an item, including those from the sink.
  EXPECT_THAT(problems("    set: {version_id: x}\n    tables: [{table: a.b, mode: history}]\n"),
              HasSubstr("would fill column"));
}

TEST(ConfigPostgres, WhichEventsChangeNothing) {
  RowsConfig rows;
  const auto passed = [&] {
    std::string ops;
    for (const char op : std::string("cudtmr")) {
      if (rows.ignores(op)) ops += op;
    }
    return ops;
  };
  EXPECT_EQ(passed(), "m");
  rows.truncate = Truncates::kIgnore;
  EXPECT_EQ(passed(), "tm");
  rows.mode = PostgresMode::kAppend;
  EXPECT_EQ(passed(), "dtm");
  rows.deleted_at = "gone_at";
  EXPECT_EQ(passed(), "tm");
  rows.truncate = Truncates::kApply;
  EXPECT_EQ(passed(), "m");
  rows.mode = PostgresMode::kHistory;
  rows.deleted_at = "";
  EXPECT_EQ(passed(), "m");
}

}  // namespace
}  // namespace walspout
