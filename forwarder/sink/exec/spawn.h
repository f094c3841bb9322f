// Starts a program in a process of its own.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace walspout {

struct SpawnPlan {
  std::string program;  // the file
  std::vector<std::string> argv;
  std::vector<std::string> env;  // NAME=value, all there are
  std::string directory;         // empty: ours
  int in = -1;                   // what becomes its files 0, 1, 2; it gets no others
  int out = -1;
  int err = -1;
};

struct Spawned {
  pid_t pid = -1;             // -1: there is no process
  int error = 0;              // errno of what failed; 0: the program runs
  bool in_directory = false;  // the directory failed, and not the program
};

// The kernel kills the program when this process ends, however it ends. That is tied to the thread
// that starts the program, so one thread starts all programs, and lives as long as the process.
Spawned spawn(const SpawnPlan& plan);

}  // namespace walspout
