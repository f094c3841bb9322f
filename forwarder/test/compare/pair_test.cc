#include "compare/pair.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

ValueType builtin(const std::string& type, const std::string& base = "") {
  return {type, base.empty() ? type : base, true, ""};
}

ValueTexts texts(const ValueType& source, const ValueType& target, bool is_key = false) {
  return value_texts("t.a", source, "t.b", target, is_key);
}

TEST(PairTest, ValuesOfOneTypeAreComparedAsTheyAre) {
  const auto made = texts(builtin("integer"), builtin("integer"));
  EXPECT_EQ(made.source, "t.a");
  EXPECT_EQ(made.target, "t.b");
  // A user-defined type may have casts in SQL, which must not run.
  const ValueType mood{"public.mood", "public.mood", false, ""};
  EXPECT_EQ(texts(mood, builtin("text")).source, "t.a");
  EXPECT_EQ(texts(mood, builtin("numeric")).target, "t.b");
}

TEST(PairTest, AValueIsReadAsTheTargetsType) {
  EXPECT_EQ(texts(builtin("integer"), builtin("real")).source,
            "CAST((pg_catalog.to_json(t.a) #>> '{}') AS real)");
  EXPECT_EQ(texts(builtin("bigint"), builtin("integer")).source, "t.a") << "may be too large";
  EXPECT_EQ(texts(builtin("boolean"), builtin("text")).source,
            "(pg_catalog.to_json(t.a) #>> '{}')");
  EXPECT_EQ(texts(builtin("character varying(5)", "character varying"), builtin("text")).source,
            "t.a");
  EXPECT_EQ(texts(builtin("integer[]"), builtin("bigint[]")).source,
            "CAST((t.a)::pg_catalog.text AS bigint[])");
}

TEST(PairTest, EqualNumbersOfAKeyHaveOneText) {
  const ValueType number = builtin("numeric");
  EXPECT_EQ(texts(number, number).source, "t.a");
  EXPECT_EQ(texts(number, number, true).source, "pg_catalog.trim_scale(t.a)");
  EXPECT_EQ(texts(builtin("numeric(5,1)", "numeric"), number).target, "pg_catalog.trim_scale(t.b)");
}

TEST(PairTest, WhatDocumentsDoNotTellApartIsEqual) {
  EXPECT_EQ(texts(builtin("jsonb"), builtin("jsonb")).target, "NULLIF(t.b, 'null')");
}

}  // namespace
}  // namespace walspout
