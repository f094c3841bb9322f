#include "sink/file/file.h"
#include "sink/types.h"

namespace walspout {

SinkType file_type() {
  KeyTable<FileConfig> table;
  table
      .key("path", &FileConfig::path,
           "The file; opened again on SIGHUP, and locked: it has one writer")
      .required()
      .key("fsync", &FileConfig::fsync, "A line counts as delivered once it is on disk");
  SinkType type = sink_type<FileConfig>(
      "file", "Appends a line to a file", table,
      [](const FileConfig& config) { return std::make_unique<FileSink>(config); });
  type.file = [](const std::any& options) {
    return std::any_cast<const FileConfig&>(options).path;
  };
  type.capabilities = {
      .becomes = "a line", .delivered = "fsync returns", .repeated = "known by its `id`"};
  type.needs_id = [](const std::any&) { return true; };
  return type;
}

}  // namespace walspout
