#include "status/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace walspout {
namespace {

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

double count_open_files() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = -1;  // excludes the descriptor of the folder
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(folder);
  return count;
}

// The system's boot time, in seconds since 1970.
double boot_time() {
  std::istringstream lines(text_of("/proc/stat"));
  for (std::string word; lines >> word;) {
    double value = 0;
    if (word == "btime" && lines >> value) return value;
  }
  return 0;
}

}  // namespace

// Parses /proc/self/stat, see proc(5). The program's name may contain spaces.
ProcessFigures process_figures() {
  ProcessFigures figures;
  const std::string stat = text_of("/proc/self/stat");
  const size_t end_of_name = stat.rfind(')');
  if (end_of_name != std::string::npos) {
    constexpr int kUser = 14, kSystem = 15, kThreads = 20, kStart = 22, kVirtual = 23,
                  kResident = 24;
    std::istringstream fields(stat.substr(end_of_name + 1));
    std::vector<double> values(3, 0);  // field 3 is a letter
    std::string letter;
    fields >> letter;
    for (double value = 0; fields >> value;) values.push_back(value);
    // values[i] is field i + 1
    const auto field = [&](int number) {
      const auto index = static_cast<size_t>(number) - 1;
      return index < values.size() ? values[index] : 0;
    };
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    figures.cpu_seconds = (field(kUser) + field(kSystem)) / ticks;
    figures.threads = field(kThreads);
    figures.start_time = boot_time() + field(kStart) / ticks;
    figures.virtual_bytes = field(kVirtual);
    figures.resident_bytes = field(kResident) * static_cast<double>(sysconf(_SC_PAGESIZE));
  }
  figures.open_files = count_open_files();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    figures.max_files = static_cast<double>(limit.rlim_cur);
  }
  return figures;
}

}  // namespace walspout
