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
  type.shared = [](const std::any& a, const std::any& b) -> std::optional<SharedPlace> {
    const std::string& path = std::any_cast<const FileConfig&>(a).path;
    if (path != std::any_cast<const FileConfig&>(b).path) return std::nullopt;
    return SharedPlace{"file \"" + path + "\"", "path"};
  };
  return type;
}

}  // namespace walspout
