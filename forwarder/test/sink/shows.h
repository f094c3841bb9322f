// SHOWS("redis.maxlen"); in a test: the test shows what this key of the configuration does.
// regress/e2e/config_keys.py looks for these lines.
#pragma once

#include <gtest/gtest.h>

#define SHOWS(key) testing::Test::RecordProperty("shows", key)
