// What the system says of this process.
#pragma once

namespace walspout {

struct ProcessFigures {
  double cpu_seconds = 0;
  double start_time = 0;  // seconds since 1970
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double open_files = 0;
  double max_files = 0;
  double threads = 0;
};

// What cannot be read is 0.
ProcessFigures process_figures();

}  // namespace walspout
