// Starts a program in its own process.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace walspout {

struct SpawnPlan {
  std::string program;  // the file
  std::vector<std::string> argv;
  std::vector<std::string> env;  // NAME=value; the whole environment
  std::string directory;         // empty: ours
  int in = -1;                   // becomes its file 0; out and err 1 and 2; no others
  int out = -1;
  int err = -1;
};

struct Spawned {
  pid_t pid = -1;             // -1: there is no process
  int error = 0;              // errno of what failed; 0: the program runs
  bool in_directory = false;  // the directory failed, not the program
};

// The kernel kills the program when this process ends in any way. The kernel ties that to the
// starting thread, so one thread starts all programs, and lives as long as this process.
Spawned spawn(const SpawnPlan& plan);

}  // namespace walspout
