#include "backfill/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace walspout {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class KeysTest : public testing::Test {
 protected:
  // The keys of the database after that save.
  void save(const KeyChanges& changes) {
    if (changes.all) database.clear();
    for (const auto& [number, key] : changes.add) database.emplace(number, key);
    for (const uint64_t number : changes.remove) database.erase(number);
  }

  std::set<std::string> saved() const {
    std::set<std::string> all;
    for (const auto& [number, key] : database) all.insert(key);
    return all;
  }

  KeptBudget budget{1000, 0};
  ReadAgain keys{budget};
  std::map<uint64_t, std::string> database;
};

TEST_F(KeysTest, AKeyStaysUntilItsRowIsEverywhere) {
  keys.add("a");
  EXPECT_TRUE(keys.waits("a"));
  const uint64_t place = keys.place("a");
  EXPECT_FALSE(keys.waits("a"));
  save(keys.take_changes());
  keys.saved(true);
  EXPECT_THAT(saved(), ElementsAre("a"));
  keys.remove("a", place);
  EXPECT_EQ(budget.used, 0u);
  save(keys.take_changes());
  EXPECT_THAT(saved(), IsEmpty());
}

TEST_F(KeysTest, AKeyThatWasPlacedAgainStaysUntilThatIsEverywhere) {
  keys.add("a");
  const uint64_t first = keys.place("a");
  keys.add("a");
  const uint64_t second = keys.place("a");
  keys.remove("a", first);
  EXPECT_FALSE(keys.empty());
  keys.add("a");
  keys.remove("a", second);
  EXPECT_TRUE(keys.waits("a"));
  keys.remove("a", keys.place("a"));
  EXPECT_TRUE(keys.empty());
}

TEST_F(KeysTest, ASaveHasWhatHasChanged) {
  keys.add("a");
  keys.add("b");
  EXPECT_EQ(keys.take_changes().add.size(), 2u);
  keys.saved(true);
  keys.add("a");
  EXPECT_TRUE(keys.take_changes().empty());
  keys.saved(true);
  // A key added and removed between two saves costs nothing.
  keys.add("c");
  keys.remove("c", keys.place("c"));
  EXPECT_TRUE(keys.take_changes().empty());
}

TEST_F(KeysTest, GoesOnFromWhatIsSaved) {
  keys.load({{7, "a"}, {9, "b"}, {8, "a"}});
  EXPECT_THAT(keys.some(10), ElementsAre("a", "b"));
  keys.add("c");
  const KeyChanges changes = keys.take_changes();
  EXPECT_THAT(changes.add, ElementsAre(std::pair<uint64_t, std::string>(10, "c")));
  EXPECT_THAT(changes.remove, ElementsAre(8));
}

// After the next save the database has exactly these keys, whatever happened before. That includes
// failed saves that were made after all.
TEST_F(KeysTest, NoSaveThatFailsLosesAKey) {
  std::mt19937 random(1);
  std::map<std::string, uint64_t> placed;
  std::set<std::string> there;
  for (int round = 0; round < 20'000; round++) {
    const auto changes = [&] {
      const std::string key(1, static_cast<char>('a' + random() % 6));
      const auto what = random() % 12;
      if (what < 4) {
        keys.add(key);
        there.insert(key);
      } else if (what < 7 && keys.waits(key)) {
        placed[key] = keys.place(key);
      } else if (what < 10 && there.contains(key) && !keys.waits(key)) {
        keys.remove(key, placed[key]);
        there.erase(key);
      } else if (what == 10 && random() % 8 == 0) {
        keys.clear();
        there.clear();
      }
    };
    changes();
    if (random() % 4) continue;
    const KeyChanges taken = keys.take_changes();
    const bool made = random() % 2;
    if (made) save(taken);
    const std::set<std::string> then = there;
    if (random() % 2) changes();
    const bool good = made && random() % 2;
    keys.saved(good);
    if (good) {
      ASSERT_EQ(saved(), then);
    }
  }
  save(keys.take_changes());
  EXPECT_EQ(saved(), there);
}

}  // namespace
}  // namespace walspout
