// A real Postgres for the tests of its sink. Postgres refuses to run as root, so with root it runs
// as `nobody`.
#pragma once

#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/wake.h"
#include "postgres/connection.h"
#include "sink/postgres/postgres.h"
#include "test/sink/contract.h"
#include "test/sink/server_process.h"

namespace walspout::test {

class PostgresServer {
 public:
  // One server for all tests, because a database is created faster than a server.
  static PostgresServer& get() {
    static PostgresServer server;
    return server;
  }

  void start() {
    if (process_.running()) return;
    Process::Command command =
        as_user({program("postgres"), "-D", data(), "-k", directory_.path()});
    for (const char* setting :
         {"listen_addresses=", "fsync=off", "wal_level=logical", "max_connections=30",
          "max_replication_slots=200", "unix_socket_permissions=0777"}) {
      command.argv.insert(command.argv.end(), {"-c", setting});
    }
    command.output = directory_.file("log");
    ASSERT_TRUE(process_.start(command));
    ASSERT_TRUE(wait_for(std::chrono::seconds(60), [this] { return is_up(); }))
        << read_file(directory_.file("log"));
  }

  void stop() { process_.stop(SIGQUIT); }
  void freeze() {
    process_.freeze();  // first, so that it starts no new children
    std::ranges::for_each(children(), test::freeze);
  }
  void thaw() {
    std::ranges::for_each(children(), test::thaw);
    process_.thaw();
  }

  std::string dsn(const std::string& database) const {
    return "host=" + directory_.path() + " user=postgres dbname=" + database;
  }

  std::vector<Row> query(const std::string& database, const std::string& sql) {
    const Wake wake;
    auto connection = Connection::open(Secret(dsn(database)), Connection::Mode::kOrdinary,
                                       in_seconds(30), wake, [] { return false; });
    if (!connection) {
      ADD_FAILURE() << connection.error().message();
      return {};
    }
    auto rows = connection->query(sql, in_seconds(60));
    if (!rows) ADD_FAILURE() << rows.error().error.message();
    return rows ? std::move(*rows) : std::vector<Row>{};
  }

  std::string new_database() {
    const std::string name = "test_" + std::to_string(++databases_);
    // CREATE DATABASE must be alone in a message, and query() adds settings.
    Process created;
    Process::Command command{{program("psql"), "-X", "-h", directory_.path(), "-U", "postgres",
                              "-c", "CREATE DATABASE " + name},
                             {},
                             directory_.file("psql.log"),
                             "postgresql"};
    EXPECT_TRUE(created.start(command));
    EXPECT_TRUE(wait_for(std::chrono::seconds(60), [&] { return !created.running(); }));
    return name;
  }

 private:
  PostgresServer() { make(); }

  void make() {
    if (geteuid() == 0) {
      const passwd* user = getpwnam("nobody");
      ASSERT_NE(user, nullptr);
      ASSERT_EQ(chown(directory_.path().c_str(), user->pw_uid, user->pw_gid), 0);
      std::filesystem::permissions(directory_.path(), std::filesystem::perms(0755));
    }
    Process::Command command = as_user({program("initdb"), "-D", data(), "-U", "postgres", "-A",
                                        "trust", "-N", "-E", "UTF8", "--locale=C"});
    command.output = directory_.file("initdb.log");
    Process process;
    ASSERT_TRUE(process.start(command));
    ASSERT_TRUE(wait_for(std::chrono::minutes(2), [&] { return !process.running(); }));
    start();
  }

  static std::string program(const std::string& name) {
    const char* config = getenv("PG_CONFIG");
    const std::string ask =
        std::string(config != nullptr ? config : "pg_config") + " --bindir 2>/dev/null";
    std::string folder;
    if (FILE* out = popen(ask.c_str(), "r")) {
      for (int c = 0; (c = fgetc(out)) != EOF && c != '\n';) folder += static_cast<char>(c);
      pclose(out);
    }
    return folder.empty() ? name : folder + "/" + name;
  }

  static Process::Command as_user(std::vector<std::string> argv) {
    if (geteuid() == 0) {
      argv.insert(argv.begin(),
                  {"setpriv", "--reuid=nobody", "--clear-groups", "--pdeathsig=KILL"});
    }
    Process::Command command;
    command.argv = std::move(argv);
    command.env = {"LC_ALL=C"};
    command.package = "postgresql";
    return command;
  }

  std::string data() const { return directory_.file("data"); }

  bool is_up() {
    const std::string pid_file = read_file(data() + "/postmaster.pid");
    return pid_file.find("ready") != std::string::npos &&
           accepts(directory_.path() + "/.s.PGSQL.5432");
  }

  // Its sessions are processes of their own.
  std::vector<pid_t> children() const {
    const std::string pid = std::to_string(process_.pid());
    std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
    return {std::istream_iterator<pid_t>(list), {}};
  }

  TempDir directory_;
  Process process_;
  int databases_ = 0;
};

}  // namespace walspout::test
