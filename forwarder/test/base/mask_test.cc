#include "base/mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace walspout {
namespace {

TEST(MaskTest, HidesWhatAUrlKeepsSecret) {
  Mask mask;
  mask.hide_url("https://user:pass%20word@example.com:8443/hooks/T0KEN/x?key=s3cr3t&k2=other#frag");
  const char* const texts[] = {
      "Cannot POST /hooks/T0KEN/x?key=s3cr3t&k2=other",
      "Cannot POST /hooks/T0KEN/x",
      "no route \"\\/hooks\\/T0KEN\\/x\"",
      "bad key s3cr3t",
      "&k2=other",
      "login of user failed: pass word, pass%20word",
  };
  for (const char* text : texts) {
    const std::string shown = mask.apply(text);
    for (const char* secret : {"T0KEN", "s3cr3t", "other", "user", "pass"}) {
      EXPECT_EQ(shown.find(secret), std::string::npos) << shown;
    }
  }
  EXPECT_EQ(mask.apply("example.com:8443 says no"), "example.com:8443 says no");
}

TEST(MaskTest, HidesWhatAnAuthorizationHeaderHas) {
  Mask mask;
  mask.hide_url("https://user:pass%20word@example.com/");
  mask.hide_url("https://token@example.com/");
  mask.hide_header("Bearer T0KEN");
  // printf 'user:pass word' | base64, printf token: | base64
  EXPECT_EQ(mask.apply("Authorization: Basic dXNlcjpwYXNzIHdvcmQ="), "Authorization: Basic ***");
  EXPECT_EQ(mask.apply("Authorization: Basic dG9rZW46"), "Authorization: Basic ***");
  EXPECT_EQ(mask.apply("Authorization: Bearer T0KEN"), "Authorization: ***");
  EXPECT_EQ(mask.apply("unknown: T0KEN"), "unknown: ***");
}

TEST(MaskTest, HidesAPathThatIsShort) {
  Mask mask;
  mask.hide_url("http://example.com/abc");
  EXPECT_EQ(mask.apply("Cannot POST /abc"), "Cannot POST ***");
  EXPECT_EQ(mask.apply("abc"), "abc");
}

TEST(MaskTest, HidesTheLongerSecretWhereOneIsInTheOther) {
  Mask mask;
  mask.hide("token");
  mask.hide("token-and-more");
  EXPECT_EQ(mask.apply("token-and-more, token"), "***, ***");
  EXPECT_EQ(mask.apply(""), "");
}

TEST(MaskTest, HidesTheBeginningOfASecretThatWasCut) {
  Mask mask;
  mask.hide_url("http://example.com/hooks/T0KEN");
  EXPECT_EQ(mask.apply("Cannot POST /hooks/T0KE..."), "Cannot POST ***...");
  EXPECT_EQ(mask.apply("no hook T0K..."), "no hook ***...");
  EXPECT_EQ(mask.apply("no T0KEN..."), "no ***...");
  EXPECT_EQ(mask.apply("..."), "...");
  EXPECT_EQ(mask.apply("bad..."), "bad...");
}

TEST(MaskTest, WithoutSecretsTextsStay) {
  Mask mask;
  mask.hide("");
  mask.hide_url("http://example.com");
  mask.hide_url("http://example.com/");
  EXPECT_EQ(mask.apply("http://example.com/ said / no"), "http://example.com/ said / no");
}

}  // namespace
}  // namespace walspout
