// Figures of this process from the system.
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

// Figures that cannot be read are 0.
ProcessFigures process_figures();

}  // namespace walspout
