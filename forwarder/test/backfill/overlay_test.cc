#include "backfill/overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source/frames.h"
#include "test/source/messages.h"

namespace walspout {
namespace {

using test::MessageBuilder;
using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<Column> kColumns = {{"id", "int", 23, -1, true, true},
                                      {"n", "int", 23, -1, false, false},
                                      {"body", "text", 25, -1, false, false}};
const std::string kOpen = R"({"id":"00000000000000000000-00000000000000000000",)";

Snapshot snapshot(const char* text) {
  return *Snapshot::parse(text);
}

std::string member(std::string_view name, std::string_view value) {
  return value.empty() ? "" : "\"" + std::string(name) + "\":" + std::string(value);
}

// An object with id, n and body, and the numbers of its members. Empty: absent; "-7": elided.
std::pair<std::string, std::string> object(int id, std::string_view n, std::string_view body) {
  std::string text = "{" + member("id", std::to_string(id));
  std::vector<int64_t> sizes = {static_cast<int64_t>(text.size()) - 1};
  for (const auto& [name, value] : {std::pair{"n", n}, std::pair{"body", body}}) {
    if (value.starts_with('-')) {
      sizes.push_back(std::stoll(std::string(value)));
      continue;
    }
    const std::string one = member(name, value);
    sizes.push_back(static_cast<int64_t>(one.size()));
    if (!one.empty()) text += "," + one;
  }
  return {text + "}", MessageBuilder::members(sizes)};
}

struct Rows {
  MessageBuilder builder;
  FrameDecoder decoder;

  Rows() { builder.relation(1, "public", "t", kColumns); }

  Rows& row(int id, std::string_view n, std::string_view body) {
    const auto [after, members] = object(id, n, body);
    const std::string key = R"({"id":)" + std::to_string(id) + "}";
    builder.event('r', 0, kOpen + R"("op":"r","key":)" + key + R"(,"after":)" + after + "}", 1, 5,
                  0x30, members);
    return *this;
  }

  Chunk chunk() {
    Chunk chunk;
    std::optional<RowsRead> read;
    Result<void> decoded = decoder.decode_rows(builder.message(), chunk, read);
    EXPECT_TRUE(decoded) << decoded.error().what;
    return chunk;
  }
};

// Delivers changes to a Kept.
struct Delivered {
  KeptBudget budget{1 << 20};
  Kept kept{budget};
  FrameDecoder decoder;
  std::vector<std::string> again;
  uint64_t lsn = 100;

  Delivered& transaction(uint32_t xid, const std::function<void(MessageBuilder&)>& changes) {
    MessageBuilder builder;
    lsn += 100;
    builder.begin(lsn, 5, xid).relation(1, "public", "t", kColumns);
    changes(builder);
    Chunk chunk;
    Result<void> decoded = decoder.decode(builder.message(), chunk);
    // Leaves out the commit: the transactions are incomplete.
    EXPECT_TRUE(decoded) << decoded.error().what;
    decoder.reset();
    for (size_t i = 0, detail = 0; i < chunk.events.size(); i++) {
      EventDetail told;
      if (detail < chunk.details.size() && chunk.details[detail].event == i) {
        told = chunk.details[detail++];
      }
      auto key = kept.add(xid, chunk.events[i], told, chunk.tables.front());
      if (key) again.push_back(key->key);
    }
    return *this;
  }

  Delivered& change(uint32_t xid, char op, int id, std::string_view n, std::string_view body,
                    int old = 0) {
    return transaction(xid, [&](MessageBuilder& builder) {
      const auto [after, members] = object(id, n, body);
      const std::string key = R"("key":{"id":)" + std::to_string(id) + "}";
      const bool partial = body.empty();
      std::string document = "{" + key;
      if (old) document += R"(,"before":{"id":)" + std::to_string(old) + "}";
      if (op != 'd') document += R"(,"after":)" + after;
      builder.event(
          op, 0, document + "}", 1, 5,
          static_cast<uint8_t>((old ? 0x41 : 0) | (partial && op != 'd' ? 0x10 : 0)),
          (partial && op != 'd' ? members : "") +
              (old ? MessageBuilder::old_key({{1, 5 + std::to_string(old).size()}}) : ""));
    });
  }

  // The documents that are sent for rows read with that snapshot.
  std::vector<std::string> apply_newer(Chunk rows, const char* seen) {
    RowsPlace place{Lsn{900}, 7, 0};
    const Kept::Newer newer(kept, snapshot(seen));
    EXPECT_TRUE(walspout::apply_newer(rows, newer, place));
    std::vector<std::string> documents;
    for (const Event& event : rows.events) {
      documents.emplace_back(event.document);
      EXPECT_EQ(event.document.substr(event.after_span().begin, 1), "{");
      EXPECT_EQ(event.after().back(), '}');
      EXPECT_EQ(event.key().substr(0, 6), R"({"id":)");
      EXPECT_EQ(event.lsn, Lsn{900});
    }
    return documents;
  }
};

std::string document(int index, int id, const std::string& rest) {
  return R"({"id":"900-)" + std::to_string(index) + R"(","op":"r","key":{"id":)" +
         std::to_string(id) + R"(},"after":{"id":)" + std::to_string(id) + rest + "}";
}

TEST(Snapshot, SeesWhatHasEnded) {
  const Snapshot some = snapshot("10:20:10,15");
  EXPECT_TRUE(some.sees(9));
  EXPECT_FALSE(some.sees(10));
  EXPECT_TRUE(some.sees(11));
  EXPECT_FALSE(some.sees(15));
  EXPECT_TRUE(some.sees(19));
  EXPECT_FALSE(some.sees(20));
  EXPECT_FALSE(some.sees(21));
  EXPECT_EQ(some.xmin(), 10u);
  // Between its commit record and its end a transaction is at xmax.
  EXPECT_FALSE(snapshot("756:756:").sees(756));
}

TEST(Snapshot, WidensToTheNearestEpoch) {
  const Snapshot early = snapshot("4294967300:4294967310:4294967301");  // epoch 1, xmax 14
  EXPECT_TRUE(early.sees(4294967290u));                                 // of the epoch before
  EXPECT_FALSE(early.sees(5));
  EXPECT_TRUE(early.sees(6));
  const Snapshot late = snapshot("4294967280:4294967290:");
  EXPECT_FALSE(late.sees(3));  // of the next epoch
  EXPECT_TRUE(late.sees(4294967285u));
  EXPECT_TRUE(snapshot("700:800:").sees(750));
}

TEST(Snapshot, RejectsOtherText) {
  for (const char* text : {"", "1", "1:2", "a:2:", "1:2:x", "1:2:3,", "1:2:3 4", ":2:", "1::"}) {
    const auto parsed = Snapshot::parse(text);
    EXPECT_EQ(parsed.has_value(), std::string(text) == "1:2:3,") << text;
  }
}

TEST(Overlay, GivesRowsTheirIds) {
  Delivered delivered;
  Chunk rows = Rows().row(1, "5", R"("a")").row(2, "6", R"("b")").chunk();
  EXPECT_THAT(delivered.apply_newer(std::move(rows), "10:20:"),
              ElementsAre(document(0, 1, R"(,"n":5,"body":"a"})"),
                          document(1, 2, R"(,"n":6,"body":"b"})")));
}

TEST(Overlay, DropsWhatTheReceiverHas) {
  Delivered delivered;
  delivered.change(20, 'u', 1, "7", R"("new")")
      .change(21, 'd', 2, "", "")
      .change(12, 'd', 3, "", "");
  Rows rows;
  rows.row(1, "5", R"("a")").row(2, "6", R"("b")").row(3, "6", R"("c")");
  EXPECT_THAT(delivered.apply_newer(rows.chunk(), "10:20:"),
              ElementsAre(document(0, 3, R"(,"n":6,"body":"c"})")));
  delivered.transaction(22, [](MessageBuilder& builder) { builder.event('t', 0, "{}", 1, 5, 1); });
  EXPECT_THAT(delivered.apply_newer(rows.chunk(), "10:20:"), IsEmpty());
}

TEST(Overlay, MergesPartialChanges) {
  Delivered delivered;
  delivered.change(20, 'u', 1, "7", "").change(21, 'u', 1, "8", "").change(20, 'u', 2, "-70", "");
  EXPECT_THAT(delivered.again, IsEmpty());
  Rows rows;
  rows.row(1, "5", R"("a,b]")").row(2, "5", "-99").row(3, "", R"("c")");
  EXPECT_THAT(delivered.apply_newer(rows.chunk(), "10:20:"),
              ElementsAre(document(0, 1, R"(,"n":8,"body":"a,b]"})"),
                          document(1, 2, R"(},"elided":{"n":70,"body":99})"),
                          document(2, 3, R"(,"body":"c"})")));
}

TEST(Overlay, SaysThatMemoryIsMissing) {
  Delivered delivered;
  delivered.change(20, 'u', 1, "7", "");
  const Kept::Newer newer(delivered.kept, snapshot("10:20:"));
  Chunk rows = Rows().row(1, "5", R"("a")").chunk();
  RowsPlace place{Lsn{900}, 7, 0};
  EXPECT_FALSE(apply_newer(rows, newer, place, [](size_t) -> void* { return nullptr; }));
  Chunk more = Rows().row(1, "5", R"("a")").chunk();
  EXPECT_FALSE(apply_newer(more, newer, place, [](size_t) -> void* { throw std::bad_alloc(); }));
}

TEST(Overlay, DropsAfterACompleteChange) {
  Delivered delivered;
  delivered.change(20, 'u', 1, "7", R"("new")").change(21, 'u', 1, "8", "");
  EXPECT_THAT(delivered.apply_newer(Rows().row(1, "5", R"("a")").chunk(), "10:20:"), IsEmpty());
}

TEST(Overlay, FollowsChangedKeys) {
  Delivered delivered;
  delivered.change(20, 'u', 2, "7", "", 1);
  EXPECT_THAT(delivered.again, ElementsAre(R"({"id":2})"));
  Rows rows;
  rows.row(1, "5", R"("a")").row(3, "5", R"("c")");
  EXPECT_THAT(delivered.apply_newer(rows.chunk(), "10:20:"),
              ElementsAre(document(0, 3, R"(,"n":5,"body":"c"})")));
  const Kept::Newer newer(delivered.kept, snapshot("10:20:"));
  EXPECT_TRUE(newer.is_moved_to(R"({"id":2})"));
  EXPECT_FALSE(newer.is_moved_to(R"({"id":1})"));
}

TEST(Overlay, GivesASchemaTheIndexOfItsRow) {
  Delivered delivered;
  delivered.change(20, 'd', 1, "", "");
  Rows rows;
  const auto schema = [&](uint64_t fingerprint) {
    rows.builder.event('s', 0, kOpen + R"("op":"s"})", 1, fingerprint, 0x21);
  };
  schema(0xab);
  rows.row(1, "1", R"("a")");  // dropped: the schema belongs to the next row
  rows.row(2, "2", R"("b")");
  schema(0xcd);
  rows.row(3, "3", R"("c")");
  schema(0xef);
  rows.row(1, "4", R"("d")");
  std::vector<Chunk> chunks(1);
  chunks[0] = rows.chunk();
  RowsPlace place{Lsn{900}, 7, 0};
  EXPECT_TRUE(apply_newer(chunks[0], Kept::Newer(delivered.kept, snapshot("10:20:")), place));
  const auto ids = [&] {
    std::vector<std::string> all;
    for (const Chunk& chunk : chunks) {
      for (const Event& event : chunk.events) {
        const std::string id(EventId(event).view());
        EXPECT_TRUE(event.document.starts_with(R"({"id":")" + id + "\",\"")) << event.document;
        all.push_back(std::to_string(event.index) + " " + id);
      }
    }
    return all;
  };
  const std::vector<std::string> placed = {"0 900-s00000000000000ab", "0 900-0",
                                           "1 900-s00000000000000cd", "1 900-1"};
  std::vector<std::string> laid = placed;
  laid.push_back("2 900-s00000000000000ef");
  EXPECT_EQ(ids(), laid);
  drop_lone_schemas(chunks);
  EXPECT_EQ(ids(), placed);
  // The row of a schema may be in the next chunk. Of two schemas without a row between them, the
  // last one counts.
  Rows more;
  more.row(5, "5", R"("e")");
  chunks.push_back(more.chunk());
  EXPECT_TRUE(apply_newer(chunks[1], Kept::Newer(delivered.kept, snapshot("10:20:")), place));
  chunks[0].events.erase(chunks[0].events.begin() + 3);
  chunks[0].events.erase(chunks[0].events.begin() + 1);
  drop_lone_schemas(chunks);
  EXPECT_EQ(ids(), (std::vector<std::string>{"1 900-s00000000000000cd", "2 900-2"}));
}

TEST(Overlay, ReadsOtherColumnsAgain) {
  Delivered delivered;
  delivered.change(20, 'u', 1, "7", "");
  std::vector<Column> columns = kColumns;
  columns.push_back({"later", "int", 23, -1, false, false});
  Rows rows;
  rows.builder.relation(1, "public", "t", columns);
  const std::string after = R"({"id":1,"n":5,"body":"a","later":1})";
  rows.builder.event('r', 0, kOpen + R"("key":{"id":1},"after":)" + after + "}", 1, 5, 0x30,
                     MessageBuilder::members({6, 5, 10, 9}));
  Chunk chunk = rows.chunk();
  RowsPlace place{Lsn{900}, 7, 0};
  const Kept::Newer newer(delivered.kept, snapshot("10:20:"));
  EXPECT_THAT(*apply_newer(chunk, newer, place), ElementsAre(R"({"id":1})"));
  EXPECT_TRUE(chunk.events.empty());
}

TEST(Kept, ForgetsWhatIsVisible) {
  Delivered delivered;
  delivered.change(20, 'd', 1, "", "").change(21, 'd', 2, "", "").change(19, 'd', 3, "", "");
  EXPECT_EQ(delivered.kept.first(), Lsn{200});
  delivered.kept.prune(snapshot("20:22:21"));
  EXPECT_EQ(delivered.kept.first(), Lsn{300});
  delivered.kept.prune(snapshot("22:22:"));
  EXPECT_EQ(delivered.kept.first(), Lsn{});
  EXPECT_EQ(delivered.budget.used, 0u);
}

TEST(Kept, KnowsThatItHasNoRoom) {
  Delivered delivered;
  delivered.budget.capacity = 1000;
  for (int i = 1; i < 100; i++) delivered.change(20, 'd', i, "", "");
  EXPECT_LE(delivered.budget.used, 1000u);
  EXPECT_TRUE(Kept::Newer(delivered.kept, snapshot("10:20:")).is_unknown());
  EXPECT_FALSE(Kept::Newer(delivered.kept, snapshot("10:21:")).is_unknown());
}

TEST(Kept, IsUnknownWhereTheOldKeyIsNotTold) {
  Delivered delivered;
  delivered.transaction(20, [](MessageBuilder& builder) {
    builder.event('u', 0, R"({"key":{"id":2},"before":{},"after":{"id":2,"n":1,"body":""}})", 1, 5,
                  1);
  });
  EXPECT_TRUE(Kept::Newer(delivered.kept, snapshot("10:20:")).is_unknown());
  EXPECT_FALSE(Kept::Newer(delivered.kept, snapshot("10:21:")).is_unknown());
}

}  // namespace
}  // namespace walspout
